//! The table `[mail]` of the platform's settings: through which server e-mail goes out. What is wrong is found at the
//! start.

use std::net::IpAddr;
use std::path::PathBuf;

use rustls_pki_types::ServerName;
use serde::Deserialize;

use super::address::EmailAddress;

/// Longest name of a user.
const USER_BYTES_MAX: usize = 256;

/// The table's values do not do: which key, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct MailSettingError {
    /// The key in the table.
    pub key: &'static str,
    /// Why its value does not do, and what would.
    pub reason: String,
}

/// How the connection to the server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// By TLS from the first byte on.
    #[default]
    Tls,
    /// By TLS that is begun in the dialogue. A server that does not offer it is sent nothing.
    Starttls,
    /// Not at all.
    None,
}

/// Through which server e-mail goes out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// Its name or address, which its certificate has to cover.
    pub host: String,
    /// Its port; 0, where nothing is said, for the usual one: 465, 587 or 25.
    #[serde(default)]
    pub port: u16,
    /// How the connection is kept from others.
    #[serde(default)]
    pub security: MailSecurity,
    /// As whom it is signed in there, if at all.
    #[serde(default)]
    pub user: Option<String>,
    /// Holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// From whom e-mail comes.
    #[serde(deserialize_with = "address")]
    pub from: EmailAddress,
    /// Certificates (PEM) to trust for the server instead of the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl MailSettings {
    /// Checks what the server need not be asked for, and says the usual port where none is said.
    ///
    /// # Errors
    /// The first key whose value does not do.
    pub fn check(&mut self) -> Result<(), MailSettingError> {
        let refuse = |key, reason: &str| {
            let reason = reason.to_owned();
            Err(MailSettingError { key, reason })
        };
        if ServerName::try_from(self.host.as_str()).is_err() {
            return refuse(
                "host",
                "it must be the name or the address of a mail server, without a port",
            );
        }
        if self.port == 0 {
            self.port = match self.security {
                MailSecurity::Tls => 465,
                MailSecurity::Starttls => 587,
                MailSecurity::None => 25,
            };
        }
        if self.user.is_some() != self.password_file.is_some() {
            return refuse("user", "user and password_file go together");
        }
        let fits = |user: &String| {
            (1..=USER_BYTES_MAX).contains(&user.len()) && !user.contains(char::is_control)
        };
        if !self.user.as_ref().is_none_or(fits) {
            return refuse("user", "it must be 1 to 256 characters of one line");
        }
        let address: Option<IpAddr> = self.host.parse().ok();
        let here = self.host.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| address.is_loopback());
        if self.security == MailSecurity::None && self.user.is_some() && !here {
            return refuse(
                "security",
                "the password would go over the network in the clear: use \"tls\" or \"starttls\"",
            );
        }
        if self.security == MailSecurity::None && self.ca_file.is_some() {
            return refuse("ca_file", "without TLS there is no certificate to trust");
        }
        Ok(())
    }
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<EmailAddress, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> Result<MailSettings, MailSettingError> {
        let text = format!("host = 'mx.example.com'\nfrom = 'fleet@example.com'\n{more}");
        let mut settings: MailSettings = toml::from_str(&text).expect("the keys are known");
        settings.check().map(|()| settings)
    }

    #[test]
    fn two_keys_are_enough() {
        let least = settings("").expect("usable");
        assert_eq!((least.port, least.security), (465, MailSecurity::Tls));
        assert_eq!(settings("security = 'starttls'").expect("usable").port, 587);
        assert_eq!(settings("security = 'none'").expect("usable").port, 25);
        assert_eq!(settings("port = 2525").expect("usable").port, 2525);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (key, more) in [
            ("user", "user = 'fleet'"),
            ("user", "password_file = '/x'"),
            ("user", "user = ''\npassword_file = '/x'"),
            (
                "security",
                "security = 'none'\nuser = 'fleet'\npassword_file = '/x'",
            ),
            ("ca_file", "security = 'none'\nca_file = '/x'"),
        ] {
            let refused = settings(more).map_err(|error| error.key);
            assert_eq!(refused.err(), Some(key), "{more}");
        }
        for text in [
            "host = 'a b'",
            "host = ''",
            "host = 'mx:25'",
            "host = 'a/b'",
        ] {
            let text = format!("{text}\nfrom = 'fleet@example.com'");
            let mut settings: MailSettings = toml::from_str(&text).expect("the keys are known");
            let refused = settings.check().map_err(|error| error.key);
            assert_eq!(refused, Err("host"), "{text}");
        }
        let from = "host = 'mx'\nfrom = 'Fleet <fleet@example.com>'";
        assert!(toml::from_str::<MailSettings>(from).is_err());
    }
}
