//! `token create`: a single-use invitation for one agent.

use std::time::Duration;

use hyper::Method;

use super::{Error, output};
use crate::api::{CreateToken, CreatedToken};
use crate::clock::parse_duration;
use crate::net::http_client::HttpClient;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a token that lets one agent enrol
    Create {
        /// The host's name; one that exists is enrolled anew
        #[arg(long)]
        name: Option<String>,
        /// How long it is good for, such as 30m or 12h
        #[arg(long, value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
}

pub(super) async fn run(command: Command, client: &HttpClient, json: bool) -> Result<(), Error> {
    let Command::Create { name, ttl } = command;
    // A part of a second counts as one: the platform then refuses none that is not zero.
    let ttl_seconds = ttl.map(|ttl| ttl.as_millis().div_ceil(1000) as u64);
    let request = CreateToken { name, ttl_seconds };
    let created: CreatedToken = client
        .call(Method::POST, "/api/tokens", Some(&request))
        .await?;
    if json {
        output::json(&created)
    } else {
        output::line(created.token.expose())
    }
}
