//! Bytes to schema and back: what a peer sends is validated here, and nowhere else.

pub mod fields;
