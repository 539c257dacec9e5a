//! The functions on text that searches are made of, for DataFusion's plans and for SQL.
//!
//! | function | true, or the value, when |
//! |---|---|
//! | `has_word(text, 'word')` | one of the text's words is `word` |
//! | `has_phrase(text, 'a b')` | the words `a`, `b` follow each other in the text |
//! | `has_prefix(text, 'a b')` | the same, where the last word only begins with `b` |
//! | `has_pattern(text, 'a*b c?d')` | the same, where `*` is any part of a word, `?` a character |
//! | `has_near(text, 'a b', 3)` | `a`, `b` follow each other with at most 3 other words between |
//! | `has_similar(text, 'word', 2)` | one of the text's words is at most 2 edits away |
//! | `has_match(text, 'a+')` | a regular expression matches somewhere in the text |
//! | `is_like(text, 'a*b?')` | the whole text fits, where `*` and `?` stand for any characters |
//! | `is_similar(text, 'word', 2)` | the whole text is at most 2 edits away |
//! | `number(text)` | the text as a decimal number |
//! | `duration(text)` | the text as a duration with units, in seconds |
//! | `size(text)` | the text as a size in bytes with a unit |
//! | `json_value(text, 'a.b')` | what a JSON object has under `a.b`, as text |
//!
//! Words are those of [`crate::words`]: case and punctuation between them do not matter; where
//! whole texts are compared, case does. The `has_` and `is_` functions are null for a null text;
//! the others are null, never an error, for a text that is not what they read. [`crate::lookup`]
//! turns the `has_` functions into look-ups in a split's index.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, LargeStringArray, StringArray,
    StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::types::logical_string;
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    Coercion, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignatureClass, Volatility, lit,
};
use regex::Regex;

use crate::expression;
use crate::glob::Glob;
use crate::nested;
use crate::phrase::Phrase;
use crate::term_pattern::TermPattern;
use crate::text::text_of;
use crate::units;
use crate::words;

/// The name of `json_value`.
pub(crate) const JSON_VALUE: &str = "json_value";

/// Every function of this module, to be registered with a session.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    TextFunction::ALL
        .iter()
        .map(|kind| kind.udf())
        .chain(Measure::ALL.iter().map(|kind| kind.udf()))
        .chain([json_value_udf()])
        .collect()
}

/// `has_word(text, word)`.
pub fn has_word(text: Expr, word: &str) -> Expr {
    TextFunction::HasWord.call(text, word)
}

/// `has_phrase(text, phrase)`.
pub fn has_phrase(text: Expr, phrase: &str) -> Expr {
    TextFunction::HasPhrase.call(text, phrase)
}

/// `has_prefix(text, prefix)`.
pub fn has_prefix(text: Expr, prefix: &str) -> Expr {
    TextFunction::HasPrefix.call(text, prefix)
}

/// `has_pattern(text, pattern)`.
pub fn has_pattern(text: Expr, pattern: &Glob) -> Expr {
    TextFunction::HasPattern.call(text, &pattern.to_string())
}

/// `has_near(text, phrase, gaps)`.
pub fn has_near(text: Expr, phrase: &str, gaps: u32) -> Expr {
    TextFunction::HasNear.call_with(text, phrase, gaps)
}

/// `has_similar(text, word, edits)`.
pub fn has_similar(text: Expr, word: &str, edits: u8) -> Expr {
    TextFunction::HasSimilar.call_with(text, word, edits.into())
}

/// `has_match(text, expression)`.
pub fn has_match(text: Expr, expression: &str) -> Expr {
    TextFunction::HasMatch.call(text, expression)
}

/// `is_like(text, pattern)`.
pub fn is_like(text: Expr, pattern: &Glob) -> Expr {
    TextFunction::IsLike.call(text, &pattern.to_string())
}

/// `is_similar(text, to, edits)`.
pub fn is_similar(text: Expr, to: &str, edits: u8) -> Expr {
    TextFunction::IsSimilar.call_with(text, to, edits.into())
}

/// `json_value(text, path)`.
pub fn json_value(text: Expr, path: &str) -> Expr {
    json_value_udf().call(vec![text, lit(path.to_owned())])
}

fn json_value_udf() -> Arc<ScalarUDF> {
    static UDF: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(JsonValueUdf::new())));
    Arc::clone(&UDF)
}

/// `number(text)`.
pub fn number(text: Expr) -> Expr {
    Measure::Number.udf().call(vec![text])
}

/// The column that an expression reads as numbers, when it is `number(column)`.
pub fn column_of_number(expr: &Expr) -> Option<&Column> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    match call.args.as_slice() {
        [Expr::Column(column)] if *call.func == *Measure::Number.udf() => Some(column),
        _ => None,
    }
}

/// `duration(text)`, in seconds.
pub fn duration(text: Expr) -> Expr {
    Measure::Duration.udf().call(vec![text])
}

/// `size(text)`, in bytes.
pub fn size(text: Expr) -> Expr {
    Measure::Size.udf().call(vec![text])
}

/// The functions that test a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextFunction {
    /// `has_word`
    HasWord,
    /// `has_phrase`
    HasPhrase,
    /// `has_prefix`
    HasPrefix,
    /// `has_pattern`
    HasPattern,
    /// `has_near`
    HasNear,
    /// `has_similar`
    HasSimilar,
    /// `has_match`
    HasMatch,
    /// `is_like`
    IsLike,
    /// `is_similar`
    IsSimilar,
}

impl TextFunction {
    const ALL: [Self; 9] = [
        Self::HasWord,
        Self::HasPhrase,
        Self::HasPrefix,
        Self::HasPattern,
        Self::HasNear,
        Self::HasSimilar,
        Self::HasMatch,
        Self::IsLike,
        Self::IsSimilar,
    ];

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::HasWord => "has_word",
            Self::HasPhrase => "has_phrase",
            Self::HasPrefix => "has_prefix",
            Self::HasPattern => "has_pattern",
            Self::HasNear => "has_near",
            Self::HasSimilar => "has_similar",
            Self::HasMatch => "has_match",
            Self::IsLike => "is_like",
            Self::IsSimilar => "is_similar",
        }
    }

    /// Whether a third argument is needed, a whole number.
    fn takes_number(self) -> bool {
        matches!(self, Self::HasNear | Self::HasSimilar | Self::IsSimilar)
    }

    fn udf(self) -> Arc<ScalarUDF> {
        static UDFS: LazyLock<[Arc<ScalarUDF>; 9]> = LazyLock::new(|| {
            TextFunction::ALL.map(|kind| Arc::new(ScalarUDF::new_from_impl(TextUdf::new(kind))))
        });
        Arc::clone(&UDFS[self as usize])
    }

    fn call(self, text: Expr, argument: &str) -> Expr {
        self.udf().call(vec![text, lit(argument.to_owned())])
    }

    fn call_with(self, text: Expr, argument: &str, number: u32) -> Expr {
        let number = lit(i64::from(number));
        self.udf()
            .call(vec![text, lit(argument.to_owned()), number])
    }

    /// The test that a constant second and third argument make.
    ///
    /// # Errors
    ///
    /// Arguments that this function cannot take, and what it takes.
    pub fn test(self, argument: &str, number: i64) -> Result<TextTest, String> {
        let words = || match words::split(argument).next() {
            Some(_) => "takes one word; use has_phrase for several",
            None => "has no word to look for: a word is made of letters, digits and \"_\"",
        };
        let edits = u8::try_from(number).ok();
        let (test, otherwise) = match self {
            Self::HasWord => {
                let phrase = Phrase::of_words(argument).filter(|phrase| phrase.tests.len() == 1);
                (phrase.map(TextTest::Phrase), words())
            }
            Self::HasPhrase => (Phrase::of_words(argument).map(TextTest::Phrase), words()),
            Self::HasPrefix => (
                Phrase::of_beginning(argument).map(TextTest::Phrase),
                words(),
            ),
            Self::HasPattern => {
                let phrase = Phrase::of_glob(&Glob::parse(argument));
                (phrase.map(TextTest::Phrase), words())
            }
            Self::HasNear => {
                let gaps = usize::try_from(number)
                    .map_err(|_| format!("{}(…, {number}) takes a number of words", self.name()))?;
                let phrase = Phrase::of_words(argument).map(|phrase| phrase.with_gaps(gaps));
                (phrase.map(TextTest::Phrase), words())
            }
            Self::HasSimilar => {
                let phrase = edits.and_then(|edits| Phrase::of_similar(argument, edits));
                (phrase.map(TextTest::Phrase), "takes one word and 0, 1 or 2")
            }
            Self::HasMatch => match expression::compile(argument) {
                Ok(regex) => (Some(TextTest::Match(regex)), ""),
                Err(err) => return Err(format!("{}(…, '{argument}'): {err}", self.name())),
            },
            Self::IsLike => (
                Some(TextTest::Whole(TermPattern::glob(Glob::parse(argument)))),
                "",
            ),
            Self::IsSimilar => {
                let pattern = edits.and_then(|edits| TermPattern::similar(argument, edits));
                (
                    pattern.map(TextTest::Whole),
                    "takes a text of up to 64 characters and 0, 1 or 2",
                )
            }
        };
        test.ok_or_else(|| format!("{}(…, '{argument}') {otherwise}", self.name()))
    }
}

/// A test of texts.
#[derive(Debug, Clone)]
pub enum TextTest {
    /// Of the words in a text.
    Phrase(Phrase),
    /// Of the whole text.
    Whole(TermPattern),
    /// Whether an expression matches anywhere.
    Match(Regex),
}

impl TextTest {
    /// Whether `text` passes.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Phrase(phrase) => phrase.matches(text),
            Self::Whole(pattern) => pattern.matches(text),
            Self::Match(regex) => regex.is_match(text),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextUdf {
    kind: TextFunction,
    signature: Signature,
}

impl TextUdf {
    fn new(kind: TextFunction) -> Self {
        let mut arguments = vec![text_argument(); 2];
        if kind.takes_number() {
            arguments.push(Coercion::new_exact(TypeSignatureClass::Integer));
        }
        Self {
            kind,
            signature: Signature::coercible(arguments, Volatility::Immutable),
        }
    }

    fn test(&self, argument: &str, number: i64) -> Result<TextTest> {
        match self.kind.test(argument, number) {
            Ok(test) => Ok(test),
            Err(message) => plan_err!("{message}"),
        }
    }
}

impl ScalarUDFImpl for TextUdf {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// Also checks constant arguments, so that wrong ones are an error of planning.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let constant = |index: usize| args.scalar_arguments.get(index).copied().flatten();
        let number = match self.kind.takes_number() {
            true => constant(2).and_then(scalar_number),
            false => Some(0),
        };
        if let (Some(argument), Some(number)) = (constant(1).and_then(scalar_text), number) {
            self.test(argument, number)?;
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let number = match args.args.get(2) {
            None => Some(0),
            Some(ColumnarValue::Scalar(number)) => scalar_number(number),
            Some(ColumnarValue::Array(_)) => {
                return plan_err!("{} takes a constant number", self.name());
            }
        };
        let nothing = ColumnarValue::Scalar(ScalarValue::Boolean(None));
        let Some(number) = number else {
            return Ok(nothing);
        };
        if let ColumnarValue::Scalar(argument) = &args.args[1] {
            let Some(argument) = scalar_text(argument) else {
                return Ok(nothing);
            };
            let test = self.test(argument, number)?;
            return each_text(&args.args[0], |texts| {
                Arc::new(texts.map_boolean(|text| test.matches(text)))
            });
        }
        let texts = Texts::from_array(&args.args[0].to_array(args.number_rows)?)?;
        let arguments = Texts::from_array(&args.args[1].to_array(args.number_rows)?)?;
        let matches = (0..args.number_rows)
            .map(|row| match (texts.get(row), arguments.get(row)) {
                (Some(text), Some(argument)) => {
                    Ok(Some(self.test(argument, number)?.matches(text)))
                }
                _ => Ok(None),
            })
            .collect::<Result<BooleanArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(matches)))
    }
}

/// `json_value`
#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonValueUdf {
    signature: Signature,
}

impl JsonValueUdf {
    fn new() -> Self {
        Self {
            signature: strings(2),
        }
    }
}

impl ScalarUDFImpl for JsonValueUdf {
    fn name(&self) -> &str {
        JSON_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = Texts::from_array(&args.args[0].to_array(args.number_rows)?)?;
        let paths = Texts::from_array(&args.args[1].to_array(args.number_rows)?)?;
        let values = (0..args.number_rows).map(|row| {
            let value = nested::find_in_json(texts.get(row)?, paths.get(row)?)?;
            text_of(&value).map(|text| text.into_owned())
        });
        Ok(ColumnarValue::Array(Arc::new(
            values.collect::<StringArray>(),
        )))
    }
}

/// The functions that read a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    Number,
    Duration,
    Size,
}

impl Measure {
    const ALL: [Self; 3] = [Self::Number, Self::Duration, Self::Size];

    fn udf(self) -> Arc<ScalarUDF> {
        static UDFS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
            Measure::ALL.map(|kind| Arc::new(ScalarUDF::new_from_impl(MeasureUdf::new(kind))))
        });
        Arc::clone(&UDFS[self as usize])
    }

    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Number => units::number(text),
            Self::Duration => units::duration_seconds(text),
            Self::Size => units::size_bytes(text),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MeasureUdf {
    kind: Measure,
    signature: Signature,
}

impl MeasureUdf {
    fn new(kind: Measure) -> Self {
        Self {
            kind,
            signature: strings(1),
        }
    }
}

impl ScalarUDFImpl for MeasureUdf {
    fn name(&self) -> &str {
        match self.kind {
            Measure::Number => "number",
            Measure::Duration => "duration",
            Measure::Size => "size",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        each_text(&args.args[0], |texts| {
            Arc::new(texts.map_float(|text| self.kind.read(text)))
        })
    }
}

fn strings(count: usize) -> Signature {
    Signature::coercible(vec![text_argument(); count], Volatility::Immutable)
}

fn text_argument() -> Coercion {
    Coercion::new_exact(TypeSignatureClass::Native(logical_string()))
}

fn scalar_number(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

fn scalar_text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// Applies `kernel` to an array, or to a constant as an array of one row.
fn each_text(
    value: &ColumnarValue,
    kernel: impl FnOnce(&Texts) -> ArrayRef,
) -> Result<ColumnarValue> {
    match value {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(kernel(&Texts::from_array(array)?))),
        ColumnarValue::Scalar(scalar) => {
            let one = kernel(&Texts::from_array(&scalar.to_array()?)?);
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
        }
    }
}

/// A text array in any of Arrow's layouts.
enum Texts {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Texts {
    fn from_array(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Small(array.as_string::<i32>().clone()),
            DataType::LargeUtf8 => Self::Large(array.as_string::<i64>().clone()),
            DataType::Utf8View => Self::View(array.as_string_view().clone()),
            _ => Self::Small(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
        })
    }

    fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Small(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Self::View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }

    fn map_boolean(&self, test: impl Fn(&str) -> bool) -> BooleanArray {
        match self {
            Self::Small(array) => array.iter().map(|text| text.map(&test)).collect(),
            Self::Large(array) => array.iter().map(|text| text.map(&test)).collect(),
            Self::View(array) => array.iter().map(|text| text.map(&test)).collect(),
        }
    }

    fn map_float(&self, read: impl Fn(&str) -> Option<f64>) -> Float64Array {
        match self {
            Self::Small(array) => array.iter().map(|text| text.and_then(&read)).collect(),
            Self::Large(array) => array.iter().map(|text| text.and_then(&read)).collect(),
            Self::View(array) => array.iter().map(|text| text.and_then(&read)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_test_words_and_whole_texts() {
        use TextFunction::*;
        let text = "POST /api/Tasks failed: connection refused (os error 111)";
        let cases = [
            (HasWord, "TASKS", 0, true),
            (HasWord, "task", 0, false),
            (HasWord, "111", 0, true),
            (HasPrefix, "conn", 0, true),
            (HasPrefix, "onnection", 0, false),
            (HasPrefix, "os err", 0, true),
            (HasPrefix, "o err", 0, false),
            (HasPhrase, "Connection  refused", 0, true),
            (HasPhrase, "api tasks", 0, true),
            (HasPhrase, "/api/tasks", 0, true),
            (HasPhrase, "refused connection", 0, false),
            (HasPhrase, "connection refus", 0, false),
            (HasPhrase, "error 111 more", 0, false),
            (HasPattern, "c*n ref?sed", 0, true),
            (HasNear, "failed error", 2, false),
            (HasNear, "failed error", 3, true),
            (HasSimilar, "conection", 1, true),
            (HasMatch, "err\\w+ 1{3}", 0, true),
            (HasMatch, "Refused", 0, false),
            (IsLike, "POST*1?1)", 0, true),
            (IsLike, "post*", 0, false),
            (IsSimilar, "connection refused", 2, false),
        ];
        for (function, argument, number, expected) in cases {
            let test = function.test(argument, number).unwrap();
            assert_eq!(test.matches(text), expected, "{function:?} {argument:?}");
        }
    }

    #[test]
    fn a_phrase_that_begins_twice_is_found() {
        let test = TextFunction::HasPhrase.test("a a b", 0).unwrap();
        assert!(test.matches("a a a b"));
    }

    #[test]
    fn arguments_that_say_nothing_are_refused() {
        use TextFunction::*;
        let cases = [
            (HasWord, "a-b", 0, "takes one word"),
            (HasPhrase, " -- ", 0, "no word to look for"),
            (HasPattern, "*", 0, "no word to look for"),
            (HasNear, "a b", -1, "a number of words"),
            (HasSimilar, "a", 3, "0, 1 or 2"),
            (HasMatch, "(", 0, "unclosed group"),
            (IsSimilar, "a", -1, "0, 1 or 2"),
        ];
        for (function, argument, number, expected) in cases {
            let message = function.test(argument, number).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn every_layout_of_text_gives_the_same_answers() {
        let rows = [Some("one two"), None, Some("Two")];
        let layouts: [ArrayRef; 3] = [
            Arc::new(StringArray::from(rows.to_vec())),
            Arc::new(LargeStringArray::from(rows.to_vec())),
            Arc::new(StringViewArray::from(rows.to_vec())),
        ];
        for layout in layouts {
            let texts = Texts::from_array(&layout).unwrap();
            let test = TextFunction::HasWord.test("two", 0).unwrap();
            assert_eq!(
                texts.map_boolean(|text| test.matches(text)),
                BooleanArray::from(vec![Some(true), None, Some(true)])
            );
        }
    }
}
