//! Go's text templates, as far as rules and messages use them.
//!
//! `{{ $value | humanizePercentage }} of {{ $labels.job }}`: text with actions. A template is
//! parsed once, when its file is loaded, which finds unknown functions and variables; executing
//! it is bounded in steps and output, reads no clock and does no I/O. The one function that
//! needs the outside, `query`, is answered from [`Context::answers`]: a missing answer ends the
//! execution with [`TemplateError::NeedsQuery`], and the caller fetches it and starts again.

mod execute;
mod format;
mod functions;
mod lex;
mod parse;
mod value;

use std::collections::BTreeMap;

pub(crate) use execute::escape_html;
pub use value::{Sample, Value};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    body: Vec<parse::Node>,
    definitions: BTreeMap<String, Vec<parse::Node>>,
}

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

/// Why a template has no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("template: line {line}: {message}")]
    Syntax {
        /// The line of the template, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It failed while it ran.
    #[error("template: {0}")]
    Execution(String),
    /// It needs the result of this PromQL text, which [`Context::answers`] does not hold.
    #[error("template: the result of query {0:?} is not at hand")]
    NeedsQuery(String),
}

impl TemplateError {
    fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }
}

impl Template {
    /// Parses `text`, in which the variables named `variables` (without `$`) exist from the start.
    ///
    /// # Errors
    ///
    /// Anything but correct syntax, and functions or variables that do not exist.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, TemplateError> {
        let (body, definitions) = parse::parse(text, variables)?;
        Ok(Self {
            text: text.to_owned(),
            body,
            definitions,
        })
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The output for `data` (what `.` and `$` are) and `variables` (names without `$`).
    ///
    /// # Errors
    ///
    /// A function that fails, a field that a value cannot have, or more than 100,000 steps or
    /// 256 KiB of output.
    pub fn execute(
        &self,
        data: &Value,
        variables: &[(&str, Value)],
        context: &Context<'_>,
    ) -> Result<String, TemplateError> {
        execute::execute(&self.body, &self.definitions, data, variables, context)
    }
}
