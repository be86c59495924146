//! The frames beside those of another implementation, and the bounds.

use super::*;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::io;
use tokio_tungstenite::tungstenite::{
    self, Error, Message, WebSocket,
    error::CapacityError,
    protocol::{Role as Side, WebSocketConfig, frame::coding::CloseCode},
};

const KEYS: [u8; 256] = [0xa7; 256];

/// What one implementation made of a stream of bytes, in words that both can say.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(bool, Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<(u16, String)>),
    TooLong,
    Broken,
}

/// What the reader sees of bytes that come in pieces.
fn ours(role: Role, bytes: &[u8], piece: usize) -> Vec<Seen> {
    let mut reader = Reader::new(role, &[]);
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.space().extend_from_slice(piece);
        loop {
            seen.push(match reader.read() {
                Ok(None) => break,
                Ok(Some(Event::Crumb)) => continue,
                Ok(Some(Event::Message { text, payload })) => Seen::Message(text, payload),
                Ok(Some(Event::Ping(payload))) => Seen::Ping(payload),
                Ok(Some(Event::Pong)) => Seen::Pong,
                Ok(Some(Event::Close(closing))) => {
                    seen.push(Seen::Close(closing));
                    return seen;
                }
                Err(broken) => {
                    seen.push(match broken {
                        Broken::TooLong => Seen::TooLong,
                        Broken::NotUtf8 | Broken::Protocol(_) => Seen::Broken,
                    });
                    return seen;
                }
            });
        }
        reader.rest();
    }
    seen
}

/// What tungstenite sees of them.
fn theirs(role: Role, bytes: &[u8]) -> Vec<Seen> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let side = match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    };
    let mut socket =
        WebSocket::from_partially_read(io::empty(), bytes.to_vec(), side, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Message(true, text.into()),
            Ok(Message::Binary(payload)) => Seen::Message(false, payload),
            Ok(Message::Ping(payload)) => Seen::Ping(payload),
            Ok(Message::Pong(_)) => Seen::Pong,
            Ok(Message::Close(frame)) => {
                let told = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                seen.push(Seen::Close(told));
                return seen;
            }
            Ok(Message::Frame(_)) => unreachable!("it gives whole messages"),
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                seen.push(Seen::TooLong);
                return seen;
            }
            Err(
                Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
                | Error::Io(_),
            ) => return seen,
            Err(Error::Protocol(_) | Error::Utf8(_)) => {
                seen.push(Seen::Broken);
                return seen;
            }
            Err(error) => unreachable!("{error}"),
        });
    }
}

/// A frame as somebody might send it, also one that nobody may.
fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { MASKED } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        short @ ..126 => frame.push(mask | short as u8),
        medium @ ..0x1_0000 => {
            frame.push(mask | LENGTH_16);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(mask | LENGTH_64);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let start = frame.len() + if masked { 4 } else { 0 };
    if masked {
        frame.extend([1, 2, 3, 250]);
    }
    frame.extend(payload);
    if masked {
        apply_mask(&mut frame[start..], [1, 2, 3, 250]);
    }
    frame
}

fn any_frame() -> impl Strategy<Value = (u8, u8, Vec<u8>)> {
    let usual = prop_oneof![
        Just(0x81),
        Just(0x82),
        Just(0x01),
        Just(0x02),
        Just(0x00),
        Just(0x80)
    ];
    let control = prop_oneof![Just(0x89_u8), Just(0x8a)];
    let first = prop_oneof![8 => usual, 3 => control, 1 => any::<u8>()];
    let length = prop_oneof![
        0..4_usize,
        120..130_usize,
        0..700_usize,
        65_530..65_540_usize
    ];
    // Text that is ASCII: where a text breaks, the other tells before its message is whole.
    let payload = length.prop_map(|length| vec![b'a'; length]);
    (first, 0..40_u8, payload)
}

proptest! {
    #[test]
    fn frames_are_what_another_implementation_takes_them_for(
        frames in proptest::collection::vec(any_frame(), 0..8),
        server: bool,
        cut in 0..64_usize,
        piece in prop_oneof![1..9_usize, Just(usize::MAX)],
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let mut bytes = Vec::new();
        for (first, odd, payload) in frames {
            // Most are masked as they should be.
            bytes.extend(frame(first, server == (odd != 0), &payload));
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        let (mut ours, theirs) = (ours(role, &bytes, piece), theirs(role, &bytes));
        // A close frame without a valid code: the other makes a valid one of it.
        prop_assume!(!matches!(theirs.last(), Some(Seen::Close(_))));
        // A frame that is not whole is refused by its header; the other waits for the rest.
        if cut > 0 && ours.len() > theirs.len() {
            prop_assert!(matches!(ours.pop(), Some(Seen::Broken | Seen::TooLong)));
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_is_written_another_implementation_reads(
        lengths in proptest::collection::vec(
            prop_oneof![0..3_usize, 124..128_usize, 0..40_000_usize, 65_534..65_538_usize],
            1..6,
        ),
        server: bool,
        text: bool,
    ) {
        let (writes, reads) = if server {
            (Role::Server, Role::Client)
        } else {
            (Role::Client, Role::Server)
        };
        let mut writer = Writer::new(writes, || KEYS);
        let mut wanted = Vec::new();
        for length in lengths {
            let payload = Bytes::from(vec![b'x'; length]);
            let queued = writer.message(text, |out| out.extend_from_slice(&payload));
            prop_assert_eq!(queued, length);
            wanted.push(Seen::Message(text, payload));
        }
        prop_assert_eq!(&theirs(reads, writer.unsent()), &wanted);
        prop_assert_eq!(&ours(reads, writer.unsent(), 16_406), &wanted);
    }
}

#[test]
fn a_message_in_pieces_is_whole_at_its_end() {
    let bytes = [
        frame(0x01, true, "f\u{e9}".as_bytes()),
        frame(0x89, true, b"there?"),
        frame(0x00, true, b""),
        frame(0x80, true, b"te"),
    ]
    .concat();
    let wanted = [
        Seen::Ping(Bytes::from_static(b"there?")),
        Seen::Message(true, Bytes::from("f\u{e9}te")),
    ];
    for piece in 1..bytes.len() {
        assert_eq!(ours(Role::Server, &bytes, piece), wanted);
    }
}

#[test]
fn a_length_that_is_claimed_takes_no_memory() {
    let whole = [
        0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4,
    ];
    assert_eq!(ours(Role::Server, &whole, 3), [Seen::TooLong]);
    let mut longest = frame(0x82, false, &vec![0; MESSAGE_BYTES_MAX]);
    assert!(matches!(
        ours(Role::Client, &longest, 60_000)[..],
        [Seen::Message(false, _)]
    ));
    longest = frame(0x82, false, &vec![0; MESSAGE_BYTES_MAX + 1]);
    assert_eq!(ours(Role::Client, &longest[..10], 10), [Seen::TooLong]);
    // Nor do many pieces get past the limit.
    let mut pieces = frame(0x02, false, &vec![0; MESSAGE_BYTES_MAX]);
    pieces.extend(frame(0x80, false, b"x"));
    assert_eq!(ours(Role::Client, &pieces, 60_000), [Seen::TooLong]);
}

#[test]
fn what_breaks_the_rules_is_refused() {
    let broken = |bytes: &[u8]| assert_eq!(ours(Role::Client, bytes, 1), [Seen::Broken]);
    broken(&frame(0x82, true, b"a mask"));
    broken(&frame(0xc2, false, b"a reserved bit"));
    broken(&frame(0x83, false, b"an unknown kind"));
    broken(&frame(0x8b, false, b"an unknown control frame"));
    broken(&frame(0x09, false, b"a ping in pieces"));
    broken(&frame(0x89, false, &[0; 126]));
    broken(&frame(0x80, false, b"the end of nothing"));
    broken(
        &[
            frame(0x02, false, b"one"),
            frame(0x82, false, b"in another"),
        ]
        .concat(),
    );
    broken(&frame(0x81, false, b"\xff"));
    broken(&frame(0x88, false, b"\x03"));
    broken(&frame(0x88, false, b"\x03\xe8\xff"));
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        broken(&frame(0x88, false, &code.to_be_bytes()));
    }
    assert_eq!(
        ours(Role::Server, &frame(0x82, false, b"no mask"), 1),
        [Seen::Broken]
    );
}

#[test]
fn a_close_frame_says_its_code_and_as_much_of_its_reason_as_it_can() {
    let long = "\u{e9}".repeat(100);
    for (reason, wanted) in [("", ""), ("a reason", "a reason"), (&long, &long[..122])] {
        let mut writer = Writer::new(Role::Client, || KEYS);
        writer.close(Some((1012, reason)));
        let wanted = [Seen::Close(Some((
            u16::from(CloseCode::Restart),
            wanted.to_owned(),
        )))];
        assert_eq!(theirs(Role::Server, writer.unsent()), wanted);
        assert_eq!(ours(Role::Server, writer.unsent(), 2), wanted);
    }
    let mut writer = Writer::new(Role::Server, || KEYS);
    writer.close(None);
    assert_eq!(theirs(Role::Client, writer.unsent()), [Seen::Close(None)]);
}

#[test]
fn masks_are_used_once_each() {
    let mut writer = Writer::new(Role::Client, || std::array::from_fn(|index| index as u8));
    let mut keys = Vec::new();
    for _ in 0..130 {
        let start = writer.unsent().len();
        writer.message(false, |_| {});
        let (header, _) = Header::parse(&writer.unsent()[start..]).expect("whole");
        keys.push(header.mask.expect("a client masks"));
    }
    let (first, second) = (&keys[..64], &keys[64..128]);
    assert_eq!(
        first, second,
        "new ones were asked for too early or too late"
    );
    let mut distinct = first.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 64);
}

#[test]
fn memory_is_given_back() {
    let mut writer = Writer::new(Role::Server, || KEYS);
    writer.message(false, |out| out.resize(out.len() + (128 << 10), 0));
    writer.advance(usize::MAX);
    let mut held = 0;
    for _ in 0..20 {
        writer.message(false, |out| out.extend_from_slice(b"a heartbeat"));
        writer.advance(usize::MAX);
        held = writer.out.capacity();
    }
    assert!(held <= 16 << 10, "{held}");

    let mut reader = Reader::new(Role::Client, &[]);
    reader
        .space()
        .extend_from_slice(&frame(0x82, false, b"a heartbeat"));
    assert!(matches!(reader.read(), Ok(Some(Event::Message { .. }))));
    assert_eq!(reader.read(), Ok(None));
    reader.rest();
    assert_eq!(reader.buffer.capacity(), 0);
}

/// Neither bulk nor short messages are copied, and short ones come many in a buffer.
#[test]
fn messages_are_slices_of_what_was_read() {
    for (length, count, buffers_max) in [(31 << 10, 24, 25), (100, 2000, 16)] {
        let mut bytes = BytesMut::new();
        for _ in 0..count {
            bytes.extend_from_slice(&frame(0x82, false, &vec![7; length]));
        }
        let mut reader = Reader::new(Role::Client, &[]);
        let mut buffers = Vec::new();
        // All are kept, so that no memory is used twice.
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let space = reader.space();
            let room = space.capacity() - space.len();
            let begin = space.as_ptr();
            if !buffers
                .last()
                .is_some_and(|buffer| is_within(buffer, begin))
            {
                buffers.push(begin..begin.wrapping_add(space.capacity()));
            }
            let read = bytes.split_to(room.min(bytes.len()).min(16 << 10));
            space.extend_from_slice(&read);
            while let Ok(Some(Event::Message { payload, .. })) = reader.read() {
                let begin = payload.as_ptr();
                let slice = buffers.iter().any(|buffer| is_within(buffer, begin));
                assert!(slice, "a message of {length} was copied");
                messages.push(payload);
            }
        }
        assert_eq!(messages.len(), count);
        assert!(buffers.len() <= buffers_max, "{length}: {}", buffers.len());
    }
}

fn is_within(memory: &std::ops::Range<*const u8>, at: *const u8) -> bool {
    memory.contains(&at)
}

/// Room is made for what has come and as much again, whatever a header says.
#[test]
fn room_grows_with_what_has_come() {
    let bytes = frame(0x82, false, &vec![0; MESSAGE_BYTES_MAX]);
    let mut reader = Reader::new(Role::Client, &[]);
    let (mut rest, mut copied, mut last) = (&bytes[..], 0, std::ptr::null());
    while !rest.is_empty() {
        assert_eq!(reader.read(), Ok(None));
        let space = reader.space();
        let most = 2 * space.len() + (16 << 10);
        assert!(space.capacity() <= most, "{} of {most}", space.capacity());
        if std::mem::replace(&mut last, space.as_ptr()) != space.as_ptr() {
            copied += space.len();
        }
        let (read, after) = rest.split_at(rest.len().min(space.capacity() - space.len()).min(5000));
        space.extend_from_slice(read);
        rest = after;
    }
    assert!(copied <= 4 * MESSAGE_BYTES_MAX, "{copied}");
    assert!(matches!(reader.read(), Ok(Some(Event::Message { .. }))));
}

#[test]
fn a_short_message_does_not_hold_the_memory_of_a_long_one() {
    let mut reader = Reader::new(Role::Client, &[]);
    let long = frame(0x82, false, &vec![0; MESSAGE_BYTES_MAX]);
    let short = frame(0x82, false, b"short");
    for behind in [&short[..], &short[..3], b""] {
        reader.space().extend_from_slice(&long);
        reader.buffer.extend_from_slice(behind);
        assert!(matches!(reader.read(), Ok(Some(Event::Message { .. }))));
        reader.space().extend_from_slice(&short[behind.len()..]);
        let Ok(Some(Event::Message { payload, .. })) = reader.read() else {
            panic!("it is whole");
        };
        assert_eq!(payload, "short");
        drop(payload);
        // Nothing else is left of the buffer that it was in.
        assert!(!reader.buffer.try_reclaim(128 << 10));
    }
}

#[test]
fn the_kept_inputs_pass() {
    crate::wire::fuzzing::replay("websocket", super::fuzzing::websocket);
}
