//! `livery-agent`: see the library.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use livery_agent::cli::{self, Cli};
use livery_contract::{Exit, Fault};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        if let Some(fix) = Fault::fix_within(&error) {
            eprintln!("  fix: {fix}");
        }
        std::process::exit(error.exit_code())
    });
    let filter = EnvFilter::try_from_env("LIVERY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli::main(cli)).into(),
        Err(error) => {
            eprintln!("error: threads cannot be started: {error}");
            Exit::Internal.into()
        }
    }
}
