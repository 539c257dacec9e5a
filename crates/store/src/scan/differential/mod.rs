//! Random searches over random records, answered by the engine and by a naive reading of
//! `docs/search-syntax.md`: the answers are the same.
//!
//! The records lie in two splits, the row groups of a head and open rows. A failure prints the
//! smallest part of the search that fails alone, and the seed.

mod naive;
mod queries;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use model::log::severity_name;
use model::time::NANOS_PER_SECOND;
use model::{LogRecord, Seq, TimeRange};
use query::search::ast::{Node, NodeKind, Query};
use query::search::parse;

use super::*;
use crate::columns::{OpenRows, to_items};
use crate::index::BLOCK_ROWS;
use crate::search::{HistogramStep, LogHistogram, LogPage, LogSearch, Order};
use crate::split::tests::written;
use crate::split::{BlockCache, RowGroup, Split, SplitSource};

const SEED: u64 = 20_261_126;

/// Single tests, of which searches are made.
const TESTS: usize = 600;

/// Searches that are tried, unless `DIFFERENTIAL_QUERIES` in the environment says how many.
const QUERIES: usize = 1_000;

const BOUNDS: QueryBounds = QueryBounds {
    timeout: Duration::from_secs(60),
    memory_bytes: 64 << 20,
};

/// How long the records' time lasts, a little more than all of it.
const SECONDS: i64 = 110;

const NOW: i64 = (world::START + SECONDS) * NANOS_PER_SECOND;

/// The records and where they lie.
struct World {
    rows: Vec<(Seq, LogRecord)>,
    bodies: Vec<naive::Body>,
    parts: Snapshot,
    blocks: Arc<BlockCache>,
    /// Which records pass a test, by the test as it prints.
    passes: HashMap<String, Arc<Vec<bool>>>,
}

impl World {
    async fn new(rng: &mut Rng) -> Self {
        // Row groups of several blocks, the last of them not full.
        let splits = [
            [2 * BLOCK_ROWS + 60, 40].as_slice(),
            &[BLOCK_ROWS + 60, BLOCK_ROWS],
        ];
        let head = [BLOCK_ROWS + 60, 100];
        let open = 60;

        let mut rows: Vec<(Seq, LogRecord)> = Vec::new();
        let mut next = |count: usize| {
            let first = rows.len();
            for index in first..first + count {
                let seq = Seq::new(1 + index as u64 / 7, index as u32 % 7);
                rows.push((seq, world::record(rng, index as i64)));
            }
            rows[first..].to_vec()
        };
        let mut snapshot = Snapshot::default();
        for groups in splits {
            let groups: Vec<Arc<RowGroup>> = groups
                .iter()
                .map(|count| Arc::new(RowGroup::build(&next(*count)).unwrap()))
                .collect();
            let bytes = Bytes::from(written(&groups).0);
            let split = Split::open("logs/x.parquet", SplitSource::Memory(bytes)).await;
            let handle = OpenedSplit::new(Arc::new(split.unwrap())).unwrap();
            snapshot.splits.push(Arc::new(handle));
        }
        for count in head {
            let group = RowGroup::build(&next(count)).unwrap();
            snapshot.row_groups.push(Arc::new(group));
        }
        let mut in_memory: OpenRows<LogRecord> = OpenRows::new();
        in_memory.append(to_items(&next(open)));
        snapshot.open = in_memory.snapshot();
        Self {
            bodies: rows
                .iter()
                .map(|(_, record)| naive::Body::of(record))
                .collect(),
            rows,
            parts: snapshot,
            // Too small for everything, so that queries find some of what others have left.
            blocks: Arc::new(BlockCache::new(1 << 20)),
            passes: HashMap::new(),
        }
    }

    /// What one query sees.
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            cache: self.blocks.for_query(),
            ..self.parts.clone()
        }
    }

    /// Which records match, found by trying all of them; each test only once.
    fn passing(&mut self, node: &Node) -> Arc<Vec<bool>> {
        let combined = |parts: Vec<Arc<Vec<bool>>>, join: fn(bool, bool) -> bool| {
            let joined = parts.into_iter().map(Arc::unwrap_or_clone).reduce(|a, b| {
                let pairs = a.iter().zip(&b);
                pairs.map(|(a, b)| join(*a, *b)).collect()
            });
            Arc::new(joined.unwrap())
        };
        match &node.kind {
            NodeKind::And(parts) => {
                let parts = parts.iter().map(|part| self.passing(part)).collect();
                combined(parts, |a, b| a && b)
            }
            NodeKind::Or(parts) => {
                let parts = parts.iter().map(|part| self.passing(part)).collect();
                combined(parts, |a, b| a || b)
            }
            NodeKind::Not(inner) => {
                Arc::new(self.passing(inner).iter().map(|passes| !passes).collect())
            }
            _ => {
                let rows = self.rows.iter().zip(&self.bodies);
                let tried = self.passes.entry(node.to_string()).or_insert_with(|| {
                    let test = naive::Single::new(node, NOW);
                    Arc::new(
                        rows.map(|((_, record), body)| test.passes(record, body))
                            .collect(),
                    )
                });
                Arc::clone(tried)
            }
        }
    }

    /// The matching records in a page's order.
    fn expected(&mut self, query: &Query, range: TimeRange, order: Order) -> Vec<Seq> {
        let passing = self.passing(&query.root);
        let rows = self.rows.iter().zip(passing.iter());
        let mut found: Vec<(i64, Seq)> = rows
            .filter(|((_, record), passes)| **passes && range.contains(record.timestamp))
            .map(|((seq, record), _)| (record.timestamp, *seq))
            .collect();
        found.sort_unstable();
        if order == Order::Newest {
            found.reverse();
        }
        found.into_iter().map(|(_, seq)| seq).collect()
    }

    /// How many of some records have each level.
    fn levels_of(&self, seqs: &[Seq]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for seq in seqs {
            let row = self.rows.binary_search_by_key(seq, |(other, _)| *other);
            let row = row.unwrap();
            let level = self.bodies[row].level_number(&self.rows[row].1);
            *counts.entry(severity_name(level).to_owned()).or_default() += 1;
        }
        counts
    }

    async fn search(&self, request: &LogSearch) -> LogPage {
        match search_logs(&self.snapshot(), request, &BOUNDS, NOW).await {
            Ok(page) => page,
            Err(err) => panic!("{:?}: {err}", request.query),
        }
    }

    /// The smallest part of a search that does not find what it should.
    async fn smallest_failure(&mut self, query: &Query) -> Query {
        let parts: Vec<Node> = match &query.root.kind {
            NodeKind::And(parts) | NodeKind::Or(parts) => parts.clone(),
            NodeKind::Not(inner) => vec![inner.as_ref().clone()],
            _ => Vec::new(),
        };
        for root in parts {
            let part = Query { root };
            let expected = self.expected(&part, TimeRange::ALL, Order::Oldest);
            let request = LogSearch {
                order: Order::Oldest,
                ..everything(&part.to_string())
            };
            if seqs(&self.search(&request).await) != expected {
                return Box::pin(self.smallest_failure(&part)).await;
            }
        }
        query.clone()
    }
}

/// All records that match, the newest first.
fn everything(query: &str) -> LogSearch {
    LogSearch {
        range: TimeRange::ALL,
        query: query.to_owned(),
        limit: usize::MAX,
        order: Order::Newest,
        cursor: None,
    }
}

fn seqs(page: &LogPage) -> Vec<Seq> {
    page.records.iter().map(|found| found.seq).collect()
}

/// A third of the time everything, else a part of the records' time.
fn time_range(rng: &mut Rng) -> TimeRange {
    if rng.u8(..3) == 0 {
        return TimeRange::ALL;
    }
    let instant =
        |rng: &mut Rng| world::START * NANOS_PER_SECOND + rng.i64(0..SECONDS * NANOS_PER_SECOND);
    let (a, b) = (instant(rng), instant(rng));
    TimeRange::new(a.min(b), a.max(b))
}

#[tokio::test]
async fn every_search_finds_what_a_naive_reading_finds() {
    let mut rng = Rng::with_seed(SEED);
    let mut world = World::new(&mut rng).await;
    let tests: Vec<String> = (0..TESTS).map(|_| queries::test(&mut rng)).collect();
    let asked = std::env::var("DIFFERENTIAL_QUERIES").ok();
    let count = asked.map_or(QUERIES, |count| count.parse().unwrap());
    let (mut found_any, mut scanned, mut total) = (0, 0, 0);
    for number in 0..count {
        let depth = rng.u8(..4);
        let text = queries::query(&mut rng, &tests, depth);
        let query = parse(&text).unwrap_or_else(|err| panic!("{text:?}: {err}"));
        let range = time_range(&mut rng);
        let order = *rng.choice(&[Order::Newest, Order::Oldest]).unwrap();
        let limit = *rng.choice(&[3, 50, 50, 50, usize::MAX]).unwrap();
        let expected = world.expected(&query, range, order);
        found_any += usize::from(!expected.is_empty());

        let mut request = LogSearch {
            range,
            order,
            limit,
            ..everything(&text)
        };
        let mut page = world.search(&request).await;
        let mut found = seqs(&page);
        scanned += page.stats.blocks_scanned;
        total += page.stats.blocks_total;
        // Every so often the next page, too.
        let mut most = limit;
        if page.cursor.is_some() && number % 4 == 0 {
            most = limit.saturating_mul(2);
            request.cursor = page.cursor.take();
            page = world.search(&request).await;
            found.extend(seqs(&page));
        }
        let wanted = expected.len().min(most);
        if found != expected[..wanted] {
            let smallest = world.smallest_failure(&query).await;
            panic!(
                "query {number} of seed {SEED}, {text:?} in {range:?}, {order:?}: \
                 found {} of {wanted} records; smallest part that fails: {smallest}",
                found.len()
            );
        }

        if number % 5 == 0 && range != TimeRange::ALL && !range.is_empty() {
            let histogram = LogHistogram {
                range,
                query: text.clone(),
                step: HistogramStep::Buckets(10),
                by: vec!["severity".to_owned()],
                groups: 50,
            };
            let snapshot = Arc::new(world.snapshot());
            let page = log_histogram(snapshot, &histogram, &BOUNDS, NOW)
                .await
                .unwrap();
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            for (level, count) in page.buckets.iter().flat_map(|bucket| &bucket.counts) {
                *counted.entry(level.clone()).or_default() += count;
            }
            assert_eq!(
                counted,
                world.levels_of(&expected),
                "query {number} of seed {SEED}: {text}"
            );
        }
    }
    assert!(
        found_any > count / 4,
        "only {found_any} searches find something"
    );
    assert!(scanned < total, "{scanned} of {total} blocks were read");
}

#[tokio::test]
async fn every_selective_construct_reads_fewer_blocks_than_there_are() {
    let mut rng = Rng::with_seed(SEED);
    let mut world = World::new(&mut rng).await;
    let mut unselective = Vec::new();
    for text in [
        "refused",
        "\"connection refused\"",
        "\"connection deadlock\"~2",
        "refus*",
        "\"connection ref\"*",
        "*fused",
        "*efuse*",
        "ref?sed",
        "r*f*d",
        "refsued~1",
        "/refused/",
        "/(refused|deadlock) /",
        "/(?i)DEADLOCK/",
        "/deadlock.*vacuum/",
        "body:=\"refused \"",
        "refused timeout",
        "refused OR deadlock",
        "refused NOT timeout",
        "body:(refused deadlock)",
        "service:db",
        "service:d?",
        "service:/^d/",
        "service:dx~1",
        "service:(db OR nobody)",
        "NOT service:(api OR web OR \"queue worker\" OR unknown_service)",
        "host:db-*",
        "host:*b-1 host:d*",
        "host:/^db-[12]$/",
        "host:dv-1~1",
        "severity:error",
        "resource.node.id:n1 NOT service:web",
        "resource.node.cpu:>5",
        "long:zzz* service:db",
        "observed_timestamp:* refused",
    ] {
        let query = parse(text).unwrap();
        let expected = world.expected(&query, TimeRange::ALL, Order::Newest);
        let page = world.search(&everything(text)).await;
        assert_eq!(seqs(&page), expected, "{text}");
        let (scanned, total) = (page.stats.blocks_scanned, page.stats.blocks_total);
        if scanned >= total {
            unselective.push(format!("{text} reads {scanned} of {total} blocks"));
        }
    }
    assert_eq!(unselective, [""; 0]);
}
