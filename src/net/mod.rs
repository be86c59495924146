//! What both programs need around the sans-IO core: TLS, HTTP towards a platform, enrolment tokens.

pub mod enrolment;
pub mod http_client;
pub mod tls;
