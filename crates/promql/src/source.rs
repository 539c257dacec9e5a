//! Where series come from: the seam between the evaluator and whoever keeps samples.

use async_trait::async_trait;
use model::{Labels, Matcher};

use crate::value::Series;

/// Instants `after_ms < t <= until_ms`, Unix ms: left-open, as PromQL's windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The last instant that is not inside.
    pub after_ms: i64,
    /// The last instant inside.
    pub until_ms: i64,
}

impl Window {
    /// Every instant that can be stored but the very first.
    pub const ALL: Self = Self {
        after_ms: i64::MIN,
        until_ms: i64::MAX,
    };

    /// The window `(after_ms, until_ms]`.
    pub fn new(after_ms: i64, until_ms: i64) -> Self {
        Self { after_ms, until_ms }
    }

    /// Whether `instant_ms` is inside.
    pub fn contains(self, instant_ms: i64) -> bool {
        self.after_ms < instant_ms && instant_ms <= self.until_ms
    }
}

/// How much one selection may return; past it the source answers with an error, never with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectLimits {
    /// Most series.
    pub max_series: usize,
    /// Most samples over all series; a histogram counts as one.
    pub max_samples: usize,
}

impl SelectLimits {
    /// No bound, for tests and tools.
    pub const NONE: Self = Self {
        max_series: usize::MAX,
        max_samples: usize::MAX,
    };
}

/// Sorted unique names or values, and whether a limit cut them short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The names, sorted by their bytes, each once.
    pub names: Vec<String>,
    /// Whether there are more than asked for.
    pub truncated: bool,
}

/// Why a source could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// More series match than the limit allows.
    #[error("the selector matches more than {limit} series; narrow it with more label matchers")]
    TooManySeries {
        /// The limit that was passed.
        limit: usize,
    },
    /// More samples match than the limit allows.
    #[error(
        "the query would load more than {limit} samples; narrow the selector, the range or the window"
    )]
    TooManySamples {
        /// The limit that was passed.
        limit: usize,
    },
    /// A matcher's regular expression does not compile.
    #[error("invalid regular expression {pattern:?}: {reason}")]
    InvalidRegex {
        /// The expression as written.
        pattern: String,
        /// The compiler's words.
        reason: String,
    },
    /// The source cannot answer now; trying again later may help.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored cannot be read: damage or a bug, not the query's fault.
    #[error("{0}")]
    Corrupt(String),
}

/// Series and their samples, as the evaluator and the Prometheus API read them.
///
/// Matchers are a conjunction; an absent label counts as the empty string, regular expressions
/// are anchored at both ends ([`crate::matching::CompiledMatchers`] does both). Every method may
/// be cancelled by dropping its future. A window bounds samples; in look-ups it may be answered
/// coarsely, by what overlaps it.
#[async_trait]
pub trait SeriesSource: Send + Sync {
    /// Samples inside `window` of every series that matches all `matchers`.
    ///
    /// Series are sorted by labels and have at least one sample; samples are sorted by time
    /// (Unix ms), one per series and millisecond. Stale markers are kept bit by bit.
    ///
    /// # Errors
    ///
    /// Past either limit, an unreadable regular expression, or a source that fails. There is no
    /// partial result.
    async fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<Series>, SourceError>;

    /// Label sets, sorted, each once, of series that match any of `selectors`; with no selector,
    /// of all series. At most `limit` of them.
    ///
    /// # Errors
    ///
    /// An unreadable regular expression or a source that fails.
    async fn series(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Vec<Labels>, SourceError>;

    /// Names of all labels of the series that [`SeriesSource::series`] would list.
    ///
    /// # Errors
    ///
    /// As [`SeriesSource::series`].
    async fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError>;

    /// Values of the label `name` over the series that [`SeriesSource::series`] would list.
    ///
    /// # Errors
    ///
    /// As [`SeriesSource::series`].
    async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError>;
}
