//! Fleetwire.

pub mod wire;
