//! Hosts' certificates at the platform, over real sockets: who gets one and who is let in by it
//! (`presented`), what becomes of it with time (`renewed`), and how it ends (`revoked`).

mod machine;
mod presented;
mod renewed;
mod revoked;

/// The name that agents ask for.
const AGENTS: &str = "platform.fleetwire.internal";
