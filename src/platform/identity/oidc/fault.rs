//! How a sign-in over a provider fails: whose fault it is, with a stable code each. The texts hold
//! nothing secret: no code, no token, no state.

use crate::platform::fetch::FetchError;
use crate::platform::service::{ErrorKind, ServiceError};

/// A sign-in over a provider did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The address to come back to is neither among the settings nor a loopback one.
    #[error(
        "the redirect URI is not allowed: it must be one of redirect_uris in the settings, letter by letter, \
         or http://127.0.0.1:PORT/... or http://[::1]:PORT/... of a program on the user's machine"
    )]
    RedirectRefused,
    /// No such sign-in is under way: never begun here, completed already, or begun too long ago.
    #[error("this sign-in is not under way any more: begin a new one")]
    StateUnknown,
    /// The provider does not take the code, or not from this client.
    #[error("the provider refused the code of this sign-in ({0}): begin a new one")]
    CodeRefused(String),
    /// What the provider says about the user cannot be trusted.
    #[error("the provider's ID token is refused: {0}")]
    Token(#[from] TokenFault),
    /// The user has none of the groups that give a role.
    #[error("this account has none of the groups that may sign in here")]
    NoRole,
    /// The provider is not to be reached, or not in time.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider answers what no OpenID provider should.
    #[error("the provider's answer cannot be used: {0}")]
    Provider(String),
    /// As many sign-ins as may be are being completed.
    #[error("too many sign-ins at once: try again in a few seconds")]
    Busy,
}

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is no JWS of three parts with a JSON header and JSON claims.
    #[error("it is no signed JSON Web Token")]
    Form,
    /// It is signed with an algorithm that is not taken, or not signed at all.
    #[error(
        "it is signed with none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA"
    )]
    Algorithm,
    /// The provider has published no key for it.
    #[error("it is signed with a key that the provider has not published")]
    KeyUnknown,
    /// The signature is of another key, or what was signed was changed.
    #[error("its signature is wrong")]
    Signature,
    /// It comes from another provider.
    #[error("it comes from another issuer")]
    Issuer,
    /// It was made for another client.
    #[error("it was made for another client")]
    Audience,
    /// Its time is over, or not said.
    #[error("it has expired; does the clock of this machine go right?")]
    Expired,
    /// Its time has not come.
    #[error("it is from the future; does the clock of this machine go right?")]
    NotYet,
    /// It belongs to another sign-in.
    #[error("it was made for another sign-in")]
    Nonce,
    /// It belongs to another access token.
    #[error("it does not belong to the access token that came with it")]
    AccessToken,
    /// It does not say who signed in, or what the provider says elsewhere is about somebody else.
    #[error("it does not say who signed in")]
    Subject,
}

impl OidcError {
    /// The stable word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RedirectRefused => "oidc_redirect_refused",
            Self::StateUnknown => "oidc_state_unknown",
            Self::CodeRefused(_) => "oidc_code_refused",
            Self::Token(_) => "oidc_token_refused",
            Self::NoRole => "oidc_no_role",
            Self::Unreachable(_) => "oidc_unreachable",
            Self::Provider(_) => "oidc_provider_faulty",
            Self::Busy => "oidc_busy",
        }
    }
}

impl From<FetchError> for OidcError {
    fn from(error: FetchError) -> Self {
        match &error {
            FetchError::TooLarge(_) | FetchError::Field(_) => Self::Provider(error.to_string()),
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

impl From<OidcError> for ServiceError {
    fn from(error: OidcError) -> Self {
        let kind = match &error {
            OidcError::RedirectRefused => ErrorKind::Invalid,
            OidcError::StateUnknown
            | OidcError::CodeRefused(_)
            | OidcError::Token(_)
            | OidcError::NoRole => ErrorKind::Unauthenticated,
            OidcError::Unreachable(_) | OidcError::Provider(_) | OidcError::Busy => {
                ErrorKind::Unavailable
            }
        };
        Self::new(kind, error.code(), error.to_string())
    }
}
