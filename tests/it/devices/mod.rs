//! Devices with a web interface, through real agents and a real platform: real ones in Chromium, all kinds of
//! targets, and an agent in JSON. Devices and agents are in a namespace that reaches the platform alone.

mod cut;
mod interfaces;
mod json_agent;
mod targets;
pub(crate) mod world;
