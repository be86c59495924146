//! What the agent's owner allows: one table a kind of command in `[commands]` of the agent's settings. A
//! kind without its table is refused; the keys of a table narrow what it allows. What is asked is decided
//! by each kind's executor, with the words from here, which name the rule.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::Fault;

/// The rules for all kinds. Whoever reads settings puts them together and lets them be checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// `[commands.script]`.
    pub script: Option<ScriptRules>,
}

/// Which scripts are run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptRules {
    /// What may run them: absolute paths, taken literally.
    pub interpreters: Vec<PathBuf>,
    /// Whom they may run as, by name; whom the agent runs as is one of them only where it is named.
    /// Absent: whom the agent runs as, and nobody else.
    pub users: Option<Vec<String>>,
}

impl Default for ScriptRules {
    fn default() -> Self {
        Self {
            interpreters: vec![PathBuf::from("/bin/sh")],
            users: None,
        }
    }
}

/// A setting that does not do: its key within `[commands]`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// Such as `script.interpreters`.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Allowed {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// [`RuleFault`] for the first rule that allows nothing, or nothing that there can be.
    pub fn check(&self) -> Result<(), RuleFault> {
        if let Some(script) = &self.script {
            for path in &script.interpreters {
                if !is_plain(path) {
                    let reason = format!("{path:?} is no absolute path without `..`");
                    return Err(RuleFault {
                        key: "script.interpreters",
                        reason,
                    });
                }
            }
            if script.interpreters.is_empty() {
                return Err(nothing("script.interpreters"));
            }
            if script.users.as_ref().is_some_and(Vec::is_empty) {
                return Err(nothing("script.users"));
            }
        }
        Ok(())
    }
}

/// An absolute path that goes nowhere but down.
pub(super) fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

fn nothing(key: &'static str) -> RuleFault {
    RuleFault {
        key,
        reason: "an empty list allows nothing: leave the whole table out".to_owned(),
    }
}

/// The refusal of what a rule does not allow.
pub(super) fn refused(rule: &str, what: &str) -> Fault {
    Fault {
        reason: "not_allowed",
        detail: format!("`commands.{rule}` of the agent's settings does not allow {what}"),
    }
}

/// The refusal of a kind that has no table.
pub(super) fn kind_refused(kind: &str) -> Fault {
    Fault {
        reason: "not_allowed",
        detail: format!("the agent's settings have no table `commands.{kind}`: it is not allowed"),
    }
}

/// The refusal of parameters that nobody could run.
pub(super) fn invalid(field: &str, reason: &str) -> Fault {
    Fault {
        reason: "parameters_invalid",
        detail: format!("{field}: {reason}"),
    }
}
