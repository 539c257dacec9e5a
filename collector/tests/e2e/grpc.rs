//! OTLP over gRPC, down to its bytes.

use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::otlp::{self, logs, now, record};
use crate::server::{Process, Server};

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const SPANS: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// Sends and receives messages as bytes, right or wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn channel(server: &Process) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.addresses.otlp_grpc))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn send(
    channel: &Channel,
    path: &'static str,
    body: Vec<u8>,
    compression: Option<CompressionEncoding>,
    tenant: Option<&str>,
) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel.clone());
    if let Some(compression) = compression {
        grpc = grpc.send_compressed(compression);
    }
    grpc.ready().await.unwrap();
    let mut request = Request::new(Bytes::from(body));
    if let Some(tenant) = tenant {
        request
            .metadata_mut()
            .insert("x-scope-orgid", tenant.parse().unwrap());
    }
    grpc.unary(request, PathAndQuery::from_static(path), Raw)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn compressed_messages_are_taken() {
    let server = Server::start().await;
    let channel = channel(&server).await;
    for compression in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let body = otlp::body(&logs("grpc", vec![record(now(), "hello", &[])]));
        let answer = send(&channel, LOGS, body, compression, None).await.unwrap();
        assert_eq!(answer, "");
    }
    let page = server
        .post_json(
            "/api/v1/logs/search",
            &serde_json::json!({"start": "now-1h", "end": "now+5m", "query": "service:grpc"}),
        )
        .await;
    assert_eq!(page.json()["records"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn rejected_items_are_a_partial_success() {
    let server = Server::start().await;
    let channel = channel(&server).await;
    let future = record(now() + 86_400_000_000_000, "future", &[]);
    let body = otlp::body(&logs("grpc", vec![record(now(), "now", &[]), future]));
    let answer = send(&channel, LOGS, body, None, None).await.unwrap();
    let answer = ExportLogsServiceResponse::decode(answer).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_log_records, 1);
}

#[tokio::test]
async fn malformed_messages_are_refused_for_good() {
    let mut server = Server::start().await;
    let channel = channel(&server).await;
    let good = otlp::body(&logs("grpc", vec![record(now(), "body", &[])]));
    let zeros = vec![0_u8; 256 << 20];
    let cases: Vec<(&str, Vec<u8>, Option<CompressionEncoding>)> = vec![
        ("cut", good[..good.len() - 1].to_vec(), None),
        ("a varint without end", vec![0xff; 20], None),
        ("a length past the end", vec![0x0a, 0x7f, 0x01], None),
        ("a group", vec![0x0b, 0x0c], None),
        ("JSON", b"{\"resourceLogs\":[]}".to_vec(), None),
        ("gzip bomb", zeros.clone(), Some(CompressionEncoding::Gzip)),
        ("zstd bomb", zeros, Some(CompressionEncoding::Zstd)),
        ("too large", vec![0; 33 << 20], None),
    ];
    for path in [LOGS, SPANS, METRICS] {
        for (name, body, compression) in &cases {
            let status = send(&channel, path, body.clone(), *compression, None)
                .await
                .unwrap_err();
            // Neither of these makes a sender try the same again: `RESOURCE_EXHAUSTED` only with
            // `RetryInfo`.
            let for_good = matches!(
                status.code(),
                Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted
            );
            assert!(for_good, "{path} {name}: {status:?}");
            assert!(!status.message().is_empty(), "{path} {name}");
            if status.code() == Code::ResourceExhausted {
                assert!(status.details().is_empty(), "{path} {name}: {status:?}");
            }
        }
    }
    let status = send(&channel, LOGS, good, None, Some("a/b"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("invalid tenant"), "{status:?}");
    assert!(server.is_running());
    let memory = server.peak_memory();
    assert!(memory < 900 << 20, "peak memory {memory} bytes");
}
