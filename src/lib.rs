//! Fleetwire reaches machines and KVM-over-IP devices behind NAT through one outbound WebSocket
//! each. `ARCHITECTURE.md` draws the rooms and says who may import whom.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "net")]
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
#[cfg(feature = "net")]
pub mod files;
pub mod ids;
pub mod limits;
pub mod link;
#[cfg(feature = "net")]
pub mod logging;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "platform")]
pub mod platform;
#[cfg(feature = "net")]
pub mod process;
pub mod schema;
pub mod secret;
pub mod wire;
