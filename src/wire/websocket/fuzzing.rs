//! The body of the fuzz target for frames: whatever bytes come in whatever pieces, nothing panics,
//! the pieces make no difference, and what was read is read again of what is written of it.

use super::{Event, MESSAGE_BYTES_MAX, Reader, Role, Writer};

/// The first byte says who reads and in how large pieces the rest comes.
pub fn websocket(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else {
        return;
    };
    let (reads, writes) = if how & 1 == 0 {
        (Role::Server, Role::Client)
    } else {
        (Role::Client, Role::Server)
    };
    let events = read(reads, bytes, bytes.len());
    assert_eq!(read(reads, bytes, usize::from(how >> 1)), events);

    let mut writer = Writer::new(writes, || [0x5a; 256]);
    let mut wanted = Vec::new();
    for event in events.0 {
        match &event {
            Event::Message { text, payload } => {
                assert!(payload.len() <= MESSAGE_BYTES_MAX);
                canary(*text, payload);
                writer.message(*text, |out| out.extend_from_slice(payload));
            }
            Event::Close(closing) => {
                let closing = closing.as_ref();
                writer.close(closing.map(|(code, reason)| (*code, reason.as_str())));
            }
            Event::Ping(_) | Event::Pong | Event::Crumb => continue,
        }
        wanted.push(event);
    }
    let (again, broken) = read(reads, writer.unsent(), usize::MAX);
    assert_eq!(again, wanted);
    assert!(!broken);
}

/// What comes of bytes in pieces, and whether they broke a rule.
fn read(role: Role, bytes: &[u8], piece: usize) -> (Vec<Event>, bool) {
    let mut reader = Reader::new(role, &[]);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.space().extend_from_slice(piece);
        loop {
            match reader.read() {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let last = matches!(event, Event::Close(_));
                    events.push(event);
                    if last {
                        return (events, false);
                    }
                }
                Err(_) => return (events, true),
            }
        }
        reader.rest();
    }
    (events, false)
}

/// A fault put in on purpose: a text of some length with a word of the dictionary in it.
fn canary(text: bool, payload: &[u8]) {
    if cfg!(fuzz_canary) {
        let sings = text && payload.windows(4).any(|word| word == b"BREW");
        assert!(!sings, "the canary sings");
    }
}
