//! Bytes as WebSocket frames. The body is in the crate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetwire::wire::websocket::fuzzing::websocket(data));
