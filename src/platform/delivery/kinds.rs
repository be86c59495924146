//! The kinds of commands: how the parameters of each stand in the store, and what type its result is of.
//! A kind is called as its field in the schema's `Command`.

use prost::Message as _;

use crate::schema::pb;
use crate::schema::pb::response::Result as Outcome;
use crate::wire::json;
use crate::wire::messages::{self, CommandParameters, UnknownCommand};
use crate::wire::values::{RawJson, Text as _};

macro_rules! kinds {
    ($($name:literal $variant:ident $parameters:ident $result:ident,)*) => {
        /// Reads a command's parameters as the store has them. What has no name here is one that an
        /// agent reported, and is JSON.
        pub fn parameters(kind: &str, stored: &[u8]) -> Option<CommandParameters> {
            match kind {
                $($name => {
                    let parameters = pb::$parameters::decode(stored).ok()?;
                    Some(CommandParameters::$variant(parameters.try_into().ok()?))
                })*
                _ => {
                    let parameters = String::from_utf8(stored.to_vec()).ok()?;
                    Some(CommandParameters::Unknown(UnknownCommand {
                        command_type: kind.to_owned(),
                        parameters: RawJson::parse(parameters),
                    }))
                }
            }
        }

        /// A command's kind, and its parameters as the store has them.
        pub fn stored(parameters: CommandParameters) -> (String, Vec<u8>) {
            match parameters {
                $(CommandParameters::$variant(parameters) => {
                    let parameters = pb::$parameters::from(parameters);
                    ($name.to_owned(), parameters.encode_to_vec())
                })*
                CommandParameters::Unknown(unknown) => {
                    let parameters = unknown.parameters;
                    let text = parameters.map(|raw| raw.as_str().as_bytes().to_vec());
                    (unknown.command_type, text.unwrap_or_default())
                }
            }
        }

        /// Gives a result that came raw the type that a command of this kind has. One that is not of this
        /// type stays raw: what a device made of it is not lost.
        pub fn typed(kind: &str, raw: String) -> Outcome {
            let typed = match kind {
                $($name => json::read_value::<pb::$result>(&raw)
                    .ok()
                    .filter(|result| messages::$result::try_from(result.clone()).is_ok())
                    .map(Outcome::$variant),)*
                _ => None,
            };
            typed.unwrap_or(Outcome::Raw(raw))
        }
    };
}

kinds! {
    "package_operation" PackageOperation PackageOperation PackageResult,
    "service_operation" ServiceOperation ServiceOperation ServiceResult,
    "system_operation" SystemOperation SystemOperation SystemResult,
    "script" Script Script ScriptResult,
    "file_transfer" FileTransfer FileTransfer FileTransferResult,
    "inventory" Inventory Inventory InventoryResult,
    "agent_update" AgentUpdate AgentUpdate AgentUpdateResult,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_result_takes_the_type_of_its_kind_or_stays() {
        let seed = r#"{"installed_packages":["nginx"],"execution_time":45.2,"output":"done"}"#;
        let Outcome::PackageOperation(result) = typed("package_operation", seed.to_owned()) else {
            panic!("it is a package operation's");
        };
        assert_eq!(result.installed_packages, ["nginx"]);
        for (kind, text) in [
            ("package_operation", r#"{"installed_packages":7}"#),
            ("package_operation", "[]"),
            ("dance", seed),
        ] {
            let raw = Outcome::Raw(text.to_owned());
            assert_eq!(typed(kind, text.to_owned()), raw, "{kind} {text}");
        }
    }

    #[test]
    fn parameters_are_read_as_they_were_stored() {
        let unknown = CommandParameters::Unknown(UnknownCommand {
            command_type: "dance".to_owned(),
            parameters: RawJson::parse(r#"{"steps":3}"#.to_owned()),
        });
        let script = pb::Script {
            interpreter: "/bin/sh".to_owned(),
            content: "true".to_owned(),
            ..pb::Script::default()
        };
        let script = script.encode_to_vec();
        let script = parameters("script", &script).expect("read");
        for given in [unknown, script] {
            let (kind, bytes) = stored(given.clone());
            assert_eq!(parameters(&kind, &bytes), Some(given));
        }
        assert_eq!(parameters("script", &[0xff]), None);
    }
}
