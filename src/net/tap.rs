//! Looking on at the messages of a connection as they pass, for whoever keeps track of them. What is noted
//! of a message is the onlooker's own affair.

use crate::link::{Side, Violation};

/// Who looks on at a connection. It is called in the connection's own task, some of it under the
/// connection's lock: it may not wait, and what it does is paid for by every message.
pub trait Tap<S: Side> {
    /// What it keeps of a message until it is known what became of it.
    type Note;

    /// A message has come and is about to be taken in. `None` where it is of no interest.
    fn coming(&mut self, message: &S::Receive) -> Option<Self::Note>;

    /// What has come, of so many bytes, was taken in, or `refused`. Also called where it could not
    /// be read.
    fn came(&mut self, note: Option<Self::Note>, bytes: usize, refused: Option<&Violation>);

    /// A message is about to be sent. `None` where it is of no interest.
    fn going(&mut self, message: &S::Send) -> Option<Self::Note>;

    /// It has gone with so many bytes; with none, it could not any more. Where the peer acknowledges
    /// it, it is the message of this `number`.
    fn gone(&mut self, note: Self::Note, bytes: usize, number: Option<u64>);

    /// The peer has taken in the messages up to this number.
    fn acknowledged(&mut self, number: u64);
}

/// Nobody looks on.
impl<S: Side> Tap<S> for () {
    type Note = ();

    fn coming(&mut self, _: &S::Receive) -> Option<()> {
        None
    }

    fn came(&mut self, _: Option<()>, _: usize, _: Option<&Violation>) {}

    fn going(&mut self, _: &S::Send) -> Option<()> {
        None
    }

    fn gone(&mut self, (): (), _: usize, _: Option<u64>) {}

    fn acknowledged(&mut self, _: u64) {}
}
