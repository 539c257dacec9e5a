//! `/federate`: the newest sample of the series that match, in the text format that Prometheus
//! scrapes.
//!
//! As in Prometheus every sample carries its time, native histograms are left out, and a series
//! without `instance` gets an empty one, lest the scraper puts its own there.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::Response;
use model::Labels;
use model::labels::METRIC_NAME;
use model::metric::is_stale;
use promql::{EvalOptions, SelectLimits, Series, Window};

use super::answer::{Text, streamed};
use super::error::PromError;
use super::lookup::selectors;
use super::sample_json::number_text;
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::Params;

/// A series' newest sample.
#[derive(Debug, Clone, PartialEq)]
struct Newest {
    labels: Labels,
    timestamp_ms: i64,
    value: f64,
}

/// What every `match[]` selects, each series once, the families in order. Errors are plain text.
pub(super) async fn federate(State(app): State<App>, request: Request) -> Response {
    match newest(&app, request).await {
        Ok((headers, samples)) => exposition(Names::accepted(&headers), samples),
        Err(err) => err.into_text(),
    }
}

fn exposition(names: Names, samples: Vec<Newest>) -> Response {
    let text = Text {
        content_type: names.content_type(),
        head: String::new(),
        separator: "",
        tail: String::new(),
    };
    let mut family = String::new();
    streamed(text, samples, move |out, sample| {
        let name = sample.labels.metric_name().unwrap_or_default();
        if name != family {
            name.clone_into(&mut family);
            names.push_type(out, name);
        }
        names.push_sample(out, &sample);
    })
}

async fn newest(app: &App, request: Request) -> Result<(HeaderMap, Vec<Newest>), PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let selectors = selectors(&params)?;
    let source = app
        .ready_series(&tenant)
        .map_err(|progress| PromError::not_ready(&progress))?;
    let EvalOptions {
        lookback_ms,
        limits,
        ..
    } = EvalOptions::default();
    let limits = SelectLimits {
        max_series: limits.max_series,
        max_samples: limits.max_samples,
    };
    let now = clock::now_ms();
    let window = Window::new(now.saturating_sub(lookback_ms), now);
    // By name first: the lines of a family must lie together.
    let mut found: BTreeMap<(String, Labels), Newest> = BTreeMap::new();
    let select = async {
        for matchers in &selectors {
            for series in source.select(matchers, window, limits).await? {
                if let Some((name, newest)) = last_number(&series) {
                    found.insert((name, newest.labels.clone()), newest);
                }
            }
        }
        Ok::<(), PromError>(())
    };
    app.queries.run(None, select).await??;
    Ok((headers, found.into_values().collect()))
}

/// The metric's name and its newest sample, unless that ends the series or is a histogram.
fn last_number(series: &Series) -> Option<(String, Newest)> {
    let name = series.labels.metric_name()?.to_owned();
    let timestamp_ms = *series.floats.timestamps_ms.last()?;
    let value = *series.floats.values.last()?;
    let is_newest = series
        .histograms
        .timestamps_ms
        .last()
        .is_none_or(|time| *time < timestamp_ms);
    let newest = Newest {
        labels: series.labels.clone(),
        timestamp_ms,
        value,
    };
    (is_newest && !is_stale(value)).then_some((name, newest))
}

/// How names are written that are more than letters, digits, `_` and, in metrics, `:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// With `_` for each other character, for readers that know no others.
    Underscored,
    /// Quoted inside of the braces.
    Quoted,
}

impl Names {
    /// What the reader says it understands.
    fn accepted(headers: &HeaderMap) -> Self {
        let quoted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','))
            .any(|clause| {
                clause.trim_start().starts_with("text/plain")
                    && clause.contains("escaping=allow-utf-8")
            });
        if quoted {
            Self::Quoted
        } else {
            Self::Underscored
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Underscored => "text/plain; version=0.0.4; charset=utf-8",
            Self::Quoted => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        }
    }

    fn push_type(self, out: &mut String, name: &str) {
        out.push_str("# TYPE ");
        self.push_name(out, name, true);
        out.push_str(" untyped\n");
    }

    /// `name{label="value"} number ms`, or `{"name",label="value"} number ms`.
    fn push_sample(self, out: &mut String, sample: &Newest) {
        let name = sample.labels.metric_name().unwrap_or_default();
        let inside = self == Self::Quoted && !is_plain(name, true);
        if !inside {
            self.push_name(out, name, true);
        }
        out.push('{');
        if inside {
            self.push_name(out, name, true);
        }
        let mut comma = inside;
        let own = sample
            .labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME);
        let instance = match sample.labels.get("instance") {
            Some(_) => None,
            None => Some(("instance", "")),
        };
        for (label, value) in own.chain(instance) {
            if comma {
                out.push(',');
            }
            comma = true;
            self.push_name(out, label, false);
            out.push_str("=\"");
            push_escaped(out, value);
            out.push('"');
        }
        out.push_str(&format!(
            "}} {} {}\n",
            number_text(sample.value),
            sample.timestamp_ms
        ));
    }

    fn push_name(self, out: &mut String, name: &str, of_metric: bool) {
        if is_plain(name, of_metric) {
            out.push_str(name);
        } else if self == Self::Quoted {
            out.push('"');
            push_escaped(out, name);
            out.push('"');
        } else {
            let fits = |(at, c): (usize, char)| match is_name_character(at, c, of_metric) {
                true => c,
                false => '_',
            };
            out.extend(name.chars().enumerate().map(fits));
        }
    }
}

fn is_plain(name: &str, of_metric: bool) -> bool {
    let mut characters = name.chars().enumerate();
    !name.is_empty() && characters.all(|(at, c)| is_name_character(at, c, of_metric))
}

fn is_name_character(at: usize, c: char, of_metric: bool) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (at > 0 && c.is_ascii_digit()) || (of_metric && c == ':')
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text_format() {
        let sample = |pairs: &[(&str, &str)], value| Newest {
            labels: Labels::new(pairs.iter().copied()),
            timestamp_ms: 1_600_000_000_100,
            value,
        };
        let plain = sample(&[("__name__", "a:b"), ("job", "x\"\\\ny")], 1.5);
        let dotted = [
            ("__name__", "http.status"),
            ("instance", "i"),
            ("le.x", "1"),
        ];
        let dotted = sample(&dotted, f64::INFINITY);
        let line = |names: Names, sample: &Newest| {
            let mut out = String::new();
            names.push_sample(&mut out, sample);
            out
        };
        let expected = "a:b{job=\"x\\\"\\\\\\ny\",instance=\"\"} 1.5 1600000000100\n";
        assert_eq!(line(Names::Quoted, &plain), expected);
        assert_eq!(
            line(Names::Underscored, &dotted),
            "http_status{instance=\"i\",le_x=\"1\"} +Inf 1600000000100\n"
        );
        assert_eq!(
            line(Names::Quoted, &dotted),
            "{\"http.status\",instance=\"i\",\"le.x\"=\"1\"} +Inf 1600000000100\n"
        );
        let mut out = String::new();
        Names::Quoted.push_type(&mut out, "http.status");
        assert_eq!(out, "# TYPE \"http.status\" untyped\n");
    }

    #[test]
    fn quoted_names_are_for_readers_that_take_them() {
        let names = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Names::accepted(&headers)
        };
        assert_eq!(names("text/plain;version=0.0.4"), Names::Underscored);
        assert_eq!(
            names("application/openmetrics-text;escaping=allow-utf-8, */*"),
            Names::Underscored
        );
        assert_eq!(
            names("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*"),
            Names::Quoted
        );
    }
}
