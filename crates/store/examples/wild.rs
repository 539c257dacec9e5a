//! What wild data costs beside tame data: CPU, memory and bytes of a store that takes each in turn.
//!
//! `cargo run --release -p store --example wild [records]`. Every corpus has as many records, in
//! requests of 1,000, and goes through ingest, sealing and the catalog; CPU is that of the whole
//! process between the first request and the end of the flush.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use model::{Encoding, Signal, TenantId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use store::{IngestError, IngestRequest, Store, StoreConfig};

/// Records of one request.
const BATCH: usize = 1_000;

/// Makes the record of an index, and says which resource it has.
type Make = fn(usize) -> (usize, LogRecord);

const CORPORA: [(&str, Make); 7] = [
    ("tame: 10 attributes, 100 resources", |i| {
        (i % 100, record(i, "", attributes(i, |key| key)))
    }),
    ("10,000 attribute keys", |i| {
        (
            i % 100,
            record(i, "", attributes(i, |key| (i * 10 + key) % 10_000)),
        )
    }),
    ("1,000 attributes a record (1 % of records)", |i| {
        let mut wide = record(i, "", attributes(i, |key| key));
        if i % 100 == 0 {
            wide.attributes
                .extend((0..1_000).map(|key| pair(&format!("wide.{key}"), int(key))));
        }
        (i % 100, wide)
    }),
    ("types that change with every record", |i| {
        let of_type = |key: usize| match (i + key) % 7 {
            0 => Wire::StringValue(format!("value {}", i % 1_000)),
            1 => Wire::BoolValue(i % 2 == 0),
            2 => Wire::DoubleValue(i as f64 / 7.0),
            3 => Wire::BytesValue(vec![i as u8; 8]),
            4 => Wire::ArrayValue(ArrayValue {
                values: vec![int(i), int(key)],
            }),
            _ => Wire::IntValue(i as i64),
        };
        let attributes = (0..10).map(|key| {
            let value = AnyValue {
                value: Some(of_type(key)),
            };
            pair(&format!("key.{key}"), value)
        });
        (i % 100, record(i, "", attributes.collect()))
    }),
    ("nested values", |i| {
        let nested = |key: usize| AnyValue {
            value: Some(Wire::KvlistValue(KeyValueList {
                values: vec![
                    pair("a", int(i % 1_000)),
                    pair("b", text(&format!("value {key}"))),
                ],
            })),
        };
        let attributes = (0..10).map(|key| pair(&format!("key.{key}"), nested(key)));
        (i % 100, record(i, "", attributes.collect()))
    }),
    ("100,000 resources", |i| {
        (i % 100_000, record(i, "", attributes(i, |key| key)))
    }),
    ("1 MiB bodies (0.2 % of records)", |i| {
        let large = if i % 500 == 0 {
            "lorem ipsum dolor ".repeat(58_254)
        } else {
            String::new()
        };
        (i % 100, record(i, &large, attributes(i, |key| key)))
    }),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let records = match std::env::args().nth(1) {
        Some(text) => text.parse().context("the number of records")?,
        None => 200_000,
    };
    println!(
        "| {records} records | sent, MB | CPU-s | of tame, a record | of tame, a byte | split, MB | columns | more memory at the peak, MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut tame = None;
    for (name, make) in CORPORA {
        let cost = measure(records, make).await.context(name)?;
        let (tame_cpu, tame_bytes) = *tame.get_or_insert((cost.cpu, cost.sent));
        let per_record = cost.cpu / tame_cpu;
        let per_byte = per_record * tame_bytes / cost.sent;
        println!(
            "| {name} | {:.1} | {:.2} | {per_record:.2} | {per_byte:.2} | {:.1} | {} | {:.0} |",
            cost.sent / 1e6,
            cost.cpu,
            cost.stored / 1e6,
            cost.columns,
            cost.memory / 1e6,
        );
    }
    Ok(())
}

struct Cost {
    sent: f64,
    cpu: f64,
    stored: f64,
    columns: usize,
    memory: f64,
}

async fn measure(records: usize, make: Make) -> anyhow::Result<Cost> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(StoreConfig::new(directory.path().to_owned())).await?;
    while !store.ready().is_ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_nanos(),
    )?;
    let requests: Vec<Bytes> = (0..records)
        .step_by(BATCH)
        .map(|first| request(first..(first + BATCH).min(records), make))
        .collect();
    let sent = requests.iter().map(Bytes::len).sum::<usize>() as f64;
    // The peak counts from here.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (before, resident) = (cpu_seconds()?, memory("VmRSS:")?);
    for body in requests {
        let request = IngestRequest {
            tenant: TenantId::default_tenant(),
            signal: Signal::Logs,
            encoding: Encoding::OtlpProtobuf,
            body,
            received_at: now,
        };
        loop {
            match store.ingest(request.clone()).await {
                Ok(outcome) => {
                    anyhow::ensure!(outcome.rejected == 0, "{outcome:?}");
                    break;
                }
                Err(IngestError::Full { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    store.flush().await?;
    let cpu = cpu_seconds()? - before;
    let memory = memory("VmHWM:")? - resident;
    let (stored, columns) = splits(directory.path())?;
    store.shutdown().await?;
    Ok(Cost {
        sent,
        cpu,
        stored,
        columns,
        memory,
    })
}

/// Bytes of all splits, and the most columns of one.
fn splits(directory: &std::path::Path) -> anyhow::Result<(f64, usize)> {
    let (mut bytes, mut columns) = (0.0, 0);
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            let below = splits(&path)?;
            bytes += below.0;
            columns = columns.max(below.1);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            let file = std::fs::File::open(&path)?;
            bytes += file.metadata()?.len() as f64;
            let reader =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)?;
            columns = columns.max(reader.schema().fields().len());
        }
    }
    Ok((bytes, columns))
}

/// CPU time of the process so far, user and system.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().context("read /proc/self/stat")?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    // The 14th and 15th fields of the file, in ticks of 10 ms; the state is the third.
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// A figure of /proc/self/status in bytes.
fn memory(name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line
        .context("read /proc/self/status")?
        .trim()
        .trim_end_matches(" kB");
    Ok(kibibytes.parse::<f64>()? * 1024.0)
}

fn request(indices: std::ops::Range<usize>, make: Make) -> Bytes {
    let mut by_resource: Vec<(usize, Vec<LogRecord>)> = Vec::new();
    for index in indices {
        let (resource, record) = make(index);
        match by_resource.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, records)) => records.push(record),
            None => by_resource.push((resource, vec![record])),
        }
    }
    let resource_logs = by_resource
        .into_iter()
        .map(|(resource, log_records)| ResourceLogs {
            resource: Some(Resource {
                attributes: vec![
                    pair("service.name", text(&format!("service-{}", resource % 20))),
                    pair("service.instance.id", text(&format!("instance-{resource}"))),
                    pair("host.name", text(&format!("host-{}", resource % 50))),
                ],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        });
    let request = ExportLogsServiceRequest {
        resource_logs: resource_logs.collect(),
    };
    request.encode_to_vec().into()
}

fn record(index: usize, large: &str, attributes: Vec<KeyValue>) -> LogRecord {
    let body = format!(
        "GET /api/v1/things/{} took {} ms{large}",
        index % 5_000,
        index % 97
    );
    LogRecord {
        observed_time_unix_nano: 0,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(text(&body)),
        attributes,
        ..LogRecord::default()
    }
}

/// Ten attributes, half of them text, under the keys that `key` gives.
fn attributes(index: usize, key: impl Fn(usize) -> usize) -> Vec<KeyValue> {
    let attribute = |number: usize| {
        let value = match number % 2 {
            0 => text(&format!("value {}", (index * 31 + number) % 1_000)),
            _ => int(index * number),
        };
        pair(&format!("key.{}", key(number)), value)
    };
    (0..10).map(attribute).collect()
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        key_strindex: 0,
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue {
        value: Some(Wire::StringValue(text.to_owned())),
    }
}

fn int(number: usize) -> AnyValue {
    AnyValue {
        value: Some(Wire::IntValue(number as i64)),
    }
}
