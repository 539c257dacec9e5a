//! SQL over the logical tables: one read-only statement, in which `attributes['k']` and
//! `resource['k']` become the virtual columns `"attr.k"` and `"resource.k"`.
//!
//! The statement is rewritten as a syntax tree, never as text, so quoting cannot go wrong. The
//! caller plans it over tables whose schema holds [`Sql::keys`], with DataFusion's own
//! `SQLOptions` as the second lock on writing.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, Expr, Ident, Subscript, Value, ValueWithSpan, visit_expressions_mut,
    visit_statements,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::error::{Span, SyntaxError};
use crate::schema::{ATTRIBUTES, Keys, RESOURCE, attribute_column, resource_column};

/// How long a statement may be, bytes.
pub const MAX_LENGTH: usize = 64 * 1024;
/// How many operators a statement may have: each may deepen the plan, which is walked recursively.
pub const MAX_OPERATORS: usize = 250;
/// How deep parentheses and subqueries may nest.
const MAX_DEPTH: usize = 40;

/// A statement that is safe to plan.
#[derive(Debug, Clone)]
pub struct Sql {
    /// One `SELECT` (or `WITH`, `VALUES`, `UNION` …) over virtual columns.
    pub statement: Statement,
    /// The attribute keys that it references.
    pub keys: Keys,
}

/// Reads one read-only statement.
///
/// # Errors
///
/// Text that is no SQL, more than one statement, a statement that is no query, a subscript of
/// `attributes` or `resource` that is no constant text.
pub fn read(text: &str) -> Result<Sql, SyntaxError> {
    let whole = Span::new(0, text.len());
    if text.len() > MAX_LENGTH {
        let message = format!(
            "the statement has {} bytes; at most {MAX_LENGTH} are read",
            text.len()
        );
        return Err(SyntaxError::new(whole, message));
    }
    let mut statements = parse(text)?;
    let mut statement = match (statements.pop(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => return Err(SyntaxError::new(whole, "there is no statement")),
        (Some(_), more) => {
            let message = format!("there are {} statements; send one at a time", more + 1);
            return Err(SyntaxError::new(whole, message));
        }
    };
    refuse_writing(&statement, whole)?;
    let mut rewrite = Rewrite {
        text,
        keys: Keys::default(),
    };
    let visited = visit_expressions_mut(&mut statement, |expr| match rewrite.expr(expr) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(Sql {
            statement: Statement::Statement(Box::new(statement)),
            keys: rewrite.keys,
        }),
    }
}

fn parse(text: &str) -> Result<Vec<ast::Statement>, SyntaxError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| SyntaxError::new(place(text, error.location), error.message))?;
    let operators = tokens.iter().filter(|token| may_deepen(token)).count();
    if operators > MAX_OPERATORS {
        let message =
            format!("the statement has {operators} operators; at most {MAX_OPERATORS} are planned");
        return Err(SyntaxError::new(Span::new(0, text.len()), message)
            .hint("a long list of values is better written as x IN (…)"));
    }
    Parser::new(&dialect)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| parser_error(text, error))
}

/// Whether a token may add a level to the tree without opening a parenthesis.
fn may_deepen(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::IN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::COLLATE
                | Keyword::AT
        ),
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

fn refuse_writing(statement: &ast::Statement, whole: Span) -> Result<(), SyntaxError> {
    let visited = visit_statements(statement, |statement| match statement {
        ast::Statement::Query(_) => ControlFlow::Continue(()),
        other => ControlFlow::Break(other.to_string()),
    });
    let ControlFlow::Break(other) = visited else {
        return Ok(());
    };
    let verb = other.split_whitespace().next().unwrap_or_default();
    Err(
        SyntaxError::new(whole, format!("{verb} is not allowed: SQL only reads"))
            .hint("expected SELECT … FROM logs or SELECT … FROM spans"),
    )
}

struct Rewrite<'a> {
    text: &'a str,
    keys: Keys,
}

impl Rewrite<'_> {
    /// Turns `attributes['k']` into `"attr.k"` and remembers every virtual column.
    fn expr(&mut self, expr: &mut Expr) -> Result<(), SyntaxError> {
        match expr {
            Expr::Identifier(name) => self.keys.add_column(&name.value),
            Expr::CompoundIdentifier(path) => {
                if let Some(name) = path.last() {
                    self.keys.add_column(&name.value);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let (mut path, subscripts) = split_path(root, access_chain);
                let Some((name, column_of)) =
                    path.pop().and_then(|name| Some((name, map_column(name)?)))
                else {
                    return Ok(());
                };
                let column = column_of(self.key(name, subscripts)?);
                self.keys.add_column(&column);
                let virtual_name = Ident::with_quote('"', column);
                *expr = if path.is_empty() {
                    Expr::Identifier(virtual_name)
                } else {
                    Expr::CompoundIdentifier(
                        path.into_iter().cloned().chain([virtual_name]).collect(),
                    )
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn key<'k>(&self, name: &Ident, chain: &'k [AccessExpr]) -> Result<&'k str, SyntaxError> {
        if let [AccessExpr::Subscript(Subscript::Index { index })] = chain
            && let Expr::Value(ValueWithSpan { value, .. }) = index
            && let Value::SingleQuotedString(key) = value
        {
            return Ok(key);
        }
        let start = place(self.text, name.span.start).offset;
        let span = Span::new(start, start + name.value.len());
        Err(SyntaxError::new(
            span,
            format!("{} takes one key as a constant text", name.value),
        )
        .hint(format!("write {}['http.route']", name.value)))
    }
}

/// Cuts `l.attributes['k']` into the names `l`, `attributes` and the accesses after them.
fn split_path<'e>(root: &'e Expr, chain: &'e [AccessExpr]) -> (Vec<&'e Ident>, &'e [AccessExpr]) {
    let mut path: Vec<&Ident> = match root {
        Expr::Identifier(name) => vec![name],
        Expr::CompoundIdentifier(names) => names.iter().collect(),
        _ => return (Vec::new(), chain),
    };
    let mut rest = chain;
    while let [AccessExpr::Dot(Expr::Identifier(name)), after @ ..] = rest {
        path.push(name);
        rest = after;
    }
    (path, rest)
}

/// The virtual columns of a column that looks like a map, when `name` is one.
fn map_column(name: &Ident) -> Option<fn(&str) -> String> {
    let is = |column: &str| match name.quote_style {
        None => name.value.eq_ignore_ascii_case(column),
        Some(_) => name.value == column,
    };
    if is(ATTRIBUTES) {
        return Some(attribute_column);
    }
    is(RESOURCE).then_some(resource_column)
}

fn parser_error(text: &str, error: ParserError) -> SyntaxError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            let message = format!("expressions nest deeper than {MAX_DEPTH}");
            return SyntaxError::new(Span::new(0, text.len()), message);
        }
    };
    // The parser says where only in words: `… at Line: 1, Column: 8`.
    let read = || {
        let (what, after) = message.rsplit_once(" at Line: ")?;
        let (line, column) = after.split_once(", Column: ")?;
        let location = Location {
            line: line.parse().ok()?,
            column: column.trim().parse().ok()?,
        };
        Some(SyntaxError::new(place(text, location), what))
    };
    read().unwrap_or_else(|| SyntaxError::new(Span::new(text.len(), text.len()), &*message))
}

/// The character at a line and column, both counted from 1; the text's end past its last one.
fn place(text: &str, location: Location) -> Span {
    let line_start = text
        .split_inclusive('\n')
        .take(usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX))
        .map(str::len)
        .sum::<usize>();
    let skipped = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
    match text[line_start..].char_indices().nth(skipped) {
        Some((index, character)) if location.line > 0 => {
            let start = line_start + index;
            Span::new(start, start + character.len_utf8())
        }
        _ => Span::new(text.len(), text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_virtual_columns() {
        let cases = [
            (
                "SELECT attributes['http.route'] FROM logs",
                r#"SELECT "attr.http.route" FROM logs"#,
                vec!["attr.http.route"],
            ),
            (
                "SELECT l.Resource['a'] x FROM logs l WHERE number(l.attributes['it''s']) > 1 ORDER BY attributes['o']",
                r#"SELECT l."resource.a" AS x FROM logs l WHERE number(l."attr.it's") > 1 ORDER BY "attr.o""#,
                vec!["attr.it's", "attr.o", "resource.a"],
            ),
            (
                r#"SELECT "attr.b" FROM (SELECT * FROM logs WHERE attributes['c'] = 'd')"#,
                r#"SELECT "attr.b" FROM (SELECT * FROM logs WHERE "attr.c" = 'd')"#,
                vec!["attr.b", "attr.c"],
            ),
            (
                "SELECT attributes FROM logs;",
                "SELECT attributes FROM logs",
                vec![],
            ),
        ];
        for (text, rewritten, keys) in cases {
            let sql = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(sql.statement.to_string(), rewritten);
            assert_eq!(sql.keys.columns().collect::<Vec<_>>(), keys, "{text}");
        }
    }

    #[test]
    fn whatever_is_no_single_query_is_refused_at_its_place() {
        let cases = [
            ("", "no statement", Span::new(0, 0)),
            ("SELECT 1; SELECT 2", "2 statements", Span::new(0, 18)),
            ("DROP TABLE logs", "DROP is not allowed", Span::new(0, 15)),
            (
                "INSERT INTO logs VALUES (1)",
                "INSERT is not allowed",
                Span::new(0, 27),
            ),
            ("COPY logs TO 'x'", "COPY is not allowed", Span::new(0, 16)),
            ("SET a = 1", "SET is not allowed", Span::new(0, 9)),
            (
                "SELECT\nü FRM logs x",
                "Expected: end of statement",
                Span::new(14, 15),
            ),
            ("SELECT 'a", "Unterminated", Span::new(7, 8)),
            (
                "SELECT attributes[1] FROM logs",
                "attributes['http.route']",
                Span::new(7, 17),
            ),
            (
                "SELECT attributes['a']['b'] FROM logs",
                "one key",
                Span::new(7, 17),
            ),
        ];
        for (text, expected, span) in cases {
            let error = read(text).expect_err(text);
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.span, span, "{text}: {error}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
        let wide = format!("SELECT 1{}", "+1".repeat(20_000));
        let long = format!("SELECT '{}'", "x".repeat(100_000));
        for text in [deep, wide, long] {
            assert!(read(&text).is_err());
        }
        let list = format!("SELECT 1 WHERE 1 IN (1{})", ",1".repeat(10_000));
        assert!(read(&list).is_ok());
    }
}
