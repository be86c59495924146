//! Room for what has come and was not read. Credit bounds it for each stream and for all of them;
//! here is what keeps readers who stop from using up what is there for all, which nobody else could
//! then send into.

use super::{Link, Side, StreamError, StreamKey, Time};
use crate::{limits::SESSION_WINDOW_MAX, wire::messages::ErrorCode};
use std::{cmp::Reverse, time::Duration};

/// What all windows together may grow: half of the room, so that who stops reading after a window
/// has grown leaves the other half. It is more than a path of 1 Gb/s and 100 ms has on its way.
const GROWN_BYTES_MAX: u64 = SESSION_WINDOW_MAX / 2;
/// The same with what is hardly used but was promised: less than what may lie here before streams are
/// given up, so that growth alone costs nobody a stream.
const GROWN_BYTES_MAX_RESTING: u64 = SESSION_WINDOW_MAX / 16 * 11;
/// A reader who has not read for so long may lose the stream to those who need the room: longer than
/// a busy page or a bad moment of a mobile network takes, shorter than somebody waits for another
/// page. Chosen, not measured.
const UNREAD_MAX: Duration = Duration::from_secs(5);
/// How often it is looked for such readers while room is short, as each stream is looked at then.
const RELIEF_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked for windows that are hardly used, while others may not grow: longer than the
/// round trip of the paths that windows grow for.
const REST_EVERY: Duration = Duration::from_secs(1);

impl<S: Side> Link<S> {
    /// By how much a stream's window may grow. Where windows have grown so far that others may not,
    /// those that are hardly used now give that back, so that nobody waits for them to end.
    pub(super) fn growth_max(&mut self, now: Time) -> u64 {
        if self.grown > GROWN_BYTES_MAX && self.rest_at.is_none_or(|at| at <= now) {
            self.rest_at = Some(now + REST_EVERY);
            for key in self.streams.keys() {
                self.with_recv(key, |recv, _| recv.rest());
            }
        }
        if self.grown - self.resting > GROWN_BYTES_MAX {
            return 0;
        }
        GROWN_BYTES_MAX_RESTING.saturating_sub(self.grown)
    }

    /// Bytes have come: where room is short now, it is seen to.
    pub(super) fn watch_room(&mut self, now: Time) {
        if self.relief_at.is_none() && self.window.is_crowded() {
            self.relief_at = Some(now + RELIEF_EVERY);
        }
    }

    /// Where room is short, gives up the streams that nobody has read for long, those that hold most
    /// before the others, until it is not. Who pauses a download keeps it while there is room.
    pub(super) fn relieve(&mut self, now: Time) {
        if self.relief_at.is_none_or(|at| now < at) {
            return;
        }
        self.relief_at = None;
        if !self.window.is_crowded() {
            return;
        }
        let unread = |key: &StreamKey| {
            let recv = &self.streams.peek(*key)?.recv;
            let long = recv.is_unread_for(UNREAD_MAX, now);
            long.then_some((Reverse(recv.unread()), *key))
        };
        let mut unread: Vec<_> = self.streams.keys().iter().filter_map(unread).collect();
        unread.sort_unstable();
        for (_, key) in unread {
            if !self.window.is_crowded() {
                return;
            }
            self.evict(key, now);
        }
        self.watch_room(now);
    }

    fn evict(&mut self, key: StreamKey, now: Time) {
        let room = self.with_recv(key, |recv, _| recv.give_up(ErrorCode::Overloaded));
        self.on_consumed(room.unwrap_or(0), now);
        if !self.whole_only {
            self.want_control(key);
        }
        // Who reads it after all sees why it ended.
        self.touch(key);
        self.streams.settle(key);
    }

    /// A whole answer of a peer that knows no credit: there is room for it, or it is not kept.
    pub(super) fn take_whole(&mut self, key: StreamKey, bytes: u64, now: Time) {
        if !self.window.receive(bytes) {
            self.with_recv(key, |recv, _| {
                recv.fail(StreamError::AnswerTooBig);
                recv.discard()
            });
        }
        self.watch_room(now);
    }
}
