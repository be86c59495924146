//! Bytes as the JSON encoding. The body is in the crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetwire::wire::fuzzing::decode_json(data));
