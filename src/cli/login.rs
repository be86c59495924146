//! `login` and `logout`: whom to trust, who somebody is there, and the context that keeps both.

use std::path::PathBuf;

use super::connection::CallError;
use super::contexts::{Context, Contexts, check_name};
use super::server;
use super::usage::UsageError;
use super::{Error, output, sign_in, terminal, text};
use crate::net::http_client::{HttpError, ServerUrl};
use crate::net::{introduction, tls};
use crate::secret::Secret;

/// Largest file of the CA that a context keeps.
const CA_BYTES_MAX: usize = 64 * 1024;

/// Arguments of `fleetwire login`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The platform's address, such as https://platform.example.com:8443
    url: String,
    /// The user's name; asked for otherwise
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file with the user's password, or - for standard input; asked for otherwise
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Sign in over the platform's OpenID provider, in the browser
    #[arg(long, conflicts_with_all = ["user", "password_file"])]
    oidc: bool,
    /// The SHA-256 fingerprint of the platform's CA, to be trusted without a question
    #[arg(long, value_name = "HEX", value_parser = fingerprint)]
    ca_fingerprint: Option<[u8; 32]>,
}

/// Signs in, and makes that the current context.
pub(super) async fn login(args: Args, server: &server::Args) -> Result<(), Error> {
    let url: ServerUrl = args.url.parse().map_err(UsageError::from)?;
    let name = match &server.context {
        Some(name) => name.clone(),
        None => url.host().replace(':', "-"),
    };
    check_name(&name)?;
    let ca = trusted(&url, server, args.ca_fingerprint).await?;
    let target = server.towards(url.clone(), ca.as_deref())?;
    let mut context = Context {
        server: url.to_string(),
        user: None,
        token: None,
        access_token: None,
        access_expires: None,
        refresh_token: None,
        ca,
    };
    if let Some(path) = &server.token_file {
        if args.oidc || args.user.is_some() || args.password_file.is_some() {
            return Err(UsageError::ManyCredentials.into());
        }
        let token = terminal::secret_from(path).map_err(UsageError::from)?;
        let token = Secret::new(token.expose().trim().to_owned());
        // One that the platform refuses is not kept.
        context.user = sign_in::name_of(&target.with_bearer(token.clone())).await?;
        context.token = Some(token);
    } else if args.oidc {
        sign_in::in_browser(&target, &mut context).await?;
    } else {
        let (user, password) = asked(&args)?;
        sign_in::with_password(&target, user, password, &mut context).await?;
    }
    let user = context.user.clone().unwrap_or_default();
    Contexts::change(|contexts| {
        contexts.contexts.insert(name.clone(), context);
        contexts.current = Some(name.clone());
        Ok(())
    })?;
    let user = text::cell(&user.into());
    output::beside(&format!(
        "signed in to {url} as {user}; this is the context {name} now"
    ));
    Ok(())
}

/// Ends the sign-in of a context, and forgets its credentials.
pub(super) async fn logout(server: &server::Args) -> Result<(), Error> {
    let contexts = Contexts::read()?;
    let name = server.context.clone().or(contexts.current.clone());
    let name = name.ok_or(UsageError::NoToken)?;
    let context = contexts.named(&name)?;
    let ended = if context.refresh_token.is_some() {
        ended(&name, context.clone(), server).await
    } else {
        Ok(())
    };
    // Forgotten here in any case.
    Contexts::change(|contexts| {
        if let Some(context) = contexts.contexts.get_mut(&name) {
            context.token = None;
            context.access_token = None;
            context.access_expires = None;
            context.refresh_token = None;
        }
        Ok(())
    })?;
    match ended {
        // It had ended by itself.
        Err(Error::Usage(UsageError::Ended(_)) | Error::Call(CallError::Refused { .. })) => {}
        ended => ended?,
    }
    output::beside(&format!("signed out of {name}"));
    Ok(())
}

async fn ended(name: &str, context: Context, server: &server::Args) -> Result<(), Error> {
    let url = context.server.parse().map_err(UsageError::from)?;
    let target = server.towards(url, context.ca.as_deref())?;
    match sign_in::access(name, context, &target).await? {
        Some(access) => sign_in::end(&target.with_bearer(access)).await,
        None => Ok(()),
    }
}

/// Who signs in with a password, out of the command line or as typed.
fn asked(args: &Args) -> Result<(String, Secret), UsageError> {
    let user = match &args.user {
        Some(user) => Some(user.clone()),
        None => terminal::ask("User").map_err(UsageError::Terminal)?,
    };
    let user = user.ok_or(UsageError::NoUser)?;
    let password = match &args.password_file {
        Some(path) => Some(terminal::secret_from(path)?),
        None => terminal::ask_secret("Password", false).map_err(UsageError::Terminal)?,
    };
    Ok((user, password.ok_or(UsageError::NoSecret("password-file"))?))
}

/// The CA to keep with the context; `None` where this machine trusts the platform as it is.
async fn trusted(
    url: &ServerUrl,
    server: &server::Args,
    pinned: Option<[u8; 32]>,
) -> Result<Option<String>, Error> {
    if !url.is_https() {
        return Ok(None);
    }
    if let Some(path) = &server.ca {
        let pem = crate::files::read_text(path, CA_BYTES_MAX);
        return Ok(Some(pem.map_err(UsageError::CaFile)?));
    }
    if pinned.is_none() {
        match server.towards(url.clone(), None) {
            // No certificates at all: as if it trusted none.
            Err(UsageError::NoSystemBundle) => {}
            Err(error) => return Err(error.into()),
            Ok(target) => match target.connect().await {
                Ok(_) => return Ok(None),
                Err(CallError::Reach(HttpError::Tls { .. })) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    let ca = introduction::ca_of(url).await?;
    let shown = tls::fingerprint(&ca);
    let (server, fingerprint) = (url.clone(), hex(&shown));
    match pinned {
        Some(pinned) if pinned == shown => {}
        Some(_) => {
            return Err(UsageError::OtherCa {
                server,
                fingerprint,
            }
            .into());
        }
        None => {
            let question = format!(
                "This machine does not trust {server}. Its CA has the SHA-256 fingerprint\n  \
                 {fingerprint}\nThe platform's own is shown by: openssl x509 -noout -fingerprint \
                 -sha256 -in ca.pem\nTrust it from now on?"
            );
            match terminal::confirm(&question).map_err(UsageError::Terminal)? {
                Some(true) => {}
                Some(false) => return Err(UsageError::NotConfirmed.into()),
                None => {
                    return Err(UsageError::Untrusted {
                        server,
                        fingerprint,
                    }
                    .into());
                }
            }
        }
    }
    Ok(Some(tls::to_pem(&ca)))
}

/// As `openssl x509 -fingerprint` has it.
fn hex(bytes: &[u8; 32]) -> String {
    let bytes = bytes.iter().map(|byte| format!("{byte:02X}"));
    bytes.collect::<Vec<_>>().join(":")
}

fn fingerprint(text: &str) -> Result<[u8; 32], &'static str> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|letter| *letter != ':')
        .map(|letter| letter.to_digit(16))
        .collect::<Option<_>>()
        .ok_or("it has hexadecimal digits and colons")?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or("it has 64 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_as_openssl_writes_it() {
        let bytes: [u8; 32] = std::array::from_fn(|index| index as u8 * 8);
        assert_eq!(fingerprint(&hex(&bytes)), Ok(bytes));
        assert_eq!(
            fingerprint(&hex(&bytes).replace(':', "").to_lowercase()),
            Ok(bytes)
        );
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(66)] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }
}
