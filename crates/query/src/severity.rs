//! The level of a record, and expressions of it: the names that people filter and group by.
//!
//! A record's level is that of its severity number or, when none was sent, the one that its texts
//! state ([`model::level`]). The table `logs` has it as the column `level_number`.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ident, lit};
use model::LogRecord;
use model::level::{level_name, stated_severity};
use model::log::severity_name;

use crate::schema::LEVEL_NUMBER;
use crate::text::text_of;

/// What the column `level_number` has for a record: its severity number when that is set, else
/// the lowest number of the level that its texts state, else 0.
pub fn level_number(record: &LogRecord) -> i32 {
    if record.severity_number != 0 {
        return record.severity_number;
    }
    let body = text_of(&record.body).unwrap_or_default();
    stated_severity(&record.severity_text, &body).unwrap_or(0)
}

/// The seven names of [`model::log::severity_name`], by the column `level_number`.
pub fn name_value() -> Expr {
    by_level(severity_name)
}

/// Loki's `detected_level`: `critical` for fatal, `unknown` for unset, else the same names.
pub fn detected_level_value() -> Expr {
    by_level(level_name)
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
            let within = ident(LEVEL_NUMBER).between(lit(first), lit(last));
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
    }
}
