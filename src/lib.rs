//! Fleetwire reaches machines and KVM-over-IP devices behind NAT through one outbound WebSocket
//! each. `ARCHITECTURE.md` draws the rooms and says who may import whom.

#[cfg(feature = "cli")]
pub mod cli;
pub mod ids;
pub mod limits;
pub mod schema;
pub mod wire;
