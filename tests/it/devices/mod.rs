//! Devices with a web interface, through real agents and a real platform: real ones in Chromium, a hostile one
//! byte by byte, and an agent in JSON. Devices and agents are in a namespace that reaches the platform alone.

mod hostile;
mod interfaces;
mod json_agent;
mod raw;
mod world;
