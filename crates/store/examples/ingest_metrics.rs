//! What a sample costs on its way in, once: remote write requests are decompressed, read, applied
//! to a head, and sealed into a split.
//!
//! ```sh
//! loadgen gen-metrics --series 50000 --samples 240 --step-ms 15000 --end UNIX_SECONDS --out metrics.rw
//! cargo run --release -p store --example ingest_metrics -- metrics.rw
//! ```
//!
//! Prints one JSON object: samples and series, CPU seconds per million samples by stage, memory of
//! the head for each series, bytes of the split for each sample, and the most memory the process
//! had. Without a corpus 2,000 series are generated.
//!
//! ```sh
//! valgrind --tool=callgrind --toggle-collect='*ingest_once*' target/release/examples/ingest_metrics
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use model::metric::Temporality;
use model::{Encoding, Labels, SampleValue, SeriesSample};
use store::head::{HeadRows, HeadSettings};
use store::metrics::MetricHead;
use wire::Compression;

const SERIES: usize = 2_000;
const SAMPLES: usize = 240;
const STEP_MS: i64 = 15_000;
const SAMPLES_PER_REQUEST: usize = 1_000;
/// Far more than any request of a corpus grows to.
const MAX_BODY: usize = 64 << 20;

fn main() {
    let (encoding, requests) = match std::env::args().nth(1) {
        Some(path) => {
            let file = std::fs::read(&path).expect("the corpus can be read");
            (Encoding::RemoteWriteV1, corpus(&file))
        }
        None => (Encoding::RemoteWriteV2, generated()),
    };
    let figures = ingest_once(encoding, &requests);
    let samples = figures.samples as f64;
    let per_million = |seconds: f64| seconds / samples * 1e6;
    let cpu = figures.cpu;
    println!(
        "{}",
        serde_json::json!({
            "samples": figures.samples,
            "series": series(encoding, &requests),
            "cpu_seconds_per_million": {
                "decompress": per_million(cpu.decompress),
                "read": per_million(cpu.read),
                "apply": per_million(cpu.apply),
                "seal": per_million(cpu.seal),
                "all": per_million(cpu.decompress + cpu.read + cpu.apply + cpu.seal),
            },
            "head_bytes": figures.head_bytes,
            "split_bytes": figures.split_bytes,
            "split_bytes_per_sample": figures.split_bytes as f64 / samples,
            "peak_memory_bytes": peak_memory(),
        })
    );
}

struct Figures {
    samples: u64,
    head_bytes: usize,
    split_bytes: usize,
    cpu: Cpu,
}

/// CPU seconds by stage.
#[derive(Default)]
struct Cpu {
    decompress: f64,
    read: f64,
    apply: f64,
    seal: f64,
}

/// What is measured.
#[inline(never)]
fn ingest_once(encoding: Encoding, requests: &[Bytes]) -> Figures {
    let settings = HeadSettings {
        row_group_rows: 65_536,
        retention: Arc::default(),
    };
    let head = MetricHead::restore(&settings, None).expect("an empty head can be made");
    let mut cpu = Cpu::default();
    let mut last = cpu_seconds();
    let mut since = |stage: &mut f64| {
        let now = cpu_seconds();
        *stage += now - last;
        last = now;
    };
    for request in requests {
        let body = wire::decompress(Compression::Snappy, request.clone(), MAX_BODY)
            .expect("requests are snappy");
        since(&mut cpu.decompress);
        let batch = wire::read_metrics(encoding, &body, 0).expect("requests are well-formed");
        assert!(batch.rejected.is_empty(), "requests make sense");
        since(&mut cpu.read);
        head.apply(batch);
        since(&mut cpu.apply);
    }
    let head_bytes = head.size_bytes();
    let mut split = Vec::new();
    let summary = head.seal(0, &mut split).expect("a head makes a split");
    since(&mut cpu.seal);
    Figures {
        samples: summary.rows,
        head_bytes,
        split_bytes: split.len(),
        cpu,
    }
}

/// How many series there are.
fn series(encoding: Encoding, requests: &[Bytes]) -> usize {
    let mut found = HashSet::new();
    for request in requests {
        let body = wire::decompress(Compression::Snappy, request.clone(), MAX_BODY)
            .expect("requests are snappy");
        let batch = wire::read_metrics(encoding, &body, 0).expect("requests are well-formed");
        batch.consume(|series, _, _| {
            found.insert(series.hash());
        });
    }
    found.len()
}

/// CPU time of this thread so far, seconds. The kernel counts it in nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = text.split(' ').next().and_then(|text| text.parse().ok());
    spent.map_or(0.0, |nanoseconds: f64| nanoseconds / 1e9)
}

/// The most memory that the process had, bytes.
fn peak_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// The requests of a corpus: frames of body length, items and uncompressed length, each `u32`
/// little-endian, then the body.
fn corpus(file: &[u8]) -> Vec<Bytes> {
    let mut requests = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let length = file[at..at + 4].try_into().expect("four bytes");
        let length = u32::from_le_bytes(length) as usize;
        requests.push(Bytes::copy_from_slice(&file[at + 12..at + 12 + length]));
        at += 12 + length;
    }
    requests
}

/// Counters of a web service, and gauges.
fn generated() -> Vec<Bytes> {
    let mut random = Rng::with_seed(42);
    let labels: Vec<Labels> = (0..SERIES).map(series_labels).collect();
    let mut values = vec![0.0_f64; SERIES];
    let mut requests = Vec::new();
    for step in 0..SAMPLES as i64 {
        let timestamp_ms = 1_700_000_000_000 + step * STEP_MS;
        let samples: Vec<SeriesSample> = labels
            .iter()
            .zip(&mut values)
            .enumerate()
            .map(|(number, (labels, value))| {
                match number % 4 {
                    3 if random.bool() => *value = f64::from(random.u32(0..100_000)) / 100.0,
                    3 => {}
                    _ => *value += f64::from(random.u32(5..60)),
                }
                SeriesSample {
                    labels: labels.clone(),
                    timestamp_ms,
                    start_ms: None,
                    temporality: Temporality::Cumulative,
                    value: SampleValue::Float(*value),
                    exemplars: Vec::new(),
                }
            })
            .collect();
        for samples in samples.chunks(SAMPLES_PER_REQUEST) {
            let body = wire::remote_write::encode(samples, &[]);
            let compressed = snap::raw::Encoder::new().compress_vec(&body);
            requests.push(compressed.expect("a request is small").into());
        }
    }
    requests
}

fn series_labels(number: usize) -> Labels {
    let name = match number % 4 {
        3 => "process_open_files",
        _ => "http_requests_total",
    };
    Labels::new([
        ("__name__", name.to_owned()),
        ("job", format!("service-{}", number % 10)),
        (
            "instance",
            format!("10.0.{}.{}:9090", number / 250, number % 250),
        ),
        ("route", format!("/api/v1/r{}", number % 7)),
        ("code", ["200", "404", "500"][number % 3].to_owned()),
    ])
}
