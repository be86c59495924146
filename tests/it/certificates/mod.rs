//! Hosts' certificates at the platform, over real sockets: who gets one and who is let in by it
//! (`presented`), what becomes of it with time (`renewed`), how it ends (`revoked`), the authority and its
//! change (`authority`), and hosts whose certificates a proxy keeps back (`proxied`).

mod authority;
pub mod machine;
mod presented;
mod proxied;
mod renewed;
mod revoked;

/// The name that agents ask for.
pub const AGENTS: &str = "platform.fleetwire.internal";
