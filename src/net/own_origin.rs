//! The origin of the agent's own, by which the platform's delivery reaches what a running command reads or
//! writes: what its requests look like, for both ends. No viewer of a console comes to this origin; who
//! opens it and who serves it is not decided here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::ids::StreamId;
use crate::wire::fields::FieldLinesBuilder;
use crate::wire::messages::HttpRequest;
use crate::wire::values::{Method, Origin, RequestTarget, Text as _};

/// The origin. Its host has one label, where a console's has two at least.
pub const ORIGIN: &str = "https://fleetwire";
/// What stands before a command's id in a path.
const FILES: &str = "/files/";
/// The algorithm of digests, as RFC 9530 names it.
const SHA_256: &str = "sha-256=:";

/// Names how much of the file a `PUT` or an answer carries (RFC 9110 section 14.4).
pub const CONTENT_RANGE: &str = "content-range";
/// Names from where on a `GET` wants the file (RFC 9110 section 14.2).
pub const RANGE: &str = "range";
/// How many bytes a file has, or how many of it are there.
pub const CONTENT_LENGTH: &str = "content-length";
/// The hash of the whole file (RFC 9530 section 3).
pub const REPR_DIGEST: &str = "repr-digest";

/// Whether a request is for the agent itself.
pub fn is_own(request: &HttpRequest) -> bool {
    let origin = request.origin.as_ref();
    origin.is_some_and(|origin| origin.as_str() == ORIGIN)
}

/// The command whose file a request is about.
pub fn command_of(request: &HttpRequest) -> Option<&str> {
    let id = request.path.as_str().strip_prefix(FILES)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!id.is_empty() && id.bytes().all(fits)).then_some(id)
}

/// A request about the file of a command; `None` where the id is none that can stand in a path.
pub fn request(
    method: &str,
    command: &str,
    fields: &[(&str, &str)],
    body_follows: bool,
) -> Option<HttpRequest> {
    let mut headers = FieldLinesBuilder::default();
    for (name, value) in fields {
        headers.push(name, value.as_bytes()).ok()?;
    }
    let request = HttpRequest {
        // The link sets the stream's.
        id: StreamId::from_number(0),
        method: Method::parse(method.to_owned())?,
        path: RequestTarget::parse(format!("{FILES}{command}"))?,
        headers: headers.finish(),
        body: Bytes::new(),
        body_follows,
        origin: Origin::parse(ORIGIN.to_owned()),
    };
    command_of(&request).is_some().then_some(request)
}

/// The value of `Content-Range` for all that follows `first` of a file with `total` bytes, one at least.
pub fn content_range(first: u64, total: u64) -> String {
    format!("bytes {first}-{}/{total}", total.saturating_sub(1))
}

/// Where the bytes of a `Content-Range` begin, in a file of how many: of one that reaches to its end.
pub fn rest_of(value: &[u8]) -> Option<(u64, u64)> {
    let text = str::from_utf8(value).ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last.checked_add(1)? == total).then_some((first, total))
}

/// The value of `Range` for all that follows `first`.
pub fn range(first: u64) -> String {
    format!("bytes={first}-")
}

/// From where on a `Range` wants the file.
pub fn range_from(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    number(text.strip_prefix("bytes=")?.strip_suffix('-')?)
}

/// The value of `Repr-Digest` for a hash.
pub fn digest(sha256: &[u8; 32]) -> String {
    format!("{SHA_256}{}:", STANDARD.encode(sha256))
}

/// The SHA-256 that a `Repr-Digest` names.
pub fn sha256_of(value: &[u8]) -> Option<[u8; 32]> {
    let text = str::from_utf8(value).ok()?;
    let mut digests = text.split(',').map(str::trim);
    let encoded = digests.find_map(|digest| digest.strip_prefix(SHA_256)?.strip_suffix(':'))?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// A SHA-256 as 64 lower-case hexadecimal digits.
pub fn hash_text(sha256: &[u8; 32]) -> String {
    use std::fmt::Write as _;

    sha256
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // A string takes everything.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The SHA-256 that 64 hexadecimal digits stand for.
pub fn hash_of(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(hash)
}

/// A number of digits alone, as a length has.
pub fn length(value: &[u8]) -> Option<u64> {
    number(str::from_utf8(value).ok()?)
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_writes_the_other_reads() {
        assert_eq!(content_range(5, 10), "bytes 5-9/10");
        assert_eq!(rest_of(b"bytes 5-9/10"), Some((5, 10)));
        assert_eq!(range_from(range(7).as_bytes()), Some(7));
        let hash = [7; 32];
        assert_eq!(sha256_of(digest(&hash).as_bytes()), Some(hash));
        assert_eq!(hash_of(&hash_text(&hash)), Some(hash));
        assert_eq!(hash_of(&"0".repeat(63)), None);
        let request = request("PUT", "c-1", &[(RANGE, "bytes=1-")], true).expect("a request");
        assert!(is_own(&request));
        assert_eq!(command_of(&request), Some("c-1"));
        assert_eq!(request.headers.get(RANGE), Some(&b"bytes=1-"[..]));
    }

    #[test]
    fn what_is_no_rest_of_a_file_is_none() {
        for range in [
            "bytes 5-8/10",
            "bytes 5-9/*",
            "bytes */10",
            "bytes 9-5/6",
            "bytes +5-9/10",
            "items 5-9/10",
            "bytes 0-18446744073709551615/1",
            "",
        ] {
            assert_eq!(rest_of(range.as_bytes()), None, "{range}");
        }
        for range in ["bytes=-5", "bytes=5-9", "bytes=+5-", "bytes=5-,7-"] {
            assert_eq!(range_from(range.as_bytes()), None, "{range}");
        }
        for digest in ["sha-256=:AAAA:", "sha-512=:AAAA:", "md5=::", ""] {
            assert_eq!(sha256_of(digest.as_bytes()), None, "{digest}");
        }
        for command in ["", "../x", "a/b", "a?b", "a b"] {
            assert!(request("GET", command, &[], false).is_none(), "{command}");
        }
    }
}
