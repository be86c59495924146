//! The streams of one link: a table of them, and what a stream is: two directions that begin, carry
//! bytes and end apart. Who sends next is the scheduler's affair, what is on the wire the link's.

mod recent;
mod recv;
mod send;

pub use recv::Received;
pub(super) use recv::RecvHalf;
pub(super) use send::{Head, Piece, SendHalf};

use crate::ids::StreamId;
use slab::Slab;
use std::collections::BTreeMap;

/// A stream's place in the table, for the program's own calls. It is good until both halves have
/// been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub(super) usize);

impl StreamKey {
    /// A small number that no other stream in the table has: an index for what goes with it.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream<H> {
    pub(super) id: StreamId,
    pub(super) send: SendHalf<H>,
    pub(super) recv: RecvHalf,
    /// It stands in the list of streams that the program is to look at.
    pub(super) touched: bool,
    /// It stands in a lane of the scheduler.
    pub(super) scheduled: bool,
    /// Something of its control (credit, reset, stop) is to be sent.
    pub(super) control: bool,
}

/// All streams that are open in a direction, or that the program still holds.
#[derive(Debug)]
pub(super) struct Streams<H> {
    slab: Slab<Stream<H>>,
    by_id: BTreeMap<StreamId, StreamKey>,
}

impl<H: Head> Streams<H> {
    pub(super) const fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_id: BTreeMap::new(),
        }
    }

    /// Streams that are open on the wire.
    pub(super) fn open_count(&self) -> usize {
        self.by_id.len()
    }

    /// Streams that take memory, open or not.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn insert(&mut self, id: StreamId, send: SendHalf<H>, recv: RecvHalf) -> StreamKey {
        let stream = Stream {
            id: id.clone(),
            send,
            recv,
            touched: false,
            scheduled: false,
            control: false,
        };
        let key = StreamKey(self.slab.insert(stream));
        self.by_id.insert(id, key);
        key
    }

    pub(super) fn contains(&self, id: &StreamId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn find(&self, id: &StreamId) -> Option<StreamKey> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&mut self, key: StreamKey) -> Option<&mut Stream<H>> {
        self.slab.get_mut(key.0)
    }

    pub(super) fn peek(&self, key: StreamKey) -> Option<&Stream<H>> {
        self.slab.get(key.0)
    }

    /// Forgets the stream where both directions have ended: on the wire, and in the table too once
    /// the program has let go of both halves and no list names it any more.
    pub(super) fn settle(&mut self, key: StreamKey) {
        let Some(stream) = self.slab.get(key.0) else {
            return;
        };
        if !(stream.send.is_over() && stream.recv.is_over()) {
            return;
        }
        // The peer counts it as closed too by the time it hears anything sent after this.
        if self.by_id.get(&stream.id) == Some(&key) {
            self.by_id.remove(&stream.id);
        }
        let held = stream.send.is_held() || stream.recv.is_held();
        if !held && !stream.touched && !stream.scheduled && !stream.control {
            self.slab.remove(key.0);
        }
    }

    /// Every key, in order.
    pub(super) fn keys(&self) -> Vec<StreamKey> {
        self.slab
            .iter()
            .map(|(index, _)| StreamKey(index))
            .collect()
    }
}
