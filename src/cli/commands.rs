//! The commands that are generated from the API's services by `build/cli.rs`: every method of the
//! schema has one. This file owns what the table is made of, and how a method is called; the command
//! line around it is in `arguments`, what becomes of the answer in `call`.

use std::future::Future;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tonic::{Response, Status, Streaming};

use super::connection::{ANSWER_BYTES_MAX, CallError, Connection};
use crate::schema::api as pb;
use crate::wire::json::{Fault, JsonMessage, Members, api as json};

/// The commands of one service.
pub struct Group {
    /// The first word of each.
    pub name: &'static str,
    /// The same in the plural, which is understood too.
    pub plural: &'static str,
    /// What the service has.
    pub about: &'static str,
    /// One for each of its methods.
    pub commands: &'static [Command],
}

/// One method as a command.
pub struct Command {
    /// The service's name.
    pub service: &'static str,
    /// The method's.
    pub method: &'static str,
    /// The second word.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it needs no credential.
    pub anyone: bool,
    /// Whether it changes nothing.
    pub reads: bool,
    /// Whether it makes something, and once however often it is called under one key.
    pub creates: bool,
    /// Whether it takes away what does not come back.
    pub destroys: bool,
    /// Whether it answers a page of a list.
    pub pages: bool,
    /// What is said to it.
    pub arguments: &'static [Argument],
    /// How it is called.
    pub call: Call,
    /// What it answers.
    pub answer: &'static Shape,
    /// The one list that it answers.
    pub rows: Option<(&'static str, &'static Shape)>,
}

/// A field of a request.
pub struct Argument {
    /// Its name to clap, which no other argument has.
    pub id: &'static str,
    /// The members that lead to it.
    pub path: &'static [&'static str],
    /// Its long name.
    pub flag: &'static str,
    /// What its value is called.
    pub value: &'static str,
    /// What it is.
    pub help: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it stands without its name.
    pub positional: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether it may be given again.
    pub repeated: bool,
}

/// What an argument holds.
pub enum Kind {
    /// True or false.
    Flag,
    /// A whole number.
    Whole {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// How long, in seconds.
    Seconds {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A number.
    Double,
    /// Text.
    Text,
    /// A credential, which is never an argument itself; a new one is asked for twice.
    Secret {
        /// Whether it is a new one.
        new: bool,
    },
    /// What a file holds.
    File,
    /// A moment, as RFC 3339 has it.
    Time,
    /// `key=value`.
    Texts,
    /// One of some words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// What has no form of its own at a command line.
    Json,
}

/// A message of an answer.
pub struct Shape {
    /// The message's name.
    pub name: &'static str,
    /// Its fields, in the order of the schema.
    pub members: &'static [Member],
}

/// A field of an answer.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// The message that it holds.
    pub inner: Option<&'static Shape>,
    /// Whether it is a list.
    pub repeated: bool,
    /// Whether it is a credential.
    pub secret: bool,
}

/// A method's call, out of the request as JSON. The answer is JSON as REST gives it.
pub enum Call {
    /// It answers once.
    Once(Once),
    /// It answers as often as there is something.
    Stream(Several),
    /// It answers one thing in pieces, which is not JSON's.
    Raw(Several),
}

/// How a method is called that answers once.
pub type Once = fn(&Bytes) -> Result<Prepared<Bytes>, Fault>;
/// How a method is called that answers more than once.
pub type Several = fn(&Bytes) -> Result<Prepared<Pieces>, Fault>;

/// A call whose request was understood.
pub type Prepared<T> = Box<dyn FnOnce(Connection) -> Calling<T> + Send>;
type Calling<T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;
/// What comes one after the other.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, CallError>> + Send>>;

include!(concat!(env!("OUT_DIR"), "/cli.rs"));

/// The command that calls a method.
pub fn of(service: &str, method: &str) -> Option<&'static Command> {
    GROUPS
        .iter()
        .flat_map(|group| group.commands)
        .find(|command| command.service == service && command.method == method)
}

fn read<M: JsonMessage>(request: &Bytes) -> Result<M, Fault> {
    json::read_request(&[], Some(request))
}

fn written(message: &impl Members) -> Bytes {
    let mut out = BytesMut::new();
    json::write(message, &mut out);
    out.freeze()
}

async fn once<T>(
    connection: Connection,
    call: impl Future<Output = Result<Response<T>, Status>>,
    write: impl FnOnce(T) -> Bytes,
) -> Result<Bytes, CallError> {
    connection.answer(call).await.map(write)
}

async fn pieces<T: Send + 'static>(
    connection: Connection,
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    write: impl Fn(T) -> Bytes + Send + 'static,
) -> Result<Pieces, CallError> {
    let answers = connection.answer(call).await?;
    let pieces = answers.map(move |answer| match answer {
        Ok(answer) => Ok(write(answer)),
        Err(status) => Err(connection.failed(status)),
    });
    Ok(pieces.boxed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::api::{About, METHODS};

    #[test]
    fn every_method_has_a_command_but_those_that_say_why_not() {
        // What agents do by themselves, and what a page asks before somebody signs in.
        let none = |method: &About| {
            method.path.starts_with("/v1/agent/") || method.name == "GetSignInOptions"
        };
        for method in METHODS {
            if none(method) {
                assert!(of(method.service, method.name).is_none(), "{}", method.name);
                continue;
            }
            let command = of(method.service, method.name)
                .unwrap_or_else(|| panic!("{} has none", method.name));
            assert_eq!(command.reads, method.reads, "{}", method.name);
            assert_eq!(command.anyone, method.role.is_none(), "{}", method.name);
            let creates = method.creates && method.role.is_some();
            assert_eq!(command.creates, creates, "{}", method.name);
        }
        let commands = GROUPS.iter().map(|group| group.commands.len());
        let methods = METHODS.iter().filter(|method| !none(method));
        assert_eq!(commands.sum::<usize>(), methods.count());
    }

    #[test]
    fn words_follow_from_the_schema() {
        for (service, method, group, name) in [
            ("HostService", "ListHosts", "host", "list"),
            ("SessionService", "OpenSession", "session", "open"),
            (
                "EnrolmentTokenService",
                "CreateEnrolmentToken",
                "token",
                "create",
            ),
            ("AuditService", "ExportAudit", "audit", "export"),
        ] {
            assert_eq!(of(service, method).map(|command| command.name), Some(name));
            let found = GROUPS.iter().find(|found| found.name == group);
            let commands = found.expect(group).commands;
            assert!(commands.iter().any(|command| command.method == method));
        }
    }

    #[test]
    fn a_credential_is_never_an_argument() {
        let commands = GROUPS.iter().flat_map(|group| group.commands);
        for argument in commands.flat_map(|command| command.arguments) {
            if matches!(argument.kind, Kind::Secret { .. }) {
                assert!(!argument.positional && argument.flag.ends_with("-file"));
            }
        }
    }
}
