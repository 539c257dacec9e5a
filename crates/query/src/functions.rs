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

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, LargeStringArray, StringArray,
    StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::types::logical_string;
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    BinaryExpr, Coercion, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TypeSignatureClass, Volatility, lit,
};

use crate::glob::Glob;
use crate::matcher::Matcher;
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

/// `has_match` for a condition that asks the same of a text: `text ~ 'a+'`, `text ~* 'a+'`,
/// `contains(text, 'a')`, and `text LIKE '%a%'`, which DataFusion makes of `text ~ 'a'`.
///
/// `None` for any other, their negations among them, and for an expression that
/// [`crate::expression::compile`] refuses.
pub fn has_match_of(condition: &Expr) -> Option<Expr> {
    let (text, expression) = match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let expression = constant_text(right)?;
            match op {
                Operator::RegexMatch => (left.as_ref(), expression.to_owned()),
                Operator::RegexIMatch => (left.as_ref(), format!("(?i){expression}")),
                _ => return None,
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "contains" => {
            let [text, part] = call.args.as_slice() else {
                return None;
            };
            (text, regex::escape(constant_text(part)?))
        }
        Expr::Like(like)
            if !like.negated && !like.case_insensitive && like.escape_char.is_none() =>
        {
            let pattern = constant_text(&like.pattern)?;
            let part = pattern.strip_prefix('%')?.strip_suffix('%')?;
            if part.contains(['%', '_', '\\']) {
                return None;
            }
            (like.expr.as_ref(), regex::escape(part))
        }
        _ => return None,
    };
    KEPT_TESTS
        .test(TextFunction::HasMatch, &expression, 0)
        .ok()?;
    Some(has_match(text.clone(), &expression))
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
            Self::HasMatch => match Matcher::new(argument) {
                Ok(matcher) => (Some(TextTest::Match(matcher)), ""),
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
    Match(Matcher),
}

impl TextTest {
    /// Whether `text` passes.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Phrase(phrase) => phrase.matches(text),
            Self::Whole(pattern) => pattern.matches(text),
            Self::Match(matcher) => matcher.matches(text),
        }
    }
}

/// The most tests that are kept: they are few in a query, and an expression may take megabytes.
const MAX_KEPT_TESTS: usize = 8;

/// The tests that were made last, of all queries.
///
/// A call gets its constants anew with each batch, and making a test of them can take longer than
/// to run it over the batch. DataFusion would let `simplify` put the test into the function, but
/// simplifies no condition that the scan checks on its own.
struct KeptTests(Mutex<VecDeque<KeptTest>>);

struct KeptTest {
    function: TextFunction,
    argument: String,
    number: i64,
    test: Arc<TextTest>,
}

static KEPT_TESTS: KeptTests = KeptTests::new();

impl KeptTests {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// [`TextFunction::test`], kept. Two who ask at once may both make it, and either is right.
    fn test(
        &self,
        function: TextFunction,
        argument: &str,
        number: i64,
    ) -> Result<Arc<TextTest>, String> {
        let is_it = |kept: &KeptTest| {
            kept.function == function && kept.number == number && kept.argument == argument
        };
        let known = self
            .lock()
            .iter()
            .find(|kept| is_it(kept))
            .map(|kept| Arc::clone(&kept.test));
        if let Some(test) = known {
            return Ok(test);
        }
        let test = Arc::new(function.test(argument, number)?);
        let mut kept = self.lock();
        kept.truncate(MAX_KEPT_TESTS - 1);
        kept.push_front(KeptTest {
            function,
            argument: argument.to_owned(),
            number,
            test: Arc::clone(&test),
        });
        Ok(test)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<KeptTest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn test(&self, argument: &str, number: i64) -> Result<Arc<TextTest>> {
        match KEPT_TESTS.test(self.kind, argument, number) {
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
            return each_text(&args.args[0], |texts| Arc::new(texts.mask(&test)));
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

fn constant_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => scalar_text(value),
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

    /// Which texts pass `test`; null for null.
    fn mask(&self, test: &TextTest) -> BooleanArray {
        match (self, test) {
            (Self::Small(array), TextTest::Match(matcher)) => matcher.mask(array),
            (Self::Large(array), TextTest::Match(matcher)) => matcher.mask(array),
            _ => self.map_boolean(|text| test.matches(text)),
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
    use datafusion::arrow::array::{GenericStringArray, OffsetSizeTrait, RecordBatch};
    use datafusion::arrow::buffer::NullBuffer;
    use datafusion::common::DFSchema;
    use datafusion::functions::expr_fn::contains;
    use datafusion::logical_expr::{binary_expr, ident};
    use datafusion::prelude::SessionContext;
    use proptest::collection::vec;
    use proptest::prelude::*;

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
    fn tests_are_kept_as_long_as_few_others_are_asked_for() {
        let kept = KeptTests::new();
        let ask = |argument: &str| kept.test(TextFunction::HasMatch, argument, 0).unwrap();
        let first = ask("a+");
        assert!(kept.test(TextFunction::HasMatch, "(", 0).is_err());
        let word = kept.test(TextFunction::HasPrefix, "a+", 0).unwrap();
        assert!(matches!(*word, TextTest::Phrase(_)));
        assert!(Arc::ptr_eq(&first, &ask("a+")));
        for number in 0..MAX_KEPT_TESTS {
            ask(&format!("b{{{number}}}"));
        }
        assert_eq!(kept.lock().len(), MAX_KEPT_TESTS);
        assert!(!Arc::ptr_eq(&first, &ask("a+")));
    }

    /// Rows as arrays of every layout; those that are not valid are null, with their texts still
    /// in the array where that can be.
    fn layouts(rows: &[(String, bool)]) -> [ArrayRef; 3] {
        let view: StringViewArray = rows
            .iter()
            .map(|(text, valid)| valid.then_some(text.as_str()))
            .collect();
        [
            Arc::new(with_offsets::<i32>(rows)),
            Arc::new(with_offsets::<i64>(rows)),
            Arc::new(view),
        ]
    }

    fn with_offsets<O: OffsetSizeTrait>(rows: &[(String, bool)]) -> GenericStringArray<O> {
        let texts =
            GenericStringArray::<O>::from_iter_values(rows.iter().map(|(text, _)| text.as_str()));
        let valid: Vec<bool> = rows.iter().map(|(_, valid)| *valid).collect();
        let (offsets, values, _) = texts.into_parts();
        GenericStringArray::new(offsets, values, Some(NullBuffer::from(valid)))
    }

    #[test]
    fn every_layout_of_text_gives_the_same_answers() {
        let rows = [("one two", true), ("two", false), ("Two", true)];
        let rows = rows.map(|(text, valid)| (text.to_owned(), valid));
        let cases = [
            (TextFunction::HasWord, "two", [Some(true), None, Some(true)]),
            (
                TextFunction::HasMatch,
                "two",
                [Some(true), None, Some(false)],
            ),
        ];
        for (function, argument, expected) in cases {
            let test = function.test(argument, 0).unwrap();
            for layout in layouts(&rows) {
                let mask = Texts::from_array(&layout).unwrap().mask(&test);
                assert_eq!(mask, BooleanArray::from(expected.to_vec()), "{function:?}");
            }
        }
    }

    /// What each row of a batch answers.
    fn answers(condition: Expr, batch: &RecordBatch) -> BooleanArray {
        let schema = DFSchema::try_from(batch.schema()).unwrap();
        let session = SessionContext::new();
        let condition = session.create_physical_expr(condition, &schema).unwrap();
        let answers = condition.evaluate(batch).unwrap();
        let answers = answers.into_array(batch.num_rows()).unwrap();
        answers.as_boolean().clone()
    }

    #[test]
    fn conditions_that_ask_the_same_become_has_match() {
        let body = || ident("body");
        let regex = |op, expression: &str| binary_expr(body(), op, lit(expression));
        let cases = [
            (regex(Operator::RegexMatch, "re+d"), Some("re+d")),
            (regex(Operator::RegexMatch, ""), Some("")),
            (regex(Operator::RegexMatch, "^$|fused$"), Some("^$|fused$")),
            (regex(Operator::RegexIMatch, "READ"), Some("(?i)READ")),
            (regex(Operator::RegexIMatch, ""), Some("(?i)")),
            (contains(body(), lit("a.b")), Some(r"a\.b")),
            (contains(body(), lit("")), Some("")),
            (body().like(lit("%read%")), Some("read")),
            (body().like(lit("%%")), Some("")),
            (body().like(lit("%")), None),
            (body().like(lit("%re_d%")), None),
            (body().like(lit(r"%re\%")), None),
            (body().like(lit("read%")), None),
            (body().not_like(lit("%read%")), None),
            (body().ilike(lit("%read%")), None),
            (regex(Operator::RegexNotMatch, "read"), None),
            (regex(Operator::RegexMatch, "("), None),
            (
                binary_expr(body(), Operator::RegexMatch, ident("other")),
                None,
            ),
            (
                binary_expr(
                    body(),
                    Operator::RegexMatch,
                    lit(ScalarValue::LargeUtf8(None)),
                ),
                None,
            ),
            (body().eq(lit("read")), None),
        ];
        let texts = ["read", "Reeed", "refused", "", "a.b", "axb", "re\nread"];
        let mut rows = texts.map(|text| (text.to_owned(), true)).to_vec();
        rows.push(("read".to_owned(), false));
        for (condition, expected) in cases {
            let same = has_match_of(&condition);
            let expected = expected.map(|expression| has_match(body(), expression));
            assert_eq!(same, expected, "{condition}");
            let Some(same) = same else {
                continue;
            };
            for layout in layouts(&rows) {
                let batch = RecordBatch::try_from_iter([("body", layout)]).unwrap();
                assert_eq!(
                    answers(same.clone(), &batch),
                    answers(condition.clone(), &batch),
                    "{condition}"
                );
            }
        }
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => "[ab]{1,4}",
            1 => prop_oneof![Just("."), Just("^"), Just("$"), Just("\\b"), Just("[ab]")]
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}{b}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
                (
                    inner.clone(),
                    prop_oneof![Just("*"), Just("+"), Just("?"), Just("{2}")]
                )
                    .prop_map(|(a, count)| format!("(?:{a}){count}")),
                inner.clone().prop_map(|a| format!("({a})")),
                inner.prop_map(|a| format!("(?i:{a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_column_matches_where_its_rows_do(
            expression in expression(),
            rows in vec(("[abB ]{0,8}", any::<bool>()), 0..16),
            first in 0..16_usize,
            count in 0..16_usize,
        ) {
            let test = TextFunction::HasMatch.test(&expression, 0).unwrap();
            let regex = regex::Regex::new(&expression).unwrap();
            let first = first.min(rows.len());
            let count = count.min(rows.len() - first);
            let expected: BooleanArray = rows[first..first + count]
                .iter()
                .map(|(text, valid)| valid.then(|| regex.is_match(text)))
                .collect();
            for layout in layouts(&rows) {
                let texts = Texts::from_array(&layout.slice(first, count)).unwrap();
                prop_assert_eq!(texts.mask(&test), expected.clone());
            }
        }
    }
}
