//! Severity as an expression: the names that people filter and group by.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ident, lit};
use model::log::severity_name;

use crate::schema::SEVERITY_NUMBER;

/// The seven names of [`model::log::severity_name`], by the column `severity_number`.
pub fn name_value() -> Expr {
    by_level(severity_name)
}

/// Loki's `detected_level`: `critical` for fatal, `unknown` for unset, else the same names.
pub fn detected_level_value() -> Expr {
    by_level(detected_level)
}

/// Loki's `detected_level` of one severity number.
pub fn detected_level(number: i32) -> &'static str {
    match severity_name(number) {
        "fatal" => "critical",
        "unset" => "unknown",
        name => name,
    }
}

/// The severity numbers from the first to the last of the level that `number` belongs to.
pub fn level_bounds(number: i32) -> (i32, i32) {
    let first = (number - 1) / 4 * 4 + 1;
    (first, first + 3)
}

/// A constant text of the layout that the tables use.
fn text(value: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8(Some(value.to_owned())), None)
}

fn by_level(name: fn(i32) -> &'static str) -> Expr {
    let cases = (1..=24)
        .step_by(4)
        .map(|first| {
            let (first, last) = level_bounds(first);
            let within = ident(SEVERITY_NUMBER).between(lit(first), lit(last));
            (Box::new(within), Box::new(text(name(first))))
        })
        .collect();
    Expr::Case(Case::new(None, cases, Some(Box::new(text(name(0))))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_runs_of_four() {
        let cases = [
            (1, (1, 4)),
            (9, (9, 12)),
            (12, (9, 12)),
            (17, (17, 20)),
            (24, (21, 24)),
        ];
        for (number, bounds) in cases {
            assert_eq!(level_bounds(number), bounds, "{number}");
        }
        assert_eq!(detected_level(21), "critical");
        assert_eq!(detected_level(0), "unknown");
        assert_eq!(detected_level(13), "warn");
    }
}
