//! Who people are to the platform. So far it owns sign-in over an OpenID provider (`oidc`).

pub mod oidc;
