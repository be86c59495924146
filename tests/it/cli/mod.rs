//! The operator's command, as a process: what it asks the platform over gRPC, what it prints, and how it
//! ends.

mod calls;
mod completion;
pub mod contexts;
mod events;
mod fleet;
mod lost;
mod machines;
mod progress;
mod sign_in;
