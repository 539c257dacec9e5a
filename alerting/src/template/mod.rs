//! Go's text templates with Prometheus' functions, as rules and messages use them.
//!
//! `{{ $value | humanizePercentage }} of {{ $labels.job }}`. The language is that of
//! [`gotemplate`]. The one function that needs the outside, `query`, is answered from
//! [`Context::answers`]: a missing answer ends the execution with [`TemplateError::NeedsAnswer`],
//! and the caller fetches it and starts again.

mod functions;

use std::collections::BTreeMap;

pub(crate) use gotemplate::escape_html;
pub use gotemplate::{Sample, TemplateError, Value};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(gotemplate::Template);

/// What a template sees besides its data.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// What `now` yields, Unix ms.
    pub now: i64,
    /// What `externalURL` yields.
    pub external_url: &'a str,
    /// Whether the output of actions is escaped for HTML.
    pub html: bool,
    /// Whether a key that is not there is an error instead of a zero value.
    pub missing_key_is_error: bool,
    /// The results of `query`, by query text.
    pub answers: &'a BTreeMap<String, Result<Vec<Sample>, String>>,
}

impl Template {
    /// Parses `text`, in which the variables named `variables` (without `$`) exist from the start.
    ///
    /// # Errors
    ///
    /// Anything but correct syntax, and functions or variables that do not exist.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, TemplateError> {
        gotemplate::Template::parse(text, variables, functions::exists).map(Self)
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The output for `data` (what `.` and `$` are) and `variables` (names without `$`).
    ///
    /// # Errors
    ///
    /// A function that fails, a field that a value cannot have, or a bound that is met.
    pub fn execute(
        &self,
        data: &Value,
        variables: &[(&str, Value)],
        context: &Context<'_>,
    ) -> Result<String, TemplateError> {
        let options = gotemplate::Options {
            html: context.html,
            missing_key_is_error: context.missing_key_is_error,
        };
        self.0.execute(data, variables, options, context)
    }
}
