//! The platform: what agents dial out to, and where operators and browsers come in.

pub mod ca;
pub mod config;
pub mod sessions;
pub mod store;
