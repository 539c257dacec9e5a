//! Turns tokens into nodes, and checks that functions and variables exist.

use std::collections::BTreeMap;

use crate::TemplateError;
use crate::builtins;
use crate::lex::{Placed, Token, lex};
use crate::value::Value;

/// How deeply actions and parentheses may nest.
const MAX_DEPTH: usize = 100;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Text as it is.
    Text(String),
    /// `{{ pipeline }}`
    Print(Pipeline),
    /// `{{ if … }}`
    If(Branch),
    /// `{{ with … }}`
    With(Branch),
    /// `{{ range … }}`
    Range(Branch),
    /// `{{ template "name" data }}`
    Call {
        /// The defined template's name.
        name: String,
        /// Its data.
        data: Option<Pipeline>,
    },
    /// `{{ break }}`
    Break,
    /// `{{ continue }}`
    Continue,
}

/// A pipeline with what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Branch {
    /// What is tested or iterated.
    pub(crate) pipeline: Pipeline,
    /// Taken when it is true or has elements.
    pub(crate) then: Vec<Node>,
    /// Taken otherwise.
    pub(crate) otherwise: Vec<Node>,
}

/// `$x := a | b`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    /// The variables set, at most two.
    pub(crate) variables: Vec<String>,
    /// Whether they are new.
    pub(crate) declares: bool,
    /// The commands, each fed with the previous one's value.
    pub(crate) commands: Vec<Command>,
}

/// A function or value with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    /// What is called or yielded.
    pub(crate) head: Operand,
    /// Arguments.
    pub(crate) args: Vec<Operand>,
}

/// A value, function or field path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operand {
    /// Where it begins.
    pub(crate) term: Term,
    /// `.a.b` behind it.
    pub(crate) fields: Vec<String>,
}

/// What an operand begins with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// `.`
    Dot,
    /// `$x`
    Variable(String),
    /// A function's name.
    Function(String),
    /// A literal.
    Literal(Value),
    /// `( … )`
    Parens(Box<Pipeline>),
}

type Definitions = BTreeMap<String, Vec<Node>>;

/// Parses `text`; `variables` exist from the start, and functions are Go's own and those
/// that `has_function` knows.
pub(crate) fn parse(
    text: &str,
    variables: &[&str],
    has_function: fn(&str) -> bool,
) -> Result<(Vec<Node>, Definitions), TemplateError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        scope: vec![String::new()],
        definitions: BTreeMap::new(),
        depth: 0,
        loops: 0,
        has_function,
    };
    parser
        .scope
        .extend(variables.iter().map(|name| (*name).to_owned()));
    let (body, end) = parser.nodes()?;
    match end {
        Until::Input => Ok((body, parser.definitions)),
        Until::End => Err(parser.error("unexpected {{end}}")),
        Until::Else => Err(parser.error("unexpected {{else}}")),
    }
}

/// What ended a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Input,
    End,
    Else,
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    /// Names of the variables in scope, innermost last.
    scope: Vec<String>,
    definitions: Definitions,
    depth: usize,
    loops: usize,
    has_function: fn(&str) -> bool,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    fn error(&self, message: impl Into<String>) -> TemplateError {
        let index = self.at.min(self.tokens.len().saturating_sub(1));
        TemplateError::Syntax {
            line: self.tokens.get(index).map_or(1, |(_, line)| *line),
            message: message.into(),
        }
    }

    fn enter(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        Ok(())
    }

    fn expect_close(&mut self, what: &str) -> Result<(), TemplateError> {
        self.skip_space();
        match self.peek() {
            Some(Token::Close) => {
                self.at += 1;
                Ok(())
            }
            other => Err(self.error(format!("unexpected {} in {what}", describe(other)))),
        }
    }

    /// Nodes up to the end of input, `{{end}}` or `{{else`; the variables they declare go out
    /// of scope.
    fn nodes(&mut self) -> Result<(Vec<Node>, Until), TemplateError> {
        self.enter()?;
        let outer = self.scope.len();
        let mut nodes = Vec::new();
        let end = loop {
            match self.next() {
                None => break Until::Input,
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(Token::Open) => {
                    self.skip_space();
                    match self.peek().cloned() {
                        Some(Token::Word(word)) if word == "end" => {
                            self.at += 1;
                            self.expect_close("end")?;
                            break Until::End;
                        }
                        Some(Token::Word(word)) if word == "else" => {
                            self.at += 1;
                            break Until::Else;
                        }
                        Some(Token::Word(word)) => {
                            if let Some(node) = self.action(&word)? {
                                nodes.push(node);
                            }
                        }
                        _ => nodes.push(self.print()?),
                    }
                }
                Some(other) => {
                    return Err(self.error(format!("unexpected {}", describe(Some(&other)))));
                }
            }
        };
        self.scope.truncate(outer);
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn print(&mut self) -> Result<Node, TemplateError> {
        let pipeline = self.pipeline("command", false)?;
        self.expect_close("command")?;
        Ok(Node::Print(pipeline))
    }

    /// An action that begins with `word`; definitions leave no node.
    fn action(&mut self, word: &str) -> Result<Option<Node>, TemplateError> {
        let keyword = matches!(
            word,
            "if" | "with" | "range" | "define" | "template" | "block" | "break" | "continue"
        );
        if !keyword {
            return self.print().map(Some);
        }
        self.at += 1;
        match word {
            "if" => self.branch("if").map(|branch| Some(Node::If(branch))),
            "with" => self.branch("with").map(|branch| Some(Node::With(branch))),
            "range" => self.branch("range").map(|branch| Some(Node::Range(branch))),
            "define" => {
                let name = self.template_name("define")?;
                self.expect_close("define")?;
                let body = self.definition_body()?;
                self.definitions.insert(name, body);
                Ok(None)
            }
            "template" | "block" => {
                let name = self.template_name(word)?;
                self.skip_space();
                let data = match self.peek() {
                    Some(Token::Close) => None,
                    _ => Some(self.pipeline(word, false)?),
                };
                self.expect_close(word)?;
                if word == "block" {
                    let body = self.definition_body()?;
                    self.definitions.insert(name.clone(), body);
                }
                Ok(Some(Node::Call { name, data }))
            }
            _ if self.loops == 0 => {
                Err(self.error(format!("{{{{{word}}}}} outside {{{{range}}}}")))
            }
            _ => {
                self.expect_close(word)?;
                Ok(Some(if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                }))
            }
        }
    }

    fn template_name(&mut self, what: &str) -> Result<String, TemplateError> {
        self.skip_space();
        match self.next() {
            Some(Token::Quoted(name)) => Ok(name),
            other => Err(self.error(format!(
                "unexpected {} in {what}: a quoted name is needed",
                describe(other.as_ref())
            ))),
        }
    }

    /// A definition sees none of the variables around it.
    fn definition_body(&mut self) -> Result<Vec<Node>, TemplateError> {
        let outer = std::mem::replace(&mut self.scope, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, end) = self.nodes()?;
        self.scope = outer;
        self.loops = loops;
        match end {
            Until::End => Ok(body),
            Until::Input => Err(self.error("unexpected end of template in define")),
            Until::Else => Err(self.error("unexpected {{else}} in define")),
        }
    }

    fn branch(&mut self, what: &'static str) -> Result<Branch, TemplateError> {
        let outer = self.scope.len();
        let pipeline = self.pipeline(what, what == "range")?;
        self.expect_close(what)?;
        self.loops += usize::from(what == "range");
        let (then, end) = self.nodes()?;
        self.loops -= usize::from(what == "range");
        let otherwise = match end {
            Until::End => Vec::new(),
            Until::Input => return Err(self.error(format!("unclosed {{{{{what}}}}}"))),
            Until::Else => self.otherwise(what)?,
        };
        self.scope.truncate(outer);
        Ok(Branch {
            pipeline,
            then,
            otherwise,
        })
    }

    /// What follows `{{else`: a plain alternative, or another `if` or `with` that shares the end.
    fn otherwise(&mut self, what: &'static str) -> Result<Vec<Node>, TemplateError> {
        self.skip_space();
        if let Some(Token::Word(word)) = self.peek().cloned() {
            if word != what || what == "range" {
                return Err(self.error(format!("unexpected {word:?} in else")));
            }
            self.enter()?;
            self.at += 1;
            let branch = self.branch(what)?;
            self.depth -= 1;
            return Ok(vec![match what {
                "if" => Node::If(branch),
                _ => Node::With(branch),
            }]);
        }
        self.expect_close("else")?;
        let (nodes, end) = self.nodes()?;
        match end {
            Until::End => Ok(nodes),
            Until::Input => Err(self.error(format!("unclosed {{{{{what}}}}}"))),
            Until::Else => Err(self.error("expected {{end}}; found {{else}}")),
        }
    }

    fn pipeline(&mut self, what: &str, two: bool) -> Result<Pipeline, TemplateError> {
        self.enter()?;
        self.skip_space();
        let (variables, declares) = self.variables(two)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            commands.push(self.command(what)?);
            self.skip_space();
            match self.peek() {
                Some(Token::Pipe) => self.at += 1,
                Some(Token::Close | Token::RightParen) => break,
                other => {
                    return Err(self.error(format!("unexpected {} in {what}", describe(other))));
                }
            }
        }
        if declares {
            self.scope.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline {
            variables,
            declares,
            commands,
        })
    }

    /// `$x :=`, `$x =` or `$i, $x :=` at the start of a pipeline.
    fn variables(&mut self, two: bool) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek().cloned() {
            self.at += 1;
            names.push(name);
            self.skip_space();
            match self.peek() {
                Some(Token::Declare) => {
                    self.at += 1;
                    return Ok((names, true));
                }
                Some(Token::Assign) => {
                    self.at += 1;
                    for name in &names {
                        self.check_variable(name)?;
                    }
                    return Ok((names, false));
                }
                Some(Token::Comma) if two && names.len() == 1 => {
                    self.at += 1;
                    self.skip_space();
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn check_variable(&self, name: &str) -> Result<(), TemplateError> {
        if self.scope.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(self.error(format!("undefined variable \"${name}\"")))
    }

    fn command(&mut self, what: &str) -> Result<Command, TemplateError> {
        let head = self.operand(what)?;
        let mut args = Vec::new();
        while self.peek() == Some(&Token::Space) {
            self.skip_space();
            if matches!(
                self.peek(),
                None | Some(Token::Close | Token::Pipe | Token::RightParen)
            ) {
                break;
            }
            args.push(self.operand(what)?);
        }
        let constant = matches!(head.term, Term::Literal(_)) && head.fields.is_empty();
        if constant && !args.is_empty() {
            return Err(self.error("can't give argument to non-function"));
        }
        Ok(Command { head, args })
    }

    fn operand(&mut self, what: &str) -> Result<Operand, TemplateError> {
        let mut fields = Vec::new();
        let term = match self.next() {
            Some(Token::Dot) => Term::Dot,
            Some(Token::Field(name)) => {
                fields.push(name);
                Term::Dot
            }
            Some(Token::Variable(name)) => {
                self.check_variable(&name)?;
                Term::Variable(name)
            }
            Some(Token::Word(name)) => {
                if !builtins::exists(&name) && !(self.has_function)(&name) {
                    return Err(self.error(format!("function {name:?} not defined")));
                }
                Term::Function(name)
            }
            Some(Token::Bool(flag)) => Term::Literal(Value::Bool(flag)),
            Some(Token::Nil) => Term::Literal(Value::Nil),
            Some(Token::Int(number)) => Term::Literal(Value::Int(number)),
            Some(Token::Float(number)) => Term::Literal(Value::Float(number)),
            Some(Token::Quoted(text)) => Term::Literal(Value::Text(text)),
            Some(Token::LeftParen) => {
                let inner = self.pipeline("parenthesized pipeline", false)?;
                self.skip_space();
                match self.next() {
                    Some(Token::RightParen) => Term::Parens(Box::new(inner)),
                    other => {
                        return Err(self.error(format!(
                            "unclosed parenthesis: unexpected {}",
                            describe(other.as_ref())
                        )));
                    }
                }
            }
            Some(Token::Close) => return Err(self.error(format!("missing value for {what}"))),
            other => {
                return Err(
                    self.error(format!("unexpected {} in {what}", describe(other.as_ref())))
                );
            }
        };
        while let Some(Token::Field(name)) = self.peek().cloned() {
            self.at += 1;
            fields.push(name);
        }
        Ok(Operand { term, fields })
    }
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "end of template".to_owned(),
        Some(Token::Close) => "\"}}\"".to_owned(),
        Some(Token::Open) => "\"{{\"".to_owned(),
        Some(Token::RightParen) => "\")\"".to_owned(),
        Some(Token::LeftParen) => "\"(\"".to_owned(),
        Some(Token::Pipe) => "\"|\"".to_owned(),
        Some(Token::Comma) => "\",\"".to_owned(),
        Some(Token::Declare) => "\":=\"".to_owned(),
        Some(Token::Assign) => "\"=\"".to_owned(),
        Some(Token::Space) => "space".to_owned(),
        Some(Token::Dot) => "\".\"".to_owned(),
        Some(Token::Field(name)) => format!("field \".{name}\""),
        Some(Token::Variable(name)) => format!("variable \"${name}\""),
        Some(Token::Word(word)) => format!("{word:?}"),
        Some(Token::Bool(flag)) => flag.to_string(),
        Some(Token::Nil) => "nil".to_owned(),
        Some(Token::Int(number)) => number.to_string(),
        Some(Token::Float(number)) => number.to_string(),
        Some(Token::Quoted(text) | Token::Text(text)) => format!("{text:?}"),
    }
}

/// The fields of the data that nodes name; `None` when they use the data in another way.
pub(crate) fn fields<'t>(body: &'t [Node], definitions: &'t Definitions) -> Option<Vec<&'t str>> {
    // What a definition calls "." is whatever its caller gives it.
    if !definitions.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    let mut told = true;
    visit(body, false, &mut |operand, rebound| match &operand.term {
        Term::Dot if rebound => {}
        Term::Variable(name) if !name.is_empty() => {}
        Term::Dot | Term::Variable(_) => match operand.fields.first() {
            Some(field) => found.push(field.as_str()),
            None => told = false,
        },
        Term::Function(_) | Term::Literal(_) | Term::Parens(_) => {}
    });
    told.then_some(found)
}

/// Whether nodes call a function.
pub(crate) fn calls(body: &[Node], definitions: &Definitions, name: &str) -> bool {
    let mut found = false;
    for nodes in definitions.values().map(Vec::as_slice).chain([body]) {
        visit(nodes, false, &mut |operand, _| {
            found |= matches!(&operand.term, Term::Function(called) if called == name);
        });
    }
    found
}

/// Hands every operand to `see`, with whether "." stands for something else than the data there.
fn visit<'t>(nodes: &'t [Node], rebound: bool, see: &mut impl FnMut(&'t Operand, bool)) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Print(pipeline) => visit_pipeline(pipeline, rebound, see),
            Node::Call { data, .. } => {
                if let Some(pipeline) = data {
                    visit_pipeline(pipeline, rebound, see);
                }
            }
            Node::If(branch) => visit_branch(branch, rebound, rebound, see),
            Node::With(branch) | Node::Range(branch) => visit_branch(branch, rebound, true, see),
        }
    }
}

fn visit_branch<'t>(
    branch: &'t Branch,
    rebound: bool,
    inside: bool,
    see: &mut impl FnMut(&'t Operand, bool),
) {
    visit_pipeline(&branch.pipeline, rebound, see);
    visit(&branch.then, inside, see);
    visit(&branch.otherwise, rebound, see);
}

fn visit_pipeline<'t>(
    pipeline: &'t Pipeline,
    rebound: bool,
    see: &mut impl FnMut(&'t Operand, bool),
) {
    for command in &pipeline.commands {
        for operand in std::iter::once(&command.head).chain(&command.args) {
            see(operand, rebound);
            if let Term::Parens(inner) = &operand.term {
                visit_pipeline(inner, rebound, see);
            }
        }
    }
}
