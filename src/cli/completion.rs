//! `completion`: the script by which a shell completes commands, generated from the commands that there
//! are.

use clap_complete::Shell;

use super::{Error, output};

/// Arguments of `fleetwire completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "In bash: source <(fleetwire completion bash)")]
pub(super) struct Args {
    /// The shell
    #[arg(value_parser = shells())]
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "fleetwire", &mut script);
    output::bytes(&script).map(drop)
}

/// Those that are tested.
fn shells() -> impl clap::builder::IntoResettable<clap::builder::ValueParser> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    let names = PossibleValuesParser::new(["bash", "zsh", "fish"]);
    clap::builder::ValueParser::from(names.try_map(|name| name.parse::<Shell>()))
}
