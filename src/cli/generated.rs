//! Runs a generated command: the request out of the command line, the call, and what is printed of
//! the answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::arguments::{self, ALL, DRY_RUN, OUTPUT, YES};
use super::call::{all, answered, check, invalid, text, value};
use super::commands::{Call, Command, Kind, Pieces};
use super::connection::Target;
use super::output::{self, Reader};
use super::text::cell;
use super::usage::UsageError;
use super::{Error, events, follow, server, terminal};
use crate::net::http_client::HttpError;

/// The most that a page holds: what paging through a list asks for.
const PAGE_SIZE_MAX: u64 = 1000;
/// How long the next piece of an export may take.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

type Members = Map<String, Value>;

pub(super) async fn run(
    command: &'static Command,
    matches: &ArgMatches,
    server: &server::Args,
    json: bool,
) -> Result<(), Error> {
    let is_set = |id| flag(matches, id);
    if is_set(DRY_RUN) {
        let request = arguments::request(command, matches, false)?;
        return dry_run(command, &request);
    }
    let mut request = arguments::request(command, matches, true)?;
    if is_set(ALL) {
        let size = request.entry("page_size".to_owned());
        size.or_insert_with(|| PAGE_SIZE_MAX.into());
    }
    // What is wrong with it is said before anybody is asked anything.
    check(command, &text(&request))?;
    if command.destroys && !is_set(YES) {
        let question = format!("{}: {}?", command.about, named(command, &request));
        if terminal::confirm(&question).map_err(UsageError::Terminal)? == Some(false) {
            return Err(UsageError::NotConfirmed.into());
        }
    }
    if command.method == follow::METHOD && !json {
        return follow::watch(request, server).await;
    }
    let target = server.target(!command.anyone).await?;
    let mut connection = target.connect().await?;
    match command.call {
        Call::Once(call) if is_set(ALL) => {
            let answer = all(call, request, &connection).await?;
            shown(command, &answer, json)
        }
        Call::Once(_) => {
            let answer = answered(command, &request, &mut connection, server).await?;
            if json {
                return match command.answer.members {
                    [] => Ok(()),
                    _ => output::line(&String::from_utf8_lossy(&answer)),
                };
            }
            shown(command, &value(&answer)?, json)
        }
        Call::Stream(_) if command.method == events::METHOD && !json => {
            events::watch(command, request, connection).await
        }
        Call::Stream(call) => {
            let call = call(&text(&request)).map_err(invalid)?;
            stream(command, call(connection).await?, json).await
        }
        Call::Raw(call) => {
            let call = call(&text(&request)).map_err(invalid)?;
            let pieces = call(connection).await?;
            let output = matches.get_one::<PathBuf>(OUTPUT);
            raw(pieces, output.map(PathBuf::as_path), &target).await
        }
    }
}

/// Whether a flag was given, of a command that has it.
fn flag(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.try_get_one::<bool>(id), Ok(Some(true)))
}

/// What a request is about, for a question.
fn named(command: &Command, request: &Members) -> String {
    let named = command
        .arguments
        .iter()
        .filter(|argument| argument.positional);
    let named = named.filter_map(|argument| request.get(*argument.path.first()?));
    named.map(cell).collect::<Vec<_>>().join(" ")
}

fn dry_run(command: &Command, request: &Members) -> Result<(), Error> {
    let mut request = request.clone();
    for argument in command.arguments {
        if let ([name], Kind::Secret { .. }) = (argument.path, &argument.kind)
            && let Some(secret) = request.get_mut(*name)
        {
            *secret = "(not shown)".into();
        }
    }
    let (service, method) = (command.service, command.method);
    let request = Value::Object(request);
    output::line(&format!("fleetwire.api.v1.{service}/{method} {request}"))
}

fn shown(command: &Command, answer: &Value, json: bool) -> Result<(), Error> {
    if json {
        return output::json(answer);
    }
    output::answer(answer, command.answer, command.rows)?;
    let next = answer["next_page_token"].as_str().unwrap_or_default();
    if command.pages && !next.is_empty() {
        output::beside(&format!(
            "there are more: --all shows them, --page-token {next} the next page"
        ));
    }
    Ok(())
}

async fn stream(command: &Command, mut pieces: Pieces, json: bool) -> Result<(), Error> {
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let reader = if json {
            output::bytes(&[&piece[..], b"\n"].concat())?
        } else {
            output::item(&value(&piece)?, command.answer)?
        };
        if reader == Reader::Gone {
            break;
        }
    }
    Ok(())
}

async fn raw(mut pieces: Pieces, output: Option<&Path>, target: &Target) -> Result<(), Error> {
    let mut next = async || match timeout(PIECE_TIMEOUT, pieces.next()).await {
        Ok(piece) => Ok(piece.transpose()?),
        Err(_) => Err(Error::from(HttpError::Timeout(target.server().clone()))),
    };
    let Some(output) = output else {
        while let Some(piece) = next().await? {
            if output::bytes(&piece)? == Reader::Gone {
                break;
            }
        }
        return Ok(());
    };
    let dir = output.parent().filter(|dir| !dir.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")));
    let mut file = file.map_err(Error::Output)?;
    while let Some(piece) = next().await? {
        file.write_all(&piece).map_err(Error::Output)?;
    }
    file.as_file().sync_all().map_err(Error::Output)?;
    let kept = file.persist(output);
    kept.map(drop).map_err(|error| Error::Output(error.error))
}
