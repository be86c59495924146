//! A console session's own origin: a browser's request in, a stream of the host's tunnel, the
//! device's answer out.

pub mod entry;
pub mod guard;
pub mod refusal;
pub mod request;
pub mod response;
pub mod set_cookie;
