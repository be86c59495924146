//! A browser's side of HTTP over a bare socket, so that a test sees every byte of an answer and sends what no
//! client library would: entering a session, one request at a time, and how an answer ended.
//!
//! Leaves to others: what the answers must be.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// No head that a test waits for is longer.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// How an answer's body came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By its own framing, or by the connection's clean end where that is the framing.
    Whole,
    /// The connection ended before the framing did.
    Cut,
}

/// One answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The final status.
    pub(crate) status: u16,
    /// Name and value of each field, in order, Latin-1 as characters.
    pub(crate) fields: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub(crate) body: Vec<u8>,
    /// Name and value of each trailer.
    pub(crate) trailers: Vec<(String, String)>,
    /// Status of each interim answer before it.
    pub(crate) interim: Vec<u16>,
    /// How the body ended.
    pub(crate) ended: Ended,
}

impl Answer {
    /// The values of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields
            .iter()
            .filter(named)
            .map(|field| field.1.as_str())
            .collect()
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// `name=value` of the first cookie that it sets.
    fn cookie(&self) -> Option<&str> {
        self.field("set-cookie")?.split(';').next()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// A connection with what was read from it and not yet taken.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; every read gives up after [`PATIENCE`].
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let buffer = Vec::new();
        Ok(Self { stream, buffer })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads more into the buffer; false at the end of the connection.
    fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 64 * 1024];
        let size = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..size]);
        Ok(size > 0)
    }

    /// Takes what comes before `mark`, and the mark.
    fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark)
            {
                let mut taken: Vec<u8> = self.buffer.drain(..at + mark.len()).collect();
                taken.truncate(at);
                return Ok(taken);
            }
            if self.buffer.len() > HEAD_BYTES_MAX || !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes exactly `size` bytes.
    pub(crate) fn exactly(&mut self, size: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < size {
            if !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..size).collect())
    }

    /// Takes at least one byte; empty at the end of the connection.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.more()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads a head, the interim ones before it included.
    pub(crate) fn head(&mut self) -> io::Result<Answer> {
        let mut interim = Vec::new();
        loop {
            let head = latin1(&self.until(b"\r\n\r\n")?);
            let mut lines = head.split("\r\n");
            let status = lines
                .next()
                .and_then(|line| line.split(' ').nth(1))
                .and_then(|status| status.parse().ok())
                .ok_or(io::ErrorKind::InvalidData)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            return Ok(Answer {
                status,
                fields: lines.filter_map(field).collect(),
                body: Vec::new(),
                trailers: Vec::new(),
                interim,
                ended: Ended::Whole,
            });
        }
    }

    /// Reads the body of `answer` to its end, however that comes.
    pub(crate) fn body(&mut self, answer: &mut Answer, method: &str) {
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return;
        }
        let read = if answer.field("transfer-encoding").is_some() {
            self.chunks(answer)
        } else if let Some(length) = answer.field("content-length") {
            let length: usize = length.parse().expect("a length");
            self.counted(answer, length)
        } else {
            self.rest(answer)
        };
        if read.is_err() {
            answer.ended = Ended::Cut;
        }
    }

    fn counted(&mut self, answer: &mut Answer, length: usize) -> io::Result<()> {
        let until = answer.body.len() + length;
        while answer.body.len() < until {
            let mut piece = self.some()?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let over = piece.len().saturating_sub(until - answer.body.len());
            self.buffer = piece.split_off(piece.len() - over);
            answer.body.extend_from_slice(&piece);
        }
        Ok(())
    }

    fn chunks(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let line = latin1(&self.until(b"\r\n")?);
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                break;
            }
            self.counted(answer, size)?;
            self.until(b"\r\n")?;
        }
        loop {
            let line = latin1(&self.until(b"\r\n")?);
            if line.is_empty() {
                return Ok(());
            }
            answer.trailers.extend(field(&line));
        }
    }

    fn rest(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let piece = self.some()?;
            if piece.is_empty() {
                return Ok(());
            }
            answer.body.extend_from_slice(&piece);
        }
    }
}

/// One request on a connection of its own, as bytes, and its answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut connection = Connection::open(address)?;
    connection.send(request)?;
    let mut answer = connection.head()?;
    let method = latin1(request);
    connection.body(&mut answer, method.split(' ').next().unwrap_or_default());
    Ok(answer)
}

/// A session that was entered, as a browser holds it.
pub(crate) struct Console {
    /// Where the platform serves browsers.
    pub(crate) address: SocketAddr,
    /// The session's own host and port.
    pub(crate) authority: String,
    /// `name=value` of the session's cookie.
    pub(crate) cookie: String,
}

impl Console {
    /// Trades the ticket in the URL's fragment for the cookie, as the page at that URL does.
    pub(crate) fn enter(address: SocketAddr, console_url: &str) -> Self {
        let (page, ticket) = console_url.split_once('#').expect("a ticket");
        let (_, rest) = page.split_once("://").expect("a scheme");
        let (authority, path) = rest.split_once('/').expect("a path");
        let get = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let page = exchange(address, get.as_bytes()).expect("the entering page");
        let state = page.cookie().expect("a state cookie");
        let (_, value) = state.split_once('=').expect("a value");
        let body = json!({"ticket": ticket, "state": value}).to_string();
        let post = format!(
            "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nOrigin: http://{authority}\r\n\
             Sec-Fetch-Site: same-origin\r\nCookie: {state}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(address, post.as_bytes()).expect("an answer");
        let cookie = answer
            .cookie()
            .unwrap_or_else(|| panic!("entering gave no cookie: {answer:?}"))
            .to_owned();
        let authority = authority.to_owned();
        Self {
            address,
            authority,
            cookie,
        }
    }

    /// The cookie's name alone.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.split('=').next().unwrap_or_default()
    }

    /// The session's origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// A request's head with Host and the session's cookie; `fields` are whole lines.
    pub(crate) fn request(&self, method: &str, target: &str, fields: &[&str]) -> String {
        let lines: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{lines}\r\n",
            self.authority, self.cookie
        )
    }

    /// Sends a request without a body.
    pub(crate) fn send(&self, method: &str, target: &str, fields: &[&str]) -> Answer {
        self.exchange(self.request(method, target, fields).as_bytes())
    }

    /// A GET without more fields.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[])
    }

    /// A POST of known length from the session's own pages.
    pub(crate) fn post(&self, target: &str, fields: &[&str], body: &[u8]) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let origin = format!("Origin: {}", self.origin());
        let fields = [&[length.as_str(), &origin], fields].concat();
        let head = self.request("POST", target, &fields);
        self.exchange(&[head.as_bytes(), body].concat())
    }

    /// Sends these very bytes on a connection of their own.
    pub(crate) fn exchange(&self, request: &[u8]) -> Answer {
        exchange(self.address, request).expect("an answer")
    }

    /// A connection on which `request` was sent, to read piece by piece.
    pub(crate) fn connect(&self, request: &str) -> Connection {
        let mut connection = Connection::open(self.address).expect("the platform listens");
        connection.send(request.as_bytes()).expect("sent");
        connection
    }
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
