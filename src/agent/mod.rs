//! The agent: dials out to the platform and proxies to what its owner allows.

pub mod config;
pub mod dial;
pub mod enrol;
pub mod health;
pub mod origin;
pub mod rewrite;
pub mod target;
