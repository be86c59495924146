//! The platform.
pub mod ca;
pub mod config;
pub mod sessions;
pub mod store;
