//! A request to an origin: checked, and encoded as the bytes that open an exchange.

use bytes::Bytes;
use thiserror::Error;

use super::head::{Asked, Role, members, parse_length, role};
use crate::wire::fields::{FieldLines, is_token};

/// Why a request is not sent. Always the fault of who made it; nothing of it has reached the origin
/// but, for [`RequestError::BodyLength`] on a streamed body, its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The method is no token (RFC 9110 9.1), or CONNECT, which asks for a tunnel.
    #[error("the method is not a token, or is CONNECT")]
    Method,
    /// The path does not begin with a slash (nor is it the `*` of OPTIONS), or holds a space or a
    /// control character.
    #[error("the path does not begin with / or holds a space or a control character")]
    Path,
    /// Content-Length and Transfer-Encoding at once (RFC 9112 6.3).
    #[error("Content-Length and Transfer-Encoding at once")]
    TwoFramings,
    /// Content-Length is no number, or says two different ones.
    #[error("the Content-Length is not one number")]
    ContentLength,
    /// A transfer coding other than chunked.
    #[error("the transfer coding is not chunked")]
    TransferCoding,
    /// The body is longer or shorter than its Content-Length.
    #[error("the body is not as long as its Content-Length says")]
    BodyLength,
}

/// What is known of a request's body when its head is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// All of it; empty for a request without one.
    Whole(Bytes),
    /// It comes in pieces. Its length is the Content-Length field's, else it is sent chunked.
    Stream,
}

/// A request as an origin shall see it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Case-sensitive, such as `GET`.
    pub method: String,
    /// Path and query, byte for byte.
    pub path: String,
    /// Fields in the order to be sent; hop-by-hop ones are left out, but for an offered upgrade.
    pub fields: FieldLines,
    /// What follows the head.
    pub body: RequestBody,
}

/// How a streamed body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// The encoded bytes were all there is.
    Nothing,
    Length(u64),
    Chunked,
    /// Bytes as they are, once the origin has switched protocols.
    Raw,
}

/// A request ready to be written, again if need be.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    /// The head, and a whole body right behind it: one write.
    pub(super) bytes: Bytes,
    pub(super) sending: Sending,
    pub(super) asked: Asked,
    /// The body waits for the origin's `100 Continue`.
    pub(super) expects_continue: bool,
    /// May be sent a second time if the origin might have seen the first (RFC 9110 9.2.2).
    pub(super) idempotent: bool,
}

impl Request {
    /// Checks the request and encodes it.
    pub(super) fn encode(&self) -> Result<Encoded, RequestError> {
        if self.method.is_empty() || !self.method.bytes().all(is_token) || self.method == "CONNECT"
        {
            return Err(RequestError::Method);
        }
        let plain = |byte: u8| byte > b' ' && byte != 0x7f;
        let origin_form = self.path.starts_with('/') && self.path.bytes().all(plain);
        let asterisk_form = self.path == "*" && self.method == "OPTIONS";
        if !origin_form && !asterisk_form {
            return Err(RequestError::Path);
        }
        let connection = Connection::of(&self.fields)?;
        let (body, streams) = match &self.body {
            RequestBody::Whole(body) => (&body[..], false),
            RequestBody::Stream => (&b""[..], true),
        };
        if !streams
            && connection
                .length
                .is_some_and(|length| length != body.len() as u64)
        {
            return Err(RequestError::BodyLength);
        }
        let sending = match connection.length {
            _ if connection.upgrade => Sending::Raw,
            _ if !streams => Sending::Nothing,
            Some(0) => Sending::Nothing,
            Some(length) => Sending::Length(length),
            None => Sending::Chunked,
        };

        let room = self.method.len() + self.path.len() + self.fields.len() + body.len() + 128;
        let mut bytes = Vec::with_capacity(room);
        for part in [
            self.method.as_bytes(),
            b" ",
            self.path.as_bytes(),
            b" HTTP/1.1\r\n",
        ] {
            bytes.extend_from_slice(part);
        }
        connection.write_fields(&self.fields, &mut bytes);
        if sending == Sending::Chunked {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if connection.length.is_none() && !body.is_empty() {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        let method = self.method.as_str();
        Ok(Encoded {
            bytes: bytes.into(),
            sending,
            asked: Asked {
                head: method == "HEAD",
                upgrade: connection.upgrade,
            },
            expects_continue: connection.expects_continue,
            idempotent: matches!(
                method,
                "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"
            ),
        })
    }
}

/// What a request's fields say about connection and framing.
#[derive(Default)]
struct Connection<'a> {
    length: Option<u64>,
    upgrade: bool,
    expects_continue: bool,
    /// The sender keeps trailers (RFC 9110 10.1.4). They pass, so this hop says the same.
    keeps_trailers: bool,
    /// Other fields that a Connection field names.
    named: Vec<&'a [u8]>,
}

impl<'a> Connection<'a> {
    fn of(fields: &'a FieldLines) -> Result<Self, RequestError> {
        let mut connection = Self::default();
        let (mut chunked, mut option, mut protocol) = (false, false, false);
        for (name, value) in fields {
            match role(name) {
                Role::ContentLength => {
                    let length = parse_length(value).ok_or(RequestError::ContentLength)?;
                    if connection.length.is_some_and(|other| other != length) {
                        return Err(RequestError::ContentLength);
                    }
                    connection.length = Some(length);
                }
                Role::TransferEncoding => {
                    if !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(RequestError::TransferCoding);
                    }
                    chunked = true;
                }
                Role::Connection => {
                    for member in members(value) {
                        if member.eq_ignore_ascii_case(b"upgrade") {
                            option = true;
                        } else {
                            connection.named.push(member);
                        }
                    }
                }
                // HTTP/2 would hide every further request from the rules that this one obeys.
                Role::Upgrade => {
                    protocol |= members(value).all(|name| !name.eq_ignore_ascii_case(b"h2c"));
                }
                Role::Te => {
                    let trailers = |coding: &[u8]| coding.eq_ignore_ascii_case(b"trailers");
                    connection.keeps_trailers |= members(value).any(trailers);
                }
                Role::EndToEnd if name.eq_ignore_ascii_case("expect") => {
                    connection.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                }
                _ => {}
            }
        }
        if chunked && connection.length.is_some() {
            return Err(RequestError::TwoFramings);
        }
        // With a body, where the new protocol would begin is not clear.
        let bodiless = !chunked && connection.length.unwrap_or(0) == 0;
        connection.upgrade = option && protocol && bodiless;
        Ok(connection)
    }

    fn write_fields(&self, fields: &FieldLines, bytes: &mut Vec<u8>) {
        let mut length_written = false;
        for (name, value) in fields {
            let kept = match role(name) {
                Role::EndToEnd => {
                    let is_named = |other: &&[u8]| name.as_bytes().eq_ignore_ascii_case(other);
                    !self.named.iter().any(is_named)
                }
                Role::ContentLength => !std::mem::replace(&mut length_written, true),
                Role::Upgrade => self.upgrade,
                _ => false,
            };
            if !kept {
                continue;
            }
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        if self.upgrade {
            // Alone: there are devices that look for exactly this.
            bytes.extend_from_slice(b"Connection: Upgrade\r\n");
        } else if self.keeps_trailers {
            bytes.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fields::FieldLimits;

    fn request(method: &str, path: &str, fields: &str, body: RequestBody) -> Request {
        let limits = FieldLimits {
            bytes: 4096,
            count: 64,
        };
        let fields = FieldLines::parse(Bytes::from(fields.to_owned()), limits).expect("fields");
        Request {
            method: method.into(),
            path: path.into(),
            fields,
            body,
        }
    }

    fn encode(
        method: &str,
        fields: &str,
        body: RequestBody,
    ) -> Result<(String, Sending), RequestError> {
        let encoded = request(method, "/a?b", fields, body).encode()?;
        let text = String::from_utf8(encoded.bytes.to_vec()).expect("ASCII in this test");
        Ok((text, encoded.sending))
    }

    const NONE: RequestBody = RequestBody::Whole(Bytes::new());

    #[test]
    fn a_request_without_a_body_gets_no_framing() {
        assert_eq!(
            encode("GET", "Host: a\r\nB: 1\r\nA: 2\r\n", NONE),
            Ok((
                "GET /a?b HTTP/1.1\r\nHost: a\r\nB: 1\r\nA: 2\r\n\r\n".into(),
                Sending::Nothing
            ))
        );
    }

    #[test]
    fn a_whole_body_is_in_the_same_bytes() {
        let body = || RequestBody::Whole(Bytes::from_static(b"hello"));
        let expected = "POST /a?b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(
            encode("POST", "", body()),
            Ok((expected.into(), Sending::Nothing))
        );
        for fields in [
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 5, 5\r\nContent-Length: 5\r\n",
        ] {
            let (text, sending) = encode("POST", fields, body()).expect("encoded");
            assert_eq!(text.matches("Content-Length").count(), 1, "{text}");
            assert!(text.ends_with("\r\n\r\nhello") && sending == Sending::Nothing);
        }
        assert_eq!(
            encode("POST", "Content-Length: 4\r\n", body()),
            Err(RequestError::BodyLength)
        );
    }

    #[test]
    fn a_known_length_stays_known_and_an_unknown_one_is_chunked() {
        let (text, sending) =
            encode("PUT", "Content-Length: 9\r\n", RequestBody::Stream).expect("encoded");
        assert_eq!(
            (text.contains("Transfer-Encoding"), sending),
            (false, Sending::Length(9))
        );
        for fields in ["", "Transfer-Encoding: chunked\r\n"] {
            let (text, sending) = encode("PUT", fields, RequestBody::Stream).expect("encoded");
            assert_eq!(
                text,
                "PUT /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            assert_eq!(sending, Sending::Chunked);
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for (fields, error) in [
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                RequestError::TwoFramings,
            ),
            (
                "Content-Length: 1\r\nContent-Length: 2\r\n",
                RequestError::ContentLength,
            ),
            ("Content-Length: x\r\n", RequestError::ContentLength),
            (
                "Transfer-Encoding: gzip, chunked\r\n",
                RequestError::TransferCoding,
            ),
        ] {
            assert_eq!(
                encode("PUT", fields, RequestBody::Stream),
                Err(error),
                "{fields}"
            );
        }
    }

    #[test]
    fn hop_by_hop_fields_stay_behind() {
        let fields = "A: 1\r\nConnection: close, x-hop\r\nX-Hop: 2\r\nKeep-Alive: 3\r\nTE: gzip\r\n\
            Proxy-Connection: keep-alive\r\nUpgrade: websocket\r\nB: 4\r\n";
        let (text, _) = encode("GET", fields, NONE).expect("encoded");
        assert_eq!(text, "GET /a?b HTTP/1.1\r\nA: 1\r\nB: 4\r\n\r\n");
    }

    #[test]
    fn a_sender_that_keeps_trailers_is_one_on_this_hop_too() {
        for te in ["trailers", "gzip, Trailers"] {
            let fields = format!("Connection: TE\r\nTE: {te}\r\nA: 1\r\n");
            let (text, _) = encode("GET", &fields, NONE).expect("encoded");
            let made = "A: 1\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
            assert_eq!(text, format!("GET /a?b HTTP/1.1\r\n{made}"));
        }
    }

    #[test]
    fn an_offered_upgrade_is_passed_on_but_not_to_http_2() {
        let fields = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
        let (text, sending) = encode("GET", fields, RequestBody::Stream).expect("encoded");
        assert_eq!(
            text,
            "GET /a?b HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        );
        assert_eq!(sending, Sending::Raw);
        let (text, sending) =
            encode("GET", "Connection: Upgrade\r\nUpgrade: h2c\r\n", NONE).expect("encoded");
        assert_eq!(
            (text.contains("Upgrade"), sending),
            (false, Sending::Nothing)
        );
    }

    #[test]
    fn nothing_can_be_smuggled_in_a_request_line() {
        for (method, path, error) in [
            ("GE T", "/", RequestError::Method),
            ("", "/", RequestError::Method),
            ("CONNECT", "/", RequestError::Method),
            ("GET", "", RequestError::Path),
            ("GET", "http://other/", RequestError::Path),
            ("GET", "*", RequestError::Path),
            ("GET", "/a b", RequestError::Path),
            ("GET", "/a\r\nX: y", RequestError::Path),
            ("GET", "/\0", RequestError::Path),
        ] {
            assert_eq!(
                request(method, path, "", NONE).encode().map(|_| ()),
                Err(error),
                "{path:?}"
            );
        }
    }
}
