//! What the agent must not forget of its commands, on disk: one file that is appended to and synced, read
//! back after whatever happened, and bounded. What is done with a command is the desk's affair (`desk`).

mod file;
mod index;
mod record;
pub mod storage;
#[cfg(test)]
pub mod tests;
mod writer;

pub use file::{JournalFile, Kept, Recovered, RecoveredState};
pub use record::{Identity, Received, Record};
pub use storage::Directory;
pub use writer::{Done, Writer};
