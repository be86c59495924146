//! The generated commands at the command line: what clap is told of their arguments, and what was
//! given as the members of a request.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::builder::{PossibleValue, PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use serde_json::{Map, Value};

use super::commands::{Argument, Command, GROUPS, Group, Kind};
use super::terminal;
use super::usage::UsageError;
use crate::clock::parse_duration;
use crate::files::FileError;

/// Largest file that becomes a field: the platform takes no larger request.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Ids of what a command line says beside the request.
pub(super) const ALL: &str = "all";
pub(super) const DRY_RUN: &str = "dry-run";
pub(super) const OUTPUT: &str = "output";
pub(super) const YES: &str = "yes";

/// Methods that a command written by hand calls in a better way: `login` and `logout`, `packages`, `dead`,
/// `files put`. They have no other, as one thing is asked for in one way.
const CALLED_BY_HAND: [&str; 10] = [
    "SignIn",
    "RefreshTokens",
    "BeginOidcSignIn",
    "CompleteOidcSignIn",
    "SignOut",
    "InstallPackages",
    "RedriveDeliveries",
    "DiscardDeliveries",
    "CreateFile",
    "WriteFile",
];
/// The same of one argument of a method: `dead list` gives it.
const GIVEN_BY_HAND: [(&str, &str); 1] = [("ListDeliveries", "dead")];

/// Whether it is a command of its own.
fn is_offered(command: &Command) -> bool {
    !CALLED_BY_HAND.contains(&command.method)
}

/// Every group with its commands, as clap has them.
pub(super) fn groups() -> impl Iterator<Item = clap::Command> {
    GROUPS.iter().map(|group| {
        let commands = group.commands.iter().filter(|it| is_offered(it));
        let commands = commands.map(subcommand);
        clap::Command::new(group.name)
            .alias(group.plural)
            .about(group.about)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(commands)
    })
}

/// The generated command of that name in that group.
pub(super) fn find(group: &str, name: &str) -> Option<&'static Command> {
    let group: &Group = GROUPS.iter().find(|known| known.name == group)?;
    let mut commands = group.commands.iter();
    commands.find(|command| command.name == name && is_offered(command))
}

fn subcommand(command: &'static Command) -> clap::Command {
    let mut line = clap::Command::new(command.name).about(command.about);
    for argument in offered(command) {
        line = line.arg(arg(argument));
    }
    let flag = |id, help| {
        let flag = Arg::new(id).long(id).action(ArgAction::SetTrue);
        flag.help(help)
    };
    if command.pages {
        line = line.arg(flag(ALL, "Page through the whole list"));
    }
    if !command.reads {
        line = line.arg(flag(DRY_RUN, "Print the request in place of making it"));
    }
    if command.destroys {
        line = line.arg(flag(YES, "Ask nothing").short('y'));
    }
    if matches!(command.call, super::commands::Call::Raw(_)) {
        let output = Arg::new(OUTPUT)
            .long(OUTPUT)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("The file to write, whole or not at all; standard output otherwise");
        line = line.arg(output);
    }
    line
}

/// What may be said to it.
fn offered(command: &'static Command) -> impl Iterator<Item = &'static Argument> {
    let of = |argument: &Argument| (command.method, argument.flag);
    let arguments = command.arguments.iter();
    arguments.filter(move |argument| !GIVEN_BY_HAND.contains(&of(argument)))
}

fn arg(argument: &'static Argument) -> Arg {
    let arg = Arg::new(argument.id)
        .value_name(argument.value)
        .help(argument.help)
        .required(argument.required && !matches!(argument.kind, Kind::Secret { .. }));
    let arg = if argument.positional {
        arg
    } else {
        arg.long(argument.flag)
    };
    let arg = if argument.repeated || matches!(argument.kind, Kind::Texts) {
        arg.action(ArgAction::Append)
    } else {
        arg.action(ArgAction::Set)
    };
    match argument.kind {
        Kind::Flag => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(value_parser!(bool)),
        Kind::Whole { min, max } => arg
            .value_name("NUMBER")
            .value_parser(value_parser!(u64).range(min..=max)),
        Kind::Seconds { min, max } => arg
            .value_name("DURATION")
            .help(format!("{}; such as 30m or 12h", argument.help))
            .value_parser(ValueParser::new(move |text: &str| seconds(text, min, max))),
        Kind::Double => arg.value_parser(value_parser!(f64)),
        Kind::Secret { .. } => arg
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(value_parser!(PathBuf))
            .help(format!(
                "A file that holds it, or - for standard input: {}",
                argument.help
            )),
        Kind::File => arg
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(value_parser!(PathBuf)),
        Kind::Text => arg,
        Kind::Time => arg.value_name("TIME"),
        Kind::Texts => arg.value_parser(ValueParser::new(pair)),
        Kind::Choice(words) => {
            let values = words
                .iter()
                .map(|(word, about)| PossibleValue::new(*word).help(*about));
            arg.value_parser(PossibleValuesParser::new(values))
        }
        Kind::Json => arg
            .value_name("JSON")
            .value_parser(ValueParser::new(|text: &str| {
                serde_json::from_str::<Value>(text)
            })),
    }
}

/// The request that a command line asks for. With `ask`, a credential that has to be there and was not
/// given is asked for at the terminal; otherwise credentials are left out.
pub(super) fn request(
    command: &'static Command,
    matches: &ArgMatches,
    ask: bool,
) -> Result<Map<String, Value>, UsageError> {
    let mut request = Map::new();
    for argument in offered(command) {
        if let Some(value) = value(argument, matches, ask)? {
            insert(&mut request, argument.path, value);
        }
    }
    Ok(request)
}

fn value(
    argument: &Argument,
    matches: &ArgMatches,
    ask: bool,
) -> Result<Option<Value>, UsageError> {
    let id = argument.id;
    Ok(match argument.kind {
        Kind::Flag => values::<bool>(argument, matches),
        Kind::Whole { .. } | Kind::Seconds { .. } => values::<u64>(argument, matches),
        Kind::Double => values::<f64>(argument, matches),
        Kind::Text | Kind::Time | Kind::Choice(_) => values::<String>(argument, matches),
        Kind::Json => values::<Value>(argument, matches),
        Kind::Texts => matches.get_many::<(String, String)>(id).map(|pairs| {
            let members = pairs.map(|(key, value)| (key.clone(), value.clone().into()));
            Value::Object(members.collect())
        }),
        Kind::File => match matches.get_one::<PathBuf>(id) {
            Some(path) => {
                let content = std::fs::read(path).map_err(FileError::on("read", path))?;
                if content.len() as u64 > FILE_BYTES_MAX {
                    return Err(UsageError::TooLarge(path.clone()));
                }
                Some(BASE64_STANDARD.encode(content).into())
            }
            None => None,
        },
        Kind::Secret { new } => match matches.get_one::<PathBuf>(id) {
            Some(path) => Some(terminal::secret_from(path)?.expose().into()),
            None if argument.required && ask => {
                let secret = terminal::ask_secret(argument.help, new)
                    .map_err(UsageError::Terminal)?
                    .ok_or(UsageError::NoSecret(argument.flag))?;
                Some(secret.expose().into())
            }
            None => None,
        },
    })
}

fn values<T>(argument: &Argument, matches: &ArgMatches) -> Option<Value>
where
    T: Clone + Into<Value> + Send + Sync + 'static,
{
    let mut given = matches.get_many::<T>(argument.id)?.cloned().map(Into::into);
    if argument.repeated {
        Some(Value::Array(given.collect()))
    } else {
        given.next()
    }
}

/// Puts a value where the path leads.
fn insert(into: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => {
            into.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = into
                .entry((*name).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn seconds(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    // A part of a second counts as one, so that none but zero is none.
    let seconds = duration.as_millis().div_ceil(1000) as u64;
    if (min..=max).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("it has to be from {min} to {max} seconds"))
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it looks like key=value"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_into_what_is_made_on_the_way() {
        let mut request = Map::new();
        insert(&mut request, &["options", "yes"], true.into());
        insert(&mut request, &["options", "wait"], 3.into());
        insert(&mut request, &["name"], "a".into());
        let expected = json!({"options": {"yes": true, "wait": 3}, "name": "a"});
        assert_eq!(Value::Object(request), expected);
    }

    #[test]
    fn durations_and_pairs_are_checked_before_anybody_is_asked() {
        assert_eq!(seconds("1ms", 1, 10), Ok(1));
        assert_eq!(seconds("10s", 1, 10), Ok(10));
        assert!(seconds("11s", 1, 10).is_err() && seconds("0s", 1, 10).is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }

    #[test]
    fn what_is_called_by_hand_is_there_and_not_offered() {
        let commands = || GROUPS.iter().flat_map(|group| group.commands);
        for method in CALLED_BY_HAND {
            assert!(
                commands().any(|command| command.method == method),
                "{method}"
            );
        }
        for (method, flag) in GIVEN_BY_HAND {
            let command = commands()
                .find(|command| command.method == method)
                .expect(method);
            assert!(
                command
                    .arguments
                    .iter()
                    .any(|argument| argument.flag == flag),
                "{flag}"
            );
            assert!(
                offered(command).all(|argument| argument.flag != flag),
                "{flag}"
            );
        }
        assert!(find("command", "install-packages").is_none() && find("command", "get").is_some());
    }

    #[test]
    fn clap_takes_every_command() {
        for group in groups() {
            group.debug_assert();
        }
    }
}
