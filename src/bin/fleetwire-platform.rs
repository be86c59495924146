//! `fleetwire-platform`: parse, start the runtime, run. What it does is in `fleetwire::platform`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use fleetwire::platform::Platform;
use fleetwire::platform::config::{Args, Config};
use fleetwire::platform::server::Server;
use fleetwire::platform::traces::Traces;
use fleetwire::{logging, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nobody to tell; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "fleetwire-platform: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(args, std::env::vars_os())?;
    let traces = Traces::open(&config)?;
    let spans = traces.as_ref().map(Traces::layer);
    logging::init_with(config.log_format, &config.log, spans)?;
    config.warn();
    if args.check_config {
        Platform::check(&config)?;
        writeln!(std::io::stdout(), "the settings can be used")?;
        return Ok(());
    }
    if args.end_with_stdin {
        process::end_with_stdin()?;
    }
    // One thread carries all connections, which an earlier spike measured best; the store has its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::start(config).await?;
        server.with_traces(traces).run().await;
        Ok(())
    })
}
