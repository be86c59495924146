//! A binary message against its JSON. The body is in the crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetwire::wire::fuzzing::binary_vs_json(data));
