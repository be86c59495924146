//! The binary encoding: protobuf, one envelope a message.

use super::{Codec, DecodeError, Envelope, compact, count, to_wire};
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
        count::check(&input, E::COUNTED)?;
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

    /// An envelope with what is not whole behind it, so that the decoder would find that first.
    fn broken_after(message: pb::agent_to_platform::Message) -> Option<Problem> {
        let wire = pb::AgentToPlatform {
            message: Some(message),
        };
        let mut input = wire.encode_to_vec();
        // The same again: the decoder would take both for one message.
        input.extend(wire.encode_to_vec());
        input.push(0xff);
        match Binary.decode::<AgentToPlatform>(input.into()) {
            Err(DecodeError::Invalid(invalid)) => Some(invalid.problem),
            Err(DecodeError::Malformed(_)) => None,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn items_are_counted_before_they_are_decoded() {
        use pb::agent_to_platform::Message;
        let response = |items: usize| {
            let result = pb::PackageResult {
                installed_packages: vec![String::new(); items],
                ..Default::default()
            };
            Message::Response(pb::Response {
                result: Some(pb::response::Result::PackageOperation(result)),
                ..Default::default()
            })
        };
        assert_eq!(broken_after(response(512)), None);
        assert_eq!(broken_after(response(513)), Some(Problem::TooMany(1024)));
        let hello = |versions: usize| {
            Message::Hello(pb::Hello {
                protocol_versions: vec![300; versions],
                ..Default::default()
            })
        };
        assert_eq!(broken_after(hello(8)), None);
        assert_eq!(broken_after(hello(9)), Some(Problem::TooMany(16)));
    }

    #[test]
    fn a_percentage_keeps_to_a_hundred() {
        let problem = |percent| {
            let heartbeat = pb::Heartbeat {
                cpu_percent: Some(percent),
                ..Default::default()
            };
            Heartbeat::try_from(heartbeat).err().map(|e| e.problem)
        };
        for percent in [0.0, 12.3, 100.0] {
            assert_eq!(problem(percent), None);
        }
        for percent in [-5.0, 100.1, 1e308, f64::INFINITY] {
            assert_eq!(problem(percent), Some(Problem::OutOfRange(0, 100)));
        }
    }

    #[test]
    fn numbers_that_json_cannot_say_are_refused() {
        let heartbeat = pb::Heartbeat {
            load_1m: Some(f64::NAN),
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
