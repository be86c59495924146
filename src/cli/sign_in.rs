//! Signing in as a person: with a password and a second factor, or over the platform's OpenID provider in
//! a browser; and the tokens that come of it, for as long as they last.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connection::{CallError, Connection, Target};
use super::contexts::{Context, Held};
use super::usage::UsageError;
use super::{Error, output, terminal};
use crate::clock::UnixMillis;
use crate::schema::api::auth_service_client::AuthServiceClient;
use crate::schema::api::{
    BeginOidcSignInRequest, CompleteOidcSignInRequest, GetMeRequest, RefreshTokensRequest,
    SignInRequest, SignOutRequest, Tokens,
};
use crate::secret::Secret;

/// An access token that ends sooner is not used any more: the call has to get there.
const LEFT_MIN: Duration = Duration::from_secs(30);
/// How long somebody may take in the browser: as long as the platform waits.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(600);
/// Where the browser comes back to.
const CALLBACK: &str = "/callback";
/// The refusal of a password alone, of a user with a second factor.
const TOTP_REQUIRED: &str = "totp_required";
/// The refusals of a refresh token after which there is no other.
const ENDED: [&str; 2] = ["refresh_token_invalid", "refresh_token_reused"];

fn client_of(connection: &Connection) -> AuthServiceClient<Connection> {
    AuthServiceClient::with_origin(connection.clone(), connection.origin())
}

/// What a sign-in gave, as a context keeps it.
fn keep(context: &mut Context, tokens: Option<Tokens>) {
    let tokens = tokens.unwrap_or_default();
    let millis = |at: prost_types::Timestamp| u64::try_from(at.seconds).unwrap_or(0) * 1000;
    context.user = tokens.user.map(|user| user.name);
    context.access_token = Some(Secret::new(tokens.access_token));
    context.access_expires = tokens.access_expires_at.map(millis);
    context.refresh_token = Some(Secret::new(tokens.refresh_token));
}

/// The name of whoever has this credential, which is thereby tried.
pub(super) async fn name_of(target: &Target) -> Result<Option<String>, Error> {
    let connection = target.connect().await?;
    let mut client = client_of(&connection);
    let answer = connection.answer(client.get_me(GetMeRequest {}));
    Ok(answer.await?.user.map(|user| user.name))
}

/// Signs in with a password, and with a code where one is asked for.
pub(super) async fn with_password(
    target: &Target,
    user: String,
    password: Secret,
    context: &mut Context,
) -> Result<(), Error> {
    let connection = target.connect().await?;
    let mut request = SignInRequest {
        user,
        password: password.into_string(),
        code: None,
    };
    let mut client = client_of(&connection);
    let signed_in = connection.answer(client.sign_in(request.clone()));
    let answer = match signed_in.await {
        Err(CallError::Refused { code, detail }) if code == TOTP_REQUIRED => {
            let typed = terminal::ask_secret("Code of the second factor", false);
            let Some(typed) = typed.map_err(UsageError::Terminal)? else {
                return Err(CallError::Refused { code, detail }.into());
            };
            request.code = Some(typed.expose().trim().to_owned());
            connection.answer(client.sign_in(request)).await
        }
        answer => answer,
    };
    keep(context, answer?.tokens);
    Ok(())
}

/// Signs in over the OpenID provider: the browser comes back to a listener on this machine, which nobody
/// else reaches (RFC 8252).
pub(super) async fn in_browser(target: &Target, context: &mut Context) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let connection = target.connect().await?;
    let request = BeginOidcSignInRequest {
        redirect_uri: format!("http://127.0.0.1:{port}{CALLBACK}"),
    };
    let mut client = client_of(&connection);
    let begun = connection.answer(client.begin_oidc_sign_in(request));
    let begun = begun.await?;
    output::beside("Open this in a browser on this machine, and sign in there:");
    output::beside(&begun.authorization_url);
    open(&begun.authorization_url);
    let back = timeout(BROWSER_TIMEOUT, came_back(listener, begun.state)).await;
    let (state, code) = back.map_err(|_| UsageError::Browser("nobody came back".to_owned()))??;
    // The platform may have closed the connection while somebody typed.
    let connection = target.connect().await?;
    let request = CompleteOidcSignInRequest { state, code };
    let mut client = client_of(&connection);
    let answer = connection.answer(client.complete_oidc_sign_in(request));
    keep(context, answer.await?.tokens);
    Ok(())
}

/// Ends the sign-in of a context on its platform.
pub(super) async fn end(target: &Target) -> Result<(), Error> {
    let connection = target.connect().await?;
    let mut client = client_of(&connection);
    let answer = connection.answer(client.sign_out(SignOutRequest {}));
    Ok(answer.await.map(drop)?)
}

/// The access token of a context, a new one where it has ended. A refresh token is good once, and one that
/// comes twice ends the sign-in: whoever takes one holds the file, and writes the next before it is used.
pub(super) async fn access(
    name: &str,
    context: Context,
    target: &Target,
) -> Result<Option<Secret>, Error> {
    if let Some(access) = lasting(&context) {
        return Ok(Some(access));
    }
    let mut held = Held::take()?;
    // Another command may have been quicker, or somebody has signed out.
    let Some(context) = held.contexts.contexts.get_mut(name) else {
        return Ok(None);
    };
    if let Some(access) = lasting(context) {
        return Ok(Some(access));
    }
    let Some(refresh_token) = &context.refresh_token else {
        return Ok(None);
    };
    let connection = target.connect().await?;
    let request = RefreshTokensRequest {
        refresh_token: refresh_token.expose().to_owned(),
    };
    let mut client = client_of(&connection);
    let refreshed = connection.answer(client.refresh_tokens(request));
    match refreshed.await {
        Ok(answer) => keep(context, answer.tokens),
        Err(CallError::Refused { code, detail }) if ENDED.contains(&&*code) => {
            return Err(UsageError::Ended(detail).into());
        }
        Err(error) => return Err(error.into()),
    }
    let access = context.access_token.clone();
    held.write()?;
    Ok(access)
}

/// The access token, where it is good for a while.
fn lasting(context: &Context) -> Option<Secret> {
    let until = context.access_expires?;
    let needed = UnixMillis::now().plus(LEFT_MIN);
    (until > needed.0)
        .then(|| context.access_token.clone())
        .flatten()
}

/// Shows an address in the browser that `BROWSER` names; without one, the person opens it.
fn open(address: &str) {
    if let Some(browser) = std::env::var_os("BROWSER").filter(|browser| !browser.is_empty()) {
        let started = tokio::process::Command::new(browser)
            .arg(address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        // It is said above what to open, whether or not this worked.
        drop(started);
    }
}

/// Waits for the browser to come back with this state; gives that and the code. Anything else that comes
/// by is answered, and not taken.
async fn came_back(listener: TcpListener, state: String) -> Result<(String, String), Error> {
    let (found, mut back) = mpsc::channel(1);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(outcome) = back.recv() => return outcome,
        };
        let (found, state) = (found.clone(), state.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                let outcome = brought(request.uri(), &state);
                let answer = page(outcome.as_ref());
                if let Some(outcome) = outcome {
                    // Whoever comes second finds the first there.
                    let _ = found.try_send(outcome);
                }
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A browser that breaks off comes again.
            let _ = served.await;
        });
    }
}

type Outcome = Result<(String, String), Error>;

/// What a request brings: nothing where it is not the one that is waited for.
fn brought(uri: &hyper::Uri, state: &str) -> Option<Outcome> {
    if uri.path() != CALLBACK {
        return None;
    }
    let query = uri.query().unwrap_or_default();
    let find = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    if find("state").as_deref() != Some(state) {
        // Not of this sign-in: a stranger's page may send the browser here with a code of its own.
        return None;
    }
    if let Some(code) = find("code") {
        return Some(Ok((state.to_owned(), code)));
    }
    let why = find("error").unwrap_or_else(|| "it brought no code".to_owned());
    let why: String = why
        .chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .collect();
    Some(Err(UsageError::Browser(why).into()))
}

fn page(outcome: Option<&Outcome>) -> Response<Full<Bytes>> {
    let (status, text) = match outcome {
        Some(Ok(_)) => (
            StatusCode::OK,
            "Go on in the terminal; this page can be closed.",
        ),
        Some(Err(_)) => (
            StatusCode::OK,
            "Nobody was signed in; the terminal says why.",
        ),
        None => (StatusCode::NOT_FOUND, "There is nothing here."),
    };
    let mut page = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *page.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    page.headers_mut().insert(CONTENT_TYPE, kind);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(uri: &str) -> Option<Result<(String, String), String>> {
        let outcome = brought(&uri.parse().expect("a URI"), "s1");
        outcome.map(|outcome| outcome.map_err(|error| error.to_string()))
    }

    #[test]
    fn only_what_was_begun_here_is_completed() {
        let pair = ("s1".to_owned(), "c d".to_owned());
        assert_eq!(outcome("/callback?code=c%20d&state=s1"), Some(Ok(pair)));
        for other in [
            "/callback?code=c&state=s2",
            "/callback?code=c",
            "/callback",
            "/favicon.ico?code=c&state=s1",
        ] {
            assert_eq!(outcome(other), None, "{other}");
        }
        let refused = outcome("/callback?error=access_denied%0a&state=s1").expect("an outcome");
        assert!(refused.is_err_and(|error| error.ends_with("access_denied")));
    }
}
