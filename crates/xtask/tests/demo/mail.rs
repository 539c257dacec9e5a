//! The mail catcher, spoken to as mail servers speak.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use xtask::mail::MailCatcher;

const MESSAGE: &str = "From: Watchkeeper <watchkeeper@example.org>\r\n\
    To: on-call@example.org\r\n\
    Subject: =?utf-8?Q?[FIRING:1]_K=C3=BChlung?=\r\n =?utf-8?Q?_f=C3=A4llt_aus?=\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=edge\r\n\r\n\
    --edge\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n\
    see http://127.0.0.1/ui/logs?q=3Dservice%3Ax=\r\n&to=3D1\r\n\
    ..a line with a dot\r\n\
    --edge\r\nContent-Type: text/html; charset=utf-8\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nPGI+ZmlyaW5nPC9iPg==\r\n--edge--\r\n";

struct Sender(BufReader<TcpStream>);

impl Sender {
    async fn connect(to: SocketAddr) -> Self {
        let mut sender = Self(BufReader::new(TcpStream::connect(to).await.unwrap()));
        assert!(sender.reply().await.starts_with("220 "));
        sender
    }

    async fn reply(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.unwrap();
            // "250-…" continues, "250 …" ends a reply.
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
        self.reply().await
    }
}

async fn catcher() -> (MailCatcher, tempfile::TempDir) {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let folder = tempfile::tempdir().unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let catcher = MailCatcher::start(any, any, folder.path().join("mail"), |_| {})
        .await
        .unwrap();
    (catcher, folder)
}

#[tokio::test]
async fn a_message_is_kept_decoded_and_shown() {
    let (catcher, folder) = catcher().await;
    let mut sender = Sender::connect(catcher.smtp()).await;
    for (line, code) in [
        ("EHLO here", "250"),
        ("MAIL FROM:<watchkeeper@example.org> BODY=8BITMIME", "250"),
        ("RCPT TO:<on-call@example.org>", "250"),
        ("RCPT TO:<boss@example.org>", "250"),
        ("DATA", "354"),
    ] {
        let reply = sender.say(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    let reply = sender.say(&format!("{MESSAGE}.")).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert!(sender.say("QUIT").await.starts_with("221"));

    let mail = catcher.messages().pop().unwrap();
    assert_eq!(mail.subject, "[FIRING:1] Kühlung fällt aus");
    assert_eq!(mail.to, ["on-call@example.org", "boss@example.org"]);
    let text = mail.text.replace("\r\n", "\n");
    assert_eq!(
        text.trim(),
        "see http://127.0.0.1/ui/logs?q=service%3Ax&to=1\n.a line with a dot"
    );
    assert_eq!(mail.html.as_deref().map(str::trim), Some("<b>firing</b>"));
    let file = std::fs::read_to_string(folder.path().join("mail/0001.eml")).unwrap();
    assert_eq!(file, MESSAGE.replace("\r\n..", "\r\n."));

    let get = |path: &str| reqwest::get(format!("http://{}{path}", catcher.http()));
    let list: serde_json::Value = get("/api/messages").await.unwrap().json().await.unwrap();
    assert_eq!(list[0]["subject"], "[FIRING:1] Kühlung fällt aus");
    let page = get("/").await.unwrap().text().await.unwrap();
    assert!(page.contains("Kühlung fällt aus"), "{page}");
    assert_eq!(
        get("/messages/1")
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .trim(),
        "<b>firing</b>"
    );
    assert_eq!(get("/messages/2").await.unwrap().status(), 404);
    catcher.stop().await;
}

#[tokio::test]
async fn commands_out_of_order_are_refused_and_the_connection_survives() {
    let (catcher, _folder) = catcher().await;
    let mut sender = Sender::connect(catcher.smtp()).await;
    for (line, code) in [
        ("RCPT TO:<a@b>", "503"),
        ("DATA", "503"),
        ("MAIL TO:<a@b>", "501"),
        ("MAIL FROM:a@b", "501"),
        ("STARTTLS", "502"),
        ("HELLO", "500"),
        ("", "500"),
        ("MAIL FROM:<a@b>", "250"),
        ("MAIL FROM:<a@b>", "503"),
        ("RSET", "250"),
        ("RCPT TO:<a@b>", "503"),
        ("mail from:<>", "250"),
        ("rcpt to:<a@b>", "250"),
        ("NOOP", "250"),
        ("DATA", "354"),
        (".", "250"),
        ("QUIT", "221"),
    ] {
        let reply = sender.say(line).await;
        assert!(reply.starts_with(code), "{line:?}: {reply}");
    }
    assert_eq!(catcher.messages().len(), 1);
}
