//! Go's text templates, as far as rules, messages and LogQL use them.
//!
//! `{{ .Value | printf "%.2f" }} of {{ .Labels.job }}`: text with actions. A template is parsed
//! once, which finds unknown functions and variables; executing it is bounded in steps and output,
//! reads no clock and does no I/O. Go's own functions are here ([`builtins`]); whoever uses
//! templates adds others by [`Functions`]. One that needs the outside fails with
//! [`TemplateError::NeedsAnswer`]: the caller fetches what it asks for and starts again.

mod builtins;
mod execute;
pub mod format;
mod lex;
mod parse;
mod value;

use std::collections::BTreeMap;

pub use builtins::{escape_html, query_escape, wrong_arguments};
pub use execute::Run;
pub use value::{Sample, Value};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    body: Vec<parse::Node>,
    definitions: BTreeMap<String, Vec<parse::Node>>,
}

/// How a template runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the output of actions is escaped for HTML.
    pub html: bool,
    /// Whether a key that is not there is an error instead of a zero value.
    pub missing_key_is_error: bool,
}

/// Functions beside Go's own.
pub trait Functions {
    /// The value of `name` for `args`, of which a piped value is the last; `None` when there is no
    /// such function.
    fn call(
        &self,
        run: &mut Run<'_>,
        name: &str,
        args: &[Value],
    ) -> Option<Result<Value, TemplateError>>;
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
    /// A function asks the outside this, and the answer is not at hand.
    #[error("template: the answer to {0:?} is not at hand")]
    NeedsAnswer(String),
}

impl TemplateError {
    /// A failure while a template runs.
    pub fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }
}

impl Template {
    /// Parses `text`, in which the variables named `variables` (without `$`) exist from the start
    /// and `has_function` says which functions there are beside Go's own.
    ///
    /// # Errors
    ///
    /// Anything but correct syntax, and functions or variables that do not exist.
    pub fn parse(
        text: &str,
        variables: &[&str],
        has_function: fn(&str) -> bool,
    ) -> Result<Self, TemplateError> {
        let (body, definitions) = parse::parse(text, variables, has_function)?;
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
        options: Options,
        functions: &dyn Functions,
    ) -> Result<String, TemplateError> {
        execute::execute(
            &self.body,
            &self.definitions,
            data,
            variables,
            options,
            functions,
        )
    }

    /// The fields of the data that the template names, such as `job` in `{{ .job }}`; `None` when
    /// it uses the data in a way that does not tell, such as `{{ range . }}`.
    pub fn fields(&self) -> Option<Vec<&str>> {
        parse::fields(&self.body, &self.definitions)
    }

    /// Whether the template calls the function `name`.
    pub fn calls(&self, name: &str) -> bool {
        parse::calls(&self.body, &self.definitions, name)
    }
}
