//! The agent's HTTP/1 client towards a device.
//!
//! Made for this one purpose: fields pass as they are and in their order, what small devices send
//! is understood, and a small exchange costs one write and one read. Which device, and what its
//! headers are mapped to, is decided by `target` and `rewrite`.

pub mod conn;
mod connect;
pub mod decode;
pub mod error;
pub mod head;
pub mod pool;
pub mod request;
mod trust;
