//! Where WebSocket frames end in a stream of bytes (RFC 6455 5.2): all that is needed to say
//! goodbye between two frames and not within one. What frames mean is the two ends' affair.

use crate::wire::websocket::{HEADER_BYTES_MAX, Header};

/// The close frame that a browser gets when its session ends: 1001, going away, from a server and
/// so unmasked.
pub const CLOSE_GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];

/// Follows one direction of a WebSocket.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes of the payload that have not.
    payload: u64,
}

impl Frames {
    /// Whether all that passed were whole frames.
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Takes note of bytes that passed.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.payload > 0 {
                let passed = self.payload.min(bytes.len() as u64);
                self.payload -= passed;
                // It is at most the length of `bytes`.
                bytes = &bytes[passed as usize..];
                continue;
            }
            self.header[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if let Some((header, _)) = Header::parse(&self.header[..self.have]) {
                self.payload = header.payload_bytes;
                self.have = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match payload {
            0..=125 => frame.push(mask | payload as u8),
            126..=0xffff => {
                frame.push(mask | 126);
                frame.extend((payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xaa; payload + if masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn frames_of_each_length_end_where_they_end() {
        for masked in [false, true] {
            for payload in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
                let bytes = frame(payload, masked);
                for size in [1, 2, 3, 7, 1000, bytes.len()] {
                    let mut frames = Frames::default();
                    let mut passed = 0;
                    for piece in bytes.chunks(size) {
                        assert_eq!(frames.is_between(), passed == 0, "{payload} at {passed}");
                        frames.pass(piece);
                        passed += piece.len();
                    }
                    assert!(frames.is_between(), "{payload} in pieces of {size}");
                }
            }
        }
    }

    #[test]
    fn several_frames_in_one_piece() {
        let mut bytes = [
            frame(3, false),
            frame(200, false),
            CLOSE_GOING_AWAY.to_vec(),
        ]
        .concat();
        let mut frames = Frames::default();
        frames.pass(&bytes);
        assert!(frames.is_between());
        bytes.pop();
        let mut frames = Frames::default();
        frames.pass(&bytes);
        assert!(!frames.is_between());
    }

    #[test]
    fn the_longest_length_a_peer_can_claim_does_no_harm() {
        let mut frames = Frames::default();
        frames.pass(&[
            0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4,
        ]);
        frames.pass(&[0; 4096]);
        assert!(!frames.is_between());
    }
}
