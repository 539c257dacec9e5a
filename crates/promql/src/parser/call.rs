//! Function calls, aggregations, and the label lists of `by`, `on` and their kin.

use crate::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, Grouping};
use crate::error::ParseError;
use crate::functions;
use crate::parser::check;
use crate::parser::cursor::{Cursor, Node};
use crate::parser::token::TokenKind;

/// Arguments and the depth of the deepest.
struct Args {
    exprs: Vec<Expr>,
    depth: usize,
}

impl Cursor<'_> {
    /// A function call; the current token is its name.
    pub(crate) fn call(&mut self, name: &str, start: usize) -> Result<Node, ParseError> {
        let Some(function) = functions::find(name) else {
            let error = self.error_here(format!("unknown function {name:?}"));
            return Err(match nearest_function(name) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        };
        self.next();
        let args = self.arguments(function.name)?;
        let span = self.span_from(start);
        let call = Call {
            function,
            args: args.exprs,
        };
        check::call(self.query, &call, span)?;
        let kind = ExprKind::Call(call);
        self.node(Expr { kind, span }, args.depth)
    }

    /// `(a, b)`; the current token is the opening parenthesis.
    fn arguments(&mut self, name: &str) -> Result<Args, ParseError> {
        let open = self.expect(&TokenKind::LeftParen, "\"(\"")?;
        let mut args = Args {
            exprs: Vec::new(),
            depth: 0,
        };
        if self.accept(&TokenKind::RightParen).is_some() {
            return Ok(args);
        }
        loop {
            let in_info_labels = name == "info" && args.exprs.len() == 1;
            self.set_in_info_labels(in_info_labels);
            let node = self.nested(Self::expression_node)?;
            self.set_in_info_labels(false);
            args.depth = args.depth.max(node.depth);
            args.exprs.push(node.expr);
            if self.accept(&TokenKind::RightParen).is_some() {
                return Ok(args);
            }
            if self.at_end() {
                return Err(self.error(open.span, "this \"(\" is never closed"));
            }
            let comma = self.expect(&TokenKind::Comma, "\",\", \")\" or an operator")?;
            if *self.peek_kind() == TokenKind::RightParen {
                return Err(self.error(comma.span, "no \",\" is allowed after the last argument"));
            }
        }
    }

    /// The rest of an aggregation whose name was just taken.
    pub(crate) fn aggregate(&mut self, op: AggregateOp, start: usize) -> Result<Node, ParseError> {
        let before = self.grouping()?;
        if *self.peek_kind() != TokenKind::LeftParen {
            return Err(self.expected("\"(\" after the aggregation"));
        }
        let mut args = self.arguments(op.as_str())?;
        let after = match &before {
            None => self.grouping()?,
            Some(_) => None,
        };
        let span = self.span_from(start);
        let expected = 1 + usize::from(op.parameter().is_some());
        if args.exprs.len() != expected {
            return Err(self.error(
                span,
                format!(
                    "{op} takes {expected} argument{s}, got {got}",
                    op = op.as_str(),
                    s = if expected == 1 { "" } else { "s" },
                    got = args.exprs.len()
                ),
            ));
        }
        let operand = args.exprs.remove(expected - 1);
        let aggregate = Aggregate {
            op,
            grouping: before.or(after).unwrap_or(Grouping {
                without: false,
                labels: Vec::new(),
            }),
            parameter: args.exprs.pop(),
            operand,
        };
        check::aggregate(self.query, &aggregate)?;
        let kind = ExprKind::Aggregate(Box::new(aggregate));
        self.node(Expr { kind, span }, args.depth)
    }

    /// `by (…)` or `without (…)`, if there is one.
    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = match self.peek_word().map(str::to_ascii_lowercase).as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.next();
        let labels = self.label_list()?;
        Ok(Some(Grouping { without, labels }))
    }

    /// `(a, "b.c")`, possibly empty; keywords are names here.
    pub(crate) fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect(&TokenKind::LeftParen, "\"(\" and a list of labels")?;
        let mut labels = Vec::new();
        loop {
            if self.accept(&TokenKind::RightParen).is_some() {
                return Ok(labels);
            }
            let label = match self.peek_kind() {
                TokenKind::Word(word) if !word.contains(':') => word.clone(),
                TokenKind::Text(text) if !text.is_empty() => text.clone(),
                _ => return Err(self.expected("a label name or \")\"")),
            };
            self.next();
            labels.push(label);
            if self.accept(&TokenKind::Comma).is_none()
                && *self.peek_kind() != TokenKind::RightParen
            {
                return Err(self.expected("\",\" or \")\" after a label name"));
            }
        }
    }
}

/// The function whose name is at most two edits away, the nearest first.
fn nearest_function(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    functions::ALL
        .iter()
        .map(|function| (edit_distance(&name, function.name), function.name))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour.
fn edit_distance(a: &str, b: &str) -> usize {
    // Names are ASCII and short; far longer words are no misspelling.
    if a.len() > 64 {
        return usize::MAX;
    }
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                table[i][j] = i + j;
                continue;
            }
            let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = best;
        }
    }
    table[a.len()][b.len()]
}
