//! The body of the fuzz target for this room: bytes become messages, times, drops and calls of the
//! program, in any order. `fuzz/` holds the target, which is a stub.
//!
//! Alone, a link faces a peer that keeps no rule: nothing panics, every queue has its bound, and what
//! it has to send comes to an end. Between two links that keep the rules, whatever their programs
//! do, neither is ever told of a violation, and in the end nothing is left.

mod alone;
mod between;

use super::{Link, Received, Side, StreamKey, Time};
use crate::{
    ids::StreamId,
    limits,
    wire::{
        fields::FieldLines,
        messages::{ErrorCode, Hello, HttpRequest, HttpResponse},
        values::{Method, RequestTarget, Secret, Text, Timestamp},
    },
};
use bytes::Bytes;
use std::time::Duration;

/// Messages that a link may have to send at one moment: more is a loop without end.
const TRANSMIT_MAX: usize = 100_000;

/// Any bytes as the life of a link.
pub fn link_state(data: &[u8]) {
    let mut input = Input(data);
    match input.below(4) {
        0 => alone::platform(&mut input),
        1 => alone::agent(&mut input),
        _ => between::links(&mut input),
    }
}

/// The bytes that decide; zeros when they have run out.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn chance(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Short or long, up to 64 KiB.
    fn length(&mut self) -> usize {
        let byte = usize::from(self.byte());
        (byte & 15) << (byte >> 4).min(12)
    }

    /// Any number, the extremes among them.
    fn number(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1 => u64::MAX / 2,
            2 => limits::SESSION_WINDOW_MAX,
            _ => self.length() as u64,
        }
    }

    /// From nothing to half a minute.
    fn duration(&mut self) -> Duration {
        let byte = u64::from(self.byte());
        Duration::from_micros((byte & 7) << (byte >> 3).min(22))
    }

    fn code(&mut self) -> ErrorCode {
        if self.chance() {
            ErrorCode::Cancelled
        } else {
            ErrorCode::TargetClosed
        }
    }
}

fn bytes(length: usize) -> Bytes {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    Bytes::from_static(&ZEROS[..length.min(ZEROS.len())])
}

fn hello(whole_only: bool) -> Hello {
    let versions = if whole_only { Vec::new() } else { vec![1] };
    Hello::new(Secret::new(String::new()), versions)
}

fn admission() -> super::Admission {
    super::Admission {
        session_id: crate::ids::Uuid::nil(),
        host_id: crate::ids::Uuid::nil(),
        heartbeat: Duration::from_secs(15),
        platform_time: Timestamp::from_system_time(std::time::SystemTime::UNIX_EPOCH),
        capabilities: Vec::new(),
    }
}

fn request(number: u64, input: &mut Input<'_>) -> Option<HttpRequest> {
    Some(HttpRequest {
        id: StreamId::from_number(number),
        method: Method::parse("GET".into())?,
        path: RequestTarget::parse("/".into())?,
        headers: FieldLines::default(),
        body: bytes(input.length()),
        body_follows: input.chance(),
        origin: None,
    })
}

fn response(number: u64, input: &mut Input<'_>) -> HttpResponse {
    let status = [200, 101, 103, 304][usize::from(input.below(4))];
    HttpResponse {
        id: StreamId::from_number(number),
        status,
        headers: FieldLines::default(),
        body: bytes(if status == 200 { input.length() } else { 0 }),
        body_follows: input.chance(),
    }
}

/// A stream as the program holds it.
#[derive(Debug)]
struct Handle {
    key: StreamKey,
    sends: bool,
    reads: bool,
}

/// The program of one end.
#[derive(Debug, Default)]
struct Program {
    handles: Vec<Handle>,
}

impl Program {
    fn hold(&mut self, key: StreamKey) {
        self.handles.push(Handle {
            key,
            sends: true,
            reads: true,
        });
    }

    /// One call on one stream.
    fn call<S: Side>(
        &mut self,
        link: &mut Link<S>,
        input: &mut Input<'_>,
        now: Time,
        head: impl FnOnce(&mut Input<'_>) -> Option<S::Head>,
    ) {
        if self.handles.is_empty() {
            return;
        }
        let place = usize::from(input.byte()) % self.handles.len();
        let handle = &mut self.handles[place];
        let key = handle.key;
        match input.below(9) {
            0 if handle.sends => {
                if let Some(head) = head(input) {
                    // It may be a second one, or the stream be stopped.
                    let _ = link.send_head(key, head, now);
                }
            }
            1 | 2 if handle.sends && link.has_room(key) == Ok(true) => {
                // The peer may take whole bodies only, and this one be too long.
                let _ = link.send_data(key, bytes(input.length()), now);
            }
            3 if handle.sends => link.finish(key, FieldLines::default(), now),
            4 if handle.sends => link.reset(key, input.code(), ""),
            5 if handle.sends => {
                handle.sends = false;
                link.release_send(key);
            }
            6 if handle.reads => {
                while let Some(Ok(_)) = link.read_head(key) {}
                while let Received::Data(data) = link.read(key, now) {
                    assert!(!data.is_empty(), "an empty piece was given");
                }
            }
            7 if handle.reads => link.stop(key, input.code(), now),
            8 if handle.reads => {
                handle.reads = false;
                link.release_recv(key, now);
            }
            _ => {}
        }
        self.handles.retain(|handle| handle.sends || handle.reads);
    }

    /// Lets go of everything.
    fn leave<S: Side>(&mut self, link: &mut Link<S>, now: Time) {
        for handle in self.handles.drain(..) {
            if handle.sends {
                link.release_send(handle.key);
            }
            if handle.reads {
                link.release_recv(handle.key, now);
            }
        }
    }
}

/// What holds of a link at any time.
fn check<S: Side>(link: &Link<S>, handles: usize) {
    assert!(link.window.unread() <= limits::SESSION_WINDOW_MAX);
    let waiting = link.streams.keys().into_iter();
    let waiting = waiting.filter_map(|key| link.streams.peek(key));
    let queued: usize = waiting.map(|stream| stream.send.queued()).sum();
    assert_eq!(link.queued, queued, "what waits was miscounted");
    let waiting = link.streams.keys().into_iter();
    let waiting = waiting.filter_map(|key| link.streams.peek(key));
    let pieces: usize = waiting.map(|stream| stream.recv.pieces()).sum();
    assert_eq!(link.pieces, pieces, "pieces were miscounted");
    let waiting = link.streams.keys().into_iter();
    let waiting = waiting.filter_map(|key| link.streams.peek(key));
    let grown: u64 = waiting.map(|stream| stream.recv.grown()).sum();
    assert_eq!(link.grown, grown, "what windows have grown was miscounted");
    let waiting = link.streams.keys().into_iter();
    let waiting = waiting.filter_map(|key| link.streams.peek(key));
    let resting: u64 = waiting.map(|stream| stream.recv.resting()).sum();
    assert_eq!(link.resting, resting, "what rests of it was miscounted");
    assert!(resting <= grown);
    assert!(link.streams.open_count() <= limits::STREAMS_MAX);
    assert!(link.stream_count() <= limits::STREAMS_MAX + handles);
    assert!(link.touched.len() <= link.stream_count());
    assert!(link.stream_control.len() <= link.stream_count());
    assert!(link.control.len() <= super::CONTROL_MAX + 1);
}

fn look<S: Side>(link: &mut Link<S>) {
    while link.poll_touched().is_some() {}
}

#[cfg(fuzz_canary)]
fn canary(reset: bool, unread: u64) {
    assert!(!reset || unread == 0, "the canary sings");
}

#[cfg(not(fuzz_canary))]
const fn canary(_reset: bool, _unread: u64) {}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kept_inputs_pass() {
        crate::wire::fuzzing::replay("link_state", super::link_state);
    }

    #[test]
    fn bytes_by_chance_are_survived() {
        let mut chance = crate::link::tests::Chance::seeded(17);
        for _ in 0..4000 {
            let length = chance.below(600);
            let data: Vec<u8> = (0..length).map(|_| chance.next() as u8).collect();
            super::link_state(&data);
        }
    }
}
