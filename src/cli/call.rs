//! Calls of the platform: a method's request as JSON, its answer, a list to its end, and what is asked again where an
//! answer was lost.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::commands::{self, Call, Command, Once, Pieces};
use super::connection::{CallError, CallKey, Connection};
use super::usage::UsageError;
use super::{Error, output, server};
use crate::wire::json::Fault;

/// Most pages of a list: a platform that answers more of them than it may have hosts goes in circles.
const PAGES_MAX: usize = 10_000;
/// How long to wait before a call whose answer was lost is made again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

type Members = Map<String, Value>;

/// A platform that is asked.
pub(super) struct Client<'a> {
    server: &'a server::Args,
    connection: Connection,
}

impl<'a> Client<'a> {
    pub(super) async fn connect(server: &'a server::Args) -> Result<Self, Error> {
        let connection = server.target(true).await?.connect().await?;
        Ok(Self { server, connection })
    }

    /// Connects anew, with a credential that is good.
    pub(super) async fn reconnect(&mut self) -> Result<(), Error> {
        self.connection = self.server.target(true).await?.connect().await?;
        Ok(())
    }

    /// Calls a method that answers once; what makes something, so that it is made once.
    pub(super) async fn once(
        &mut self,
        service: &str,
        method: &str,
        request: Value,
    ) -> Result<Value, Error> {
        let command = command_of(service, method)?;
        let request = members(request);
        let answer = answered(command, &request, &mut self.connection, self.server).await?;
        value(&answer)
    }

    /// The connection as it is now, for a call of the caller's own.
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Calls a method that lists, to the end of the list.
    pub(super) async fn all(
        &self,
        service: &str,
        method: &str,
        request: Value,
    ) -> Result<Value, Error> {
        match command_of(service, method)?.call {
            Call::Once(once) => all(once, members(request), &self.connection).await,
            _ => Err(unknown(method)),
        }
    }

    /// Calls a method that answers more than once.
    pub(super) async fn several(
        &self,
        service: &str,
        method: &str,
        request: Value,
    ) -> Result<Pieces, Error> {
        match command_of(service, method)?.call {
            Call::Stream(several) | Call::Raw(several) => {
                let prepared = several(&text(&members(request))).map_err(invalid)?;
                Ok(prepared(self.connection.clone()).await?)
            }
            _ => Err(unknown(method)),
        }
    }
}

pub(super) fn text(request: &Members) -> Bytes {
    // A map of texts has no value that JSON lacks.
    serde_json::to_vec(request).unwrap_or_default().into()
}

pub(super) fn value(answer: &Bytes) -> Result<Value, Error> {
    serde_json::from_slice(answer).map_err(|error| Error::Output(error.into()))
}

pub(super) fn invalid(fault: Fault) -> UsageError {
    UsageError::Request {
        field: fault.path(),
        what: fault.what().to_owned(),
    }
}

pub(super) fn check(command: &Command, request: &Bytes) -> Result<(), UsageError> {
    match command.call {
        Call::Once(call) => call(request).map(drop),
        Call::Stream(call) | Call::Raw(call) => call(request).map(drop),
    }
    .map_err(invalid)
}

pub(super) async fn once(
    call: Once,
    request: &Members,
    connection: Connection,
) -> Result<Bytes, Error> {
    let call = call(&text(request)).map_err(invalid)?;
    Ok(call(connection).await?)
}

/// Calls a method that answers once. One that makes something is called under a key, and once more where the
/// connection is lost before its answer: on another, which is `connection` from then on. So it is made once.
pub(super) async fn answered(
    command: &Command,
    request: &Members,
    connection: &mut Connection,
    server: &server::Args,
) -> Result<Bytes, Error> {
    answered_under(&CallKey::random(), command, request, connection, server).await
}

/// The same under a key that its caller chose.
pub(super) async fn answered_under(
    key: &CallKey,
    command: &Command,
    request: &Members,
    connection: &mut Connection,
    server: &server::Args,
) -> Result<Bytes, Error> {
    let Call::Once(call) = command.call else {
        return Err(unknown(command.method));
    };
    if !command.creates {
        return once(call, request, connection.clone()).await;
    }
    match once(call, request, connection.under(key)).await {
        Err(Error::Call(CallError::Reach(error))) => {
            output::beside(&format!("{error}; asking again"));
            sleep(ASKED_AGAIN_AFTER).await;
            *connection = server.target(!command.anyone).await?.connect().await?;
            once(call, request, connection.under(key)).await
        }
        answer => answer,
    }
}

/// Pages through a list, and answers it as one page.
pub(super) async fn all(
    call: Once,
    mut request: Members,
    connection: &Connection,
) -> Result<Value, Error> {
    let mut whole = value(&once(call, &request, connection.clone()).await?)?;
    for _ in 1..PAGES_MAX {
        let token = whole["next_page_token"].take();
        whole["next_page_token"] = "".into();
        if token.as_str().is_none_or(str::is_empty) {
            break;
        }
        request.insert("page_token".to_owned(), token);
        let mut page = value(&once(call, &request, connection.clone()).await?)?;
        let Some(members) = whole.as_object_mut() else {
            break;
        };
        for (name, member) in members {
            let more = page[name].take();
            match (member, more) {
                (Value::Array(items), Value::Array(more)) => items.extend(more),
                (member, more) => *member = more,
            }
        }
    }
    Ok(whole)
}

fn members(request: Value) -> Members {
    match request {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn command_of(service: &str, method: &str) -> Result<&'static Command, Error> {
    commands::of(service, method).ok_or_else(|| unknown(method))
}

/// There is no such method, or it answers in another way.
fn unknown(method: &str) -> Error {
    UsageError::Request {
        field: String::new(),
        what: format!("this program has no method {method}"),
    }
    .into()
}
