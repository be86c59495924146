//! `session open`, `session list`, `session close`.

use hyper::Method;

use super::{Error, output};
use crate::api::{OpenSession, OpenedSession, Sessions};
use crate::net::http_client::HttpClient;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Open a host's own web interface: prints the address to open in a browser, once and soon
    Open {
        /// The host's name or id
        host: String,
    },
    /// List the open sessions
    List,
    /// Close a session
    Close {
        /// The session's id
        id: String,
    },
}

pub(super) async fn run(command: Command, client: &HttpClient, json: bool) -> Result<(), Error> {
    match command {
        Command::Open { host } => {
            let request = OpenSession { host };
            let opened: OpenedSession = client
                .call(Method::POST, "/api/sessions", Some(&request))
                .await?;
            if json {
                output::json(&opened)
            } else {
                output::line(opened.console_url.expose())
            }
        }
        Command::List => {
            let Sessions { sessions } = client
                .call::<(), _>(Method::GET, "/api/sessions", None)
                .await?;
            if json {
                return output::json(&sessions);
            }
            let rows = sessions.into_iter().map(|session| {
                let entered = if session.entered {
                    "entered"
                } else {
                    "waiting"
                };
                [
                    session.session_id,
                    session.host,
                    session.user,
                    entered.to_owned(),
                    session.active_at,
                    session.expires_at,
                ]
            });
            output::table(["ID", "HOST", "USER", "STATE", "ACTIVE", "EXPIRES"], rows)
        }
        Command::Close { id } => {
            // The id goes into a path: what is no id is refused here as the platform would.
            let id: crate::ids::ConsoleSessionId = id
                .parse()
                .map_err(|_| super::server::UsageError::SessionId(id))?;
            client
                .call::<(), Option<()>>(Method::DELETE, &format!("/api/sessions/{id}"), None)
                .await?;
            Ok(())
        }
    }
}
