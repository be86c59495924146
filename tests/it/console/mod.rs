//! Console sessions end to end: a browser's bytes on a real socket, a real platform, and an agent
//! whose answers the test writes itself. Tests are named by what a viewer or a device would see.

mod bad_input;
mod bodies;
mod ends;
mod entry;
mod exchange;
pub mod host;
mod upgrade;
pub mod viewer;

use host::{Exchange, Host, fields, head};
use viewer::{Session, Viewer};
