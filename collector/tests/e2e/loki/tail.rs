//! Live tail over a WebSocket, as Grafana's proxy opens it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::otlp::{self, logs, now, record};
use crate::server::{PATIENCE, Process, answer};

use super::with_lines;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A client that reads frames.
struct Client(TcpStream);

impl Client {
    /// Opens a tail from a page of another origin; the answer's head.
    async fn open(server: &Process, query: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(&server.addresses.http).await.unwrap();
        let request = format!(
            "GET /loki/api/v1/tail?query={query} HTTP/1.1\r\n\
             Host: {}\r\n\
             Connection: Upgrade\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Origin: http://elsewhere.example\r\n\r\n",
            server.addresses.http
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (Self(stream), String::from_utf8(head).unwrap())
    }

    /// The next frame: its opcode and payload.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let opcode = self.0.read_u8().await.unwrap() & 0xf;
            let length = match self.0.read_u8().await.unwrap() {
                126 => u64::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap(),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            (opcode, payload)
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap()
    }

    /// The next frame with this opcode.
    async fn next(&mut self, opcode: u8) -> Vec<u8> {
        loop {
            let (found, payload) = self.frame().await;
            if found == opcode {
                return payload;
            }
        }
    }

    /// The lines of the next frame of text, as they stand in it.
    async fn lines(&mut self) -> Vec<String> {
        let frame: serde_json::Value = serde_json::from_slice(&self.next(TEXT).await).unwrap();
        assert!(frame["dropped_entries"].is_null(), "{frame}");
        let values = frame["streams"].as_array().unwrap().iter();
        values
            .flat_map(|stream| stream["values"].as_array().unwrap())
            .map(|value| {
                assert_eq!(value.as_array().unwrap().len(), 2, "{value}");
                value[1].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

#[tokio::test]
async fn a_tail_gives_the_last_lines_then_new_ones_and_says_why_it_ends() {
    let server = with_lines().await;
    let (mut client, head) =
        Client::open(&server, "%7Bservice_name%3D%22shop%22%7D%7C%3D%60line%60").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert_eq!(client.lines().await, ["plain line"]);
    client.next(PING).await;
    let records = ["another line", "something else"].map(|text| record(now(), text, &[]));
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs("shop", records.to_vec())));
    assert_eq!(answer(sent).await.status, 200);
    assert_eq!(client.lines().await, ["another line"]);
    let (close, ended) = tokio::join!(client.next(CLOSE), server.terminate());
    assert_eq!(&close[..2], 1001_u16.to_be_bytes());
    assert_eq!(&close[2..], b"the server stops");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_no_log_query_opens_no_tail() {
    let server = with_lines().await;
    for query in ["%7B", "vector(1)", ""] {
        let (_, head) = Client::open(&server, query).await;
        assert!(head.starts_with("HTTP/1.1 400"), "{query}: {head}");
    }
}
