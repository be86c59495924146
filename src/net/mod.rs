//! What both programs need around the sans-IO core: TLS, HTTP towards a platform, enrolment tokens.

pub mod backoff;
pub mod capability;
pub mod connection;
pub mod driver;
pub mod enrolment;
pub mod handshake;
pub mod http_client;
pub mod introduction;
pub mod own_origin;
pub mod roots;
pub mod signed_program;
pub mod socket;
pub mod stream;
pub mod tap;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tls;
