//! The bodies of the fuzz targets for this room: whatever bytes come, nothing panics, nothing is
//! lost, and both encodings say the same. `fuzz/` holds the targets, which are stubs.

use super::{
    Codec, DecodeError, Envelope,
    binary::Binary,
    json::Json,
    messages::{AgentToPlatform, PlatformToAgent},
};
use bytes::{Bytes, BytesMut};

/// No text for a peer is longer, or it would have been put together from the peer's own.
const ERROR_BYTES_MAX: usize = 512;

/// Bytes as the binary encoding of either direction.
pub fn decode_binary(data: &[u8]) {
    both_ways::<AgentToPlatform>(Binary, data);
    both_ways::<PlatformToAgent>(Binary, data);
}

/// Bytes as the JSON of either direction, and as a first message.
pub fn decode_json(data: &[u8]) {
    both_ways::<AgentToPlatform>(Json, data);
    both_ways::<PlatformToAgent>(Json, data);
    let first: Result<AgentToPlatform, _> = Json.decode_first(Bytes::copy_from_slice(data));
    let _ = checked(first);
}

/// A binary message through JSON: what JSON can say comes back, and says the same again.
pub fn binary_vs_json(data: &[u8]) {
    through_json::<AgentToPlatform>(data);
    through_json::<PlatformToAgent>(data);
}

fn encoded<E: Envelope>(codec: impl Codec, message: E) -> Bytes {
    let mut out = BytesMut::new();
    codec.encode(message, &mut out);
    out.freeze()
}

fn checked<E>(result: Result<E, DecodeError>) -> Option<E> {
    match result {
        Ok(message) => Some(message),
        Err(error) => {
            assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{error}");
            None
        }
    }
}

/// What is written of a message reads back, and says the same again. (The first writing may bring
/// together what stood apart: header fields of one name in JSON.)
fn both_ways<E: Envelope>(codec: impl Codec + Copy, data: &[u8]) {
    let Some(message) = checked::<E>(codec.decode(Bytes::copy_from_slice(data))) else {
        return;
    };
    canary(&message);
    let written = encoded(codec, message);
    let again: E = codec
        .decode(written.clone())
        .expect("what is written is well formed");
    assert_eq!(encoded(codec, again), written);
}

fn through_json<E: Envelope>(data: &[u8]) {
    let Some(message) = checked::<E>(Binary.decode(Bytes::copy_from_slice(data))) else {
        return;
    };
    canary(&message);
    let json = encoded(Json, message);
    let read: E = match Json.decode(json.clone()) {
        Ok(read) => read,
        // Written with a space after each name, field lines may outgrow their limit.
        Err(DecodeError::Malformed(_)) if json.len() > crate::limits::FIELDS.bytes => return,
        Err(error) => unreachable!("{error}: {}", json.escape_ascii()),
    };
    assert_eq!(encoded(Json, read.clone()), json);
    let binary = encoded(Binary, read.clone());
    assert_eq!(Binary.decode(binary), Ok(read));
}

/// A fault put in on purpose, behind a whole valid message that holds a word of the dictionary: a
/// target that does not find it in a minute looks in the wrong place.
fn canary<E: Envelope>(message: &E) {
    if cfg!(fuzz_canary) {
        let text = encoded(Json, message.clone());
        assert!(
            !text.windows(4).any(|word| word == b"BREW"),
            "the canary sings"
        );
    }
}

/// Gives a target every input that was worth keeping.
#[cfg(test)]
pub fn replay(target: &str, body: fn(&[u8])) {
    use std::{fs, path::Path};

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files = fs::read_dir(folder.join(target)).expect("the corpus is committed");
    let mut replayed = 0;
    for file in files {
        body(&fs::read(file.expect("readable").path()).expect("readable"));
        replayed += 1;
    }
    assert!(replayed > 0, "nothing is kept for {target}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_inputs_pass() {
        replay("decode_binary", decode_binary);
        replay("decode_json", decode_json);
        replay("binary_vs_json", binary_vs_json);
    }
}
