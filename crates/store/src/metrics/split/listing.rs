//! Names and values of labels, from the dictionary where that is possible.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use model::Matcher;
use promql::matching::CompiledMatchers;
use promql::{SourceError, Window};

use super::read::{MetricSplit, source_error};
use super::row_set::RowSet;
use crate::error::StoreError;

/// So many rows are read rather than looked for among the rows of every value.
const FEW_ROWS: usize = 256;

impl MetricSplit {
    /// Adds the names of the labels of the rows that pass and overlap `window`.
    pub(in crate::metrics) fn add_label_names(
        &self,
        (matchers, compiled): (&[Matcher], &CompiledMatchers),
        window: Window,
        names: &mut BTreeSet<String>,
    ) -> Result<(), SourceError> {
        let rows = self
            .passing(matchers, compiled, window)
            .map_err(source_error)?;
        self.add_names_of(&rows, names).map_err(source_error)
    }

    fn add_names_of(&self, rows: &RowSet, names: &mut BTreeSet<String>) -> Result<(), StoreError> {
        if rows.count() <= FEW_ROWS {
            return self.scan(rows, &["labels"], &mut |row| {
                for (name, _) in row.labels()?.iter() {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
                Ok(ControlFlow::Continue(()))
            });
        }
        let is_everything = rows.count() == self.rows as usize;
        for name in self.index.names() {
            if !names.contains(name) && (is_everything || self.has_name(rows, name)?) {
                names.insert(name.to_owned());
            }
        }
        Ok(())
    }

    /// Whether any of `rows` has the label `name`.
    fn has_name(&self, rows: &RowSet, name: &str) -> Result<bool, StoreError> {
        let long = self.index.rows_with_long_value(name)?;
        let mut found = long.ranges().iter().any(|range| rows.touches(range));
        if !found {
            self.index.each_value_with_rows(name, &mut |_, with| {
                found = with.iter().any(|range| rows.touches(range));
                match found {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
        }
        Ok(found)
    }

    /// Adds the values of the label `name` of the rows that pass and overlap `window`.
    pub(in crate::metrics) fn add_label_values(
        &self,
        name: &str,
        (matchers, compiled): (&[Matcher], &CompiledMatchers),
        window: Window,
        values: &mut BTreeSet<String>,
    ) -> Result<(), SourceError> {
        let rows = self
            .passing(matchers, compiled, window)
            .map_err(source_error)?;
        self.add_values_of(&rows, name, values)
            .map_err(source_error)
    }

    fn add_values_of(
        &self,
        rows: &RowSet,
        name: &str,
        values: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let long = self.index.rows_with_long_value(name)?;
        let is_few = rows.count() <= FEW_ROWS;
        let to_read = match is_few {
            true => rows.clone(),
            false => rows.intersection(&long),
        };
        self.scan(&to_read, &["labels"], &mut |row| {
            if let Some(value) = row.labels()?.get(name)
                && !values.contains(value)
            {
                values.insert(value.to_owned());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if is_few {
            return Ok(());
        }
        if rows.count() == self.rows as usize {
            return self.index.each_listed_value(name, &mut |value| {
                if !values.contains(value) {
                    values.insert(value.to_owned());
                }
            });
        }
        self.index.each_value_with_rows(name, &mut |value, with| {
            if !values.contains(value) && with.iter().any(|range| rows.touches(range)) {
                values.insert(value.to_owned());
            }
            ControlFlow::Continue(())
        })
    }
}
