//! Runs a parsed template.

use std::collections::BTreeMap;

use crate::builtins::{self, escape_html};
use crate::parse::{Branch, Command, Node, Operand, Pipeline, Term};
use crate::value::{Sample, Value};
use crate::{Functions, Options, TemplateError, format};

/// Nodes and commands that one execution may run.
const MAX_STEPS: usize = 100_000;
/// Bytes that one execution may print.
const MAX_OUTPUT: usize = 256 * 1024;
/// How deeply defined templates may call each other.
const MAX_CALLS: usize = 50;

type Definitions = BTreeMap<String, Vec<Node>>;

/// The output of `body`.
pub(crate) fn execute(
    body: &[Node],
    definitions: &Definitions,
    data: &Value,
    variables: &[(&str, Value)],
    options: Options,
    functions: &dyn Functions,
) -> Result<String, TemplateError> {
    let mut run = Run {
        definitions,
        options,
        functions,
        out: String::new(),
        steps: 0,
        calls: 0,
        variables: vec![(String::new(), data.clone())],
    };
    run.variables.extend(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    run.nodes(body, data)?;
    Ok(run.out)
}

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Done,
    Break,
    Continue,
}

/// A template while it runs.
pub struct Run<'a> {
    definitions: &'a Definitions,
    options: Options,
    functions: &'a dyn Functions,
    out: String,
    steps: usize,
    calls: usize,
    /// Variables in scope, innermost last; `$` has the empty name.
    variables: Vec<(String, Value)>,
}

impl Run<'_> {
    fn step(&mut self) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(TemplateError::execution(format!(
                "stopped after {MAX_STEPS} steps"
            )));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(TemplateError::execution(format!(
                "the output is longer than {MAX_OUTPUT} bytes"
            )));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let outer = self.variables.len();
        let flow = self.nodes_in_scope(nodes, dot);
        self.variables.truncate(outer);
        flow
    }

    fn nodes_in_scope(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.print(&value)?;
                    }
                }
                Node::If(branch) => {
                    let flow = self.choose(branch, dot, false)?;
                    if flow != Flow::Done {
                        return Ok(flow);
                    }
                }
                Node::With(branch) => {
                    let flow = self.choose(branch, dot, true)?;
                    if flow != Flow::Done {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Call { name, data } => {
                    let data = match data {
                        Some(pipeline) => self.pipeline(pipeline, dot)?,
                        None => Value::Nil,
                    };
                    self.call(name, &data)?;
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::Done)
    }

    fn print(&mut self, value: &Value) -> Result<(), TemplateError> {
        if !self.options.html {
            return self.write(&value.print());
        }
        match value {
            Value::Nil => Ok(()),
            Value::Html(html) => self.write(html),
            other => self.write(&escape_html(&other.print())),
        }
    }

    fn choose(
        &mut self,
        branch: &Branch,
        dot: &Value,
        rebinds: bool,
    ) -> Result<Flow, TemplateError> {
        let outer = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = match (value.is_true(), rebinds) {
            (true, true) => self.nodes(&branch.then, &value),
            (true, false) => self.nodes(&branch.then, dot),
            (false, _) => self.nodes(&branch.otherwise, dot),
        };
        self.variables.truncate(outer);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<(), TemplateError> {
        let outer = self.variables.len();
        let collection = self.commands(&branch.pipeline, dot)?;
        let entries = entries(collection)?;
        if entries.is_empty() {
            self.nodes(&branch.otherwise, dot)?;
        }
        for (key, item) in entries {
            self.step()?;
            match branch.pipeline.variables.as_slice() {
                [] => {}
                [only] => self.variables.push((only.clone(), item.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
            }
            let flow = self.nodes(&branch.then, &item)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        self.variables.truncate(outer);
        Ok(())
    }

    /// Runs a defined template, which sees only `data`.
    fn call(&mut self, name: &str, data: &Value) -> Result<(), TemplateError> {
        let definitions = self.definitions;
        let body = definitions.get(name).ok_or_else(|| {
            TemplateError::execution(format!("there is no template named {name:?}"))
        })?;
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(TemplateError::execution(format!(
                "templates call each other more than {MAX_CALLS} deep"
            )));
        }
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        self.nodes(body, data)?;
        self.variables = outer;
        self.calls -= 1;
        Ok(())
    }

    /// What the defined template `name` prints for `data`.
    ///
    /// # Errors
    ///
    /// There is no such template, or it fails.
    pub fn capture(&mut self, name: &str, data: &Value) -> Result<String, TemplateError> {
        let before = self.out.len();
        self.call(name, data)?;
        Ok(self.out.split_off(before))
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            if pipeline.declares {
                self.variables.push((name.clone(), value.clone()));
            } else if let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
                slot.1 = value.clone();
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, piped, dot)?);
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        self.step()?;
        if let Term::Function(name) = &command.head.term {
            // `and` and `or` stop at the first operand that decides.
            if matches!(name.as_str(), "and" | "or") && command.head.fields.is_empty() {
                return self.decide(name == "or", &command.args, piped, dot);
            }
        }
        let mut args = Vec::with_capacity(command.args.len() + 1);
        for arg in &command.args {
            args.push(self.operand(arg, Vec::new(), dot)?);
        }
        args.extend(piped);
        self.operand(&command.head, args, dot)
    }

    fn decide(
        &mut self,
        until: bool,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, Vec::new(), dot)?;
            if value.is_true() == until {
                return Ok(value);
            }
            last = Some(value);
        }
        piped
            .or(last)
            .ok_or_else(|| TemplateError::execution("and, or: missing operand"))
    }

    /// The value of an operand; `args` go to the function or method it names.
    fn operand(
        &mut self,
        operand: &Operand,
        args: Vec<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let fields = operand.fields.as_slice();
        let mut args = args;
        let mut value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map_or(Value::Nil, |(_, value)| value.clone()),
            Term::Literal(value) => value.clone(),
            Term::Parens(inner) => self.pipeline(inner, dot)?,
            Term::Function(name) => {
                let own = if fields.is_empty() {
                    std::mem::take(&mut args)
                } else {
                    Vec::new()
                };
                self.call_function(name, &own)?
            }
        };
        for (index, field) in fields.iter().enumerate() {
            let last = index + 1 == fields.len();
            let own = if last {
                std::mem::take(&mut args)
            } else {
                Vec::new()
            };
            value = self.field(value, field, own)?;
        }
        if args.is_empty() {
            return Ok(value);
        }
        Err(TemplateError::execution(format!(
            "a {} is no function and takes no arguments",
            value.kind()
        )))
    }

    /// Go's own function of this name, else one of the user's.
    fn call_function(&mut self, name: &str, args: &[Value]) -> Result<Value, TemplateError> {
        let functions = self.functions;
        let result = functions
            .call(self, name, args)
            .unwrap_or_else(|| builtins::call(name, args));
        result.map_err(|error| match error {
            TemplateError::Execution(message) => {
                TemplateError::execution(format!("error calling {name}: {message}"))
            }
            other => other,
        })
    }

    fn field(
        &mut self,
        value: Value,
        name: &str,
        args: Vec<Value>,
    ) -> Result<Value, TemplateError> {
        let unknown = |value: &Value| {
            TemplateError::execution(format!("can't evaluate field {name} in a {}", value.kind()))
        };
        if let Some(result) = method(&value, name, &args) {
            return result;
        }
        if !args.is_empty() {
            return Err(TemplateError::execution(format!(
                "{name} has arguments but cannot be invoked as a function"
            )));
        }
        match &value {
            Value::Map(map) => match map.get(name) {
                Some(value) => Ok(value.clone()),
                None => self.missing(name, Value::Nil),
            },
            Value::Labels(labels) => match labels.get(name) {
                Some(value) => Ok(Value::from(value)),
                None => self.missing(name, Value::from("")),
            },
            Value::Sample(Sample { labels, value }) => match name {
                "Labels" => Ok(Value::Labels(labels.clone())),
                "Value" => Ok(Value::Float(*value)),
                _ => Err(unknown(&Value::Nil)),
            },
            Value::Nil => self.missing(name, Value::Nil),
            other => Err(unknown(other)),
        }
    }

    fn missing(&self, name: &str, zero: Value) -> Result<Value, TemplateError> {
        if self.options.missing_key_is_error {
            return Err(TemplateError::execution(format!(
                "no entry for key {name:?}"
            )));
        }
        Ok(zero)
    }
}

/// A method of times and durations; `None` when the value has no such method.
fn method(value: &Value, name: &str, args: &[Value]) -> Option<Result<Value, TemplateError>> {
    let wrong = || TemplateError::execution(format!("wrong arguments for {name}"));
    let result = match (value, name, args) {
        (Value::Time(nanos), "Format", [Value::Text(layout)]) => {
            Ok(Value::Text(format::time(*nanos, layout)))
        }
        (Value::Time(nanos), "Unix", []) => Ok(Value::Int(nanos.div_euclid(1_000_000_000))),
        (Value::Time(nanos), "UnixMilli", []) => Ok(Value::Int(nanos.div_euclid(1_000_000))),
        (Value::Time(nanos), "UnixNano", []) => Ok(Value::Int(*nanos)),
        (Value::Time(_), "UTC", []) => Ok(value.clone()),
        (Value::Time(nanos), "Add", [Value::Duration(by) | Value::Int(by)]) => {
            Ok(Value::Time(nanos.saturating_add(*by)))
        }
        (Value::Time(nanos), "Sub", [Value::Time(other)]) => {
            Ok(Value::Duration(nanos.saturating_sub(*other)))
        }
        (Value::Time(nanos), "Year", []) => year(*nanos),
        (Value::Time(_) | Value::Duration(_), "String", []) => Ok(Value::Text(value.print())),
        (Value::Duration(nanos), "Seconds", []) => Ok(Value::Float(*nanos as f64 / 1e9)),
        (Value::Duration(nanos), "Minutes", []) => Ok(Value::Float(*nanos as f64 / 60e9)),
        (Value::Duration(nanos), "Hours", []) => Ok(Value::Float(*nanos as f64 / 3_600e9)),
        (Value::Duration(nanos), "Milliseconds", []) => Ok(Value::Int(nanos / 1_000_000)),
        (Value::Time(_), "Format" | "Add" | "Sub", _) => Err(wrong()),
        _ => return None,
    };
    Some(result)
}

fn year(nanos: i64) -> Result<Value, TemplateError> {
    format::time(nanos, "2006")
        .parse()
        .map(Value::Int)
        .map_err(|_| TemplateError::execution("the year is no number"))
}

/// Keys and elements of what `range` can walk.
fn entries(collection: Value) -> Result<Vec<(Value, Value)>, TemplateError> {
    Ok(match collection {
        Value::Nil => Vec::new(),
        Value::List(items) => (0..).map(Value::Int).zip(items).collect(),
        Value::Map(map) => map
            .into_iter()
            .map(|(key, value)| (Value::Text(key), value))
            .collect(),
        Value::Labels(labels) => labels
            .iter()
            .map(|(name, value)| (Value::from(name), Value::from(value)))
            .collect(),
        Value::Int(count) if count <= MAX_STEPS as i64 => (0..count)
            .map(|index| (Value::Int(index), Value::Int(index)))
            .collect(),
        other => {
            return Err(TemplateError::execution(format!(
                "range can't iterate over a {}",
                other.kind()
            )));
        }
    })
}
