//! The agent's HTTP/1 client towards a device.
//!
//! Made for this one purpose: fields pass as they are and in their order, what small devices send
//! is understood, and a small exchange costs one write and one read.

pub mod decode;
pub mod head;
