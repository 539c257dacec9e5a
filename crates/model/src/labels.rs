//! Label sets of series and the matchers that select them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A series' labels: names unique and sorted, no empty values (an empty value means absent).
///
/// Cloning shares the set. Ordered as Prometheus orders label sets: pair by pair.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(String, String)>", into = "Vec<(String, String)>")]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// The label that holds a metric's type, for senders that give one.
pub const METRIC_TYPE: &str = "__type__";

/// The label that holds a metric's unit, for senders that give one.
pub const METRIC_UNIT: &str = "__unit__";

impl Labels {
    /// The set of these pairs; the last of equal names wins, empty values are left out.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        // Stable, so that among equal names the last one sent is the last one here.
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut unique: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(sorted.len());
        for pair in sorted {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        unique.retain(|(_, value)| !value.is_empty());
        Self(unique.into())
    }

    /// The set without any label.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(name))
            .ok()
            .map(|index| self.0[index].1.as_ref())
    }

    /// The metric name, when there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This set with `name` set to `value`, or without it when `value` is empty.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(candidate, _)| candidate.as_ref() != name)
            .cloned();
        Self::new(kept.chain([(Arc::from(name), Arc::from(value))]))
    }

    /// This set together with `over`, whose value counts where both have a label.
    pub fn overlaid(&self, over: &Self) -> Self {
        Self::new(self.0.iter().chain(over.0.iter()).cloned())
    }

    /// This set without `name`.
    pub fn without(&self, name: &str) -> Self {
        self.filter(|candidate| candidate != name)
    }

    /// This set without what describes the metric rather than the series: name, type and unit.
    ///
    /// What is computed from a metric is another one.
    pub fn without_metric(&self) -> Self {
        self.filter(|name| !matches!(name, METRIC_NAME | METRIC_TYPE | METRIC_UNIT))
    }

    /// The labels whose names `keep` accepts.
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self(
            self.0
                .iter()
                .filter(|(name, _)| keep(name))
                .cloned()
                .collect(),
        )
    }

    /// Alertmanager's fingerprint: FNV-1a 64 over `name 0xFF value 0xFF`, names sorted.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (name, value) in self.iter() {
            feed(name.as_bytes());
            feed(&[0xff]);
            feed(value.as_bytes());
            feed(&[0xff]);
        }
        hash
    }
}

impl<N: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::new(pairs)
    }
}

impl From<Vec<(String, String)>> for Labels {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self::new(pairs)
    }
}

impl From<Labels> for Vec<(String, String)> {
    fn from(labels: Labels) -> Self {
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// Prints as PromQL writes a series: `up{job="api"}`, `{job="api"}`, `{}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.metric_name() {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        for (index, (name, value)) in self
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .enumerate()
        {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a matcher compares a label's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label, as text; who evaluates it compiles the regex.
///
/// An absent label counts as the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// The value or regular expression.
    pub value: String,
}

impl Matcher {
    /// The condition `name op value`.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op,
            value: value.into(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_unique_and_without_empty_values() {
        let labels = Labels::new([("b", "1"), ("a", "x"), ("b", "2"), ("c", "")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "x"), ("b", "2")]);
        assert_eq!(
            labels.with("a", "").iter().collect::<Vec<_>>(),
            [("b", "2")]
        );
        assert_eq!(labels.get("c"), None);
        let overlaid = labels.overlaid(&Labels::new([("b", "3"), ("d", "4")]));
        assert_eq!(overlaid, Labels::new([("a", "x"), ("b", "3"), ("d", "4")]));
    }

    #[test]
    fn the_fingerprint_is_alertmanagers() {
        // FNV-1a's offset basis for the empty set; the rest follows from its definition.
        assert_eq!(Labels::empty().fingerprint(), 0xcbf2_9ce4_8422_2325);
        assert_ne!(
            Labels::new([("a", "bc")]).fingerprint(),
            Labels::new([("ab", "c")]).fingerprint()
        );
    }

    #[test]
    fn sets_print_as_promql() {
        assert_eq!(Labels::new([("__name__", "up")]).to_string(), "up");
        assert_eq!(
            Labels::new([("__name__", "up"), ("job", "a\"b")]).to_string(),
            r#"up{job="a\"b"}"#
        );
        assert_eq!(Labels::empty().to_string(), "{}");
    }
}
