//! The binary encoding: protobuf, one envelope a message.

use super::{Codec, DecodeError, Envelope, compact, to_wire};
use bytes::{Bytes, BytesMut};
use prost::Message;

/// Protobuf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binary;

impl Codec for Binary {
    fn encode<E: Envelope>(&self, message: E, out: &mut BytesMut) {
        let wire = to_wire(message);
        out.reserve(wire.encoded_len());
        wire.encode(out).expect("a BytesMut grows as needed");
    }

    fn decode<E: Envelope>(&self, input: Bytes) -> Result<E, DecodeError> {
        let input_bytes = input.len();
        let wire = E::Wire::decode(input).map_err(|e| DecodeError::Malformed(e.to_string()))?;
        E::from_wire(compact(wire, input_bytes)?)?.ok_or(DecodeError::UnknownType { name: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        Problem,
        messages::{AgentToPlatform, Heartbeat, StreamData},
        values::Secret,
    };
    use crate::{ids::StreamId, schema::pb};

    fn data() -> StreamData {
        StreamData {
            id: StreamId::from_number(7),
            offset: 1 << 40,
            data: Bytes::from_static(b"abc"),
            fin: true,
            trailers: crate::wire::fields::FieldLines::default(),
        }
    }

    #[test]
    fn a_message_comes_back_as_it_went() {
        let message = AgentToPlatform::from(data());
        let mut out = BytesMut::new();
        Binary.encode(message.clone(), &mut out);
        assert_eq!(Binary.decode::<AgentToPlatform>(out.freeze()), Ok(message));
    }

    #[test]
    fn what_is_kept_of_a_padded_message_does_not_hold_the_padding() {
        let holds = |padding: usize| {
            let mut inner = pb::StreamData::from(StreamData {
                data: Bytes::from(vec![b'x'; 8 << 10]),
                ..data()
            })
            .encode_to_vec();
            // Field 500, which the schema does not have.
            prost::encoding::bytes::encode(500, &vec![0_u8; padding], &mut inner);
            let mut outer = Vec::new();
            prost::encoding::bytes::encode(5, &inner, &mut outer);
            let input = Bytes::from(outer);
            let Ok(AgentToPlatform::StreamData(read)) = Binary.decode(input.clone()) else {
                unreachable!("an unknown field was refused");
            };
            assert_eq!(read.data, vec![b'x'; 8 << 10]);
            input.as_ptr_range().contains(&read.data.as_ptr())
        };
        assert!(holds(100), "a piece of bulk was copied");
        assert!(!holds(1 << 20));
    }

    #[test]
    fn an_unknown_message_is_told_from_a_malformed_one() {
        // Field 500, length-delimited, empty.
        let unknown = Binary.decode::<AgentToPlatform>(Bytes::from_static(&[0xa2, 0x1f, 0]));
        assert_eq!(unknown, Err(DecodeError::UnknownType { name: None }));
        let malformed = Binary.decode::<AgentToPlatform>(Bytes::from_static(&[0xff]));
        assert!(matches!(malformed, Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn a_rule_is_enforced_and_named() {
        let wire = pb::AgentToPlatform {
            message: Some(pb::agent_to_platform::Message::StreamData(
                pb::StreamData::default(),
            )),
        };
        let Err(DecodeError::Invalid(invalid)) =
            Binary.decode::<AgentToPlatform>(wire.encode_to_vec().into())
        else {
            unreachable!("a stream without an id was taken");
        };
        assert_eq!((invalid.message, invalid.field), ("StreamData", "id"));
        assert_eq!(invalid.problem, Problem::Missing);
    }

    #[test]
    fn numbers_that_json_cannot_say_are_refused() {
        let heartbeat = pb::Heartbeat {
            cpu_percent: Some(f64::NAN),
            ..Default::default()
        };
        let problem = Heartbeat::try_from(heartbeat)
            .expect_err("NaN was taken")
            .problem;
        assert_eq!(problem, Problem::NotFinite);
    }

    #[test]
    fn secrets_and_bodies_stay_out_of_debug() {
        assert!(!format!("{:?}", Secret::new("agt_hunter2".into())).contains("hunter2"));
        let hello = pb::Hello {
            auth_token: "agt_hunter2".into(),
            ..Default::default()
        };
        assert!(!format!("{hello:?}").contains("hunter2"));
        assert!(!format!("{:?}", data()).contains("abc"));
    }
}
