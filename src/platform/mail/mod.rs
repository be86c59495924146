//! E-mail: the addresses (`address`), the settings (`settings`), and the way of a message to the mail server, which
//! lettre speaks to. What a message says is for whoever sends one.

mod address;
mod bounded;
mod settings;
mod starttls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as From, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::files::{self, FileError};
use crate::ids::Uuid;
use crate::net::tls::{self, TlsError};
use crate::net::{roots, tcp};
use crate::secret::Secret;
pub use address::{AddressError, EmailAddress};
use bounded::Bounded;
pub use settings::{MailSecurity, MailSettingError, MailSettings};

/// Largest file of a password.
const PASSWORD_BYTES_MAX: usize = 4096;
/// From the dialling to the server's last answer. Servers that look for spam take their time.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest subject: what mail programs show of one.
const SUBJECT_CHARACTERS_MAX: usize = 120;

/// E-mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailStartError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The password's file is empty.
    #[error("{} is empty: it has to hold the password", .0.display())]
    NoPassword(PathBuf),
    /// There are no certificates to trust.
    #[error("this machine trusts no certificates: name those of the mail server in ca_file")]
    NoRoots,
    /// The certificates to trust cannot be used.
    #[error("{}: {source}", path.display())]
    Roots {
        /// Their file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: TlsError,
    },
}

/// One line of text: there is no way to end a header within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// Makes one of any text: what is no character to be seen becomes a space, and what is too long is cut.
    pub fn of(text: &str) -> Self {
        let seen = |char: char| if char.is_control() { ' ' } else { char };
        let all = text.chars().count();
        if all <= SUBJECT_CHARACTERS_MAX {
            return Self(text.chars().map(seen).collect());
        }
        let kept = text.chars().take(SUBJECT_CHARACTERS_MAX - 1).map(seen);
        Self(kept.chain(['…']).collect())
    }
}

/// A message to be sent.
pub struct Letter<'a> {
    /// By which a receiver tells doubles.
    pub id: Uuid,
    /// What it belongs to, so that mail programs show what belongs together in one place.
    pub thread: Option<Uuid>,
    /// To whom.
    pub to: &'a [EmailAddress],
    /// What about.
    pub subject: Line,
    /// What it says, as plain text.
    pub text: String,
}

/// A message was not taken. The text is for people and holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotTaken {
    /// Why.
    pub why: String,
    /// Whether the server said that it will not take it later either.
    pub for_good: bool,
}

/// The way to the mail server.
pub struct Mail {
    settings: MailSettings,
    credentials: Option<Credentials>,
    client: ClientId,
    tls: Option<Arc<ClientConfig>>,
}

impl Mail {
    /// Reads what the settings name. `name` is this machine's, as the server is greeted with it.
    ///
    /// # Errors
    /// See [`MailStartError`].
    pub fn open(settings: &MailSettings, name: Option<String>) -> Result<Self, MailStartError> {
        let credentials = match (&settings.user, &settings.password_file) {
            (Some(user), Some(path)) => {
                let text = Secret::new(files::read_text(path, PASSWORD_BYTES_MAX)?);
                let password = text.expose().trim_end_matches(['\r', '\n']);
                if password.is_empty() {
                    return Err(MailStartError::NoPassword(path.clone()));
                }
                Some(Credentials::new(user.clone(), password.to_owned()))
            }
            _ => None,
        };
        let tls = match settings.security {
            MailSecurity::None => None,
            MailSecurity::Tls | MailSecurity::Starttls => Some(trusting(settings)?),
        };
        Ok(Self {
            settings: settings.clone(),
            credentials,
            client: name.map_or_else(ClientId::default, ClientId::Domain),
            tls,
        })
    }

    /// Sends a message. Answers for which recipients the server did not take it, where it did for others.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub async fn send(&self, letter: Letter<'_>) -> Result<Option<String>, NotTaken> {
        let to = letter.to.to_vec();
        let message = self.message(letter).map_err(|error| NotTaken {
            why: format!("the message cannot be written: {error}"),
            for_good: true,
        })?;
        let exchange = self.exchange(&to, &message);
        timeout(SEND_TIMEOUT, exchange).await.map_err(|_| {
            let Settings { host, port, .. } = &self.settings;
            for_now(format!("the mail server {host}:{port} does not answer"))
        })?
    }

    async fn exchange(
        &self,
        to: &[EmailAddress],
        message: &[u8],
    ) -> Result<Option<String>, NotTaken> {
        let mut connection = self.connect().await?;
        let answer = self.hand_over(&mut connection, to, message).await;
        // Whatever is answered to that: the message was taken, or was not.
        connection.abort().await;
        answer
    }

    /// What fails up to here is of the server or of the settings, not of the message.
    async fn connect(&self) -> Result<AsyncSmtpConnection, NotTaken> {
        let Settings {
            host,
            port,
            security,
            ..
        } = &self.settings;
        let failed = |error: &dyn std::fmt::Display| {
            for_now(format!("the mail server {host}:{port}: {error}"))
        };
        let mut tcp = tcp::connect(host, *port)
            .await
            .map_err(|error| failed(&error))?;
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        let peer = tcp.peer_addr().map_err(|error| failed(&error))?;
        let stream = match &self.tls {
            None => Bounded::new(peer, b"", Box::new(tcp)),
            Some(tls) => {
                let greeting = match security {
                    MailSecurity::Starttls => {
                        let asked = starttls::ask(&mut tcp, &self.client).await;
                        asked.map_err(|error| failed(&error))?;
                        starttls::GREETING
                    }
                    MailSecurity::Tls | MailSecurity::None => b"",
                };
                let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
                let stream = TlsConnector::from(tls.clone())
                    .connect(name, tcp)
                    .await
                    .map_err(|error| {
                        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                        match inner {
                            Some(inner) => failed(&tls::reason(inner)),
                            None => failed(&tls::plain_words(&error.to_string())),
                        }
                    })?;
                Bounded::new(peer, greeting, Box::new(stream))
            }
        };
        let smtp = |error: lettre::transport::smtp::Error| failed(&words(&error));
        let stream = Box::new(stream);
        let connecting = AsyncSmtpConnection::connect_with_transport(stream, &self.client);
        let mut connection = connecting.await.map_err(smtp)?;
        if let Some(credentials) = &self.credentials {
            connection
                .auth(DEFAULT_MECHANISMS, credentials)
                .await
                .map_err(smtp)?;
        }
        Ok(connection)
    }

    /// A recipient that the server will never take keeps the message from no other; one that it does not take now
    /// keeps it from all, so that nobody gets it twice.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: &[EmailAddress],
        message: &[u8],
    ) -> Result<Option<String>, NotTaken> {
        let refused = |error: lettre::transport::smtp::Error| NotTaken {
            why: format!("the mail server: {}", words(&error)),
            for_good: error.is_permanent(),
        };
        let mut parameters = Vec::new();
        if !message.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = From::new(address_of(&self.settings.from), parameters);
        connection.command(from).await.map_err(refused)?;
        let mut faults: Vec<String> = Vec::new();
        for recipient in to {
            let Some(address) = address_of(recipient) else {
                continue;
            };
            match connection.command(Rcpt::new(address, Vec::new())).await {
                Ok(_) => {}
                Err(error) if error.is_permanent() => {
                    faults.push(format!("{recipient}: {}", words(&error)));
                }
                Err(error) => return Err(refused(error)),
            }
        }
        if faults.len() == to.len() {
            return Err(NotTaken {
                why: faults.join("; "),
                for_good: true,
            });
        }
        connection.command(Data).await.map_err(refused)?;
        connection.message(message).await.map_err(refused)?;
        Ok((!faults.is_empty()).then(|| faults.join("; ")))
    }

    fn message(&self, letter: Letter<'_>) -> Result<Vec<u8>, lettre::error::Error> {
        let domain = self.settings.from.domain();
        let id = |id: Uuid| format!("<{id}@{domain}>");
        let mailbox = |name: Option<&str>, address: &EmailAddress| {
            let address = lettre::Address::try_from(address.as_str().to_owned()).ok()?;
            Some(Mailbox::new(name.map(str::to_owned), address))
        };
        let mut builder: MessageBuilder = Message::builder()
            .message_id(Some(id(letter.id)))
            .subject(letter.subject.0)
            .date_now();
        if let Some(from) = mailbox(Some("Fleetwire"), &self.settings.from) {
            builder = builder.from(from);
        }
        for to in letter.to.iter().filter_map(|to| mailbox(None, to)) {
            builder = builder.to(to);
        }
        if let Some(thread) = letter.thread {
            builder = builder.references(id(thread)).in_reply_to(id(thread));
        }
        // So that nobody's absence is answered to it (RFC 3834).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = builder
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text)?;
        Ok(message.formatted())
    }
}

use MailSettings as Settings;

fn trusting(settings: &MailSettings) -> Result<Arc<ClientConfig>, MailStartError> {
    let (path, roots) = match &settings.ca_file {
        Some(path) => (path.clone(), roots::read(path)?),
        None => roots::of_this_machine().ok_or(MailStartError::NoRoots)?,
    };
    roots
        .and_then(|roots| tls::client_trusting(roots, false))
        .map_err(|source| MailStartError::Roots { path, source })
}

fn for_now(why: String) -> NotTaken {
    let for_good = false;
    NotTaken { why, for_good }
}

fn address_of(address: &EmailAddress) -> Option<lettre::Address> {
    lettre::Address::try_from(address.as_str().to_owned()).ok()
}

/// What the server or the way to it said, as one line.
fn words(error: &lettre::transport::smtp::Error) -> String {
    let inner = std::error::Error::source(error).map(ToString::to_string);
    let said = match (error.status(), inner) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(code), None) => code.to_string(),
        (None, Some(text)) => tls::plain_words(&text).to_owned(),
        (None, None) => error.to_string(),
    };
    Line::of(said.trim()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(subject: &str, to: &[EmailAddress]) -> String {
        let settings: MailSettings =
            toml::from_str("host = 'mx'\nsecurity = 'none'\nfrom = 'fleet@example.com'")
                .expect("settings");
        let mail = Mail::open(&settings, None).expect("opened");
        let letter = Letter {
            id: Uuid::from_u128(1),
            thread: Some(Uuid::from_u128(2)),
            to,
            subject: Line::of(subject),
            text: "It is wrong.\n.\n\nFür alle.\n".to_owned(),
        };
        String::from_utf8(mail.message(letter).expect("written")).expect("text")
    }

    #[test]
    fn no_text_gets_out_of_its_header() {
        let to = ["ops@example.com", "on-call@example.com"];
        let to = to.map(|to| to.parse().expect("an address"));
        for subject in [
            "kvm\r\nBcc: x@example.com",
            "kvm\nX-Evil: 1",
            "kvm\u{85}Bcc: x@example.com",
            "Wächter\r\n\r\nbody",
            &"long ".repeat(100),
        ] {
            let text = letter(subject, &to);
            let (head, _) = text.split_once("\r\n\r\n").expect("a head");
            let fields = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<_> = fields
                .map(|line| {
                    line.split_once(':')
                        .expect("a field")
                        .0
                        .to_ascii_lowercase()
                })
                .collect();
            for name in ["bcc", "x-evil"] {
                assert!(!names.iter().any(|it| it == name), "{head}");
            }
            assert_eq!(names.len(), 10, "{head}");
            assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
            assert!(
                head.contains("Message-ID: <00000000-0000-0000-0000-000000000001@example.com>")
            );
        }
        let long = Line::of(&"a".repeat(500)).0;
        assert_eq!(long.chars().count(), SUBJECT_CHARACTERS_MAX);
    }
}
