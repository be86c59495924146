//! Bytes as the life of a link. The body is in the crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetwire::link::fuzzing::link_state(data));
