//! A label set as bytes: the same set is the same bytes, whatever it came in.
//!
//! The form is that of the labels in a series of remote write 1.0, its names sorted and unique and
//! its values not empty: for each label `0x0a`, the length of what follows, `0x0a`, the length of
//! the name, the name, `0x12`, the length of the value, the value. What such a sender sends need
//! not be copied, two sets are compared as bytes, and one hash is enough.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use model::Labels;
use model::labels::METRIC_NAME;
use prost::encoding::{encode_varint, encoded_len_varint};

const LABEL: u8 = 0x0a;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// Appends a label. Its name sorts after those before it.
pub(crate) fn push(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let field = |text: &[u8]| 1 + encoded_len_varint(text.len() as u64) + text.len();
    out.push(LABEL);
    encode_varint((field(name) + field(value)) as u64, out);
    for (key, text) in [(NAME, name), (VALUE, value)] {
        out.push(key);
        encode_varint(text.len() as u64, out);
        out.extend_from_slice(text);
    }
}

/// A label set as bytes.
pub(crate) fn of(labels: &Labels, out: &mut Vec<u8>) {
    for (name, value) in labels.iter() {
        push(name.as_bytes(), value.as_bytes(), out);
    }
}

/// The labels at the front of a series of remote write 1.0, and what follows them. `None` when they
/// are not in the form above, are more than ASCII, or lack a metric name; then they have to be
/// looked at one by one.
pub(crate) fn plain(series: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = series;
    let mut before: &[u8] = &[];
    let mut has_name = false;
    while let [LABEL, length, NAME, name_length, tail @ ..] = rest {
        let (length, name_length) = (usize::from(*length), usize::from(*name_length));
        let name = tail.get(..name_length)?;
        let [VALUE, value_length, ..] = tail[name_length..] else {
            return None;
        };
        let is_whole = name_length + usize::from(value_length) + 4 == length;
        // Lengths past 127 take two bytes.
        if !is_whole || length > 0x7f || value_length == 0 || before >= name {
            return None;
        }
        has_name |= name == METRIC_NAME.as_bytes();
        before = name;
        rest = rest.get(2 + length..)?;
    }
    if rest.first() == Some(&LABEL) {
        // One more, of another form or longer than one byte can say.
        return None;
    }
    let (labels, rest) = series.split_at(series.len() - rest.len());
    (has_name && labels.is_ascii()).then_some((labels, rest))
}

/// Names and values of a label set in the form above.
#[derive(Debug, Clone)]
pub struct Pairs<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.field(LABEL)?;
        let name = self.text(NAME)?;
        let value = self.text(VALUE)?;
        Some((name, value))
    }
}

impl<'a> Pairs<'a> {
    /// The pairs of a label set that [`Pairs::write`] wrote. They end where bytes are none.
    pub fn of(label_set: &'a [u8]) -> Self {
        Self(label_set)
    }

    /// Appends a label set as bytes.
    pub fn write(labels: &Labels, out: &mut Vec<u8>) {
        of(labels, out);
    }

    /// The length behind a key.
    fn field(&mut self, key: u8) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        if *first != key {
            return None;
        }
        prost::encoding::decode_varint(&mut self.0)
            .ok()
            .and_then(|length| usize::try_from(length).ok())
    }

    fn text(&mut self, key: u8) -> Option<&'a str> {
        let length = self.field(key)?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

/// Hashes label sets, the same way as long as the process runs.
///
/// Seeded at random: who chooses labels cannot choose their hashes.
#[derive(Debug, Clone, Copy)]
pub struct LabelHasher(&'static foldhash::fast::RandomState);

impl LabelHasher {
    /// The process's hasher.
    pub fn of_process() -> Self {
        static STATE: OnceLock<foldhash::fast::RandomState> = OnceLock::new();
        Self(STATE.get_or_init(Default::default))
    }

    /// A label set's hash, which series of batches have too.
    pub fn labels(self, labels: &Labels) -> u64 {
        let mut bytes = Vec::new();
        of(labels, &mut bytes);
        self.bytes(&bytes)
    }

    /// The hash of any bytes.
    pub fn bytes(self, bytes: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn written(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in pairs {
            push(name.as_bytes(), value.as_bytes(), &mut out);
        }
        out
    }

    #[test]
    fn only_the_form_itself_is_plain() {
        let good = written(&[("__name__", "up"), ("job", "a")]);
        let message = [&good[..], &[0x12, 0x00]].concat();
        assert_eq!(plain(&message), Some((&good[..], &[0x12, 0x00][..])));
        let others = [
            written(&[("job", "a")]),
            written(&[("job", "a"), ("__name__", "up")]),
            written(&[("__name__", "up"), ("job", "a"), ("job", "b")]),
            written(&[("__name__", "up"), ("job", "")]),
            written(&[("__name__", "up"), ("job", "é")]),
            written(&[("__name__", "up"), ("job", &"x".repeat(200))]),
            good[..good.len() - 1].to_vec(),
            Vec::new(),
        ];
        for other in others {
            assert_eq!(plain(&other), None, "{other:?}");
        }
    }

    #[test]
    fn hashes_tell_sets_apart() {
        let hasher = LabelHasher::of_process();
        let sets = [
            Labels::new([("a", "bc")]),
            Labels::new([("ab", "c")]),
            Labels::new([("bc", "a")]),
            Labels::new([("a", "b"), ("b", "a")]),
            Labels::new([("b", "b"), ("a", "a")]),
        ];
        let hashes: std::collections::HashSet<u64> =
            sets.iter().map(|labels| hasher.labels(labels)).collect();
        assert_eq!(hashes.len(), sets.len());
    }

    proptest! {
        #[test]
        fn labels_come_back(
            pairs in btree_map("\\PC{1,5}", prop_oneof!["\\PC{1,5}", "[a-z]{100,200}"], 0..6),
        ) {
            let labels: Labels = pairs.into_iter().collect();
            let mut bytes = Vec::new();
            Pairs::write(&labels, &mut bytes);
            prop_assert_eq!(Pairs::of(&bytes).collect::<Labels>(), labels);
        }

        #[test]
        fn any_bytes_are_plain_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some((labels, rest)) = plain(&bytes) {
                prop_assert_eq!(labels.len() + rest.len(), bytes.len());
                let pairs: Vec<_> = Pairs(labels).collect();
                prop_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}
