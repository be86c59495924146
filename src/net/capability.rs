//! What both ends of a link announce by name where they can do more than the first version of the protocol.

use crate::wire::values::{Name, Text as _};

/// Commands are acknowledged, and the agent keeps a journal of them.
pub const COMMAND_ACK: &str = "command_ack";
/// Of an agent: files come and go over streams of its own origin while a command runs.
pub const FILE_STREAMS: &str = "file_streams";

/// A capability as a message has it; `None` for a text that is no name.
pub fn name(capability: &str) -> Option<Name> {
    Name::parse(capability.to_owned())
}

/// Whether the peer has announced this.
pub fn has(names: &[Name], capability: &str) -> bool {
    names.iter().any(|name| name.as_str() == capability)
}
