//! The table `[oidc]` of the platform's settings: which provider is trusted, as which client the
//! platform comes to it, and what its users become here. What is wrong is found at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::platform::fetch::Endpoint;

/// Longest redirect address; the table of sign-ins under way holds one each.
pub const REDIRECT_BYTES_MAX: usize = 1024;
/// Longest of the other texts.
const TEXT_BYTES_MAX: usize = 512;
/// Most entries of a list or table.
const ENTRIES_MAX: usize = 100;

/// The table's values do not do: which key, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct OidcSettingError {
    /// The key in the table.
    pub key: &'static str,
    /// Why its value does not do, and what would.
    pub reason: String,
}

/// A role as the settings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleSetting {
    /// May look.
    Viewer,
    /// May act on hosts.
    Operator,
    /// May do everything.
    Admin,
}

/// Sign-in over an OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// The provider, exactly as its tokens and its discovery document call it.
    pub issuer: String,
    /// What people call the provider, for the button that leads there. Without it, the issuer's host.
    #[serde(default)]
    pub name: Option<String>,
    /// How the provider calls this platform.
    pub client_id: String,
    /// Holds the client's secret; a public client has none and is protected by PKCE alone.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Where the provider may send browsers back to, each compared as a whole. Loopback addresses
    /// of the operator's command are taken beside these (RFC 8252).
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The claim that a new user's name is made of.
    #[serde(default = "default_username_claim")]
    pub username_claim: String,
    /// The claim that lists a user's groups at the provider, when roles follow from them.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Which of those groups has which role; the highest of a user's counts, at each sign-in.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleSetting>,
    /// Whether who was never here becomes a user at the first sign-in.
    #[serde(default)]
    pub create_users: bool,
    /// The role where no group gives one. Without it, roles by groups let nobody else in.
    #[serde(default)]
    pub default_role: Option<RoleSetting>,
    /// Certificates (PEM) to trust for the provider instead of the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl OidcSettings {
    /// Checks what the provider need not be asked for.
    ///
    /// # Errors
    /// The first key whose value does not do.
    pub fn check(&self) -> Result<(), OidcSettingError> {
        let refuse = |key, reason: &str| {
            Err(OidcSettingError {
                key,
                reason: reason.to_owned(),
            })
        };
        if let Err(reason) = Endpoint::parse(&self.issuer) {
            return refuse("issuer", &reason);
        }
        if self.issuer.contains('?') {
            return refuse("issuer", "an issuer has no query");
        }
        for (key, text) in [
            ("client_id", Some(&self.client_id)),
            ("username_claim", Some(&self.username_claim)),
            ("groups_claim", self.groups_claim.as_ref()),
        ] {
            if text.is_some_and(|text| !is_plain(text)) {
                return refuse(key, "it must be 1 to 512 visible ASCII characters");
            }
        }
        let fits = |name: &String| {
            (1..=TEXT_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        if !self.name.as_ref().is_none_or(fits) {
            return refuse("name", "it must be 1 to 512 bytes of text in one line");
        }
        if self.scopes.len() > ENTRIES_MAX || self.scopes.iter().any(|scope| !is_scope(scope)) {
            return refuse("scopes", "each must be one word, at most 100 of them");
        }
        if self.redirect_uris.len() > ENTRIES_MAX {
            return refuse("redirect_uris", "at most 100 are kept");
        }
        for uri in &self.redirect_uris {
            if uri.len() > REDIRECT_BYTES_MAX {
                return refuse("redirect_uris", "each may have 1024 bytes");
            }
            if let Err(reason) = Endpoint::parse(uri) {
                return refuse("redirect_uris", &reason);
            }
        }
        if self.roles.len() > ENTRIES_MAX {
            return refuse("roles", "at most 100 groups are told apart");
        }
        if self.groups_claim.is_some() == self.roles.is_empty() {
            return refuse("roles", "groups_claim and roles go together");
        }
        if self.create_users && self.groups_claim.is_none() && self.default_role.is_none() {
            return refuse(
                "default_role",
                "create_users needs to know the role of a new user: default_role = \"viewer\"",
            );
        }
        Ok(())
    }
}

/// Visible ASCII, as identifiers and names of claims are.
fn is_plain(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A `scope-token` of RFC 6749 section 3.3.
fn is_scope(text: &str) -> bool {
    is_plain(text) && !text.contains(['"', '\\'])
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

fn default_username_claim() -> String {
    "preferred_username".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "issuer = 'https://id.example.com/realms/fleet'\nclient_id = 'fleetwire'";

    fn key(more: &str) -> Option<&'static str> {
        let table: toml::Table = format!("{LEAST}\n{more}").parse().expect("TOML");
        let settings: OidcSettings = table.try_into().expect("the keys are known");
        settings.check().err().map(|error| error.key)
    }

    fn with(key: &str, value: &str) -> OidcSettings {
        let mut table: toml::Table = LEAST.parse().expect("TOML");
        table.insert(key.to_owned(), value.into());
        table.try_into().expect("the key is known")
    }

    #[test]
    fn two_keys_are_enough() {
        assert_eq!(key(""), None);
        let table: toml::Table = LEAST.parse().expect("TOML");
        let settings: OidcSettings = table.try_into().expect("usable");
        assert_eq!(settings.username_claim, "preferred_username");
        assert!(
            !settings.create_users,
            "nobody gets in by having an account elsewhere"
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (name, value) in [
            ("issuer", "http://id.example.com"),
            ("issuer", "https://id.example.com/?tenant=1"),
            ("issuer", "https://id.example.com/#x"),
            ("issuer", "id.example.com"),
            ("name", ""),
            ("name", "a\nb"),
            ("client_id", ""),
            ("username_claim", "a b"),
        ] {
            let refused = with(name, value).check().err().map(|error| error.key);
            assert_eq!(refused, Some(name), "{value}");
        }
        for (refused, more) in [
            ("scopes", "scopes = ['a b']"),
            (
                "redirect_uris",
                "redirect_uris = ['http://fleet.example.com/done']",
            ),
            ("redirect_uris", "redirect_uris = ['/done']"),
            ("roles", "groups_claim = 'groups'"),
            ("roles", "roles = { ops = 'operator' }"),
            ("default_role", "create_users = true"),
        ] {
            assert_eq!(key(more), Some(refused), "{more}");
        }
        assert_eq!(
            key("groups_claim = 'groups'\nroles = { ops = 'operator' }\ncreate_users = true"),
            None,
            "the groups say which role a new user has"
        );
    }
}
