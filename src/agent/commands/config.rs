//! The `[commands]` table of the agent's settings: how many commands run at once, and which kinds its owner
//! allows, of which each may have a table of its own (`executors::allowed`).

use serde::{Deserialize as _, Deserializer};
use toml::{Table, Value};

use crate::agent::executors::allowed::Allowed;

/// The most commands that may run at once.
const CONCURRENT_MAX: i64 = 64;

/// A key within `[commands]`, and what is wrong with it.
pub type CommandFault = (String, String);

/// What is set about commands, checked.
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// What is allowed. Nothing, unless the owner says so.
    pub allowed: Allowed,
    /// How many run at once.
    pub concurrent: usize,
}

/// The table as it was read.
#[derive(Clone, Debug, Default)]
pub struct CommandTable(Table);

impl<'de> serde::Deserialize<'de> for CommandTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Table::deserialize(deserializer).map(Self)
    }
}

impl CommandTable {
    /// Puts these kinds in the place of those that the table allows with no table of their own.
    pub fn allow(&mut self, kinds: impl IntoIterator<Item = String>) {
        let kinds = kinds.into_iter().map(Value::String).collect();
        self.0.insert("allow".to_owned(), Value::Array(kinds));
    }

    /// Checks it all.
    ///
    /// # Errors
    /// [`CommandFault`] for the first that does not do.
    pub fn check(mut self) -> Result<CommandSettings, CommandFault> {
        let concurrent = self.0.remove("concurrent").unwrap_or(Value::Integer(1));
        let concurrent = concurrent
            .as_integer()
            .filter(|count| (1..=CONCURRENT_MAX).contains(count))
            .and_then(|count| usize::try_from(count).ok());
        let concurrent = concurrent.ok_or_else(|| {
            let reason = format!("it is a number from 1 to {CONCURRENT_MAX}");
            ("concurrent".to_owned(), reason)
        })?;
        let fault = || {
            let reason = "it is a list of kinds, as in [\"script\"]".to_owned();
            ("allow".to_owned(), reason)
        };
        let kinds = self.0.remove("allow").unwrap_or(Value::Array(Vec::new()));
        for kind in kinds.as_array().ok_or_else(fault)? {
            let kind = kind.as_str().ok_or_else(fault)?;
            // A kind with no table of its own has what an empty one stands for.
            let empty = || Value::Table(Table::new());
            self.0.entry(kind).or_insert_with(empty);
        }
        let allowed = Allowed::deserialize(self.0)
            .map_err(|error| (String::new(), error.to_string().trim_end().to_owned()))?;
        allowed
            .check()
            .map_err(|fault| (fault.key.to_owned(), fault.reason))?;
        Ok(CommandSettings {
            allowed,
            concurrent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<CommandSettings, CommandFault> {
        toml::from_str::<CommandTable>(text).expect("TOML").check()
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_said() {
        let settings = check("").expect("settings");
        assert!(settings.allowed.script.is_none());
        assert_eq!(settings.concurrent, 1);
        let settings = check("concurrent = 3\nallow = [\"script\"]").expect("settings");
        assert!(settings.allowed.script.is_some());
        assert_eq!(settings.concurrent, 3);
        let own = "allow = [\"script\"]\n[script]\ninterpreters = [\"/bin/bash\"]";
        let rules = check(own).expect("settings").allowed.script;
        let rules = rules.expect("allowed");
        assert_eq!(rules.interpreters, [std::path::Path::new("/bin/bash")]);
    }

    #[test]
    fn a_flag_takes_the_place_of_the_list() {
        let mut table = CommandTable::default();
        table.allow(["script".to_owned()]);
        assert!(
            table
                .clone()
                .check()
                .expect("settings")
                .allowed
                .script
                .is_some()
        );
        table.allow([]);
        assert!(table.check().expect("settings").allowed.script.is_none());
    }

    #[test]
    fn faults_name_the_key() {
        for (text, key, part) in [
            ("concurrent = 0", "concurrent", "1 to 64"),
            ("concurrent = \"two\"", "concurrent", "1 to 64"),
            ("allow = \"script\"", "allow", "list of kinds"),
            ("allow = [\"scripts\"]", "", "scripts"),
            ("scripts = 1", "", "scripts"),
            ("allow = [\"file_transfer\"]", "file_transfer", "folders"),
            (
                "[file_transfer]\nto_host = [\"/srv/../etc\"]",
                "file_transfer.to_host",
                "absolute",
            ),
            (
                "[script]\ninterpreters = [\"sh\"]",
                "script.interpreters",
                "absolute",
            ),
        ] {
            let (named, reason) = check(text).expect_err(text);
            assert_eq!(named, key, "{text}");
            assert!(reason.contains(part), "{reason}");
        }
    }
}
