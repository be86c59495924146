//! The operator's command, as a process: what it asks the platform over gRPC, what it prints, and how it
//! ends.

mod calls;
mod completion;
pub mod contexts;
mod fleet;
mod sign_in;
