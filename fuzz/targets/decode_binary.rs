//! Bytes as the binary encoding. The body is in the crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetwire::wire::fuzzing::decode_binary(data));
