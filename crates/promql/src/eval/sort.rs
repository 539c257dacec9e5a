//! The order of instant vectors; range queries are always ordered by labels.

use std::cmp::Ordering;

use super::column::{Cell, Column};

/// Sorts by value, numbers before NaN; histograms are left out.
pub(super) fn by_value(mut columns: Vec<Column>, descending: bool) -> Vec<Column> {
    let value = |column: &Column| column.cells.first().and_then(|cell| cell.float());
    columns.retain(|column| value(column).is_some());
    columns.sort_by(|a, b| {
        let (a, b) = (value(a).unwrap_or(f64::NAN), value(b).unwrap_or(f64::NAN));
        let order = if descending {
            b.partial_cmp(&a)
        } else {
            a.partial_cmp(&b)
        };
        order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    columns
}

/// What sorting by value leaves where nothing is sorted.
pub(super) fn only_floats(mut columns: Vec<Column>) -> Vec<Column> {
    for cell in columns.iter_mut().flat_map(|column| &mut column.cells) {
        if let Cell::Histogram(_) = cell {
            *cell = Cell::Empty;
        }
    }
    columns.retain(|column| !column.is_empty());
    columns
}

/// Sorts by the values of labels, runs of digits as numbers; ties by all labels.
pub(super) fn by_labels(
    mut columns: Vec<Column>,
    labels: &[String],
    descending: bool,
) -> Vec<Column> {
    columns.sort_by(|a, b| {
        let by_label = labels
            .iter()
            .map(|label| {
                let value = |column: &Column| column.labels.get(label).unwrap_or("").to_owned();
                natural(&value(a), &value(b))
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.labels.cmp(&b.labels));
        if descending {
            by_label.reverse()
        } else {
            by_label
        }
    });
    columns
}

/// Compares texts run by run: digits as numbers, the rest as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (run_a, rest_a) = first_run(a);
        let (run_b, rest_b) = first_run(b);
        let order = match (run_a.parse::<u64>(), run_b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => run_a.cmp(run_b),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The longest start of only digits or no digits, and the rest.
fn first_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_count_as_numbers() {
        let mut versions = ["1.111.3", "1.2.3", "1.11.3", "1.2", "a", "10"];
        versions.sort_by(|a, b| natural(a, b));
        assert_eq!(versions, ["1.2", "1.2.3", "1.11.3", "1.111.3", "10", "a"]);
    }
}
