//! Prometheus' text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use model::{Labels, MetricType, SampleValue};

use super::cursor::{Cursor, unescape_help};
use super::{Builder, ExpositionError};

pub(super) fn read(mut cursor: Cursor<'_>, builder: &mut Builder) -> Result<(), ExpositionError> {
    let mut typed = Typed::default();
    while !cursor.at_end() {
        cursor.skip_blanks();
        if cursor.skip("\n") || cursor.at_end() {
            continue;
        }
        if cursor.skip("#") {
            comment(&mut cursor, builder, &mut typed)?;
        } else {
            sample(&mut cursor, builder, &typed)?;
        }
    }
    Ok(())
}

/// The family whose type was given last.
#[derive(Default)]
struct Typed {
    name: String,
    kind: Option<MetricType>,
}

impl Typed {
    /// The type of a series, which stands below its family's type.
    fn kind_of(&self, labels: &Labels) -> MetricType {
        let name = labels.metric_name().unwrap_or_default();
        let suffix = name.strip_prefix(self.name.as_str());
        let is_of_family =
            suffix.is_some_and(|suffix| matches!(suffix, "" | "_bucket" | "_sum" | "_count"));
        let kind = self.kind.filter(|_| is_of_family);
        kind.unwrap_or(MetricType::Unknown)
    }
}

/// `# HELP name text`, `# TYPE name type`, or anything else, which is a remark.
fn comment(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder,
    typed: &mut Typed,
) -> Result<(), ExpositionError> {
    cursor.skip_blanks();
    match cursor.word() {
        "HELP" => {
            cursor.skip_blanks();
            let name = cursor.family_name()?;
            cursor.skip_blanks();
            builder.family(&name).help = unescape_help(cursor.line(), false);
        }
        "TYPE" => {
            cursor.skip_blanks();
            let name = cursor.family_name()?;
            cursor.skip_blanks();
            let kind = kind(cursor)?;
            builder.family(&name).kind = kind;
            *typed = Typed {
                name,
                kind: Some(kind),
            };
            end_of_line(cursor)?;
        }
        _ => {
            cursor.line();
        }
    }
    Ok(())
}

fn kind(cursor: &mut Cursor<'_>) -> Result<MetricType, ExpositionError> {
    let begin = *cursor;
    Ok(match cursor.word() {
        "counter" => MetricType::Counter,
        "gauge" => MetricType::Gauge,
        "histogram" => MetricType::Histogram,
        "summary" => MetricType::Summary,
        "untyped" => MetricType::Unknown,
        other => {
            return Err(begin.error(format!(
                "expected counter, gauge, histogram, summary or untyped, found {other:?}"
            )));
        }
    })
}

fn sample(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder,
    typed: &Typed,
) -> Result<(), ExpositionError> {
    let begin = *cursor;
    let series = cursor.series()?;
    cursor.skip_blanks();
    let value = cursor.value()?;
    cursor.skip_blanks();
    let time = match cursor.at_line_end() {
        true => None,
        false => Some(cursor.milliseconds()?),
    };
    end_of_line(cursor)?;
    let kind = typed.kind_of(&series.labels);
    match builder.sample(kind, series, SampleValue::Float(value), time, Vec::new()) {
        true => Ok(()),
        false => Err(begin.error(builder.too_many())),
    }
}

fn end_of_line(cursor: &mut Cursor<'_>) -> Result<(), ExpositionError> {
    cursor.skip_blanks();
    if cursor.at_end() {
        return Ok(());
    }
    cursor.expect("\n", "the end of the line")
}

#[cfg(test)]
mod tests {
    use crate::exposition::{Format, Reading, read};

    #[test]
    fn only_a_familys_own_series_have_its_type() {
        let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_other{le=\"1\"} 1\n\
                    h2{le=\"1\"} 1\nh{le=\"1\"} 1\n";
        let reading = Reading {
            max_samples: 10,
            ..Reading::default()
        };
        let exposition = read(Format::Text, body.as_bytes(), reading).unwrap();
        let bounds = exposition.samples.iter().map(|exposed| {
            let labels = &exposed.sample.labels;
            (
                labels.metric_name().unwrap_or_default(),
                labels.get("le").unwrap_or_default(),
            )
        });
        assert_eq!(
            bounds.collect::<Vec<_>>(),
            [
                ("h_bucket", "1.0"),
                ("h_other", "1"),
                ("h2", "1"),
                ("h", "1.0")
            ]
        );
    }
}
