//! The one task of a connection: it reads the socket into the link, writes what the link wants
//! sent, and keeps its time. Everything else of a program acts on the link through `connection`.

use super::{
    connection::{CLOSE_WAIT, Closing, Connection, Ending, shown},
    socket::{Socket, SocketError},
    tap::Tap,
};
use crate::{
    link::{Link, Side, Violation},
    wire::{
        DecodeError, Encoding,
        messages::ErrorCode,
        websocket::{Broken, Event},
    },
};
use bytes::Bytes;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Messages read before it is written again.
const READS_MAX: usize = 64;
/// Rounds of reading and writing before other tasks have their turn.
const ROUNDS_MAX: usize = 4;

/// Starts a connection: its handle, and its task, which the caller spawns. `on_event` is called in
/// that task, outside the lock, with each event of the link. The link was made at
/// `Time::default()`.
///
/// `encoding` is what the subprotocol says; `None` leaves it to the peer's first message.
pub fn start<S, IO, F>(
    socket: Socket<IO>,
    link: Link<S>,
    encoding: Option<Encoding>,
    on_event: F,
) -> (Connection<S>, impl Future<Output = Ending>)
where
    S: Side,
    IO: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(S::Event, &Connection<S>) + Unpin,
{
    start_tapped(socket, link, encoding, on_event, ())
}

/// The same, with somebody who looks on.
pub fn start_tapped<S, IO, F, T>(
    socket: Socket<IO>,
    link: Link<S>,
    encoding: Option<Encoding>,
    on_event: F,
    tap: T,
) -> (Connection<S>, impl Future<Output = Ending>)
where
    S: Side,
    IO: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(S::Event, &Connection<S>) + Unpin,
    T: Tap<S> + Unpin,
{
    let now = Instant::now();
    let connection = Connection::new(link, now);
    let driver = Driver {
        socket,
        connection: connection.clone(),
        encoding,
        on_event,
        tap,
        acknowledged: 0,
        timer: Box::pin(sleep_until(now)),
        woken: Vec::new(),
        received: 0,
        flushing: false,
        greeted: false,
        broken: false,
        stage: Stage::Running,
    };
    (connection, driver)
}

struct Driver<S: Side, IO, F, T> {
    socket: Socket<IO>,
    connection: Connection<S>,
    encoding: Option<Encoding>,
    on_event: F,
    tap: T,
    /// Messages that the peer had acknowledged when the tap was last told.
    acknowledged: u64,
    timer: Pin<Box<Sleep>>,
    woken: Vec<Waker>,
    /// Bytes received when the link was last told.
    received: u64,
    flushing: bool,
    /// The peer's first message has come.
    greeted: bool,
    /// No more messages can be read.
    broken: bool,
    stage: Stage,
}

enum Stage {
    /// Messages go both ways.
    Running,
    /// What is queued still leaves, then the close frame.
    Draining(Closing, Ending),
    /// The close frame has been sent; the peer's is awaited.
    Closing(Ending),
    /// What the peer sends is no WebSocket any more, and is thrown away until it has closed.
    Emptying(Ending),
}

/// Why the running stage is over.
enum Stop {
    /// The socket is gone.
    Ended(Ending),
    /// The connection is to be closed.
    Close(Closing, Ending),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Close(
            Closing::new(violation.code, &violation.text),
            Ending::Violation(violation),
        )
    }
}

/// Whether a step has come as far as it could.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There may be more at once.
    More,
    /// It waits for something that will wake the task.
    Waits,
}

impl<S, IO, F, T> Future for Driver<S, IO, F, T>
where
    S: Side,
    IO: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(S::Event, &Connection<S>) + Unpin,
    T: Tap<S> + Unpin,
{
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let this = self.get_mut();
        if matches!(this.stage, Stage::Running) {
            match this.run(cx) {
                Ok(()) => return Poll::Pending,
                Err(Stop::Ended(ending)) => return Poll::Ready(this.end(ending)),
                Err(Stop::Close(closing, ending)) => {
                    this.timer.as_mut().reset(Instant::now() + closing.wait);
                    this.connection.lock().link.close();
                    this.tell();
                    this.stage = if matches!(ending, Ending::Peer { .. }) {
                        // The answer to the peer's close frame is queued already, and leaves with a
                        // flush. Nothing else may follow.
                        this.flushing = true;
                        Stage::Closing(ending)
                    } else {
                        Stage::Draining(closing, ending)
                    };
                }
            }
        }
        match this.poll_close(cx) {
            Poll::Ready(ending) => Poll::Ready(this.end(ending)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S, IO, F, T> Driver<S, IO, F, T>
where
    S: Side,
    IO: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(S::Event, &Connection<S>) + Unpin,
    T: Tap<S> + Unpin,
{
    /// Goes as far as it can; `Ok` where it waits.
    fn run(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        for _ in 0..ROUNDS_MAX {
            let read = self.read(cx)?;
            self.tell();
            let written = self.write(cx)?;
            let timed = self.keep_time(cx)?;
            let mut state = self.connection.lock();
            // What was done while the socket takes nothing waits for the socket, which wakes the task.
            let acted = !state.wait_for_action(cx) && !self.flushing;
            if acted || [read, written, timed].contains(&Step::More) {
                continue;
            }
            return match state.closing.take() {
                Some(closing) => {
                    let ending = Ending::Local(closing.text.clone());
                    Err(Stop::Close(closing, ending))
                }
                None => Ok(()),
            };
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<Step, Stop> {
        for _ in 0..READS_MAX {
            {
                let state = self.connection.lock();
                if state.link.is_deciding() || state.link.is_closed() || state.paused {
                    return Ok(Step::Waits);
                }
                if state.link.is_open() {
                    self.socket.trust();
                }
            }
            match self.socket.poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => self.take(event)?,
                Poll::Ready(Some(Err(error))) => {
                    self.broken = true;
                    return Err(Self::socket_failed(error));
                }
                Poll::Ready(None) => {
                    return Err(Stop::Ended(Ending::Lost("the socket was closed".into())));
                }
                Poll::Pending => {
                    self.count_bytes();
                    return Ok(Step::Waits);
                }
            }
        }
        Ok(Step::More)
    }

    /// Tells the link of bytes that are no whole message yet.
    fn count_bytes(&mut self) {
        let received = self.socket.received();
        if received != self.received {
            self.received = received;
            let now = self.connection.now();
            self.connection.lock().link.handle_bytes(now);
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Message { text, payload } => {
                let encoding = if text {
                    Encoding::Json
                } else {
                    Encoding::Binary
                };
                self.message(encoding, payload)
            }
            Event::Close(closing) => {
                let (close_code, text) = match closing {
                    Some((code, reason)) => (code, shown(&reason)),
                    None => (1005, String::new()),
                };
                // The answer to it is queued, and leaves with the end of the task.
                let closing = Closing {
                    close_code,
                    text: String::new(),
                    wait: CLOSE_WAIT,
                };
                Err(Stop::Close(closing, Ending::Peer { close_code, text }))
            }
            Event::Ping(_) | Event::Pong | Event::Crumb => {
                let now = self.connection.now();
                Ok(self.connection.lock().link.handle_ping(now)?)
            }
        }
    }

    fn message(&mut self, encoding: Encoding, bytes: Bytes) -> Result<(), Stop> {
        let length = bytes.len();
        self.received = self.socket.received();
        if *self.encoding.get_or_insert(encoding) != encoding {
            let text = "text and binary messages on one connection";
            let violation = Violation::new(ErrorCode::MixedEncodings, text);
            self.tap.came(None, length, Some(&violation));
            return Err(violation.into());
        }
        let first = !std::mem::replace(&mut self.greeted, true);
        let decoded = if first {
            encoding.decode_first::<S::Receive>(bytes)
        } else {
            encoding.decode::<S::Receive>(bytes)
        };
        let now = self.connection.now();
        let link = &mut self.connection.lock().link;
        match decoded {
            Ok(message) => {
                let note = self.tap.coming(&message);
                let handled = link.handle(message, now);
                if note.is_some() || handled.is_err() {
                    self.tap.came(note, length, handled.as_ref().err());
                }
                handled?;
            }
            Err(DecodeError::UnknownType { name }) => {
                let text = "a message of a type that this side does not know";
                let unknown = Violation::new(ErrorCode::MessageTypeUnknown, text);
                self.tap.came(None, length, Some(&unknown));
                link.handle_unknown(name.as_deref(), now)?;
            }
            Err(error) => {
                let violation = Violation::from(error);
                self.tap.came(None, length, Some(&violation));
                return Err(violation.into());
            }
        }
        link.count_received(length as u64);
        let acknowledged = link.acknowledged_messages();
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.tap.acknowledged(acknowledged);
        }
        Ok(())
    }

    fn socket_failed(error: SocketError) -> Stop {
        let code = match error {
            SocketError::Broken(Broken::TooLong) | SocketError::Stranger => {
                ErrorCode::MessageTooBig
            }
            SocketError::Broken(Broken::NotUtf8 | Broken::Protocol(_)) => ErrorCode::Malformed,
            SocketError::Ended | SocketError::Io(_) => {
                return Stop::Ended(Ending::Lost(error.to_string()));
            }
        };
        Violation::new(code, error.to_string()).into()
    }

    /// Gives the program what the link has to say.
    fn tell(&mut self) {
        loop {
            let mut state = self.connection.lock();
            let Some(event) = state.link.poll_event() else {
                state.take_woken(&mut self.woken);
                break;
            };
            drop(state);
            (self.on_event)(event, &self.connection);
        }
        self.woken.drain(..).for_each(Waker::wake);
    }

    /// Writes batch by batch: what matters most is asked anew only when the last has left, as
    /// what waits in a buffer cannot be overtaken.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<Step, Stop> {
        loop {
            if self.poll_flush(cx)?.is_pending() {
                return Ok(Step::Waits);
            }
            let now = self.connection.now();
            let encoding = self.encoding.unwrap_or(Encoding::Binary);
            let text = encoding == Encoding::Json;
            let mut state = self.connection.lock();
            state.begin_transmit();
            let batch_bytes = state.link.batch_bytes();
            let mut batched = 0;
            while batched < batch_bytes {
                let before = state.link.sent_messages();
                let Some(message) = state.link.poll_transmit(now) else {
                    break;
                };
                let note = self.tap.going(&message);
                let length = self.socket.queue(text, |out| encoding.encode(message, out));
                state.link.count_sent(length as u64);
                if let Some(note) = note {
                    let number = state.link.sent_messages();
                    let counted = number > before && state.link.is_acknowledged();
                    self.tap.gone(note, length, counted.then_some(number));
                }
                batched += length;
                self.flushing = true;
            }
            // Whoever waited for room may fill the next batch meanwhile. Also where nothing was sent: a
            // stream may have ended before it began.
            state.take_woken(&mut self.woken);
            drop(state);
            self.woken.drain(..).for_each(Waker::wake);
            if !self.flushing {
                return Ok(Step::Waits);
            }
        }
    }

    /// Sends what is queued, the answer to a ping included.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Stop> {
        self.flushing |= self.socket.is_unsent();
        if self.flushing {
            match self.socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.flushing = false,
                Poll::Ready(Err(error)) => {
                    return Err(Stop::Ended(Ending::Lost(error.to_string())));
                }
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<Step, Stop> {
        let due = self.connection.lock().link.poll_timeout(!self.flushing);
        let Some(due) = due.map(|time| self.connection.instant(time)) else {
            return Ok(Step::Waits);
        };
        // A timer that rings too early is set anew then: cheaper than with every message.
        if due < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(Step::Waits);
        }
        self.count_bytes();
        let now = self.connection.now();
        self.connection.lock().link.handle_timeout(now)?;
        Ok(Step::More)
    }

    /// Sends what is left and the close frame, and waits for the peer's; not for long.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let ending = match &self.stage {
                Stage::Draining(_, ending) | Stage::Closing(ending) => ending.clone(),
                Stage::Emptying(ending) => {
                    let ending = ending.clone();
                    return self.empty(cx).map(|()| ending);
                }
                Stage::Running => return Poll::Pending,
            };
            let written = match &self.stage {
                Stage::Draining(..) => self.write(cx).map(|_| ()),
                _ => self.poll_flush(cx).map(|_| ()),
            };
            if self.timer.as_mut().poll(cx).is_ready() || written.is_err() {
                return Poll::Ready(ending);
            }
            if let Stage::Draining(closing, _) = &self.stage
                && !self.flushing
            {
                let Closing {
                    close_code, text, ..
                } = closing;
                let frame = (*close_code != 1005).then_some((*close_code, text.as_str()));
                self.socket.close(frame);
                self.stage = Stage::Closing(ending);
                continue;
            }
            match self.socket.poll_next(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) => self.broken = true,
                Poll::Ready(None) if self.flushing => return Poll::Pending,
                Poll::Ready(None) if self.broken => {
                    // Who sends too much may send more: a limit would only end this early.
                    self.socket.trust();
                    self.stage = Stage::Emptying(ending);
                }
                Poll::Ready(None) => return Poll::Ready(ending),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads to the end of what the peer sends, for a while: a socket that is closed with bytes
    /// unread resets the connection, and takes the close frame with it before the peer has read it.
    fn empty(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let io = self.socket.io();
        // Nothing more is said; where this cannot be told, the peer finds out when it is over.
        let _ = Pin::new(&mut *io).poll_shutdown(cx);
        let mut space = [0; 4 << 10];
        for _ in 0..READS_MAX {
            if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut *io).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn end(&mut self, ending: Ending) -> Ending {
        let now = self.connection.now();
        let mut state = self.connection.lock();
        state.link.close();
        // What was still to be said is not any more.
        while let Some(message) = state.link.poll_transmit(now) {
            if let Some(note) = self.tap.going(&message) {
                self.tap.gone(note, 0, None);
            }
        }
        drop(state);
        self.tell();
        self.connection.end(ending.clone());
        ending
    }
}

/// A task that is dropped before its end, by a panic or by the runtime's, ends its connection all the
/// same: whoever waits for it, or on its streams, would wait for ever.
impl<S: Side, IO, F, T> Drop for Driver<S, IO, F, T> {
    fn drop(&mut self) {
        if self.connection.is_ended() {
            return;
        }
        let mut state = self.connection.lock();
        state.link.close();
        state.take_woken(&mut self.woken);
        drop(state);
        self.woken.drain(..).for_each(Waker::wake);
        self.connection.end(Ending::Lost("its task is gone".into()));
    }
}
