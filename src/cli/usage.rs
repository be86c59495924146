//! What is wrong with a command line, or with what stands around it, and the way out.

use std::path::PathBuf;

use crate::files::FileError;
use crate::net::http_client::{ServerUrl, ServerUrlError};
use crate::net::tls::TlsError;

/// What was given at the command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// There is no token.
    #[error(
        "nobody is signed in: fleetwire login, or give an API token with --token-file or FLEETWIRE_TOKEN; \
         the administrator's is in admin-token in the platform's data directory"
    )]
    NoToken,
    /// The CA file cannot be read.
    #[error("--ca or FLEETWIRE_CA: {0}; the platform's is ca.pem in its data directory")]
    CaFile(#[source] FileError),
    /// The CA file holds no certificate.
    #[error("{}: {source}", path.display())]
    CaContent {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
    /// What was given is not what the call's request has there.
    #[error("{}{what}", match field.as_str() { "" => String::new(), field => format!("{field}: ") })]
    Request {
        /// The field at fault.
        field: String,
        /// What is the matter with it.
        what: String,
    },
    /// A file that was named cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is larger than any request.
    #[error("{} is too large", .0.display())]
    TooLarge(PathBuf),
    /// A credential is needed, and there is nobody to ask for it.
    #[error(
        "there is no terminal to ask at: give it with --{0} FILE, or --{0} - for standard input"
    )]
    NoSecret(&'static str),
    /// One signs in in one way.
    #[error("sign in in one way: as a --user, with --oidc or with --token-file")]
    ManyCredentials,
    /// Nobody says who signs in, and there is nobody to ask.
    #[error(
        "there is no terminal to ask at: say who with --user, or sign in with --oidc or --token-file"
    )]
    NoUser,
    /// The person at the terminal was asked, and said no.
    #[error("nothing was done")]
    NotConfirmed,
    /// What would be done has to be agreed to, and there is nobody to ask.
    #[error("{0}, and there is no terminal to ask at: --yes goes ahead, --dry-run says which")]
    NobodyToConfirm(String),
    /// The terminal failed, or the question was broken off.
    #[error("the terminal: {0}")]
    Terminal(#[source] std::io::Error),
    /// The browser did not come back with what signs somebody in.
    #[error("signing in in the browser: {0}")]
    Browser(String),
    /// A sign-in does not last for ever.
    #[error("{0}: fleetwire login")]
    Ended(String),
    /// Standard input is taken.
    #[error("standard input is the client's here: give the token in a file, or in FLEETWIRE_TOKEN")]
    StandardInput,
    /// There is no such tool.
    #[error(
        "there is no tool {0:?}: they are named after the methods of the API, as list_hosts is"
    )]
    NoTool(String),
    /// There is no such context.
    #[error("there is no context {0:?}: see context list, or fleetwire login")]
    NoContext(String),
    /// A context cannot be called so.
    #[error("{0:?} is no name for a context: 1 to 128 letters, digits, -, _ or .")]
    ContextName(String),
    /// There is no place for contexts.
    #[error("there is nowhere to keep contexts: HOME and XDG_CONFIG_HOME are not set")]
    NoHome,
    /// The file of contexts cannot be used.
    #[error("{}: {what}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is the matter with it.
        what: String,
    },
    /// Nobody says whether the platform is to be trusted.
    #[error(
        "this machine does not trust {server}; its CA has the fingerprint {fingerprint}: compare that \
         with the platform's, then give it with --ca-fingerprint, or the CA's file with --ca"
    )]
    Untrusted {
        /// Which platform.
        server: ServerUrl,
        /// What it showed.
        fingerprint: String,
    },
    /// The platform shows another CA than the one that was named.
    #[error(
        "{server} shows a CA with the fingerprint {fingerprint}, which is not the one that was given"
    )]
    OtherCa {
        /// Which platform.
        server: ServerUrl,
        /// What it showed.
        fingerprint: String,
    },
    /// There is no file of certificates on this machine.
    #[error(
        "this machine has no ca-certificates: name the platform's CA with --ca or FLEETWIRE_CA; it \
         is ca.pem in the platform's data directory"
    )]
    NoSystemBundle,
}
