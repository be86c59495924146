//! The integration tests: one program, one module a subject.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on fails"
)]

mod api;
mod documents;
mod enrol;
mod random;
mod round_trips;
mod support;
mod tls;
mod vectors;
