//! OTLP over gRPC: the three `Export` methods.
//!
//! Messages stay bytes: the ingest log keeps the body as it was sent, so a codec that decodes
//! nothing stands where generated code would build messages only to encode them again.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::{Buf, BufMut, Bytes};
use model::{Encoding, Signal};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use wire::rpc;

use super::{Refused, count_refusal, export_response, ingest};
use crate::app::{App, tenant};

/// The three services.
pub(crate) fn routes(app: App) -> Router {
    let path = |service: &str| format!("/opentelemetry.proto.collector.{service}/Export");
    Router::new()
        .route(
            &path("logs.v1.LogsService"),
            post(|app, request| serve(app, Signal::Logs, request)),
        )
        .route(
            &path("trace.v1.TraceService"),
            post(|app, request| serve(app, Signal::Spans, request)),
        )
        .route(
            &path("metrics.v1.MetricsService"),
            post(|app, request| serve(app, Signal::Metrics, request)),
        )
        .with_state(app)
}

async fn serve(State(app): State<App>, signal: Signal, request: Request) -> Response {
    let limit = app.limits.decompressed_body;
    let mut grpc = Grpc::new(BytesCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limit);
    let response = grpc.unary(Export { app, signal }, request).await;
    response.map(axum::body::Body::new)
}

/// One method's handler.
struct Export {
    app: App,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let app = App::clone(&self.app);
        let signal = self.signal;
        Box::pin(async move {
            export(&app, signal, request).await.map_err(|refused| {
                count_refusal(signal, &refused);
                status(&refused)
            })
        })
    }
}

async fn export(
    app: &App,
    signal: Signal,
    request: tonic::Request<Bytes>,
) -> Result<tonic::Response<Bytes>, Refused> {
    let (metadata, _extensions, body) = request.into_parts();
    let tenant = tenant(&metadata.into_headers())
        .map_err(|err| Refused::invalid(axum::http::StatusCode::BAD_REQUEST, err.to_string()))?;
    let _permit = app.bodies.reserve(body.len())?;
    let outcome = ingest(app, tenant, signal, Encoding::OtlpProtobuf, body).await?;
    let response = export_response(signal, Encoding::OtlpProtobuf, &outcome);
    Ok(tonic::Response::new(response.into()))
}

/// The refusal as gRPC says it; with `RetryInfo` when trying again can help, which OTLP senders
/// need to see before they retry `RESOURCE_EXHAUSTED`.
fn status(refused: &Refused) -> Status {
    let refusal = &refused.refusal;
    let code = match refusal.code {
        rpc::Code::InvalidArgument => Code::InvalidArgument,
        rpc::Code::ResourceExhausted => Code::ResourceExhausted,
        rpc::Code::Internal => Code::Internal,
        rpc::Code::Unavailable => Code::Unavailable,
    };
    let details = Bytes::from(refusal.to_protobuf());
    let mut status = Status::with_details(code, refusal.message.clone(), details);
    if let Some(seconds) = refusal.retry_after {
        status
            .metadata_mut()
            .insert("retry-after", MetadataValue::from(seconds));
    }
    status
}

/// Passes messages through as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
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

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
