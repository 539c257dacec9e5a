//! Which series of a generation carry a label: the index behind matchers and completion.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, MatchOp, Matcher};

/// From label name and value to the numbers of the series that carry it, ascending.
#[derive(Debug, Default)]
pub(super) struct Postings(HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>);

impl Postings {
    /// Adds series `number`, which is higher than all before.
    pub(super) fn add(&mut self, number: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            self.values_of(name).entry_of(value).push(number);
        }
    }

    fn values_of(&mut self, name: &str) -> Values<'_> {
        if !self.0.contains_key(name) {
            self.0.insert(Arc::from(name), HashMap::new());
        }
        Values(
            self.0
                .get_mut(name)
                .expect("inserted above when it was absent"),
        )
    }

    /// The shortest list that holds every series that can pass `matchers`; `None` means all.
    ///
    /// Only equality with a non-empty value narrows: every other matcher can accept absent labels.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Option<&[u32]> {
        matchers
            .iter()
            .filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
            .map(|matcher| {
                self.0
                    .get(matcher.name.as_str())
                    .and_then(|values| values.get(matcher.value.as_str()))
                    .map_or(&[][..], Vec::as_slice)
            })
            .min_by_key(|numbers| numbers.len())
    }
}

struct Values<'a>(&'a mut HashMap<Arc<str>, Vec<u32>>);

impl<'a> Values<'a> {
    fn entry_of(self, value: &str) -> &'a mut Vec<u32> {
        if !self.0.contains_key(value) {
            self.0.insert(Arc::from(value), Vec::new());
        }
        self.0
            .get_mut(value)
            .expect("inserted above when it was absent")
    }
}
