//! Uploads of any size, answered by their hash, and downloads of any size whose bytes follow from a
//! seed and their position. Both in constant memory.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use sha2::{Digest, Sha256};

use super::reply::{self, Reply};
use super::routes::query;
use super::{Device, sign_in};

/// How much of a download is made at once.
const PIECE_BYTES: u64 = 64 * 1024;
/// A download's length when the query does not say one.
const DOWNLOAD_BYTES: u64 = 1024 * 1024;

/// Reads the body to its end and answers how long it was and its SHA-256.
pub(super) async fn upload(device: &Device, request: Request<Incoming>) -> Reply {
    if !sign_in::own_or_no_origin(request.headers()) {
        return sign_in::foreign();
    }
    let _running = device.monitor.upload_began();
    let mut body = request.into_body();
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return reply::text(StatusCode::BAD_REQUEST, "the upload broke off\n");
        };
        if let Some(piece) = frame.data_ref() {
            hash.update(piece);
            bytes += piece.len() as u64;
        }
    }
    reply::json(&serde_json::json!({ "bytes": bytes, "sha256": hex(&hash.finalize()) }))
}

/// `?bytes=N&seed=S`, with `Range` of one range (RFC 9110 section 14.2).
pub(super) fn download(request: &Request<Incoming>) -> Reply {
    let number = |name, default| query(request.uri(), name).map_or(Ok(default), str::parse);
    let (Ok(total), Ok(seed)) = (number("bytes", DOWNLOAD_BYTES), number("seed", 0)) else {
        return reply::text(StatusCode::BAD_REQUEST, "bytes and seed are numbers\n");
    };
    let headers = request.headers();
    // The answer has no validator, so a conditional range never applies.
    let asked = headers
        .get(header::RANGE)
        .filter(|_| !headers.contains_key(header::IF_RANGE));
    let asked = asked
        .and_then(|value| value.to_str().ok())
        .and_then(|value| range(value, total));
    let (status, part) = match asked {
        Some(Ok(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Some(Err(Unsatisfiable)) => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
        None => (StatusCode::OK, 0..total),
    };
    let content_range = match status {
        StatusCode::PARTIAL_CONTENT => {
            Some(format!("bytes {}-{}/{total}", part.start, part.end - 1))
        }
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{total}")),
        _ => None,
    };
    let length = part.end - part.start;
    let reply = reply::pieces("application/octet-stream", content(seed, part));
    let mut reply = reply::with_number(reply, header::CONTENT_LENGTH, length);
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(Ok(value)) = content_range.map(HeaderValue::try_from) {
        reply.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    reply
}

/// The bytes of a download: little-endian words of splitmix64, the word at index `i` made from
/// `seed + (i + 1) * 0x9e3779b97f4a7c15`. Every part can be made without what is before it.
pub(super) fn fill(seed: u64, position: u64, piece: &mut [u8]) {
    let mut index = position / 8;
    let mut skip = (position % 8) as usize;
    let mut rest = piece;
    while !rest.is_empty() {
        let word = word(seed, index).to_le_bytes();
        let count = rest.len().min(8 - skip);
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&word[skip..skip + count]);
        (index, skip, rest) = (index.wrapping_add(1), 0, later);
    }
}

fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn content(seed: u64, part: Range<u64>) -> impl futures_util::Stream<Item = Bytes> {
    stream::unfold(part, move |part| async move {
        let length = (part.end - part.start).min(PIECE_BYTES);
        if length == 0 {
            return None;
        }
        let mut piece = vec![0; length as usize];
        fill(seed, part.start, &mut piece);
        Some((Bytes::from(piece), part.start + length..part.end))
    })
}

struct Unsatisfiable;

/// The part that a `Range` header asks for; none where it is to be ignored: another unit, several
/// ranges, or no range at all.
fn range(value: &str, total: u64) -> Option<Result<Range<u64>, Unsatisfiable>> {
    let (first, last) = value.strip_prefix("bytes=")?.trim().split_once('-')?;
    let part = match (first, last) {
        ("", last) => total.saturating_sub(last.parse().ok()?)..total,
        (first, "") => first.parse().ok()?..total,
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(total)
        }
    };
    Some(if part.is_empty() {
        Err(Unsatisfiable)
    } else {
        Ok(part)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_splitmix64_and_does_not_depend_on_where_a_part_begins() {
        assert_eq!(
            word(0, 0),
            0xe220_a839_7b1d_cdaf,
            "the published first output for seed 0"
        );
        let mut whole = [0; 100];
        fill(7, 0, &mut whole);
        for start in 0..100 {
            let mut part = vec![0; 100 - start];
            fill(7, start as u64, &mut part);
            assert_eq!(part, whole[start..]);
        }
    }

    #[test]
    fn ranges_follow_rfc_9110() {
        let taken = |value| range(value, 10).map(|part| part.ok());
        assert_eq!(taken("bytes=2-4"), Some(Some(2..5)));
        assert_eq!(taken("bytes=2-"), Some(Some(2..10)));
        assert_eq!(taken("bytes=-3"), Some(Some(7..10)));
        assert_eq!(taken("bytes=-99"), Some(Some(0..10)));
        assert_eq!(taken("bytes=0-99"), Some(Some(0..10)));
        assert_eq!(taken("bytes=10-"), Some(None));
        assert_eq!(taken("bytes=-0"), Some(None));
        for ignored in [
            "bytes=4-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=x-",
            "bytes=-",
        ] {
            assert_eq!(taken(ignored), None, "{ignored}");
        }
    }
}
