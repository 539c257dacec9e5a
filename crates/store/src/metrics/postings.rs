//! Which series of a generation carry a label: the index behind matchers and completion.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, MatchOp, Matcher};

/// Of one label name: the numbers of the series that carry each value.
type OfName = HashMap<Arc<str>, Vec<u32>, RandomState>;

/// From label name and value to the numbers of the series that carry it, ascending.
///
/// Each name and value is kept once: the label sets of the series share them.
#[derive(Debug, Default)]
pub(super) struct Postings {
    by_name: HashMap<Arc<str>, OfName, RandomState>,
    size_bytes: usize,
}

/// Memory of a name or value besides its text and the lists: its place in a map, and the counts
/// of an `Arc`.
const ENTRY_BYTES: usize = 64;

impl Postings {
    /// Adds series `number`, which is higher than all before; its label set, of shared text.
    pub(super) fn add<'a>(
        &mut self,
        number: u32,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Labels {
        let shared: Vec<(Arc<str>, Arc<str>)> = labels
            .map(|(name, value)| self.add_label(number, name, value))
            .collect();
        self.size_bytes += 16 + shared.len() * size_of::<(Arc<str>, Arc<str>)>();
        Labels::new(shared)
    }

    fn add_label(&mut self, number: u32, name: &str, value: &str) -> (Arc<str>, Arc<str>) {
        let size_bytes = &mut self.size_bytes;
        let mut weigh = |text: &str| *size_bytes += ENTRY_BYTES + text.len();
        let (name, values) = match self.by_name.get_key_value(name) {
            Some((shared, _)) => {
                let shared = Arc::clone(shared);
                (shared, self.by_name.get_mut(name))
            }
            None => {
                weigh(name);
                let shared: Arc<str> = Arc::from(name);
                self.by_name.insert(Arc::clone(&shared), HashMap::default());
                (shared, self.by_name.get_mut(name))
            }
        };
        let values = values.expect("inserted above when it was absent");
        let shared = match values.get_key_value(value) {
            Some((shared, _)) => Arc::clone(shared),
            None => {
                weigh(value);
                let shared: Arc<str> = Arc::from(value);
                values.insert(Arc::clone(&shared), Vec::new());
                shared
            }
        };
        if let Some(numbers) = values.get_mut(value) {
            let before = numbers.capacity();
            numbers.push(number);
            self.size_bytes += (numbers.capacity() - before) * size_of::<u32>();
        }
        (name, shared)
    }

    /// The shortest list that holds every series that can pass `matchers`; `None` means all.
    ///
    /// Only equality with a non-empty value narrows: every other matcher can accept absent labels.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Option<&[u32]> {
        matchers
            .iter()
            .filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
            .map(|matcher| {
                self.by_name
                    .get(matcher.name.as_str())
                    .and_then(|values| values.get(matcher.value.as_str()))
                    .map_or(&[][..], Vec::as_slice)
            })
            .min_by_key(|numbers| numbers.len())
    }

    /// Memory held, bytes, the text and arrays of the label sets included.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}
