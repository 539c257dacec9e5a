//! Series as tests write them: `up{job="api"} 0+1x10 _ stale {{schema:0 count:1 buckets:[1]}}`.
//!
//! The notation of promtool's rule tests and of Prometheus' query tests. Items are separated by
//! spaces, each one or more samples at consecutive intervals: `5`, `5x3` (four fives), `1+2x3`
//! (1 3 5 7), `_` and `_x3` (no sample; three of them), `stale`, and native histograms in double
//! braces, with `x`, `+` and `-` alike.

use model::histogram::{BucketSpan, ResetHint};
use model::labels::METRIC_NAME;
use model::metric::stale_nan;
use model::{Labels, NativeHistogram, SampleValue};

use crate::error::ParseError;
use crate::eval::histogram_sum::HistogramSum;
use crate::parser::cursor::Cursor;
use crate::parser::token::TokenKind;
use crate::span::Span;

/// Most samples that one item may stand for.
const MAX_REPETITIONS: usize = 1_000_000;

/// Reads a series with its values; `None` stands for an interval without a sample.
///
/// # Errors
///
/// The first thing that belongs to no series, with its place.
pub fn parse_series(text: &str) -> Result<(Labels, Vec<Option<SampleValue>>), ParseError> {
    let end = labels_end(text);
    let labels = parse_labels(&text[..end])?;
    let mut reader = Reader {
        text,
        position: end,
    };
    Ok((labels, reader.values()?))
}

/// Reads the values of a series alone, as rule tests hold them in a field of their own.
///
/// # Errors
///
/// As [`parse_series`].
pub fn parse_values(text: &str) -> Result<Vec<Option<SampleValue>>, ParseError> {
    Reader { text, position: 0 }.values()
}

/// Reads a label set such as `up{job="api"}` or `{a="b"}`.
///
/// # Errors
///
/// As [`parse_series`].
pub fn parse_labels(text: &str) -> Result<Labels, ParseError> {
    let mut cursor = Cursor::new(text)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(name) = cursor.peek_word() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
        cursor.next();
    }
    if cursor.accept(&TokenKind::LeftBrace).is_some() {
        while cursor.accept(&TokenKind::RightBrace).is_none() {
            pairs.push(label(&mut cursor)?);
            if cursor.accept(&TokenKind::Comma).is_none()
                && *cursor.peek_kind() != TokenKind::RightBrace
            {
                return Err(cursor.expected("\",\" or \"}\" after a label"));
            }
        }
    }
    match cursor.at_end() {
        true => Ok(Labels::new(pairs)),
        false => Err(cursor.expected("a metric name or labels in braces")),
    }
}

fn label(cursor: &mut Cursor<'_>) -> Result<(String, String), ParseError> {
    let name = match cursor.peek_kind() {
        TokenKind::Word(name) => name.clone(),
        TokenKind::Text(name) => {
            let name = name.clone();
            if *cursor.peek_second() != TokenKind::Assign {
                cursor.next();
                return Ok((METRIC_NAME.to_owned(), name));
            }
            name
        }
        _ => return Err(cursor.expected("a label name")),
    };
    cursor.next();
    cursor.expect(&TokenKind::Assign, "\"=\" after a label name")?;
    let TokenKind::Text(value) = cursor.peek_kind() else {
        return Err(cursor.expected("a quoted label value"));
    };
    let value = value.clone();
    cursor.next();
    Ok((name, value))
}

/// Where the labels end: behind the brace that closes them, or before the first space.
fn labels_end(text: &str) -> usize {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut in_braces = false;
    for (index, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) => {
                escaped = c == '\\' && open != '`';
                if c == open {
                    quote = None;
                }
            }
            None => match c {
                '"' | '\'' | '`' if in_braces => quote = Some(c),
                '{' => in_braces = true,
                '}' => return index + 1,
                c if c.is_whitespace() && !in_braces => {
                    // In `up {job="api"}` labels follow, in `up {{…}}` a value does.
                    let next = text[index..].trim_start();
                    if !next.starts_with('{') || next.starts_with("{{") {
                        return index;
                    }
                }
                _ => {}
            },
        }
    }
    text.len()
}

/// A place in the values of a series.
struct Reader<'t> {
    text: &'t str,
    position: usize,
}

impl Reader<'_> {
    fn values(&mut self) -> Result<Vec<Option<SampleValue>>, ParseError> {
        let mut values = Vec::new();
        loop {
            self.skip_spaces();
            if self.rest().is_empty() {
                return Ok(values);
            }
            self.item(&mut values)?;
            if !self.rest().is_empty() && !self.rest().starts_with([' ', '\t']) {
                return Err(self.error("expected a space after a value"));
            }
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn error(&self, message: &str) -> ParseError {
        let rest = self.rest();
        let len = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let span = Span::new(self.position, self.position + len);
        let found = &rest[..len];
        ParseError::new(self.text, span, format!("{message}, found {found:?}"))
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    fn item(&mut self, values: &mut Vec<Option<SampleValue>>) -> Result<(), ParseError> {
        if self.accept("_") {
            let count = self.repetitions()?.unwrap_or(1);
            values.extend(std::iter::repeat_n(None, count));
            return Ok(());
        }
        if self.accept("stale") {
            let count = self.repetitions()?.map_or(1, |count| count + 1);
            let stale = Some(SampleValue::Float(stale_nan()));
            values.extend(std::iter::repeat_n(stale, count));
            return Ok(());
        }
        if self.rest().starts_with("{{") {
            return self.histograms(values);
        }
        let mut value = self.number()?;
        let step = match self.rest().starts_with(['+', '-']) {
            true => self.number()?,
            false => 0.0,
        };
        let count = self.repetitions()?.map_or(1, |count| count + 1);
        for _ in 0..count {
            values.push(Some(SampleValue::Float(value)));
            value += step;
        }
        Ok(())
    }

    /// `xN`, if it follows.
    fn repetitions(&mut self) -> Result<Option<usize>, ParseError> {
        if !self.accept("x") {
            return Ok(None);
        }
        let rest = self.rest();
        let len = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let count = rest[..len].parse().ok();
        let Some(count) = count.filter(|count| *count <= MAX_REPETITIONS) else {
            return Err(self.error("expected how often to repeat, at most 1000000"));
        };
        self.position += len;
        Ok(Some(count))
    }

    fn number(&mut self) -> Result<f64, ParseError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut len = usize::from(rest.starts_with(['+', '-']));
        while let Some(byte) = bytes.get(len) {
            let exponent = len > 0 && matches!(bytes[len - 1], b'e' | b'E');
            match byte {
                b'x' => break,
                b'+' | b'-' if !exponent => break,
                b if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'_') => {
                    len += 1
                }
                _ => break,
            }
        }
        let written = &rest[..len];
        let Some(number) = written.replace('_', "").parse().ok() else {
            return Err(self.error("expected a number, _, stale or {{…}}"));
        };
        self.position += len;
        Ok(number)
    }

    fn histograms(&mut self, values: &mut Vec<Option<SampleValue>>) -> Result<(), ParseError> {
        let mut current = self.histogram()?;
        let sign = match self.rest().chars().next() {
            Some('+') => 1.0,
            Some('-') => -1.0,
            _ => 0.0,
        };
        let mut step = None;
        if sign != 0.0 {
            self.position += 1;
            step = Some(self.histogram()?);
        }
        let count = self.repetitions()?.map_or(1, |count| count + 1);
        for index in 0..count {
            if let (Some(step), 1..) = (&step, index) {
                current = match sum(&current, step, sign) {
                    Some(sum) => sum,
                    None => {
                        return Err(self.error(
                            "exponential and custom buckets cannot be added to each other",
                        ));
                    }
                };
            }
            values.push(Some(SampleValue::Histogram(Box::new(current.clone()))));
        }
        Ok(())
    }

    /// `{{schema:1 sum:3 count:22 buckets:[5 10 7]}}`.
    fn histogram(&mut self) -> Result<NativeHistogram, ParseError> {
        if !self.accept("{{") {
            return Err(self.error("expected a histogram in {{…}}"));
        }
        let mut histogram = NativeHistogram::default();
        let (mut offset, mut negative_offset) = (0.0, 0.0);
        loop {
            self.skip_spaces();
            if self.accept("}}") {
                break;
            }
            let rest = self.rest();
            let Some(len) = rest.find(':') else {
                return Err(self.error("expected a field of a histogram such as count:5"));
            };
            let field = rest[..len].to_ascii_lowercase();
            let at_field = self.position;
            self.position += len + 1;
            match field.as_str() {
                "schema" => histogram.schema = self.number()? as i8,
                "sum" => histogram.sum = self.number()?,
                "count" => histogram.count = self.number()?,
                "z_bucket" => histogram.zero_count = self.number()?,
                "z_bucket_w" => histogram.zero_threshold = self.number()?,
                "custom_values" => histogram.custom_values = self.numbers()?,
                "buckets" => histogram.positive_counts = self.numbers()?,
                "offset" => offset = self.number()?,
                "n_buckets" => histogram.negative_counts = self.numbers()?,
                "n_offset" => negative_offset = self.number()?,
                "counter_reset_hint" => histogram.reset_hint = self.reset_hint()?,
                _ => {
                    self.position = at_field;
                    return Err(self.error("unknown field of a histogram"));
                }
            }
        }
        histogram.positive_spans = one_span(offset as i32, histogram.positive_counts.len());
        histogram.negative_spans =
            one_span(negative_offset as i32, histogram.negative_counts.len());
        Ok(histogram)
    }

    fn reset_hint(&mut self) -> Result<ResetHint, ParseError> {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_');
        let word = &rest[..len.unwrap_or(rest.len())];
        let hint = match word {
            "unknown" => ResetHint::Unknown,
            "reset" => ResetHint::Reset,
            "not_reset" => ResetHint::NotReset,
            "gauge" => ResetHint::Gauge,
            _ => return Err(self.error("expected unknown, reset, not_reset or gauge")),
        };
        self.position += word.len();
        Ok(hint)
    }

    /// `[5 10 7]`.
    fn numbers(&mut self) -> Result<Vec<f64>, ParseError> {
        if !self.accept("[") {
            return Err(self.error("expected numbers in […]"));
        }
        let mut numbers = Vec::new();
        loop {
            self.skip_spaces();
            if self.accept("]") {
                return Ok(numbers);
            }
            numbers.push(self.number()?);
        }
    }
}

fn one_span(offset: i32, len: usize) -> Vec<BucketSpan> {
    match u32::try_from(len) {
        Ok(length) if length > 0 => vec![BucketSpan { offset, length }],
        _ => Vec::new(),
    }
}

/// `a + sign × b` of two histograms; `None` when only one of them has custom borders.
fn sum(a: &NativeHistogram, b: &NativeHistogram, sign: f64) -> Option<NativeHistogram> {
    let mut sum = HistogramSum::starting_at(a);
    let added = match sign < 0.0 {
        true => sum.subtract(b),
        false => sum.add(b),
    };
    added.is_ok().then(|| sum.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        parse_values(text)
            .unwrap()
            .into_iter()
            .map(|value| match value {
                Some(SampleValue::Float(value)) => Some(value),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn items_stand_for_runs_of_samples() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(floats("1 -2.5e1 Inf"), some(&[1.0, -25.0, f64::INFINITY]));
        assert_eq!(floats("5x2"), some(&[5.0; 3]));
        assert_eq!(floats("1+2x3"), some(&[1.0, 3.0, 5.0, 7.0]));
        assert_eq!(floats("1-2x1 0"), some(&[1.0, -1.0, 0.0]));
        assert_eq!(floats("_ 1 _x2"), [None, Some(1.0), None, None]);
        assert_eq!(floats("stale")[0].unwrap().to_bits(), stale_nan().to_bits());
    }

    #[test]
    fn histograms_grow_bucket_by_bucket() {
        let values =
            parse_values("{{schema:1 count:3 sum:4 offset:-1 buckets:[1 2]}}+{{schema:1 count:1 sum:1 buckets:[1]}}x1")
                .unwrap();
        let Some(SampleValue::Histogram(last)) = &values[1] else {
            panic!("{values:?}");
        };
        assert_eq!(last.positive_counts, [1.0, 3.0]);
        assert_eq!(
            last.positive_spans,
            [BucketSpan {
                offset: -1,
                length: 2
            }]
        );
        assert_eq!((last.count, last.sum), (4.0, 5.0));
    }

    #[test]
    fn a_series_has_labels_and_values() {
        let (labels, values) = parse_series("up{job=\"a}b\", x='y'} 1 2").unwrap();
        assert_eq!(
            labels,
            Labels::new([("__name__", "up"), ("job", "a}b"), ("x", "y")])
        );
        assert_eq!(values.len(), 2);
        let (labels, values) = parse_series("h {{count:1}}").unwrap();
        assert_eq!(labels, Labels::new([("__name__", "h")]));
        assert_eq!(values.len(), 1);
        for bad in [
            "up 1+",
            "up 5y",
            "up{a=b} 1",
            "up 1x",
            "up {{nope:1}}",
            "up 1x9999999999",
        ] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }
}
