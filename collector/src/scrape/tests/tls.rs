//! A target that speaks TLS and lets in only whom it knows.
//!
//! `tls/` has a certificate authority, a server's certificate for 127.0.0.1 and a client's, each
//! good for a hundred years and for nothing else than these tests.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Health, Running, start};

fn path(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scrape/tests/tls");
    folder.join(name).display().to_string()
}

/// Connections of clients whose certificate the authority has signed.
struct Guarded {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Guarded {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            // Whom the guard refuses is not served.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = |name: &str| CertificateDer::from_pem_file(path(name)).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate("ca.pem")).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(trusted)).build();
    let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.unwrap())
        .with_single_cert(vec![certificate("server.pem")], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn target() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let text = [(CONTENT_TYPE, "text/plain")];
    let routes = Router::new().route("/metrics", get(move || async move { (text, "x 1\n") }));
    let guarded = Guarded {
        listener,
        acceptor: acceptor(),
    };
    tokio::spawn(async move { axum::serve(guarded, routes).await });
    address
}

#[tokio::test]
async fn only_who_is_trusted_is_scraped_and_only_who_is_known_may() {
    super::install_provider();
    let address = target().await;
    let ca = format!("ca_file: '{}'", path("ca.pem"));
    let own = format!(
        "cert_file: '{}', key_file: '{}'",
        path("client.pem"),
        path("client.key")
    );
    for (tls, health, error) in [
        (format!("{ca}, {own}"), Health::Up, ""),
        (format!("insecure_skip_verify: true, {own}"), Health::Up, ""),
        (format!("min_version: TLS13, {ca}, {own}"), Health::Up, ""),
        // The system does not know this authority.
        (own.clone(), Health::Down, "invalid peer certificate"),
        (ca.clone(), Health::Down, "error sending request"),
    ] {
        let running = start(&format!(
            "[{{job_name: j, scheme: https, scrape_interval: 100ms, tls_config: {{{tls}}}, \
             static_configs: [{{targets: ['{address}']}}]}}]"
        ));
        let is_known = |running: &Running| {
            let targets = running.targets();
            targets
                .iter()
                .any(|view| view.last.health != Health::Unknown)
        };
        running.until("scraped", is_known).await;
        let last = running.targets()[0].last.clone();
        assert_eq!(last.health, health, "{tls}: {}", last.error);
        assert!(last.error.contains(error), "{tls}: {}", last.error);
        running.scraper.shutdown().await;
    }
}
