//! Enrolment tokens, as both sides read them. A token authenticates both: it carries the fingerprint
//! of the platform's CA, so that an agent's first contact is no leap of faith, and a secret that the
//! platform takes once. What the two say to each other is the schema's `EnrolmentService`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::DnsName;
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::{Secret, SecretHash, random};
use crate::wire::values::{Name, Text as _};

/// How every token's text begins.
pub const PREFIX: &str = "fwe_";

/// The path that an agent posts its token to.
pub const ENROL_PATH: &str = "/v1/agent/enroll";

/// The path that an agent posts to whose certificate has ended.
pub const RENEW_PATH: &str = "/v1/agent/renew";

/// What both ends of a link announce where the agent may ask for its next certificate over it.
pub const CERTIFICATE_RENEWAL: &str = "certificate_renewal";

/// The same as a capability.
pub fn certificate_renewal() -> Option<Name> {
    Name::parse(CERTIFICATE_RENEWAL.to_owned())
}

/// The only layout so far: CA fingerprint, secret, server name.
const FORMAT: u8 = 1;
const FINGERPRINT_BYTES: usize = 32;
const SECRET_BYTES: usize = 32;
const FIXED_BYTES: usize = 1 + FINGERPRINT_BYTES + SECRET_BYTES;
/// A DNS name has at most 253 bytes (RFC 1035 section 2.3.4, less the length and root bytes).
const SERVER_NAME_BYTES_MAX: usize = 253;
/// Longest text: what is fixed and the longest name, as base64.
pub const TEXT_BYTES_MAX: usize = PREFIX.len() + (FIXED_BYTES + SERVER_NAME_BYTES_MAX) * 4 / 3 + 1;

/// A single-use invitation for one agent. Debug shows none of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    ca_fingerprint: [u8; FINGERPRINT_BYTES],
    secret: [u8; SECRET_BYTES],
    server_name: String,
}

/// The text is no enrolment token. Which part was wrong says nothing about a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Another prefix than [`PREFIX`].
    #[error("an enrolment token begins with {PREFIX}")]
    Prefix,
    /// Not base64url, or too short or too long for a token.
    #[error("the enrolment token is cut short or damaged")]
    Damaged,
    /// A layout that this version does not know.
    #[error("the enrolment token is of a newer format than this agent knows: update the agent")]
    Format,
    /// The server name in it is no DNS name.
    #[error("the enrolment token names no valid server")]
    ServerName,
}

impl EnrolmentToken {
    /// Makes a new token for the platform with this CA and server name.
    ///
    /// # Errors
    /// When the server name is no DNS name.
    pub fn generate(ca_fingerprint: [u8; 32], server_name: &str) -> Result<Self, TokenError> {
        let server_name = valid_server_name(server_name.as_bytes())?;
        Ok(Self {
            ca_fingerprint,
            secret: random(),
            server_name,
        })
    }

    /// Reads a token's text; blanks around it, as files have them, are ignored.
    ///
    /// # Errors
    /// When it is no token, see [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        if encoded.len() > TEXT_BYTES_MAX {
            return Err(TokenError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| TokenError::Damaged)?;
        let bytes = Zeroizing::new(bytes);
        match bytes.first() {
            Some(&FORMAT) => {}
            Some(_) => return Err(TokenError::Format),
            None => return Err(TokenError::Damaged),
        }
        let (fixed, name) = bytes
            .split_at_checked(FIXED_BYTES)
            .ok_or(TokenError::Damaged)?;
        let server_name = valid_server_name(name)?;
        let mut token = Self {
            ca_fingerprint: [0; FINGERPRINT_BYTES],
            secret: [0; SECRET_BYTES],
            server_name,
        };
        token
            .ca_fingerprint
            .copy_from_slice(&fixed[1..=FINGERPRINT_BYTES]);
        token
            .secret
            .copy_from_slice(&fixed[1 + FINGERPRINT_BYTES..]);
        Ok(token)
    }

    /// The text that is handed to the agent's owner.
    pub fn to_text(&self) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + self.server_name.len()));
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.ca_fingerprint);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(self.server_name.as_bytes());
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*bytes)))
    }

    /// SHA-256 of the DER of the platform's CA certificate.
    pub const fn ca_fingerprint(&self) -> &[u8; 32] {
        &self.ca_fingerprint
    }

    /// What the platform keeps of it.
    pub fn secret_hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }

    /// The name in the platform's certificate, sent as SNI whatever address is dialled.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }
}

impl Drop for EnrolmentToken {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn valid_server_name(bytes: &[u8]) -> Result<String, TokenError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TokenError::ServerName)?;
    DnsName::try_from(text).map_err(|_| TokenError::ServerName)?;
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrolmentToken {
        EnrolmentToken::generate([7; 32], "platform.fleetwire.internal").expect("a valid name")
    }

    #[test]
    fn text_round_trips() {
        let token = token();
        let text = token.to_text();
        let read = EnrolmentToken::parse(&format!("{}\n", text.expose())).expect("a token");
        assert_eq!(read, token);
        assert_eq!(read.ca_fingerprint(), &[7; 32]);
        assert_eq!(read.server_name(), "platform.fleetwire.internal");
        assert_eq!(read.secret_hash(), token.secret_hash());
    }

    #[test]
    fn the_longest_name_fits_and_a_longer_one_is_refused() {
        let name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(name.len(), SERVER_NAME_BYTES_MAX);
        let token = EnrolmentToken::generate([0; 32], &name).expect("a valid name");
        assert!(token.to_text().expose().len() <= TEXT_BYTES_MAX);
        assert_eq!(EnrolmentToken::parse(token.to_text().expose()), Ok(token));
        assert_eq!(
            EnrolmentToken::generate([0; 32], &format!("{name}b")),
            Err(TokenError::ServerName)
        );
    }

    #[test]
    fn damage_is_told_apart() {
        let with = |bytes: &[u8]| format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let mut whole = vec![FORMAT];
        whole.extend([0; 64]);
        for (text, error) in [
            (String::new(), TokenError::Prefix),
            ("agt_AAAA".to_owned(), TokenError::Prefix),
            (PREFIX.to_owned(), TokenError::Damaged),
            (format!("{PREFIX}!!"), TokenError::Damaged),
            (
                format!("{PREFIX}{}", "A".repeat(TEXT_BYTES_MAX + 1)),
                TokenError::Damaged,
            ),
            (with(&whole[..60]), TokenError::Damaged),
            (with(&[2; 80]), TokenError::Format),
            (with(&whole), TokenError::ServerName),
            (with(&[&whole[..], b"a b"].concat()), TokenError::ServerName),
            (
                with(&[&whole[..], b"\xff"].concat()),
                TokenError::ServerName,
            ),
        ] {
            assert_eq!(EnrolmentToken::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(
            format!("{:?}", token()),
            "EnrolmentToken { server_name: \"platform.fleetwire.internal\", .. }"
        );
    }
}
