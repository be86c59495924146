//! Much at once through one connection: real platform, real agent, the demo device behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fleetwire::limits::{SESSION_QUEUE_BYTES_MAX, STREAM_WINDOW_MAX};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::console::viewer::{Session, Viewer};
use crate::support::{Agent, PATIENCE, Platform, Process, command};

/// Requests in flight at once.
const REQUESTS: usize = 500;
/// Each way: more than any buffer, and than 32 bits.
const BULK_BYTES: u64 = 4 << 30;
/// What passes beside a stream that has stalled.
const BESIDE_BYTES: usize = 64 << 20;
/// What platform and agent may hold of it, each, beside what they hold at rest: what may lie unread of one
/// stream and what may wait to be sent, twice, as an allocator keeps for a moment what it was given back.
const MEMORY_KIB_MAX: u64 = 2 * (STREAM_WINDOW_MAX + SESSION_QUEUE_BYTES_MAX as u64) / 1024;

/// A device, its agent, and a platform.
pub struct Site {
    pub platform: Platform,
    agent: Agent,
    _device: Process,
}

impl Site {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    fn programs(&self) -> [(&'static str, &Process); 2] {
        [
            ("platform", &self.platform.process),
            ("agent", &self.agent.process),
        ]
    }

    /// The most that each program has held until now, in KiB.
    fn peaks(&self) -> [u64; 2] {
        self.programs()
            .map(|(_, program)| program.peak_memory_kib())
    }

    /// None of them has held much more since.
    fn held_little(&self, before: [u64; 2]) {
        for ((name, _), (before, now)) in
            self.programs().iter().zip(before.iter().zip(self.peaks()))
        {
            let held = now - before;
            println!("held by the {name}: {held} KiB beside {before} KiB");
            assert!(held < MEMORY_KIB_MAX, "the {name} held {held} KiB");
        }
    }

    /// The same with more targets, as the agent's flag takes them.
    fn start_with(targets: &[&str]) -> Self {
        let platform = Platform::start(&[]);
        let mut device = command("fleetwire");
        device.args(["demo-device", "--open", "--listen", "127.0.0.1:0"]);
        let mut device = Process::start("device", &mut device);
        let line = device.line("demo device on ");
        let url = line.rsplit(' ').next().expect("its address");
        let agent = Agent::start_for(&platform, "kvm", &[&[url], targets].concat());
        Self {
            platform,
            agent,
            _device: device,
        }
    }

    pub async fn session(&self) -> Session {
        Session::open(&self.platform).enter().await
    }
}

/// What the device says of itself.
async fn status(session: &Session) -> serde_json::Value {
    let answer = session.send("GET /status", "").await.answer().await;
    serde_json::from_slice(&answer.body).expect("JSON")
}

async fn until_viewers(session: &Session, wanted: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while status(session).await["viewers"] != wanted {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not {wanted} viewers"
        );
    }
}

#[tokio::test]
async fn five_hundred_requests_at_once_are_answered_out_of_order_each_with_its_own_body() {
    let site = Site::start();
    let session = site.session().await;
    let mut viewers = Vec::new();
    for _ in 0..REQUESTS {
        viewers.push(session.viewer().await);
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for (index, mut viewer) in viewers.into_iter().enumerate() {
        // The first asked is the last answered.
        let line = format!("GET /slow?ms={}&id={index}", 4 * (REQUESTS - index));
        let request = format!("{}\r\n", session.head(&line));
        let answered = answered.clone();
        tasks.spawn(async move {
            viewer.write(request.as_bytes()).await;
            let answer = viewer.answer().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.text(), format!("{index}\n").repeat(64));
            (index, answered.fetch_add(1, Ordering::Relaxed))
        });
    }
    let places = tasks.join_all().await;
    assert_eq!(places.len(), REQUESTS);
    let overtaken = places.iter().filter(|(index, place)| place < index).count();
    assert!(overtaken > 0, "all came in the order of the requests");
}

#[tokio::test]
async fn four_gibibytes_each_way_at_once_pass_in_little_memory() {
    let site = Site::start();
    let session = site.session().await;
    let before = site.peaks();
    let down = session
        .send(&format!("GET /download?bytes={BULK_BYTES}&seed=7"), "")
        .await;
    let up = session.viewer().await;
    let head = format!(
        "{}Origin: http://{}\r\nContent-Length: {BULK_BYTES}\r\n\r\n",
        session.head("PUT /upload"),
        session.host
    );
    let (_, answer) = tokio::join!(tokio::spawn(download(down)), tokio::spawn(upload(up, head)));
    let answer = answer.expect("uploaded");
    assert_eq!(answer["bytes"], BULK_BYTES, "{answer}");
    site.held_little(before);
}

/// Reads the device's download to its end and checks every word of it.
async fn download(mut viewer: Viewer) {
    let head = viewer.answer_head().await;
    assert_eq!(head.status, 200);
    let (mut stream, early) = viewer.into_stream();
    let mut piece = vec![0; 256 << 10];
    let mut filled = early.len();
    piece[..filled].copy_from_slice(&early);
    let mut index = 0;
    while index < BULK_BYTES / 8 {
        let read = timeout(PATIENCE, stream.read(&mut piece[filled..])).await;
        let read = read.expect("in time").expect("it goes on");
        assert!(read > 0 || filled >= 8, "it ended after {index} words");
        filled += read;
        let (words, rest) = piece[..filled].as_chunks::<8>();
        for word in words {
            index += 1;
            assert_eq!(
                u64::from_le_bytes(*word),
                splitmix64(7, index),
                "word {index}"
            );
        }
        let (whole, left) = (words.len() * 8, rest.len());
        piece.copy_within(whole..whole + left, 0);
        filled = left;
    }
    assert_eq!(filled, 0, "it is longer than it said");
}

/// The published generator, as the device documents it.
pub fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn upload(mut viewer: Viewer, head: String) -> serde_json::Value {
    viewer.write(head.as_bytes()).await;
    let piece = vec![0x5a; 256 << 10];
    let (mut stream, _) = viewer.into_stream();
    for _ in 0..BULK_BYTES / piece.len() as u64 {
        let written = timeout(PATIENCE, stream.write_all(&piece)).await;
        written.expect("in time").expect("it reads");
    }
    let answer = Viewer::from_stream(stream).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// A device whose answer never ends; `taken` is how much of it has gone to its socket. The task ends
/// with the agent's connection.
async fn endless(listener: TcpListener, taken: Arc<AtomicU64>) {
    let (mut socket, _) = listener.accept().await.expect("the agent dials");
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    socket.write_all(head).await.expect("the agent reads");
    let piece = vec![0x5a; 64 << 10];
    while let Ok(written) = socket.write(&piece).await {
        taken.fetch_add(written as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_viewer_who_stops_reading_stalls_nobody_else_and_is_gone_when_it_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = format!("/endless=http://{}", listener.local_addr().expect("bound"));
    let taken = Arc::new(AtomicU64::new(0));
    let device = tokio::spawn(endless(listener, taken.clone()));
    let site = Site::start_with(&[&target]);
    let session = site.session().await;
    let before_all = site.peaks();
    let mut stalled = session.send("GET /endless/", "").await;
    assert_eq!(stalled.answer_head().await.status, 200);
    let mut watching = session.send("GET /stream", "").await;
    assert_eq!(watching.answer_head().await.status, 200);
    until_viewers(&session, 1).await;

    // Video goes on at the device while much else passes beside both, whole and in order.
    let before = status(&session).await["frames"].as_u64().expect("a number");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while status(&session).await["frames"].as_u64().expect("a number") < before + 30 {
        assert!(tokio::time::Instant::now() < deadline, "no more frames");
    }
    // Until nothing more is taken of what nobody reads, while as much as would fill every buffer
    // passes beside it.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let before = taken.load(Ordering::Relaxed);
        let other = session
            .send(&format!("GET /download?bytes={BESIDE_BYTES}&seed=7"), "")
            .await
            .answer()
            .await;
        assert_eq!(other.body.len(), BESIDE_BYTES);
        if before > 0 && taken.load(Ordering::Relaxed) == before {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not stall");
    }
    assert!(taken.load(Ordering::Relaxed) < BESIDE_BYTES as u64);
    site.held_little(before_all);

    drop((stalled, watching));
    until_viewers(&session, 0).await;
    let gone = timeout(PATIENCE, device).await.expect("in time");
    gone.expect("it had a connection");
}
