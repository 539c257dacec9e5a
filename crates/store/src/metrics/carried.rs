//! What a generation hands to the next one, through memory or through the checkpoint: totals of
//! delta series, starts of counters that are dealt with, and descriptions that no split holds.
//!
//! In the checkpoint it is text, because the catalog's tables have no bytes: base64 of zstd, and in
//! it label sets that share their beginnings with those before them. `docs/formats/ingest-log.md` is
//! the specification. Earlier releases wrote JSON, which is read, too.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Labels, MetricMetadata};
use prost::encoding::{decode_varint, encode_varint};
use serde::Deserialize;
use wire::metric_batch::Pairs;

use super::accumulator::{Accumulators, Total, TotalValue, histogram_bytes, histogram_of};
use super::column::NO_START;
use super::head_series::EarlierStart;

/// Labels that are handed on, bytes: those of a million counters and more. They take a tenth of
/// that in the checkpoint, unless they are as good as random.
pub(super) const MAX_CARRIED_BYTES: usize = 256 << 20;

/// The first byte of what is compressed.
const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;

const FLOAT: u8 = 0;
const HISTOGRAM: u8 = 1;

/// What the next generation has to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Carried {
    pub(super) totals: Accumulators,
    /// Starts that are dealt with, of counters that a zero could still be stored for, sorted by
    /// labels.
    pub(super) starts: Vec<(Labels, EarlierStart)>,
    /// Starts up to this time are dealt with, also those that are not listed, Unix ms.
    pub(super) dealt_with_ms: Option<i64>,
    /// Descriptions that are in no split, because nothing else came with them.
    pub(super) metadata: Vec<MetricMetadata>,
}

/// How much there was no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) starts: usize,
    pub(super) totals: usize,
}

/// The JSON of earlier releases.
#[derive(Deserialize)]
struct CarriedJson {
    totals: Accumulators,
    starts: Vec<(Labels, i64)>,
    /// Still earlier ones lack it.
    #[serde(default)]
    newest_ms: Vec<i64>,
    #[serde(default)]
    metadata: Vec<MetricMetadata>,
}

impl From<CarriedJson> for Carried {
    fn from(json: CarriedJson) -> Self {
        let newest_ms = json
            .newest_ms
            .into_iter()
            .chain(std::iter::repeat(i64::MIN));
        let starts = json.starts.into_iter().zip(newest_ms);
        let start = |((labels, start_ms), last_ms)| (labels, EarlierStart { start_ms, last_ms });
        Self {
            totals: json.totals,
            starts: starts.map(start).collect(),
            dealt_with_ms: None,
            metadata: json.metadata,
        }
    }
}

impl Carried {
    /// Leaves out what is more than `limit` bytes of labels: first starts, the earliest before
    /// others, then totals, those that were idle longest before others.
    ///
    /// A start that is left out counts as dealt with, and every earlier one with it. So the first
    /// value of a counter that began before it and is seen only later does not count as an
    /// increase, but no zero is stored twice, amid samples or in the place of one. A total that is
    /// left out starts over, which queries read as a counter that was reset.
    pub(super) fn bound(&mut self, newest_ms: i64, limit: usize) -> LeftOut {
        let of_starts = self.starts.iter().map(|(labels, _)| label_bytes(labels));
        let of_totals = self.totals.label_bytes();
        if of_starts.sum::<usize>() + of_totals <= limit {
            return LeftOut::default();
        }
        let newest_first = |a: &(Labels, EarlierStart), b: &(Labels, EarlierStart)| {
            let by_start = b.1.start_ms.cmp(&a.1.start_ms);
            by_start.then_with(|| a.0.cmp(&b.0))
        };
        self.starts.sort_unstable_by(newest_first);
        let sizes = self.starts.iter().map(|(labels, _)| label_bytes(labels));
        let kept = how_many_fit(sizes, limit.saturating_sub(of_totals));
        let left_out = self.starts.split_off(kept);
        if let Some((_, latest)) = left_out.first() {
            // Senders choose start times freely, also such that lie after every sample.
            let until_ms = latest.start_ms.min(newest_ms);
            self.dealt_with_ms = self.dealt_with_ms.max(Some(until_ms));
        }
        self.starts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        LeftOut {
            starts: left_out.len(),
            totals: self.totals.bound(limit),
        }
    }

    fn is_empty(&self) -> bool {
        let nothing_known = self.starts.is_empty() && self.dealt_with_ms.is_none();
        nothing_known && self.totals.len() == 0 && self.metadata.is_empty()
    }

    /// The text that [`Carried::decode`] reads; `None` when there is nothing to hand on.
    pub(super) fn encode(self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let bytes = self.into_bytes();
        let packed = zstd::stream::encode_all(bytes.as_slice(), ZSTD_LEVEL);
        Some(STANDARD.encode(packed.expect("memory is read and written without errors")))
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut out = Output::default();
        out.bytes.push(VERSION);
        push_signed(self.dealt_with_ms.unwrap_or(NO_START), &mut out.bytes);
        let totals = self.totals.sorted();
        encode_varint(totals.len() as u64, &mut out.bytes);
        for total in &totals {
            out.labels(&total.labels);
            out.times([total.start_ms.unwrap_or(NO_START), total.last_ms]);
            match &total.value {
                TotalValue::Float(bits) => {
                    out.bytes.push(FLOAT);
                    out.bytes.extend_from_slice(&bits.to_le_bytes());
                }
                TotalValue::Histogram(histogram) => {
                    out.bytes.push(HISTOGRAM);
                    out.block(&histogram_bytes(histogram));
                }
            }
        }
        encode_varint(self.starts.len() as u64, &mut out.bytes);
        for (labels, start) in &self.starts {
            out.labels(labels);
            out.times([start.start_ms, start.last_ms]);
        }
        let metadata = serde_json::to_vec(&self.metadata);
        out.block(&metadata.expect("descriptions are text only"));
        let checksum = crc32fast::hash(&out.bytes);
        out.bytes.extend_from_slice(&checksum.to_le_bytes());
        out.bytes
    }

    /// Reads what [`Carried::encode`] of this release or an earlier one wrote; the error is why it
    /// cannot.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        if text.starts_with('{') {
            let json: CarriedJson =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            return Ok(json.into());
        }
        let packed = STANDARD.decode(text).map_err(|error| error.to_string())?;
        let bytes =
            zstd::stream::decode_all(packed.as_slice()).map_err(|error| error.to_string())?;
        Self::of_bytes(&bytes)
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(cut());
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err("its checksum is another".to_owned());
        }
        let mut input = Input::of(body);
        match input.byte()? {
            VERSION => {}
            found => {
                return Err(format!(
                    "version {found} is newer than this program's {VERSION}"
                ));
            }
        }
        let dealt_with_ms = input.signed()?;
        let totals = input.count()?;
        let totals = (0..totals)
            .map(|_| input.total())
            .collect::<Result<Vec<Total>, String>>()?;
        let starts = input.count()?;
        let starts = (0..starts)
            .map(|_| input.start())
            .collect::<Result<Vec<_>, String>>()?;
        let metadata = serde_json::from_slice(input.block()?).map_err(|error| error.to_string())?;
        if !input.rest.is_empty() {
            return Err("bytes after its end".to_owned());
        }
        Ok(Self {
            totals: totals.into(),
            starts,
            dealt_with_ms: (dealt_with_ms != NO_START).then_some(dealt_with_ms),
            metadata,
        })
    }
}

impl LeftOut {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Counts it, and logs it unless that `was_logged`.
    pub(super) fn report(self, was_logged: bool) {
        if self.is_nothing() {
            return;
        }
        let Self { starts, totals } = self;
        for (what, count) in [("start", starts), ("total", totals)] {
            metrics::counter!("watchkeeper_head_dropped_carried_total", "what" => what)
                .increment(count as u64);
        }
        if !was_logged {
            tracing::warn!(
                starts,
                totals,
                limit_bytes = MAX_CARRIED_BYTES,
                "more counters began in the last hour than are remembered; the first increase of \
                 new ones may be missed, and delta series may start over"
            );
        }
    }
}

/// Bytes of a label set's text.
pub(super) fn label_bytes(labels: &Labels) -> usize {
    let pair = |(name, value): (&str, &str)| name.len() + value.len();
    labels.iter().map(pair).sum()
}

/// How many of the first of `sizes` there is `room` for.
pub(super) fn how_many_fit(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut left = room;
    let fits = |size: &usize| match left.checked_sub(*size) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    sizes.take_while(fits).count()
}

/// Appends a number whose sign is its lowest bit, so that those near 0 are short.
fn push_signed(number: i64, out: &mut Vec<u8>) {
    encode_varint(((number << 1) ^ (number >> 63)) as u64, out);
}

/// What is written so far.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// The label set before, as bytes, and room for the next one.
    before: Vec<u8>,
    next: Vec<u8>,
    /// The times before.
    times: [i64; 2],
}

impl Output {
    fn labels(&mut self, labels: &Labels) {
        self.next.clear();
        Pairs::write(labels, &mut self.next);
        let both = self.next.iter().zip(&self.before);
        let shared = both.take_while(|(a, b)| a == b).count();
        encode_varint(shared as u64, &mut self.bytes);
        let rest = &self.next[shared..];
        encode_varint(rest.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(rest);
        std::mem::swap(&mut self.before, &mut self.next);
    }

    fn times(&mut self, times: [i64; 2]) {
        for (before, time) in self.times.iter_mut().zip(times) {
            push_signed(time.wrapping_sub(*before), &mut self.bytes);
            *before = time;
        }
    }

    fn block(&mut self, block: &[u8]) {
        encode_varint(block.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(block);
    }
}

fn cut() -> String {
    "it is cut off".to_owned()
}

/// What is not read yet.
struct Input<'a> {
    rest: &'a [u8],
    /// The label set before, as bytes, and its pairs: what is equal is shared in memory.
    before: Vec<u8>,
    pairs: Vec<(Arc<str>, Arc<str>)>,
    /// The times before.
    times: [i64; 2],
}

impl<'a> Input<'a> {
    fn of(rest: &'a [u8]) -> Self {
        Self {
            rest,
            before: Vec::new(),
            pairs: Vec::new(),
            times: [0; 2],
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, String> {
        decode_varint(&mut self.rest).map_err(|error| error.to_string())
    }

    fn count(&mut self) -> Result<usize, String> {
        usize::try_from(self.number()?).map_err(|error| error.to_string())
    }

    fn signed(&mut self) -> Result<i64, String> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn block(&mut self) -> Result<&'a [u8], String> {
        let length = self.count()?;
        self.take(length)
    }

    fn labels(&mut self) -> Result<Labels, String> {
        let shared = self.count()?;
        if shared > self.before.len() {
            return Err("a label set shares more than there is".to_owned());
        }
        let rest = self.block()?;
        self.before.truncate(shared);
        self.before.extend_from_slice(rest);
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (at, (name, value)) in Pairs::of(&self.before).enumerate() {
            let known = self.pairs.get(at);
            let name = text(known.map(|(name, _)| name), name);
            let value = text(known.map(|(_, value)| value), value);
            pairs.push((name, value));
        }
        self.pairs = pairs;
        Ok(Labels::new(self.pairs.iter().cloned()))
    }

    fn times(&mut self) -> Result<[i64; 2], String> {
        for at in 0..self.times.len() {
            let difference = self.signed()?;
            self.times[at] = self.times[at].wrapping_add(difference);
        }
        Ok(self.times)
    }

    fn total(&mut self) -> Result<Total, String> {
        let labels = self.labels()?;
        let [start_ms, last_ms] = self.times()?;
        let value = match self.byte()? {
            FLOAT => {
                let bits: [u8; 8] = self.take(8)?.try_into().expect("eight bytes were taken");
                TotalValue::Float(u64::from_le_bytes(bits))
            }
            HISTOGRAM => TotalValue::Histogram(histogram_of(self.block()?)?),
            other => return Err(format!("unknown kind {other}")),
        };
        Ok(Total {
            labels,
            start_ms: (start_ms != NO_START).then_some(start_ms),
            last_ms,
            value,
        })
    }

    fn start(&mut self) -> Result<(Labels, EarlierStart), String> {
        let labels = self.labels()?;
        let [start_ms, last_ms] = self.times()?;
        Ok((labels, EarlierStart { start_ms, last_ms }))
    }
}

/// The text as `known` has it, when it is the same.
fn text(known: Option<&Arc<str>>, text: &str) -> Arc<str> {
    match known {
        Some(known) if **known == *text => Arc::clone(known),
        _ => Arc::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::metric::MetricType;
    use model::{NativeHistogram, SampleValue};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn labels(pod: &str) -> Labels {
        Labels::new([
            ("__name__", "http_server_requests_total"),
            ("cluster", "europe-west-1"),
            ("container", "checkout"),
            ("method", "GET"),
            ("namespace", "shop-production"),
            ("pod", pod),
            ("status", "200"),
        ])
    }

    fn start(pod: &str, start_ms: i64) -> (Labels, EarlierStart) {
        let last_ms = start_ms.saturating_add(10);
        (labels(pod), EarlierStart { start_ms, last_ms })
    }

    fn total(pod: &str, last_ms: i64, value: SampleValue) -> Total {
        Total {
            labels: labels(pod),
            start_ms: Some(last_ms - 5),
            last_ms,
            value: TotalValue::of(&value),
        }
    }

    fn histogram() -> SampleValue {
        SampleValue::Histogram(Box::new(NativeHistogram {
            schema: 3,
            count: 2.0,
            sum: f64::INFINITY,
            ..NativeHistogram::default()
        }))
    }

    fn family() -> MetricMetadata {
        MetricMetadata {
            family: "g".to_owned(),
            kind: MetricType::Gauge,
            unit: "By".to_owned(),
            help: "a \"gauge\"".to_owned(),
        }
    }

    fn everything() -> Carried {
        Carried {
            totals: Accumulators::from(vec![
                total("a", 7, SampleValue::Float(f64::NEG_INFINITY)),
                total("b", 9, histogram()),
                Total {
                    start_ms: None,
                    ..total("c", -1, SampleValue::Float(0.1))
                },
            ]),
            starts: vec![
                start("a", i64::MIN),
                start("b", 1_700_000_000_000),
                start("c", i64::MAX),
            ],
            dealt_with_ms: Some(-3),
            metadata: vec![family()],
        }
    }

    #[test]
    fn everything_comes_back() {
        let text = everything().encode().unwrap();
        assert_eq!(Carried::decode(&text), Ok(everything()));
        assert_eq!(Carried::default().encode(), None);
    }

    proptest! {
        #[test]
        fn any_starts_come_back(
            starts in vec(
                (btree_map("\\PC{1,5}", "\\PC{1,5}", 0..5), any::<i64>(), any::<i64>()),
                1..20,
            ),
        ) {
            let one = |(pairs, start_ms, last_ms): (std::collections::BTreeMap<String, String>, i64, i64)| {
                (pairs.into_iter().collect::<Labels>(), EarlierStart { start_ms, last_ms })
            };
            let carried = Carried {
                starts: starts.into_iter().map(one).collect(),
                ..Carried::default()
            };
            let text = carried.clone().encode().unwrap();
            prop_assert_eq!(Carried::decode(&text), Ok(carried));
        }
    }

    #[test]
    fn the_json_of_earlier_releases_is_read() {
        let SampleValue::Histogram(value) = histogram() else {
            unreachable!()
        };
        let hex = const_hex::encode(histogram_bytes(&value));
        let pairs = |pod| serde_json::to_value(labels(pod)).unwrap();
        let json = serde_json::json!({
            "totals": [
                { "labels": pairs("a"), "start_ms": 2, "last_ms": 7,
                  "value": { "Float": 2.5_f64.to_bits() } },
                { "labels": pairs("b"), "start_ms": null, "last_ms": 9,
                  "value": { "Histogram": hex } },
            ],
            "starts": [[pairs("a"), 30], [pairs("b"), 40]],
            "newest_ms": [40, 50],
            "metadata": [family()],
        });
        let expected = Carried {
            totals: Accumulators::from(vec![
                total("a", 7, SampleValue::Float(2.5)),
                Total {
                    start_ms: None,
                    ..total("b", 9, histogram())
                },
            ]),
            starts: vec![start("a", 30), start("b", 40)],
            dealt_with_ms: None,
            metadata: vec![family()],
        };
        assert_eq!(Carried::decode(&json.to_string()), Ok(expected));

        let oldest = serde_json::json!({ "totals": [], "starts": [[pairs("a"), 30]] });
        let read = Carried::decode(&oldest.to_string()).unwrap();
        assert_eq!(read.starts[0].1.last_ms, i64::MIN);
    }

    #[test]
    fn counters_take_few_bytes_each() {
        let mut starts: Vec<_> = (0..20_000)
            .map(|pod| {
                start(
                    &format!("checkout-7d9f-{pod}"),
                    1_700_000_000_000 + pod % 50,
                )
            })
            .collect();
        starts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let carried = Carried {
            starts,
            ..Carried::default()
        };
        let text = carried.encode().unwrap();
        assert!(text.len() < 20_000 * 16, "{} bytes", text.len());
    }

    #[test]
    fn damage_is_an_error() {
        let text = everything().encode().unwrap();
        for at in 0..text.len() {
            assert!(Carried::decode(&text[..at]).is_err(), "cut at {at}");
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            // A few bits of a frame's header mean nothing.
            let read = Carried::decode(&damaged);
            assert!(read.is_err() || read == Ok(everything()), "byte {at}");
        }
        let mut later = everything().into_bytes();
        later.truncate(later.len() - 4);
        later[0] = VERSION + 1;
        let checksum = crc32fast::hash(&later);
        later.extend_from_slice(&checksum.to_le_bytes());
        let error = Carried::of_bytes(&later).unwrap_err();
        assert!(error.contains("newer"), "{error}");
    }

    #[test]
    fn past_the_bound_the_earliest_starts_go_first_and_then_idle_totals() {
        let carried = || Carried {
            totals: Accumulators::from(vec![
                total("a", 50, SampleValue::Float(1.0)),
                total("b", 60, SampleValue::Float(1.0)),
            ]),
            starts: vec![start("a", 30), start("b", 10), start("c", 20)],
            ..Carried::default()
        };
        let size = label_bytes(&labels("a"));
        let (a, b, c) = (start("a", 30), start("b", 10), start("c", 20));
        let cases = [
            (5, vec![a.clone(), b, c.clone()], None, (0, 0)),
            (4, vec![a.clone(), c], Some(10), (1, 0)),
            (3, vec![a], Some(20), (2, 0)),
            (2, vec![], Some(25), (3, 0)),
            (1, vec![], Some(25), (3, 1)),
            (0, vec![], Some(25), (3, 2)),
        ];
        for (room, starts, dealt_with_ms, (of_starts, of_totals)) in cases {
            let mut bounded = carried();
            // No further than the newest sample.
            let left_out = bounded.bound(25, room * size);
            let expected = LeftOut {
                starts: of_starts,
                totals: of_totals,
            };
            assert_eq!(left_out, expected, "room for {room}");
            assert_eq!(bounded.starts, starts, "room for {room}");
            assert_eq!(bounded.dealt_with_ms, dealt_with_ms, "room for {room}");
            let last: Vec<i64> = bounded.totals.sorted().iter().map(|t| t.last_ms).collect();
            assert_eq!(last, [50, 60][of_totals..], "room for {room}");
        }
    }
}
