//! The far side: an agent that enrols and dials like the real one, and hands each request to the
//! test instead of a device.

use std::fs;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use fleetwire::agent::commands;
use fleetwire::agent::dial::{self, CurrentConnection, Dialer};
use fleetwire::agent::enrol::StateDir;
use fleetwire::agent::executors::{Executors, allowed::Allowed};
use fleetwire::ids::StreamId;
use fleetwire::link::Agent;
use fleetwire::net::stream::{RecvHalf, SendHalf, StreamError};
use fleetwire::wire::fields::FieldLines;
use fleetwire::wire::messages::{ErrorCode, HttpRequest, HttpResponse};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::viewer::Session;
use crate::support::{PATIENCE, Platform, until};

/// A platform with one host, whose agent is the test.
pub struct Host {
    pub platform: Platform,
    requests: UnboundedReceiver<Exchange>,
    /// Its thread, and what ends that; `None` once it has.
    agent: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _state: TempDir,
}

/// A request as it reached the agent, with the two directions of its stream.
pub struct Exchange {
    pub request: HttpRequest,
    pub send: SendHalf<Agent>,
    pub recv: RecvHalf<Agent>,
}

impl Host {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a platform with more flags, and the host's agent.
    pub async fn start_with(flags: &[&str]) -> Self {
        Self::start_on(Platform::start(flags)).await
    }

    /// Starts a host's agent on a platform.
    pub async fn start_on(platform: Platform) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let file = state.path().join("token");
        fs::write(&file, platform.enrolment_token(&["--name", "kvm"])).expect("written");
        let dir = StateDir::open(&state.path().join("state"));
        let dir = Arc::new(dir.expect("its own"));
        let identity = dial::identify(&dir, Some(&file), &platform.url(), "kvm").await;
        let identity = identity.expect("enrolled");
        let nothing = Executors::new(Allowed::default(), &identity.host_id);
        let commands = commands::start(dir.path(), identity.host_id.clone(), nothing, 1).await;
        let dialer = Dialer::new(
            platform.url(),
            dir,
            identity,
            commands.expect("a journal"),
            CurrentConnection::default(),
        )
        .expect("an agent");
        let (requests_in, requests) = unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        // A thread and a runtime of its own: when they end, so does everything of the agent's.
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let on_stream = move |request, send, recv| {
                    // The test may be over.
                    let _ = requests_in.send(Exchange {
                        request,
                        send,
                        recv,
                    });
                };
                tokio::select! {
                    fatal = dialer.run(on_stream) => panic!("the agent gave up: {fatal}"),
                    _ = stopped => {}
                }
            });
        });
        until("the host", || {
            let hosts = platform.hosts();
            (hosts[0]["status"] == "online").then_some(())
        });
        Self {
            platform,
            requests,
            agent: Some((stop, thread)),
            _state: state,
        }
    }

    /// Opens a session and enters it as the page does.
    pub async fn session(&self) -> Session {
        let opened = Session::open(&self.platform);
        opened.enter().await
    }

    /// The next request that reaches the agent.
    pub async fn exchange(&mut self) -> Exchange {
        let exchange = timeout(PATIENCE, self.requests.recv()).await;
        exchange
            .expect("a request in time")
            .expect("the agent runs")
    }

    /// Whether no request has reached the agent that the test has not taken.
    pub fn is_idle(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// Ends the agent, its connection with it.
    pub fn disconnect(&mut self) {
        if let Some((stop, thread)) = self.agent.take() {
            drop(stop);
            // What it may have panicked with, its own thread has said.
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Exchange {
    /// Answers with a whole body.
    pub fn answer(mut self, status: u32, lines: &str, body: &'static [u8]) {
        let mut head = head(status, lines);
        head.body = Bytes::from_static(body);
        head.body_follows = false;
        self.send.send_head(head).expect("the viewer waits");
    }

    /// Answers without an end, until nobody takes more of it: the viewer does not read, or the
    /// exchange has ended.
    pub async fn stall(&mut self) {
        /// Without room for this long, what is on the way is full.
        const STALLED: Duration = Duration::from_secs(1);
        self.send
            .send_head(head(200, ""))
            .expect("the viewer waits");
        let piece = Bytes::from_static(&[0; 64 << 10]);
        while let Ok(Ok(())) = timeout(STALLED, self.send.write(piece.clone())).await {}
    }

    /// Waits until nobody wants more of the answer, and returns the code that says why.
    pub async fn stopped(&mut self) -> ErrorCode {
        let stopped = timeout(PATIENCE, self.send.stopped()).await;
        match stopped.expect("in time") {
            StreamError::Stopped { code } => code,
            other => panic!("it ended otherwise: {other}"),
        }
    }

    /// Everything that the viewer sends, to its clean end.
    pub async fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = timeout(PATIENCE, self.recv.data()).await.expect("in time") {
            all.extend_from_slice(&piece.expect("unbroken"));
        }
        all
    }

    /// The request's fields as lines.
    pub fn lines(&self) -> &str {
        std::str::from_utf8(self.request.headers.as_bytes()).expect("text")
    }
}

/// A head whose body follows.
pub fn head(status: u32, lines: &str) -> HttpResponse {
    HttpResponse {
        id: StreamId::from_number(0),
        status,
        headers: fields(lines),
        body: Bytes::new(),
        body_follows: true,
    }
}

/// Field lines out of their text.
pub fn fields(lines: &str) -> FieldLines {
    let limits = fleetwire::limits::FIELDS;
    FieldLines::parse(Bytes::from(lines.to_owned()), limits).expect("well formed")
}
