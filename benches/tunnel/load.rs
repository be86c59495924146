//! The load generator: HTTP/1.1 over raw keep-alive sockets, closed loop, in this process.
//!
//! It does as little as a correct client can, so that what is measured is the path and not the
//! client. Answers must be a success with a Content-Length. Leaves to others: WebSockets, and what
//! the figures mean.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{Outcome, report::quantile};

/// One buffer serves heads and bulk: large enough that bulk is not bound by system calls.
const BUFFER_BYTES: usize = 256 * 1024;

/// Header fields that an answer may have.
const FIELDS_MAX: usize = 64;

/// No single operation of a healthy path takes this long; it bounds a run whose path has failed.
const OPERATION_LIMIT: Duration = Duration::from_secs(60);

/// Where a path begins: what a browser would connect to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The listener's address.
    pub(crate) address: SocketAddr,
    /// The Host field's value.
    pub(crate) host: String,
    /// The Cookie field's value, where entering gave one.
    pub(crate) cookie: Option<String>,
    /// Whole field lines that each request has besides.
    pub(crate) fields: String,
}

impl Endpoint {
    /// An endpoint that needs no cookie.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            cookie: None,
            fields: String::new(),
        }
    }

    /// A request's head; `fields` are whole field lines.
    pub(crate) fn head(&self, method: &str, path: &str, fields: &str) -> Vec<u8> {
        let cookie = self
            .cookie
            .as_ref()
            .map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{cookie}{}{fields}\r\n",
            self.host, self.fields
        )
        .into_bytes()
    }
}

/// How long each request took.
pub(crate) struct Latencies {
    sorted_us: Vec<f64>,
}

impl Latencies {
    /// Takes the samples in any order.
    pub(crate) fn new(samples: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted_us: Vec<f64> = samples
            .into_iter()
            .map(|sample| sample.as_secs_f64() * 1e6)
            .collect();
        sorted_us.sort_by(f64::total_cmp);
        Self { sorted_us }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sorted_us.len()
    }

    /// The microseconds that `share` of the requests stayed under.
    pub(crate) fn us(&self, share: f64) -> Outcome<f64> {
        quantile(&self.sorted_us, share).ok_or_else(|| "no request was answered".into())
    }
}

/// What a closed loop of requests came to.
pub(crate) struct Load {
    /// Of the requests that began after the warm-up.
    pub(crate) latencies: Latencies,
    /// Requests a second over the measured time.
    pub(crate) rate: f64,
    /// All requests, the warm-up's too.
    pub(crate) total: usize,
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects, with TCP_NODELAY.
    pub(crate) async fn open(endpoint: &Endpoint) -> Outcome<Self> {
        let stream =
            tokio::time::timeout(OPERATION_LIMIT, TcpStream::connect(endpoint.address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Sends a whole request and reads the whole answer; returns the length of its body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<u64> {
        self.stream.write_all(request).await?;
        self.answer(|_| ()).await
    }

    /// Sends a whole request and returns the body of its answer, which must be small.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the connection was closed before the answer was complete".into());
            }
            filled += count;
            if let Some((head, length)) = parse_head(&self.buffer[..filled])? {
                let end = head + usize::try_from(length)?;
                if end <= filled {
                    return Ok(self.buffer[head..end].to_vec());
                }
            }
        }
    }

    /// Reads one answer to its end, telling `progress` of each piece of the body as it comes.
    async fn answer(&mut self, mut progress: impl FnMut(usize)) -> Outcome<u64> {
        let mut filled = 0;
        let (head, length) = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err(
                    "the connection was closed before the answer's head was complete".into(),
                );
            }
            filled += count;
            if let Some(found) = parse_head(&self.buffer[..filled])? {
                break found;
            }
        };
        let mut left = (head as u64 + length)
            .checked_sub(filled as u64)
            .ok_or("the answer is longer than its Content-Length says")?;
        progress(filled - head);
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left)?);
            let count = self.stream.read(&mut self.buffer[..most]).await?;
            if count == 0 {
                return Err(format!(
                    "the connection was closed {left} bytes before the answer's end"
                )
                .into());
            }
            progress(count);
            left -= count as u64;
        }
        Ok(length)
    }
}

/// The lengths of a complete head and of its body. A head that is not 200 to 202 with a
/// Content-Length is a fault of the path.
fn parse_head(bytes: &[u8]) -> Outcome<Option<(usize, u64)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    if !matches!(response.code, Some(200..=202)) {
        return Err(format!(
            "unexpected answer: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(512)])
        )
        .into());
    }
    let length = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer without Content-Length")?;
    Ok(Some((head, std::str::from_utf8(length.value)?.parse()?)))
}

/// Requests one after the other on each of `connections` connections, for `run` after a warm-up of
/// a fifth of it.
pub(crate) async fn requests(
    endpoint: &Endpoint,
    path: &str,
    connections: usize,
    run: Duration,
) -> Outcome<Load> {
    let request: Arc<[u8]> = endpoint.head("GET", path, "").into();
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(endpoint).await?);
    }
    let warm = Instant::now() + run / 5;
    let end = warm + run;
    let mut tasks = JoinSet::new();
    for mut connection in opened {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let mut samples = Vec::new();
            let mut total = 0;
            loop {
                let start = Instant::now();
                if start >= end {
                    return Outcome::Ok((samples, total));
                }
                connection.exchange(&request).await?;
                total += 1;
                if start >= warm {
                    samples.push(start.elapsed());
                }
            }
        });
    }
    let mut samples = Vec::new();
    let mut total = 0;
    let all = async {
        while let Some(done) = tasks.join_next().await {
            let (of_one, total_of_one) = done??;
            samples.extend(of_one);
            total += total_of_one;
        }
        Outcome::Ok(())
    };
    tokio::time::timeout(run * 2 + OPERATION_LIMIT, all).await??;
    let latencies = Latencies::new(samples);
    Ok(Load {
        rate: latencies.count() as f64 / run.as_secs_f64(),
        latencies,
        total,
    })
}

/// Requests on one connection, one every `interval` (or as soon as the last is answered), for
/// `run`.
pub(crate) async fn paced(
    endpoint: &Endpoint,
    path: &str,
    interval: Duration,
    run: Duration,
) -> Outcome<Latencies> {
    let request = endpoint.head("GET", path, "");
    let mut connection = Connection::open(endpoint).await?;
    connection.exchange(&request).await?;
    let end = Instant::now() + run;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut samples = Vec::new();
    loop {
        ticks.tick().await;
        let start = Instant::now();
        if start >= end {
            return Ok(Latencies::new(samples));
        }
        tokio::time::timeout(OPERATION_LIMIT, connection.exchange(&request)).await??;
        samples.push(start.elapsed());
    }
}

/// Downloads a body of `length` bytes `times` times; returns megabytes (10^6) a second, requests
/// and answers included.
pub(crate) async fn download(
    endpoint: &Endpoint,
    path: &str,
    length: u64,
    times: u32,
) -> Outcome<f64> {
    let mut connection = Connection::open(endpoint).await?;
    let request = endpoint.head("GET", path, "");
    let start = Instant::now();
    for _ in 0..times {
        let got = tokio::time::timeout(OPERATION_LIMIT, connection.exchange(&request)).await??;
        if got != length {
            return Err(format!("a download of {length} bytes brought {got}").into());
        }
    }
    Ok(length as f64 * f64::from(times) / 1e6 / start.elapsed().as_secs_f64())
}

/// Uploads a body of `length` bytes `times` times, each until its answer; returns megabytes (10^6)
/// a second.
pub(crate) async fn upload(
    endpoint: &Endpoint,
    path: &str,
    length: u64,
    times: u32,
) -> Outcome<f64> {
    let mut connection = Connection::open(endpoint).await?;
    let head = endpoint.head("POST", path, &format!("Content-Length: {length}\r\n"));
    let piece = vec![b'u'; BUFFER_BYTES];
    let start = Instant::now();
    for _ in 0..times {
        let whole = async {
            connection.stream.write_all(&head).await?;
            let mut left = length;
            while left > 0 {
                let count = left.min(piece.len() as u64);
                connection
                    .stream
                    .write_all(&piece[..usize::try_from(count)?])
                    .await?;
                left -= count;
            }
            connection.answer(|_| ()).await
        };
        tokio::time::timeout(OPERATION_LIMIT, whole).await??;
    }
    Ok(length as f64 * f64::from(times) / 1e6 / start.elapsed().as_secs_f64())
}

/// Downloads without end, request after request, until dropped; returns only by failing. `received`
/// is told of each piece.
pub(crate) async fn download_forever(
    endpoint: &Endpoint,
    path: &str,
    mut received: impl FnMut(usize),
) -> Outcome<()> {
    let request = endpoint.head("GET", path, "");
    let mut connection = Connection::open(endpoint).await?;
    loop {
        connection.stream.write_all(&request).await?;
        connection.answer(&mut received).await?;
    }
}
