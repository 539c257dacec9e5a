//! The functions on text that searches are made of, for DataFusion's plans and for SQL.
//!
//! | function | true, or the value, when |
//! |---|---|
//! | `has_word(text, 'word')` | one of the text's words is `word` |
//! | `has_phrase(text, 'a b')` | the words `a`, `b` follow each other in the text |
//! | `has_prefix(text, 'a b')` | the same, where the last word only begins with `b` |
//! | `number(text)` | the text as a decimal number |
//! | `duration(text)` | the text as a duration with units, in seconds |
//! | `size(text)` | the text as a size in bytes with a unit |
//!
//! Words are those of [`crate::words`]: case and punctuation between them do not matter. The first
//! three are null for a null text; the others are null, never an error, for a text that is not
//! what they read. [`crate::lookup`] turns the first three into look-ups in a split's index.

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

use crate::units;
use crate::words;

/// Every function of this module, to be registered with a session.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    TextFunction::ALL
        .iter()
        .map(|kind| kind.udf())
        .chain(Measure::ALL.iter().map(|kind| kind.udf()))
        .collect()
}

/// `has_word(text, word)`.
pub fn has_word(text: Expr, word: &str) -> Expr {
    TextFunction::HasWord
        .udf()
        .call(vec![text, lit(word.to_owned())])
}

/// `has_phrase(text, phrase)`.
pub fn has_phrase(text: Expr, phrase: &str) -> Expr {
    TextFunction::HasPhrase
        .udf()
        .call(vec![text, lit(phrase.to_owned())])
}

/// `has_prefix(text, prefix)`.
pub fn has_prefix(text: Expr, prefix: &str) -> Expr {
    TextFunction::HasPrefix
        .udf()
        .call(vec![text, lit(prefix.to_owned())])
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

/// The functions that look for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextFunction {
    /// `has_word`
    HasWord,
    /// `has_phrase`
    HasPhrase,
    /// `has_prefix`
    HasPrefix,
}

impl TextFunction {
    const ALL: [Self; 3] = [Self::HasWord, Self::HasPhrase, Self::HasPrefix];

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::HasWord => "has_word",
            Self::HasPhrase => "has_phrase",
            Self::HasPrefix => "has_prefix",
        }
    }

    fn udf(self) -> Arc<ScalarUDF> {
        static UDFS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
            TextFunction::ALL.map(|kind| Arc::new(ScalarUDF::new_from_impl(TextUdf::new(kind))))
        });
        Arc::clone(&UDFS[self as usize])
    }

    /// The pattern of a second argument, or `None` when this function cannot take it.
    pub fn pattern(self, argument: &str) -> Option<Pattern> {
        let words = words::lowercased(argument);
        match self {
            _ if words.is_empty() => None,
            Self::HasWord if words.len() > 1 => None,
            Self::HasWord | Self::HasPhrase => Some(Pattern {
                words,
                last_is_prefix: false,
            }),
            Self::HasPrefix => Some(Pattern {
                words,
                last_is_prefix: true,
            }),
        }
    }

    fn bad_argument(self, argument: &str) -> String {
        let name = self.name();
        if words::split(argument).next().is_none() {
            return format!(
                "{name}(…, '{argument}') has no word to look for: a word is made of letters, digits and \"_\""
            );
        }
        format!("{name}(…, '{argument}') takes one word; use has_phrase for several")
    }
}

/// Lowercased words that must follow each other in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The words, at least one.
    pub words: Vec<String>,
    /// Whether the text's last word may go on after the pattern's.
    pub last_is_prefix: bool,
}

impl Pattern {
    /// Whether the words of `text` contain this pattern.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.words.split_first() else {
            return false;
        };
        let mut candidates = words::split(text);
        while let Some(word) = candidates.next() {
            if !self.word_matches(word, first, rest.is_empty()) {
                continue;
            }
            let mut following = candidates.clone();
            let all = rest.iter().enumerate().all(|(index, expected)| {
                following
                    .next()
                    .is_some_and(|word| self.word_matches(word, expected, index + 1 == rest.len()))
            });
            if all {
                return true;
            }
        }
        false
    }

    fn word_matches(&self, word: &str, expected: &str, is_last: bool) -> bool {
        if is_last && self.last_is_prefix {
            words::starts_with(word, expected)
        } else {
            words::equals(word, expected)
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
        Self {
            kind,
            signature: strings(2),
        }
    }

    fn pattern(&self, argument: &str) -> Result<Pattern> {
        match self.kind.pattern(argument) {
            Some(pattern) => Ok(pattern),
            None => plan_err!("{}", self.kind.bad_argument(argument)),
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

    /// Also checks a constant pattern, so that a wrong one is an error of planning.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(argument) = args
            .scalar_arguments
            .get(1)
            .and_then(|value| value.and_then(scalar_text))
        {
            self.pattern(argument)?;
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let ColumnarValue::Scalar(argument) = &args.args[1] {
            let Some(argument) = scalar_text(argument) else {
                return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
            };
            let pattern = self.pattern(argument)?;
            return each_text(&args.args[0], |texts| {
                Arc::new(texts.map_boolean(|text| pattern.matches(text)))
            });
        }
        let texts = Texts::from_array(&args.args[0].to_array(args.number_rows)?)?;
        let arguments = Texts::from_array(&args.args[1].to_array(args.number_rows)?)?;
        let matches = (0..args.number_rows)
            .map(|row| match (texts.get(row), arguments.get(row)) {
                (Some(text), Some(argument)) => Ok(Some(self.pattern(argument)?.matches(text))),
                _ => Ok(None),
            })
            .collect::<Result<BooleanArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(matches)))
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
    let text = Coercion::new_exact(TypeSignatureClass::Native(logical_string()));
    Signature::coercible(vec![text; count], Volatility::Immutable)
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
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_words_in_a_row() {
        use TextFunction::{HasPhrase, HasPrefix, HasWord};
        let text = "POST /api/Tasks failed: connection refused (os error 111)";
        let cases = [
            (HasWord, "TASKS", true),
            (HasWord, "task", false),
            (HasWord, "111", true),
            (HasPrefix, "conn", true),
            (HasPrefix, "onnection", false),
            (HasPrefix, "os err", true),
            (HasPrefix, "o err", false),
            (HasPhrase, "Connection  refused", true),
            (HasPhrase, "api tasks", true),
            (HasPhrase, "/api/tasks", true),
            (HasPhrase, "refused connection", false),
            (HasPhrase, "connection refus", false),
            (HasPhrase, "error 111 more", false),
        ];
        for (function, argument, expected) in cases {
            let pattern = function.pattern(argument).unwrap();
            assert_eq!(pattern.matches(text), expected, "{function:?} {argument:?}");
        }
    }

    #[test]
    fn a_phrase_that_begins_twice_is_found() {
        let pattern = TextFunction::HasPhrase.pattern("a a b").unwrap();
        assert!(pattern.matches("a a a b"));
    }

    #[test]
    fn arguments_without_a_word_are_refused() {
        assert_eq!(TextFunction::HasWord.pattern("a-b"), None);
        assert_eq!(TextFunction::HasPhrase.pattern(" -- "), None);
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
            let pattern = TextFunction::HasWord.pattern("two").unwrap();
            assert_eq!(
                texts.map_boolean(|text| pattern.matches(text)),
                BooleanArray::from(vec![Some(true), None, Some(true)])
            );
        }
    }

    proptest! {
        #[test]
        fn a_phrase_is_found_exactly_where_a_window_of_words_equals_it(
            text in "[abAB ,]{0,24}",
            phrase in "[ab]{1,2}( [ab]{1,2}){0,2}",
        ) {
            let text_words = words::lowercased(&text);
            let phrase_words = words::lowercased(&phrase);
            let expected = text_words
                .windows(phrase_words.len())
                .any(|window| window == phrase_words);
            let pattern = TextFunction::HasPhrase.pattern(&phrase).unwrap();
            prop_assert_eq!(pattern.matches(&text), expected);
        }
    }
}
