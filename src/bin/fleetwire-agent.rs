//! `fleetwire-agent`: parse, start the runtime, run. What it does is in `fleetwire::agent`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use fleetwire::agent::config::{AgentArgs, Config};
use fleetwire::{agent, logging, process};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&AgentArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nobody to tell; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "fleetwire-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &AgentArgs) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(args, std::env::vars_os())?;
    if args.check_config {
        writeln!(std::io::stdout(), "the settings can be used")?;
        return Ok(());
    }
    logging::init(config.log_format, &config.log)?;
    if args.end_with_stdin && args.trial.is_none() {
        process::end_with_stdin()?;
    }
    process::raise_open_files();
    // One thread carries the tunnel, which an earlier spike measured best; what blocks has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(agent::run(config, stop).await?)
    });
    // A look at a disk that hangs must not keep the agent from stopping.
    runtime.shutdown_background();
    outcome
}
