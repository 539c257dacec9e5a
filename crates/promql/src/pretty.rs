//! Printing a tree over several lines, as Prometheus' `format_query` lays it out.
//!
//! What fits into a line of [`LINE`] bytes stays on one; of anything longer each operand and
//! argument gets lines of its own, two spaces further in.

use std::fmt::{self, Write as _};

use crate::ast::{Expr, ExprKind};

/// The longest expression that is not split, bytes without indentation.
const LINE: usize = 100;

const INDENT: &str = "  ";

/// The query over as many lines as it takes; parsing it gives the same tree again.
///
/// ```
/// let expr = promql::parse("sum(rate(a[5m]))by(job)/ignoring(code)b")?;
/// assert_eq!(
///     promql::pretty(&expr),
///     "sum by (job) (rate(a[5m])) / ignoring (code) b"
/// );
/// # Ok::<(), promql::ParseError>(())
/// ```
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    write_lines(&mut out, expr, 0);
    out
}

fn write_lines(out: &mut String, expr: &Expr, level: usize) {
    if is_short(expr) {
        indent(out, level);
        out.push_str(&expr.to_string());
        return;
    }
    match &expr.kind {
        ExprKind::Binary(binary) => {
            write_lines(out, &binary.left, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(&binary.operator());
            out.push('\n');
            write_lines(out, &binary.right, level + 1);
        }
        ExprKind::Subquery(subquery) => {
            write_lines(out, &subquery.expr, level);
            out.push_str(&subquery.suffix());
        }
        ExprKind::Unary(unary) => {
            let mut operand = String::new();
            write_lines(&mut operand, &unary.operand, level);
            indent(out, level);
            out.push(if unary.negative { '-' } else { '+' });
            out.push_str(operand.trim_start());
        }
        ExprKind::Aggregate(aggregate) => {
            indent(out, level);
            out.push_str(&aggregate.head());
            write_block(out, &expr.children(), level);
        }
        ExprKind::Call(call) if !call.args.is_empty() => {
            indent(out, level);
            out.push_str(call.function.name);
            write_block(out, &expr.children(), level);
        }
        ExprKind::Paren(_) => {
            indent(out, level);
            write_block(out, &expr.children(), level);
        }
        ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Bytes(_)
        | ExprKind::Call(_)
        | ExprKind::Selector(_)
        | ExprKind::Range(_) => {
            indent(out, level);
            out.push_str(&expr.to_string());
        }
    }
}

/// The expressions in parentheses, each on lines of its own.
fn write_block(out: &mut String, expressions: &[&Expr], level: usize) {
    out.push('(');
    for (index, expr) in expressions.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        write_lines(out, expr, level + 1);
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str(INDENT);
    }
}

/// Whether the expression fits into one line; printing it stops where it does not.
fn is_short(expr: &Expr) -> bool {
    write!(Room(LINE), "{expr}").is_ok()
}

/// Takes so many more bytes.
struct Room(usize);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn long_queries_get_a_line_for_each_operand() {
        let long = "a_metric_name_that_is_long_enough_to_fill_more_than_a_line_with_its_labels{job=\"api\",zone=\"eu-west-1\"}";
        for (query, expected) in [
            ("foo", "foo".to_owned()),
            (
                &*format!("sum(rate({long}[5m]))by(job)"),
                format!("sum by (job) (\n  rate(\n    {long}[5m]\n  )\n)"),
            ),
            (
                &format!("topk(5,{long})"),
                format!("topk(\n  5,\n  {long}\n)"),
            ),
            (
                &format!("{long} >bool on(job)group_left() foo"),
                format!("  {long}\n> bool on (job) group_left ()\n  foo"),
            ),
            (
                &format!("-(foo+{long})"),
                format!("-(\n    foo\n  +\n    {long}\n)"),
            ),
            (
                &format!("max_over_time(abs({long})[1h:5m] offset 1d)"),
                format!("max_over_time(\n  abs(\n    {long}\n  )[1h:5m] offset 1d\n)"),
            ),
        ] {
            let expr = parse(query).unwrap();
            let printed = pretty(&expr);
            assert_eq!(printed, expected);
            assert_eq!(parse(&printed), Ok(expr), "{printed}");
        }
    }
}
