//! After a 101: raw bytes between the browser's connection and the stream, both ways, each
//! direction with an end of its own (rule 12). Nothing is parsed but where a WebSocket's frames
//! end, for the goodbye when the session does.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};
use tracing::debug;

use super::frames::{CLOSE_GOING_AWAY, Frames};
use crate::{
    clock::UnixMillis,
    net::stream::{RecvHalf, SendHalf},
    platform::sessions::Session,
    wire::{fields::FieldLines, messages::ErrorCode},
};

/// Read at once from the browser, into the stack: an idle connection holds no buffer.
const READ_BYTES: usize = 16 << 10;
/// How long a browser has to take the goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Carries bytes until both directions have ended, one breaks, or the session ends. `websocket`:
/// that is what the connection was switched to.
pub async fn relay(
    viewer: OnUpgrade,
    (send, recv): (SendHalf, RecvHalf),
    session: Arc<Session>,
    websocket: bool,
) {
    // Whatever is dropped here before its end tells the device so.
    let viewer = tokio::select! {
        biased;
        viewer = viewer => match viewer {
            Ok(viewer) => viewer,
            Err(error) => {
                debug!(%error, "the viewer left before it was switched over");
                return;
            }
        },
        _ = session.closed() => return,
    };
    let mut relay = Relay {
        viewer: TokioIo::new(viewer),
        send: Some(send),
        recv: Some(recv),
        reading: true,
        pending: Bytes::new(),
        unflushed: false,
        frames: websocket.then(Frames::default),
        session: &session,
    };
    let closed = tokio::select! {
        biased;
        _ = poll_fn(|cx| relay.poll(cx)) => false,
        _ = session.closed() => true,
    };
    if closed {
        relay.end_with_session().await;
    }
}

struct Relay<'a> {
    viewer: TokioIo<Upgraded>,
    /// `None` once the viewer's direction has ended or the device takes no more of it.
    send: Option<SendHalf>,
    /// `None` once the device's direction has ended.
    recv: Option<RecvHalf>,
    /// The viewer's direction has not ended.
    reading: bool,
    /// What is on its way to the viewer.
    pending: Bytes,
    unflushed: bool,
    frames: Option<Frames>,
    session: &'a Session,
}

impl Relay<'_> {
    /// Ready when nothing more can pass; an error when a direction broke.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = self.poll_up(cx)?;
        let down = self.poll_down(cx)?;
        // A device that neither sends nor takes is gone, whatever the viewer still has to say.
        if down.is_ready() && (up.is_ready() || self.send.is_none()) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reading {
            if let Some(send) = &mut self.send {
                let unwanted = send.poll_stopped(cx).is_ready();
                if unwanted || ready!(send.poll_ready(cx)).is_err() {
                    // From here what the viewer sends is thrown away, so that its end is seen.
                    self.send = None;
                }
            }
            let mut space = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.viewer).poll_read(cx, &mut read))?;
            let bytes = read.filled();
            if bytes.is_empty() {
                self.reading = false;
                if let Some(mut send) = self.send.take() {
                    send.finish(FieldLines::default());
                }
                break;
            }
            self.session.touch(UnixMillis::now());
            if let Some(send) = &mut self.send
                && send.send(Bytes::copy_from_slice(bytes)).is_err()
            {
                self.send = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(recv) = &mut self.recv {
            if self.pending.is_empty() {
                match recv.poll_data(cx) {
                    Poll::Ready(Some(Ok(piece))) => self.pending = piece,
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(io::Error::other(error)));
                    }
                    Poll::Ready(None) => {
                        ready!(Pin::new(&mut self.viewer).poll_shutdown(cx))?;
                        self.recv = None;
                    }
                    Poll::Pending => {
                        if self.unflushed {
                            ready!(Pin::new(&mut self.viewer).poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
                continue;
            }
            let written = ready!(Pin::new(&mut self.viewer).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if let Some(frames) = &mut self.frames {
                frames.pass(&self.pending[..written]);
            }
            self.pending.advance(written);
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// The session is over: the device is told, and the viewer where that can be said.
    async fn end_with_session(mut self) {
        if let Some(send) = self.send.take() {
            send.reset(ErrorCode::SessionEnded, "");
        }
        let Some(recv) = self.recv.take() else {
            return;
        };
        recv.stop(ErrorCode::SessionEnded);
        let between = self.frames.as_ref().is_some_and(Frames::is_between);
        if between && self.pending.is_empty() {
            let goodbye = async {
                self.viewer.write_all(CLOSE_GOING_AWAY).await?;
                self.viewer.shutdown().await
            };
            // A viewer that does not take it learns from the close of the connection.
            let _ = timeout(GOODBYE_MAX, goodbye).await;
        }
    }
}
