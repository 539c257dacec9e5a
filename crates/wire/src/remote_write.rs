//! Prometheus remote write: `prometheus.WriteRequest` (1.0) and `io.prometheus.write.v2.Request`
//! (2.0), without the snappy that they travel in.
//!
//! Both carry series with their samples, native histograms and exemplars, and describe metric
//! families. 1.0 spells every label out; 2.0 numbers its strings. Messages are read in place.
//!
//! A series whose labels make no sense is refused with all its samples, a histogram or exemplar
//! that makes none alone; the rest of the message is good. Labels that are not sorted are sorted,
//! as Prometheus does and its senders rely on.

mod encode;
mod family;
mod histogram;
mod series;
mod v1;
mod v2;

use bytes::Bytes;
use model::{Encoding, MetricMetadata};

pub use encode::encode;

use crate::metric_batch::MetricBatch;
use crate::otlp::DecodeError;
use crate::otlp::reader::{Content, Fields, Irregular};

/// How many messages may lie inside of each other; these have three levels.
const MAX_DEPTH: u32 = 16;

/// The samples of a message in the encoding [`Encoding::RemoteWriteV1`] or
/// [`Encoding::RemoteWriteV2`].
///
/// Its items are samples, native histograms and exemplars, numbered in the order of the bytes. An
/// exemplar without a time gets that of its series' last sample, or `received_at` (Unix ns).
///
/// # Errors
///
/// No such message, or one that holds more than a request may.
pub fn decode(
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
) -> Result<MetricBatch, DecodeError> {
    match encoding {
        Encoding::RemoteWriteV1 => v1::decode(body, received_at),
        Encoding::RemoteWriteV2 => v2::decode(body, received_at),
        other => Err(DecodeError::Encoding(other)),
    }
}

/// Reads each message of the repeated field `number` and passes over every other field.
fn each<'a>(
    body: &'a [u8],
    number: u32,
    name: &str,
    mut read: impl FnMut(Fields<'a>) -> Result<(), Failure>,
) -> Result<(), DecodeError> {
    let mut message = Fields::new(body, MAX_DEPTH);
    let mut index = 0;
    let malformed = |place: String| {
        DecodeError::Protobuf(format!(
            "{place} is cut short or has a field of another type"
        ))
    };
    loop {
        let field = message.next();
        let Some((field, content)) =
            field.map_err(|Irregular| malformed("the message".to_owned()))?
        else {
            return Ok(());
        };
        if field == number {
            let inside = message.inside(content).map_err(Failure::from);
            inside
                .and_then(&mut read)
                .map_err(|failure| match failure {
                    Failure::Irregular => malformed(format!("{name}[{index}]")),
                    Failure::Refused(error) => error,
                })?;
            index += 1;
        }
    }
}

/// Why reading stops inside of a message.
enum Failure {
    Irregular,
    Refused(DecodeError),
}

impl From<Irregular> for Failure {
    fn from(_: Irregular) -> Self {
        Self::Irregular
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Refused(error)
    }
}

/// A field that holds numbers, one or a packed run of them.
fn packed<'a>(
    content: Content<'a>,
    mut take: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match content {
        Content::Delimited(bytes) => {
            let mut numbers = Fields::new(bytes, 0);
            while let Some(number) = numbers.next_varint()? {
                take(number)?;
            }
            Ok(())
        }
        single => take(single.varint()?),
    }
}

/// Adds descriptions, without those that are there or say nothing.
#[derive(Default)]
struct Described {
    families: std::collections::HashSet<MetricMetadata>,
    in_order: Vec<MetricMetadata>,
}

impl Described {
    fn add(&mut self, family: MetricMetadata) {
        let says_nothing = family.kind == model::MetricType::Unknown
            && family.help.is_empty()
            && family.unit.is_empty();
        if family.family.is_empty() || says_nothing || self.families.contains(&family) {
            return;
        }
        self.families.insert(family.clone());
        self.in_order.push(family);
    }
}

/// The kinds of metric by their numbers, which both versions share.
fn kind(number: u64) -> model::MetricType {
    use model::MetricType::{
        Counter, Gauge, GaugeHistogram, Histogram, Info, StateSet, Summary, Unknown,
    };
    let kinds = [
        Unknown,
        Counter,
        Gauge,
        Histogram,
        GaugeHistogram,
        Summary,
        Info,
        StateSet,
    ];
    let index = usize::try_from(number).ok();
    let known = index.and_then(|index| kinds.get(index));
    known.copied().unwrap_or(Unknown)
}
