//! `fleetwire`, the operator's command: parse, start the runtime, run. What a subcommand does is
//! in `fleetwire::cli`.

use std::io::Write;
use std::process::ExitCode;

use fleetwire::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|wrong| wrong.exit());
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(cli.run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nobody to tell; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "fleetwire: {error}");
            error.exit_code()
        }
    }
}
