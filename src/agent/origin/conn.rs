//! One connection to an origin and the exchange it carries: the request's body goes up while the
//! answer comes down, and after a 101 raw bytes go both ways.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connect::Socket;
use super::decode::{Decoder, Event};
use super::error::OriginError;
use super::head::Head;
use super::request::{Encoded, RequestError, Sending};
use crate::limits::DATA_BYTES_MAX;
use crate::limits::INLINE_BODY_BYTES_MAX;
use crate::wire::fields::FieldLines;

/// A read asks for this much at first. Idle connections hold nothing.
const READ_MIN: usize = 8 * 1024;
/// A read that filled its room doubles it for the next, up to this: two full messages of the link,
/// so that no crumb is left over for a third.
const READ_MAX: usize = 2 * DATA_BYTES_MAX;

/// How long each step of an exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Dialling, the TLS handshake included.
    pub connect: Duration,
    /// From the end of the request's body to the final head.
    pub head: Duration,
    /// Between two pieces of the request's body, and from the final head on between two of either
    /// direction. Upgraded connections may be silent for ever.
    pub idle: Duration,
    /// How long a body waits for `100 Continue` before it is sent unasked (RFC 9110 10.1.1).
    pub wait_continue: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(120),
            idle: Duration::from_secs(15 * 60),
            wait_continue: Duration::from_secs(1),
        }
    }
}

/// The caller's side gave up an exchange: the origin's connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

/// A piece of a request's body, or of an upgraded connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to send on.
    Data(Bytes),
    /// The end, with trailers.
    End(FieldLines),
}

/// Where a request's body comes from.
pub trait Source: Send {
    /// The next piece; not asked again after the end.
    fn next(&mut self) -> impl Future<Output = Result<Piece, Cancelled>> + Send;
}

/// What an origin answers, in the order of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A 1xx head other than 100 and 101.
    Interim(Head),
    /// An answer that came as one and fits one message of the link: head, body, trailers. Nothing
    /// follows.
    Whole(Head, Bytes, FieldLines),
    /// The final head; `Data` and `End` follow.
    Head(Head),
    /// The 101 head; raw `Data` and `End` follow.
    Upgraded(Head),
    /// A piece of the body, to be handed on at once.
    Data(Bytes),
    /// The end of the body, or of the origin's side of an upgraded connection.
    End(FieldLines),
}

/// Where an answer goes. The origin is read only as fast as this takes.
pub trait Sink: Send {
    /// Takes the next part of the answer.
    fn take(&mut self, answer: Answer) -> impl Future<Output = Result<(), Cancelled>> + Send;

    /// Ready once nobody wants the answer any more; asked while the origin is silent.
    fn poll_cancelled(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// Takes a step of an exchange that reads nothing, unless nobody wants the answer any more meanwhile.
pub(super) async fn wanted<T>(
    sink: &mut impl Sink,
    step: impl Future<Output = Result<T, OriginError>>,
) -> Result<T, OriginError> {
    let mut step = pin!(step);
    poll_fn(|context| match step.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => sink
            .poll_cancelled(context)
            .map(|()| Err(OriginError::Cancelled)),
    })
    .await
}

/// Why an exchange failed, and whether it may be tried again elsewhere.
pub(super) struct Failure {
    pub(super) error: OriginError,
    /// Nothing of an answer came and nothing of a streamed body was taken from its source.
    pub(super) untouched: bool,
}

/// An open connection between exchanges.
#[derive(Debug)]
pub(super) struct Connection {
    reader: ReadHalf<Socket>,
    writer: WriteHalf<Socket>,
}

impl Connection {
    pub(super) fn new(socket: Socket) -> Self {
        let (reader, writer) = tokio::io::split(socket);
        Self { reader, writer }
    }

    /// Whether the origin has neither closed nor sent anything unasked. Does not wait.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.reader)
            .poll_read(&mut context, &mut buffer)
            .is_pending()
    }

    /// Carries one exchange to its end. Returns how long the connection may then be kept.
    /// Dropping the future, or an error, leaves the connection unusable.
    pub(super) async fn exchange(
        &mut self,
        request: &Encoded,
        source: &mut impl Source,
        sink: &mut impl Sink,
        timeouts: &Timeouts,
    ) -> Result<Option<Duration>, Failure> {
        let progress = Progress::default();
        let result = self.run(request, source, sink, timeouts, &progress).await;
        let untouched = !progress.taken.load(Relaxed) && !progress.answered.load(Relaxed);
        result.map_err(|error| Failure { error, untouched })
    }

    async fn run(
        &mut self,
        request: &Encoded,
        source: &mut impl Source,
        sink: &mut impl Sink,
        timeouts: &Timeouts,
        progress: &Progress,
    ) -> Result<Option<Duration>, OriginError> {
        let opening = async {
            self.writer.write_all(&request.bytes).await?;
            self.writer.flush().await
        };
        let opening = async {
            let opened = timeout(timeouts.head, opening).await;
            Ok(opened.map_err(|_| OriginError::HeadTimeout)??)
        };
        wanted(sink, opening).await?;

        // An upgrade's bytes wait for the 101, an expecting body for the 100.
        let sending = request.sending;
        let waits =
            sending == Sending::Raw || (request.expects_continue && sending != Sending::Nothing);
        let (go, gate) = if waits {
            let (go, gate) = oneshot::channel();
            (Some(go), Some(gate))
        } else {
            (None, None)
        };
        let download = Download {
            reader: &mut self.reader,
            buffer: BytesMut::new(),
            room: READ_MIN,
            decoder: Decoder::new(request.asked),
            sink,
            go,
            idle: timeouts.idle,
            progress,
        };
        let upload = Upload {
            writer: &mut self.writer,
            source,
            sending,
            gate,
            timeouts,
            progress,
        };
        let mut download = pin!(download.run());
        let mut upload = pin!(upload.run());
        let mut head_timeout = pin!(sleep(timeouts.head));
        let mut uploading = sending != Sending::Nothing;
        let mut upload_whole = !uploading;
        let mut write_fault = None;
        loop {
            tokio::select! {
                biased;
                result = &mut download => {
                    let keep = match (result, write_fault) {
                        // What the origin did not say, the failed write tells better.
                        (Err(OriginError::Closed | OriginError::Malformed(_)), Some(fault))
                            if !progress.headed.load(Relaxed) => return Err(OriginError::Io(fault)),
                        (result, _) => result?,
                    };
                    if uploading && progress.upgraded.load(Relaxed) {
                        // The origin closed its side only: what the browser still sends goes up,
                        // for as long as it sends.
                        return match upload.await {
                            Err(UploadFault::Cancelled) => Err(OriginError::Cancelled),
                            _ => Ok(None),
                        };
                    }
                    return Ok(keep.filter(|_| upload_whole));
                }
                result = &mut upload, if uploading => {
                    uploading = false;
                    match result {
                        Ok(whole) => upload_whole = whole,
                        // The origin may have answered before it stopped reading: look for that.
                        Err(UploadFault::Write(fault)) => write_fault = Some(fault),
                        Err(UploadFault::Cancelled) => return Err(OriginError::Cancelled),
                        Err(UploadFault::Silent) => return Err(OriginError::UploadTimeout),
                        Err(UploadFault::Length) => {
                            return Err(OriginError::Request(RequestError::BodyLength));
                        }
                    }
                    head_timeout.as_mut().reset(Instant::now() + timeouts.head);
                }
                // What follows a request for an upgrade waits for its answer.
                () = &mut head_timeout, if (!uploading || sending == Sending::Raw)
                    && !progress.headed.load(Relaxed) =>
                {
                    // The condition was looked at before the download ran: the head may have come
                    // meanwhile, and its body may take as long as it likes.
                    if !progress.headed.load(Relaxed) {
                        return Err(OriginError::HeadTimeout);
                    }
                }
            }
        }
    }
}

/// What the two directions of an exchange tell each other and whoever decides on another try.
#[derive(Default)]
struct Progress {
    /// A piece of the body was taken from its source.
    taken: AtomicBool,
    /// A byte of an answer came.
    answered: AtomicBool,
    /// The final head came.
    headed: AtomicBool,
    /// It was a 101.
    upgraded: AtomicBool,
    /// When a piece of the body last came from its source, or was taken by the origin.
    fed_at: Mutex<Option<Instant>>,
}

impl Progress {
    fn feed(&self) {
        *self.fed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn fed_at(&self) -> Option<Instant> {
        *self.fed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a read brought nothing.
enum Fill {
    Cancelled,
    Io(io::Error),
}

struct Download<'a, S> {
    reader: &'a mut ReadHalf<Socket>,
    buffer: BytesMut,
    room: usize,
    decoder: Decoder,
    sink: &'a mut S,
    go: Option<oneshot::Sender<()>>,
    idle: Duration,
    progress: &'a Progress,
}

impl<S: Sink> Download<'_, S> {
    async fn run(mut self) -> Result<Option<Duration>, OriginError> {
        let mut limit = None;
        loop {
            match self.next(limit).await? {
                Event::Interim(head) if head.status == 100 => {
                    if let Some(go) = self.go.take() {
                        // The upload may have given up waiting.
                        let _ = go.send(());
                    }
                }
                Event::Interim(head) => self.hand_on(Answer::Interim(head)).await?,
                Event::Upgraded(head) => {
                    self.progress.headed.store(true, Relaxed);
                    self.progress.upgraded.store(true, Relaxed);
                    self.hand_on(Answer::Upgraded(head)).await?;
                    if let Some(go) = self.go.take() {
                        let _ = go.send(());
                    }
                }
                Event::Head(head) => {
                    self.progress.headed.store(true, Relaxed);
                    // A body that still waits for leave will never be asked for.
                    drop(self.go.take());
                    limit = Some(self.idle);
                    if self.head(head).await? {
                        return Ok(self.keep());
                    }
                }
                Event::Data(data) => self.hand_on(Answer::Data(data)).await?,
                Event::End(trailers) => {
                    self.hand_on(Answer::End(trailers)).await?;
                    return Ok(self.keep());
                }
            }
        }
    }

    /// Hands on a head, together with the body if all of it has come. Returns whether it had.
    async fn head(&mut self, head: Head) -> Result<bool, OriginError> {
        let first = self.decoder.next(&mut self.buffer)?;
        let (data, end) = match first {
            Some(Event::Data(data)) if data.len() <= INLINE_BODY_BYTES_MAX => {
                (data, self.decoder.next(&mut self.buffer)?)
            }
            Some(Event::End(trailers)) => (Bytes::new(), Some(Event::End(trailers))),
            None => (Bytes::new(), None),
            Some(event) => {
                self.hand_on(Answer::Head(head)).await?;
                self.hand_on(into_answer(event)).await?;
                return Ok(false);
            }
        };
        match end {
            Some(Event::End(trailers)) => {
                self.hand_on(Answer::Whole(head, data, trailers)).await?;
                return Ok(true);
            }
            end => {
                self.hand_on(Answer::Head(head)).await?;
                if !data.is_empty() {
                    self.hand_on(Answer::Data(data)).await?;
                }
                if let Some(event) = end {
                    self.hand_on(into_answer(event)).await?;
                }
            }
        }
        Ok(false)
    }

    /// The next event, read for as long as it takes or `limit` says.
    async fn next(&mut self, limit: Option<Duration>) -> Result<Event, OriginError> {
        loop {
            if let Some(event) = self.decoder.next(&mut self.buffer)? {
                return Ok(event);
            }
            let read = match limit {
                Some(limit) => self.fill_within(limit).await?,
                None => self.fill().await,
            };
            match read {
                Err(Fill::Cancelled) => return Err(OriginError::Cancelled),
                Ok(0) if !self.progress.answered.load(Relaxed) => return Err(OriginError::Closed),
                Ok(0) => return Ok(self.decoder.eof()?),
                Ok(_) => self.progress.answered.store(true, Relaxed),
                Err(Fill::Io(error)) => return Err(OriginError::Io(error)),
            }
        }
    }

    /// Reads within the time that an exchange may be idle: an origin that has answered early may be
    /// silent for as long as the request's body flows.
    async fn fill_within(&mut self, limit: Duration) -> Result<Result<usize, Fill>, OriginError> {
        let mut moved_at = Instant::now();
        loop {
            if let Ok(read) = timeout_at(moved_at + limit, self.fill()).await {
                return Ok(read);
            }
            match self.progress.fed_at() {
                Some(fed_at) if fed_at > moved_at => moved_at = fed_at,
                _ => return Err(OriginError::BodyTimeout),
            }
        }
    }

    async fn fill(&mut self) -> Result<usize, Fill> {
        if self.buffer.capacity() - self.buffer.len() < self.room / 2 {
            self.buffer.reserve(self.room);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let read = {
            let mut reading = pin!(self.reader.read_buf(&mut self.buffer));
            poll_fn(|context| match reading.as_mut().poll(context) {
                Poll::Ready(read) => Poll::Ready(read.map_err(Fill::Io)),
                Poll::Pending => self
                    .sink
                    .poll_cancelled(context)
                    .map(|()| Err(Fill::Cancelled)),
            })
            .await?
        };
        if read == room {
            self.room = (self.room * 2).min(READ_MAX);
        }
        Ok(read)
    }

    async fn hand_on(&mut self, answer: Answer) -> Result<(), OriginError> {
        self.sink
            .take(answer)
            .await
            .map_err(|Cancelled| OriginError::Cancelled)
    }

    /// Bytes behind the answer's end are an answer to nothing: such a connection is not kept.
    fn keep(&self) -> Option<Duration> {
        self.decoder.keep().filter(|_| self.buffer.is_empty())
    }
}

fn into_answer(event: Event) -> Answer {
    match event {
        Event::Interim(head) => Answer::Interim(head),
        Event::Head(head) => Answer::Head(head),
        Event::Upgraded(head) => Answer::Upgraded(head),
        Event::Data(data) => Answer::Data(data),
        Event::End(trailers) => Answer::End(trailers),
    }
}

struct Upload<'a, S> {
    writer: &'a mut WriteHalf<Socket>,
    source: &'a mut S,
    sending: Sending,
    gate: Option<oneshot::Receiver<()>>,
    timeouts: &'a Timeouts,
    progress: &'a Progress,
}

enum UploadFault {
    Cancelled,
    /// The source gave nothing for too long, and the origin had not begun to answer.
    Silent,
    Length,
    Write(io::Error),
}

impl<S: Source> Upload<'_, S> {
    /// Returns whether the origin was sent all of the body.
    async fn run(mut self) -> Result<bool, UploadFault> {
        if !self.leave().await {
            return Ok(false);
        }
        let mut sending = self.sending;
        loop {
            let piece = self.piece().await?;
            self.progress.taken.store(true, Relaxed);
            self.progress.feed();
            let (done, write) = match (piece, &mut sending) {
                (Piece::Data(data), Sending::Length(left)) => {
                    *left = left
                        .checked_sub(data.len() as u64)
                        .ok_or(UploadFault::Length)?;
                    (false, self.write(data).await)
                }
                (Piece::Data(data), Sending::Chunked) if data.is_empty() => continue,
                (Piece::Data(data), Sending::Chunked) => {
                    let size = Bytes::from(format!("{:x}\r\n", data.len()));
                    let chunk = size.chain(data).chain(&b"\r\n"[..]);
                    (false, self.write(chunk).await)
                }
                (Piece::Data(data), _) => (false, self.write(data).await),
                (Piece::End(_), Sending::Length(0)) => (true, Ok(())),
                (Piece::End(_), Sending::Length(_)) => return Err(UploadFault::Length),
                (Piece::End(trailers), Sending::Chunked) => {
                    let end = Buf::chain(&b"0\r\n"[..], trailers.into_bytes());
                    let end = end.chain(&b"\r\n"[..]);
                    (true, self.write(end).await)
                }
                (Piece::End(_), _) => (true, self.writer.shutdown().await),
            };
            write.map_err(UploadFault::Write)?;
            self.progress.feed();
            if done {
                return Ok(true);
            }
        }
    }

    /// The next piece of the body, within the time that an HTTP exchange may be idle. Once the
    /// final head has come that is the download's to watch: an answer may flow for as long as it
    /// likes beside a body that is silent. An upgraded connection may be silent for ever.
    async fn piece(&mut self) -> Result<Piece, UploadFault> {
        let mut next = pin!(self.source.next());
        let piece = if self.sending == Sending::Raw {
            next.await
        } else {
            loop {
                match timeout(self.timeouts.idle, &mut next).await {
                    Ok(piece) => break piece,
                    Err(_) if self.progress.headed.load(Relaxed) => {}
                    Err(_) => return Err(UploadFault::Silent),
                }
            }
        };
        piece.map_err(|Cancelled| UploadFault::Cancelled)
    }

    /// Waits until the origin may be sent the body; false if it does not want it.
    async fn leave(&mut self) -> bool {
        match self.gate.take() {
            None => true,
            Some(gate) if self.sending == Sending::Raw => gate.await.is_ok(),
            Some(gate) => match timeout(self.timeouts.wait_continue, gate).await {
                Ok(leave) => leave.is_ok(),
                Err(_) => true,
            },
        }
    }

    async fn write(&mut self, mut bytes: impl Buf) -> io::Result<()> {
        let writing = async {
            self.writer.write_all_buf(&mut bytes).await?;
            self.writer.flush().await
        };
        match timeout(self.timeouts.idle, writing).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
