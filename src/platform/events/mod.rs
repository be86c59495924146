//! Events: what happens in the fleet, in order, for whoever wants to follow it. `happening` is what can
//! happen, `audited` what of the audit log is an event, `position` where a follower stands, `bus` how what was
//! committed gets to everybody who follows, `follower` one of them, `filter` what it wants and may see.
//!
//! ```text
//!  a change with its audit entry ──┐
//!                                  ├─▶ store, committed ─▶ pump ─▶ ring ─▶ a queue each ─▶ follower
//!  host online, offline ─▶ pending ┘                                            ▲
//!  health ──────────────────────────────────────────────────────────────────────┘
//! ```
//! `watch` is a caller of the API that follows, `shown` what it is told in the schema's words, `socket` the
//! WebSocket. Nothing is told that is not committed, but for health, which is not kept: it would be more rows than
//! everything else together, and the next one follows at once. A follower reads the store until it has
//! come up to the ring, and is then told by the pump. Its queue has a bound; who does not keep up is sent
//! away with a reason and comes back with its last position.

mod audited;
mod bus;
mod filter;
mod follower;
mod happening;
mod position;
mod shown;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod watch;

pub use bus::{Bus, Ending, FollowersExhausted, Told};
pub use filter::{Filter, Viewer};
pub use follower::{Follower, News, ReloadReason};
pub use happening::{Event, Happening, Kind, OfflineReason, SessionOf};
pub use position::{Position, PositionError};
