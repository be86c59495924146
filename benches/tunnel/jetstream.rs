//! NATS JetStream as a yardstick of commands: a stream in a file that is synced with every message
//! (`sync_interval: always`), and a client that has so many messages under way on one connection.
//!
//! Leaves to others: where the program is from (`benches/setup.sh`), and what is put beside it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    Outcome,
    processes::{Place, Running, free_port, on_path, wait_for_listener},
};

/// Its program's name.
const PROGRAM: &str = "nats-server";
/// Where the benchmark's own set-up puts it.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/bin/nats-server");
/// No operation of a server that runs takes longer.
const OPERATION_LIMIT: Duration = Duration::from_secs(10);
/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A server with one stream.
pub(crate) struct Server {
    address: SocketAddr,
    _running: Running,
}

impl Server {
    /// Starts one that keeps its stream under `dir`.
    pub(crate) async fn start(dir: &Path) -> Outcome<Self> {
        let program = match Path::new(OWN) {
            own if own.exists() => PathBuf::from(own),
            _ if on_path(PROGRAM) => PathBuf::from(PROGRAM),
            _ => return Err("nats-server is missing: sh benches/setup.sh builds it".into()),
        };
        fs::create_dir_all(dir)?;
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let file = dir.join("nats.conf");
        let store = dir.join("store");
        let config = format!(
            "listen: {address}\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n"
        );
        fs::write(&file, config)?;
        let arguments = ["--config", &*file.to_string_lossy()];
        let program = program.to_string_lossy();
        let mut running = Running::start(PROGRAM, dir, &Place::default(), &program, &arguments)?;
        wait_for_listener(&mut running, address).await?;
        let mut client = Client::connect(address).await?;
        let stream = json!({ "name": "bench", "subjects": ["bench"], "storage": "file" });
        client.publish("$JS.API.STREAM.CREATE.bench", &stream.to_string(), 1);
        client.acknowledged().await?;
        Ok(Self {
            address,
            _running: running,
        })
    }

    /// Messages a second that are acknowledged, with so many under way, for `run` after a warm-up of a fifth
    /// of it.
    pub(crate) async fn rate(
        &mut self,
        message: &str,
        in_flight: usize,
        run: Duration,
    ) -> Outcome<f64> {
        let mut client = Client::connect(self.address).await?;
        let warm = Instant::now() + run / 5;
        let end = warm + run;
        client.publish("bench", message, in_flight);
        let mut counted = 0;
        loop {
            let count = client.acknowledged().await?;
            let now = Instant::now();
            if now >= end {
                return Ok(counted as f64 / run.as_secs_f64());
            }
            if now >= warm {
                counted += count;
            }
            client.publish("bench", message, count);
        }
    }
}

/// A client of NATS's own protocol, with as much of it as this takes.
struct Client {
    stream: TcpStream,
    /// What is to be written next.
    outgoing: Vec<u8>,
    read: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            outgoing: b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB answers 1\r\n"
                .to_vec(),
            read: Vec::new(),
        })
    }

    /// Has a message written so many times.
    fn publish(&mut self, subject: &str, message: &str, count: usize) {
        let whole = format!("PUB {subject} answers {}\r\n{message}\r\n", message.len());
        for _ in 0..count {
            self.outgoing.extend_from_slice(whole.as_bytes());
        }
    }

    /// Writes what is to be written, and waits for answers; how many came.
    async fn acknowledged(&mut self) -> Outcome<usize> {
        let mut count = 0;
        while count == 0 {
            self.stream.write_all(&self.outgoing).await?;
            self.outgoing.clear();
            let mut piece = [0; BUFFER_BYTES];
            let read =
                tokio::time::timeout(OPERATION_LIMIT, self.stream.read(&mut piece)).await??;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.read.extend_from_slice(&piece[..read]);
            while let Some(whole) = self.next()? {
                count += usize::from(whole);
            }
        }
        Ok(count)
    }

    /// Takes one line, with its payload; whether it was an answer. `None` where more has to come.
    fn next(&mut self) -> Outcome<Option<bool>> {
        let Some(length) = self.read.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&self.read[..length]).into_owned();
        let mut end = length + 2;
        let mut words = line.split(' ');
        let answer = match words.next() {
            Some("MSG") => {
                let bytes: usize = words.next_back().unwrap_or_default().parse()?;
                let payload = end..end + bytes;
                end += bytes + 2;
                if self.read.len() < end {
                    return Ok(None);
                }
                let payload = String::from_utf8_lossy(&self.read[payload]);
                if payload.contains("\"error\"") {
                    return Err(format!("JetStream refuses: {payload}").into());
                }
                true
            }
            Some("PING") => {
                self.outgoing.extend_from_slice(b"PONG\r\n");
                false
            }
            Some("-ERR") => return Err(line.into()),
            _ => false,
        };
        self.read.drain(..end);
        Ok(Some(answer))
    }
}
