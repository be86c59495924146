//! Peers that break the rules: a raw WebSocket towards a real platform or a real agent, which sends
//! what the project's own programs never would. Every fault has its stable code, and costs nobody
//! else anything: a download by a well-behaved agent runs beside it and is checked byte for byte.

pub mod beside;
mod greeting;
pub mod hostile;
mod journal;
pub mod raw;
mod seed;
mod to_agent;
mod to_platform;
mod upgrade;
