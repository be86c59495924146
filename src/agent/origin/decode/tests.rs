//! What is taken from an origin and what is refused, rule by rule, and that pieces do not matter.

use proptest::prelude::*;

use super::super::head::{FIELDS_MAX, IDLE_MAX};
use super::*;

const GET: Asked = Asked {
    head: false,
    upgrade: false,
};
const HEAD: Asked = Asked {
    head: true,
    upgrade: false,
};
const UPGRADE: Asked = Asked {
    head: false,
    upgrade: true,
};

/// An answer put together again, whatever pieces it came in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    heads: Vec<Head>,
    body: Vec<u8>,
    trailers: Option<FieldLines>,
    fault: Option<ParseError>,
    keep: Option<Duration>,
    left: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.heads.last().expect("a head").status
    }

    fn fields(&self) -> &str {
        let fields = &self.heads.last().expect("a head").fields;
        std::str::from_utf8(fields.as_bytes()).expect("ASCII in this test")
    }
}

/// Reads `pieces` and then, if `eof`, the end of the connection.
fn read<'a>(asked: Asked, pieces: impl IntoIterator<Item = &'a [u8]>, eof: bool) -> Answer {
    let mut decoder = Decoder::new(asked);
    let mut answer = Answer::default();
    let mut buffer = BytesMut::new();
    'pieces: for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(event)) => answer.take(event),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(decoder.next(&mut buffer), Err(fault), "a fault stays");
                    answer.fault = Some(fault);
                    break 'pieces;
                }
            }
        }
    }
    if eof && answer.fault.is_none() && answer.trailers.is_none() {
        match decoder.eof() {
            Ok(event) => answer.take(event),
            Err(fault) => answer.fault = Some(fault),
        }
    }
    answer.keep = decoder.keep();
    if answer.fault.is_none() {
        answer.left = buffer.to_vec();
    }
    answer
}

impl Answer {
    fn take(&mut self, event: Event) {
        assert_eq!(self.trailers, None, "nothing follows the end");
        match event {
            Event::Interim(head) | Event::Head(head) | Event::Upgraded(head) => {
                self.heads.push(head);
            }
            Event::Data(data) => {
                assert!(!data.is_empty(), "no empty pieces");
                self.body.extend_from_slice(&data);
            }
            Event::End(trailers) => self.trailers = Some(trailers),
        }
    }
}

/// Reads it whole, split at every byte, and byte by byte: all must agree.
fn whole(asked: Asked, bytes: &[u8]) -> Answer {
    let answer = read(asked, [bytes], true);
    for at in 1..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(read(asked, [first, second], true), answer, "split at {at}");
    }
    assert_eq!(read(asked, bytes.chunks(1), true), answer, "byte by byte");
    answer
}

fn fault(bytes: &[u8]) -> Option<ParseError> {
    whole(GET, bytes).fault
}

#[test]
fn a_length_ends_the_body_and_keeps_the_connection() {
    let answer = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    );
    assert_eq!((answer.status(), &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.fields(), "Content-Length: 5\r\nX: y\r\n");
    assert_eq!((answer.fault, answer.keep), (None, Some(IDLE_MAX)));
}

#[test]
fn what_follows_the_body_is_left() {
    let answer = read(
        GET,
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 500"[..]],
        false,
    );
    assert_eq!(
        (&answer.body[..], &answer.left[..]),
        (&b"a"[..], &b"HTTP/1.1 500"[..])
    );
}

#[test]
fn chunks_are_joined_and_trailers_kept() {
    let answer = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          3\r\nabc\r\n0A;name=\"value\"\r\n0123456789\r\n1 \r\nz\r\n0\r\nX-Sum: 14\r\n\r\n",
    );
    assert_eq!(&answer.body[..], b"abc0123456789z");
    assert_eq!(answer.fields(), "Trailer: X-Sum\r\n");
    assert_eq!(answer.trailers.expect("ended").as_bytes(), b"X-Sum: 14\r\n");
    assert_eq!((answer.fault, answer.keep), (None, Some(IDLE_MAX)));
}

#[test]
fn small_chunks_come_as_one_piece() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    bytes.extend(b"1\r\nx\r\n".repeat(1000));
    bytes.extend(b"0\r\n\r\n");
    let (mut decoder, mut buffer) = (Decoder::new(GET), BytesMut::from(&bytes[..]));
    assert!(matches!(
        decoder.next(&mut buffer),
        Ok(Some(Event::Head(_)))
    ));
    assert_eq!(
        decoder.next(&mut buffer),
        Ok(Some(Event::Data(vec![b'x'; 1000].into())))
    );
    assert!(matches!(decoder.next(&mut buffer), Ok(Some(Event::End(_)))));
}

#[test]
fn trailers_cannot_set_what_a_head_decides() {
    let answer = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\
          Set-Cookie: a=b\r\nContent-Length: 9\r\nConnection: x\r\nX-Ok: 1\r\n\r\n",
    );
    assert_eq!(answer.trailers.expect("ended").as_bytes(), b"X-Ok: 1\r\n");
}

#[test]
fn without_length_the_close_ends_the_body() {
    for head in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let answer = whole(GET, &[head, b"to the end"].concat());
        assert_eq!((&answer.body[..], answer.fault), (&b"to the end"[..], None));
        assert_eq!(answer.keep, None);
    }
}

#[test]
fn http_1_0_keeps_the_connection_only_if_it_says_so() {
    let plain = whole(GET, b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na");
    assert_eq!(plain.keep, None);
    let kept = whole(
        GET,
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
    );
    assert_eq!(kept.keep, Some(IDLE_MAX));
}

#[test]
fn close_and_a_stated_idle_time_are_honoured() {
    let closed = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(closed.keep, None);
    let kept = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(kept.keep, Some(Duration::from_secs(4)));
}

#[test]
fn an_answer_cut_short_is_a_fault() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        assert_eq!(
            fault(bytes),
            Some(ParseError::Truncated),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let head = whole(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!((head.fields(), head.fault), ("Content-Length: 5\r\n", None));
    let head = whole(
        HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert_eq!((head.fields(), head.fault), ("", None));
    let head = whole(HEAD, b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!((head.fields(), head.keep), ("", Some(IDLE_MAX)));
    let none = whole(GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    assert_eq!((none.fields(), none.fault), ("", None));
    let none = whole(
        GET,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!((none.fields(), none.fault), ("Content-Length: 5\r\n", None));
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let answer = whole(
        GET,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let statuses: Vec<_> = answer.heads.iter().map(|head| head.status).collect();
    assert_eq!(
        (statuses, &answer.body[..]),
        (vec![100, 103, 200], &b"ok"[..])
    );
    let mut many = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    many.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(whole(GET, &many).heads.len(), 101);
}

#[test]
fn an_upgrade_keeps_its_fields_and_every_byte_after_it() {
    let bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x02hi";
    let answer = whole(UPGRADE, bytes);
    assert_eq!(
        answer.fields(),
        "Sec-WebSocket-Accept: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    );
    assert_eq!(
        (&answer.body[..], answer.fault, answer.keep),
        (&b"\x81\x02hi"[..], None, None)
    );
    assert_eq!(fault(bytes), Some(ParseError::UnaskedUpgrade));
}

#[test]
fn a_refused_upgrade_is_an_answer_with_its_body() {
    let answer = whole(
        UPGRADE,
        b"HTTP/1.1 403 No\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno",
    );
    assert_eq!(
        (answer.status(), answer.fields()),
        (403, "Content-Length: 2\r\n")
    );
    assert_eq!(&answer.body[..], b"no");
}

#[test]
fn hop_by_hop_fields_end_here_and_the_order_stays() {
    let answer = whole(
        GET,
        b"HTTP/1.1 200 OK\r\nB: 1\r\nX-Hop: 2\r\nconnection: x-hop, Keep-Alive\r\nKeep-Alive: max=9\r\n\
          Proxy-Connection: close\r\nTE: trailers\r\nUpgrade: h2c\r\nA: 3\r\nContent-Length: 0\r\nb: 4\r\n\r\n",
    );
    assert_eq!(
        answer.fields(),
        "B: 1\r\nA: 3\r\nContent-Length: 0\r\nb: 4\r\n"
    );
}

#[test]
fn small_servers_are_understood() {
    for (bytes, fields, body) in [
        (
            &b"HTTP/1.1 200 OK\nContent-Length: 2\nX: y\n\nok"[..],
            "Content-Length: 2\r\nX: y\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
            "Content-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1  200 \r\nContent-Length: 2\r\n\r\nok",
            "Content-Length: 2\r\n",
            "ok",
        ),
        (
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length:2\r\n\r\nok",
            "Content-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\nok",
            "X: a b c\r\nContent-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nok",
            "Content-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
            "Content-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
            "X: a b\r\nContent-Length: 2\r\n",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
            "",
            "ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
            "",
            "ok",
        ),
        (
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "",
            "ok",
        ),
    ] {
        let answer = whole(GET, bytes);
        assert_eq!(answer.fault, None, "{}", bytes.escape_ascii());
        assert_eq!(
            (answer.fields(), &answer.body[..]),
            (fields, body.as_bytes())
        );
    }
    let latin = whole(
        GET,
        b"HTTP/1.1 200 Tr\xe8s bien\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(latin.heads[0].fields.get("x"), Some(&b"caf\xe9"[..]));
}

#[test]
fn transfer_encoding_beats_content_length_then_the_connection_closes() {
    for head in [
        "Content-Length: 99\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        let answer = whole(GET, bytes.as_bytes());
        assert_eq!((answer.fields(), &answer.body[..]), ("", &b"ok"[..]));
        assert_eq!((answer.fault, answer.keep), (None, None));
    }
}

#[test]
fn what_reads_in_two_ways_is_refused() {
    let head = |line: &str| format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
    for (line, kind) in [
        (
            "Content-Length: 1\r\nContent-Length: 2",
            ParseError::ContentLength,
        ),
        ("Content-Length: 1, 2", ParseError::ContentLength),
        ("Content-Length: +1", ParseError::ContentLength),
        ("Content-Length: 1a", ParseError::ContentLength),
        ("Content-Length:", ParseError::ContentLength),
        (
            "Content-Length: 99999999999999999999",
            ParseError::ContentLength,
        ),
        ("Content-Length : 1", ParseError::SpaceBeforeColon),
        ("X\t: 1", ParseError::SpaceBeforeColon),
        ("X: a\rb", ParseError::BareCr),
        ("X: a\r\r", ParseError::BareCr),
        ("X: a\0b", ParseError::BareCr),
        ("Connection: a\rb", ParseError::BareCr),
        ("X", ParseError::Field),
        (": a", ParseError::Field),
        ("X Y: a", ParseError::Field),
        (" X: a", ParseError::Field),
        (
            "Transfer-Encoding: gzip, chunked",
            ParseError::TransferCoding,
        ),
        ("Transfer-Encoding: xchunked", ParseError::TransferCoding),
    ] {
        assert_eq!(fault(head(line).as_bytes()), Some(kind), "{line:?}");
    }
    for line in [
        "HTTP/2 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000",
        "HTTP/1.1 099",
        "ICY 200",
        "200 OK",
        "HTTP/1.1200 OK",
    ] {
        assert_eq!(
            fault(format!("{line}\r\n\r\n").as_bytes()),
            Some(ParseError::StatusLine),
            "{line}"
        );
    }
    assert_eq!(
        fault(b"HTTP/1.1 200 O\rK\r\n\r\n"),
        Some(ParseError::BareCr)
    );
}

#[test]
fn malformed_chunks_are_refused() {
    for (chunks, kind) in [
        ("x\r\n", ParseError::ChunkSize),
        ("\r\n", ParseError::ChunkSize),
        ("-1\r\n", ParseError::ChunkSize),
        ("0x2\r\n", ParseError::ChunkSize),
        ("fffffffffffffffff\r\n", ParseError::ChunkSize),
        ("2\rok\r\n", ParseError::BareCr),
        ("2\r\nokay\r\n", ParseError::ChunkEnd),
        ("0\r\nX : y\r\n\r\n", ParseError::SpaceBeforeColon),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(fault(bytes.as_bytes()), Some(kind), "{chunks:?}");
    }
    let mut long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;".to_vec();
    long.resize(long.len() + CHUNK_LINE_MAX, b'x');
    assert_eq!(
        read(GET, [&long[..]], true).fault,
        Some(ParseError::ChunkSize)
    );
}

#[test]
fn limits_of_a_head_are_exact() {
    let sized = |size: usize| {
        let mut bytes = b"HTTP/1.1 204 None\r\nX: ".to_vec();
        bytes.resize(size - 4, b'x');
        bytes.extend(b"\r\n\r\n");
        read(GET, bytes.chunks(1000), true).fault
    };
    assert_eq!(sized(HEAD_BYTES_MAX), None);
    assert_eq!(sized(HEAD_BYTES_MAX + 1), Some(ParseError::TooLarge));
    let counted = |count| {
        let bytes = format!("HTTP/1.1 204 None\r\n{}\r\n", "X: y\r\n".repeat(count));
        read(GET, [bytes.as_bytes()], true).fault
    };
    assert_eq!(counted(FIELDS_MAX), None);
    assert_eq!(counted(FIELDS_MAX + 1), Some(ParseError::TooManyFields));
}

/// Text that is near enough to an answer to get far into the decoder.
fn nearly_an_answer() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        &b"HTTP/1.1 200 OK\r\n"[..],
        b"HTTP/1.0 200\n",
        b"HTTP/1.1 101 Up\r\n",
        b"HTTP/1.1 103 Hints\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 7\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"5\r\nhello\r\n",
        b"1\r\na\r\n",
        b"0\r\n",
        b"\0",
        b"z",
    ]);
    prop::collection::vec(parts, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn segmentation_never_changes_an_answer(
        bytes in prop_oneof![nearly_an_answer(), prop::collection::vec(any::<u8>(), 0..128)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        head in any::<bool>(),
        upgrade in any::<bool>(),
    ) {
        let asked = Asked { head, upgrade };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(read(asked, pieces, true), read(asked, [&bytes[..]], true));
    }
}
