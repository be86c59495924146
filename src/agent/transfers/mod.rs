//! Files that come from the platform, or go there, while a command runs: over streams of the agent's own
//! origin (`net::own_origin`), which never lead to a device. Here is who waits for which stream;
//! `receive` and `offer` carry a file, `partial` is one that is not whole yet, `leftovers` what is to be
//! removed of those that nobody came back for.

pub mod leftovers;
mod offer;
pub mod partial;
mod receive;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::executors::{Fault, Report, Reports};
use crate::ids::StreamId;
use crate::link::Agent;
use crate::net::own_origin;
use crate::net::stream::{RecvHalf, SendHalf};
use crate::wire::fields::{FieldLines, FieldLinesBuilder};
use crate::wire::messages::{ErrorCode, HttpRequest, HttpResponse};
pub use offer::Offered;
pub use receive::Wanted;

/// Streams that wait for one command: one is served at a time, and another is opened once that has ended.
const WAITING_MAX: usize = 4;
/// How often the platform is told that a command waits for its stream: it may not have heard that it runs.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// The most of a refusal's text that is read.
const TEXT_BYTES_MAX: usize = 512;

/// The commands that wait for streams. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Transfers(Arc<Mutex<HashMap<String, mpsc::Sender<Exchange>>>>);

/// A request of the platform, and the two halves of its stream.
#[derive(Debug)]
pub struct Exchange {
    request: HttpRequest,
    send: SendHalf<Agent>,
    recv: RecvHalf<Agent>,
}

/// The streams of one command, as long as this lives.
#[derive(Debug)]
pub struct Streams {
    id: String,
    exchanges: mpsc::Receiver<Exchange>,
    table: Transfers,
}

impl Transfers {
    /// Has the streams of a command come here from now on.
    ///
    /// # Errors
    /// Where it does already: a command runs once.
    pub fn of(&self, id: &str) -> Result<Streams, Fault> {
        let mut table = self.lock();
        if table.contains_key(id) {
            return Err(fault("busy", "this command's file is under way".to_owned()));
        }
        let (sender, exchanges) = mpsc::channel(WAITING_MAX);
        table.insert(id.to_owned(), sender);
        Ok(Streams {
            id: id.to_owned(),
            exchanges,
            table: self.clone(),
        })
    }

    /// Hands a stream to the command that it is for, or refuses it.
    pub fn serve(&self, request: HttpRequest, send: SendHalf<Agent>, recv: RecvHalf<Agent>) {
        let waiting = own_origin::command_of(&request).and_then(|id| self.lock().get(id).cloned());
        let exchange = Exchange {
            request,
            send,
            recv,
        };
        let Some(waiting) = waiting else {
            return exchange.refuse(404, "no command of this id waits for a file");
        };
        if let Err(error) = waiting.try_send(exchange) {
            let exchange = error.into_inner();
            exchange.refuse(503, "the command's other streams come first");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Exchange>>> {
        // The table is whole at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.table.lock().remove(&self.id);
    }
}

impl Streams {
    /// The next stream. Until it comes the platform is told now and then that the command runs.
    async fn next(&mut self, reports: &Reports, percent: u8) -> Exchange {
        loop {
            reports.say(Report::Progress(percent));
            tokio::select! {
                Some(exchange) = self.exchanges.recv() => return exchange,
                () = sleep(TELL_AGAIN) => {}
            }
        }
    }
}

impl Exchange {
    fn method(&self) -> &str {
        self.request.method.as_str()
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.request.headers.get(name)
    }

    /// Answers without a body; the request's is not wanted.
    fn answer(mut self, status: u16, fields: &[(&str, &str)]) {
        let headers = lines(fields);
        // Where the connection has ended, nobody is told.
        let _ = self
            .send
            .send_head(head(status, headers, Bytes::new(), false));
    }

    /// Answers with one sentence.
    fn refuse(mut self, status: u16, text: &str) {
        debug!(status, "a stream for a file is refused: {text}");
        let headers = lines(&[("content-type", "text/plain")]);
        let body = Bytes::copy_from_slice(text.as_bytes());
        let _ = self.send.send_head(head(status, headers, body, false));
    }

    /// Reads what the platform says where it gives a file up, and answers.
    async fn given_up(mut self) -> Fault {
        let mut text = Vec::new();
        while let Some(Ok(piece)) = self.recv.data().await {
            let room = TEXT_BYTES_MAX.saturating_sub(text.len());
            text.extend_from_slice(&piece[..piece.len().min(room)]);
            if room == 0 {
                break;
            }
        }
        self.answer(204, &[]);
        let said: String = String::from_utf8_lossy(&text)
            .chars()
            .filter(|char| !char.is_control())
            .collect();
        fault(
            "platform_refused",
            format!("the platform gave it up: {said}"),
        )
    }
}

fn lines(fields: &[(&str, &str)]) -> FieldLines {
    let mut lines = FieldLinesBuilder::default();
    for (name, value) in fields {
        // Names and values are this program's own.
        let _ = lines.push(name, value.as_bytes());
    }
    lines.finish()
}

fn head(status: u16, headers: FieldLines, body: Bytes, body_follows: bool) -> HttpResponse {
    HttpResponse {
        // The link sets the stream's.
        id: StreamId::from_number(0),
        status: u32::from(status),
        headers,
        body,
        body_follows,
    }
}

/// A failure of this kind of command.
pub fn fault(reason: &'static str, detail: String) -> Fault {
    Fault { reason, detail }
}

/// What the system's refusal means.
pub fn io_fault(what: &str, error: &io::Error) -> Fault {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk_full",
        io::ErrorKind::FileTooLarge => "file_too_large",
        _ => "io_error",
    };
    fault(reason, format!("cannot {what}: {error}"))
}

/// Does something that may wait for a disk, off the thread that carries the tunnel.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| fault("io_error", "the agent stops".to_owned()))
}

/// How much of it is done, in percent.
fn percent(have: u64, size: u64) -> u8 {
    let percent = u128::from(have) * 100 / u128::from(size.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

/// The end of a stream that can come to nothing any more.
fn reset(send: SendHalf<Agent>, text: &str) {
    send.reset(ErrorCode::Internal, text);
}
