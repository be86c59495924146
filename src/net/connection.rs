//! One live connection: a link, the lock around it, and what its programs and its own task tell
//! each other. Programs act on the link directly through [`Connection`]; the task in `driver` reads
//! and writes the socket. The lock is never held across an `await`.

use crate::{
    link::{Agent, Link, Platform, Side, StreamError, StreamKey, Time, close_code},
    net::tls,
    wire::messages::{ErrorCode, GoAway, Heartbeat, Refuse},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// A handle to a connection; clones name the same one.
pub struct Connection<S: Side> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Side> {
    state: Mutex<State<S>>,
    /// The link's clock counts from here.
    epoch: Instant,
    ended: watch::Sender<Option<Ending>>,
}

/// What stands behind the lock.
pub(super) struct State<S: Side> {
    pub(super) link: Link<S>,
    /// By the index of the stream's key.
    wakers: Vec<StreamWakers>,
    /// The connection's own task, where it waits for something to send.
    driver: Option<Waker>,
    /// Something was done to the link since its task last transmitted.
    acted: bool,
    /// The program wants the end, with this said in the close frame.
    pub(super) closing: Option<Closing>,
    /// The program has as much of what the peer says as it may hold: nothing more is read.
    pub(super) paused: bool,
}

impl<S: Side> State<S> {
    fn wake_driver(&mut self) {
        self.acted = true;
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// What the link wants sent is being taken.
    pub(super) const fn begin_transmit(&mut self) {
        self.acted = false;
    }

    /// Lets the connection's task wait; `false` where something was done since it last transmitted.
    pub(super) fn wait_for_action(&mut self, cx: &Context<'_>) -> bool {
        remember(&mut self.driver, cx);
        !self.acted
    }

    /// Takes the wakers of whoever waits for what has changed on streams.
    pub(super) fn take_woken(&mut self, woken: &mut Vec<Waker>) {
        while let Some(key) = self.link.poll_touched() {
            if let Some(wakers) = self.wakers.get_mut(key.index()) {
                woken.extend(wakers.take());
            }
        }
    }
}

/// What a close frame says.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) close_code: u16,
    pub(super) text: String,
    /// How long the peer may take to read it and to close as well.
    pub(super) wait: Duration,
}

/// How long a connection that is to be closed may take to send what is left and to see the peer's
/// close frame.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The same where the peer has lost its right to be here: it is to be gone within a second.
const CLOSE_WAIT_REVOKED: Duration = Duration::from_millis(500);

impl Closing {
    pub(super) fn new(code: ErrorCode, text: &str) -> Self {
        Self {
            close_code: close_code(code),
            text: format!("{code}: {text}"),
            wait: match code {
                ErrorCode::HostRevoked => CLOSE_WAIT_REVOKED,
                _ => CLOSE_WAIT,
            },
        }
    }
}

/// A peer's text as a log may show it: on one line, and with nothing that a terminal obeys.
pub fn shown(text: &str) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(plain).collect()
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// This side closed it.
    #[error("closed by this side: {0}")]
    Local(String),
    /// The peer closed it, with this code and text in its close frame.
    #[error("closed by the peer: {text} ({close_code})")]
    Peer {
        /// The WebSocket close code; 1005 where there was none.
        close_code: u16,
        /// What it said.
        text: String,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(crate::link::Violation),
    /// The socket failed, or ended without a close frame.
    #[error("the connection was lost: {}", tls::plain_words(.0))]
    Lost(String),
}

/// The tasks that wait on one stream.
#[derive(Debug, Default)]
pub(super) struct StreamWakers {
    read: Option<Waker>,
    write: Option<Waker>,
    stop: Option<Waker>,
}

impl StreamWakers {
    pub(super) fn wait_to_read(&mut self, cx: &Context<'_>) {
        remember(&mut self.read, cx);
    }

    pub(super) fn wait_to_write(&mut self, cx: &Context<'_>) {
        remember(&mut self.write, cx);
    }

    pub(super) fn wait_for_stop(&mut self, cx: &Context<'_>) {
        remember(&mut self.stop, cx);
    }

    /// Takes the wakers that a change on the stream may concern.
    fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        [self.read.take(), self.write.take(), self.stop.take()]
            .into_iter()
            .flatten()
    }
}

/// Keeps the task's waker, without a clone where it is the same one.
fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl<S: Side> Connection<S> {
    pub(super) fn new(link: Link<S>, epoch: Instant) -> Self {
        let state = State {
            link,
            wakers: Vec::new(),
            driver: None,
            acted: false,
            closing: None,
            paused: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            epoch,
            ended: watch::Sender::new(None),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn now(&self) -> Time {
        let micros = self.shared.epoch.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The moment of the runtime's clock that the link calls `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.shared.epoch + Duration::from_micros(time.as_micros())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<S>> {
        // A panic while the lock was held has been reported; the link's state is still whole.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the link and lets its task send what comes of it.
    pub(super) fn act<R>(&self, action: impl FnOnce(&mut Link<S>, Time) -> R) -> R {
        let mut state = self.lock();
        let result = action(&mut state.link, self.now());
        state.wake_driver();
        result
    }

    /// Polls something of a stream; the wakers are where to wait for it.
    pub(super) fn poll_stream<R>(
        &self,
        key: StreamKey,
        poll: impl FnOnce(&mut Link<S>, &mut StreamWakers) -> Poll<R>,
    ) -> Poll<R> {
        let mut state = self.lock();
        if state.wakers.len() <= key.index() {
            state
                .wakers
                .resize_with(key.index() + 1, StreamWakers::default);
        }
        let State { link, wakers, .. } = &mut *state;
        let result = poll(link, &mut wakers[key.index()]);
        if result.is_ready() && link.has_control(self.now()) {
            state.wake_driver();
        }
        result
    }

    /// Lets go of one half of a stream.
    pub(super) fn release(&self, key: StreamKey, release: impl FnOnce(&mut Link<S>, Time)) {
        let mut state = self.lock();
        release(&mut state.link, self.now());
        if !state.link.is_held(key)
            && let Some(wakers) = state.wakers.get_mut(key.index())
        {
            // The next stream of this key is another's.
            *wakers = StreamWakers::default();
        }
        state.wake_driver();
    }

    /// Where the connection is, and what it has carried, for whoever watches it.
    pub fn look<R>(&self, look: impl FnOnce(&Link<S>) -> R) -> R {
        look(&self.lock().link)
    }

    /// The newest round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.lock().link.round_trip()
    }

    /// Queues a message of no stream. Where the peer takes none, the connection is closed: what it
    /// has not been told, it can only learn anew.
    pub fn send(&self, message: impl Into<S::Send>) -> Result<(), StreamError> {
        let queued = self.act(|link, _| link.send(message));
        if queued == Err(StreamError::Backlog) {
            self.close(ErrorCode::Overloaded, "the peer takes no messages");
        }
        queued
    }

    /// Closes the connection once what is queued has left. Streams fail at once.
    pub fn close(&self, code: ErrorCode, text: &str) {
        self.close_with(Closing::new(code, text), Link::close);
    }

    /// Ends the link with a last action on it. Both are done at once: a task that saw only that the
    /// end is wanted would leave out what the action has to say.
    fn close_with(&self, closing: Closing, action: impl FnOnce(&mut Link<S>)) {
        let mut state = self.lock();
        state.closing.get_or_insert(closing);
        action(&mut state.link);
        state.wake_driver();
    }

    /// Reads no more of the peer until [`Self::resume`]: it waits, and with it all that it sends. One that
    /// is not resumed in time is taken for silent.
    pub fn pause(&self) {
        self.lock().paused = true;
    }

    /// Reads on.
    pub fn resume(&self) {
        let mut state = self.lock();
        state.paused = false;
        state.wake_driver();
    }

    /// Waits for the end of the connection.
    pub async fn ended(&self) -> Ending {
        let mut ended = self.shared.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(ending) => ending
                .clone()
                .unwrap_or_else(|| Ending::Lost(String::new())),
            Err(_) => Ending::Lost("its task is gone".into()),
        }
    }

    /// Whether the connection has ended.
    pub fn is_ended(&self) -> bool {
        self.shared.ended.borrow().is_some()
    }

    pub(super) fn end(&self, ending: Ending) {
        self.shared.ended.send_replace(Some(ending));
    }

    /// Whether both name the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Connection<Agent> {
    /// The figures that heartbeats carry from now on.
    pub fn set_health(&self, health: Heartbeat) {
        self.lock().link.set_health(health);
    }
}

impl Connection<Platform> {
    /// Lets the agent in.
    pub fn admit(&self, admission: crate::link::Admission) {
        self.act(|link, now| link.admit(admission, now));
    }

    /// Does not let the agent in, and closes.
    pub fn refuse(&self, refuse: Refuse) {
        let closing = Closing::new(refuse.code, &refuse.message);
        self.close_with(closing, |link| link.refuse(refuse));
    }

    /// Tells the agent to come back within the window, at a moment of its choice. Open streams may
    /// finish; new ones are not opened.
    pub fn go_away(&self, code: ErrorCode, text: &str, reconnect_window: Duration) {
        let reconnect_window_ms = u32::try_from(reconnect_window.as_millis()).unwrap_or(u32::MAX);
        let message = GoAway {
            code,
            message: text.to_owned(),
            reconnect_window_ms,
        };
        self.act(|link, _| link.go_away(message));
    }

    /// Whether the agent knows only whole requests and answers.
    pub fn is_whole_only(&self) -> bool {
        self.lock().link.is_whole_only()
    }
}

impl<S: Side> Clone for Connection<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: Side> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
