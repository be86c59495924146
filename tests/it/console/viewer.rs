//! The near side: a session entered as the page does it, and HTTP/1.1 written and read by hand, so
//! that a test sees the very bytes.

use fleetwire::platform::sessions::ENTRY_PATH;
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, Platform};

/// A console session in a browser.
pub struct Session {
    pub id: String,
    /// Host and port of its origin.
    pub host: String,
    /// The ticket that its URL had.
    pub ticket: String,
    /// `name=value`, once entered.
    pub cookie: String,
    address: SocketAddr,
}

impl Session {
    /// Opens one, by the operator's command.
    pub fn open(platform: &Platform) -> Self {
        Self::open_for(platform, "kvm")
    }

    /// Opens one with this host.
    pub fn open_for(platform: &Platform, host: &str) -> Self {
        let opened = platform.operate_json(&["session", "open", host]);
        let url = opened["console_url"].as_str().expect("a URL");
        let (page, ticket) = url.split_once('#').expect("a ticket");
        let host = page
            .strip_prefix("http://")
            .and_then(|page| page.strip_suffix(ENTRY_PATH))
            .expect("the entering page");
        Self {
            id: opened["session_id"].as_str().expect("an id").to_owned(),
            host: host.to_owned(),
            ticket: ticket.to_owned(),
            cookie: String::new(),
            address: platform.http,
        }
    }

    /// Enters it with its ticket.
    pub async fn enter(mut self) -> Self {
        let answer = self.post_ticket(&self.ticket).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        let set = answer.headers("set-cookie");
        let line = set
            .iter()
            .find(|line| line.contains("HttpOnly"))
            .expect("the cookie");
        self.cookie = line.split(';').next().expect("a pair").to_owned();
        self
    }

    /// Closes it, by the operator's command.
    pub fn close(&self, platform: &Platform) {
        let closed = platform.operate(&["session", "close", &self.id]);
        assert!(closed.status.success());
    }

    /// Posts a ticket as the page does.
    pub async fn post_ticket(&self, ticket: &str) -> Answer {
        let body = json!({ "ticket": ticket, "state": "s" }).to_string();
        let host = &self.host;
        let request = format!(
            "POST {ENTRY_PATH} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\
             Sec-Fetch-Site: same-origin\r\nCookie: fleetwire-state=s\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut viewer = self.viewer().await;
        viewer.write(request.as_bytes()).await;
        viewer.answer().await
    }

    /// A new connection to its origin.
    pub async fn viewer(&self) -> Viewer {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        Viewer {
            stream,
            read: Vec::new(),
        }
    }

    /// The head of a request with the session's host and cookie, without the empty line.
    pub fn head(&self, line: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n",
            self.host, self.cookie
        )
    }

    /// Sends a request without a body on a new connection.
    pub async fn send(&self, line: &str, fields: &str) -> Viewer {
        let mut viewer = self.viewer().await;
        let request = format!("{}{fields}\r\n", self.head(line));
        viewer.write(request.as_bytes()).await;
        viewer
    }
}

/// A viewer's connection, plain or over TLS.
pub struct Viewer<S = TcpStream> {
    stream: S,
    /// Read, and not yet part of an answer.
    read: Vec<u8>,
}

/// An answer's head, and its body where it was read with it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The trailer fields of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The values of a field, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The one value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() < 2, "{name} came {} times", values.len());
        values.first().copied()
    }

    /// The platform's own code, where it is the platform's answer.
    pub fn code(&self) -> Option<&str> {
        self.header("fleetwire-error")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Viewer<S> {
    /// The viewer of a connection that is between two answers.
    pub fn from_stream(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The connection, and what was read of it already.
    pub fn into_stream(self) -> (S, Vec<u8>) {
        (self.stream, self.read)
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it reads");
    }

    /// Ends the direction that it sends.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("it is open");
    }

    /// Reads more; `false` at the end or a break.
    async fn more(&mut self) -> bool {
        let mut space = [0; 16384];
        let read = timeout(PATIENCE, self.stream.read(&mut space))
            .await
            .expect("in time");
        let read = read.unwrap_or(0);
        self.read.extend_from_slice(&space[..read]);
        read > 0
    }

    /// Exactly so many bytes.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.more().await, "the end came after {}", self.read.len());
        }
        self.read.drain(..count).collect()
    }

    /// Everything until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// A line without its end.
    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).collect();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            assert!(self.more().await, "the end came within a line");
        }
    }

    /// The fields that end a head, or a chunked body after its last chunk.
    pub async fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(':') else {
                return fields;
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The head of the next answer.
    pub async fn answer_head(&mut self) -> Answer {
        let line = self.line().await;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("no status line: {line}")),
            fields: self.fields().await,
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// The next answer to a request other than HEAD, its body read by what the head says.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.answer_head().await;
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
            answer.trailers = self.fields().await;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a number");
            answer.body = self.take(length).await;
        }
        answer
    }

    /// The next chunk's bytes; `None` for the last one, whose trailers are then to be read.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().await;
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no size: {line}"));
        if size == 0 {
            return None;
        }
        let bytes = self.take(size).await;
        assert_eq!(self.take(2).await, b"\r\n");
        Some(bytes)
    }
}
