//! The program `livery`: flags in, work done, an answer and an exit code out.
//!
//! | module | what is in it |
//! |---|---|
//! | `flags` | the commands and their flags |
//! | `run` | what each does, and what it prints |

mod flags;
mod run;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use livery_contract::{Exit, Fault};

use self::flags::{Cli, Command};
use crate::rootless;

/// The program: parses flags, runs, reports, gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        if let Some(fix) = Fault::fix_within(&error) {
            eprintln!("  fix: {fix}");
        }
        std::process::exit(error.exit_code())
    });
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("LIVERY_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .init();
    if matches!(cli.command, Command::Build { .. } | Command::Medium { .. })
        && let Err(fault) = rootless::enter()
    {
        return report(&fault, cli.json);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Fault::internal("the runtime can't be started").cause(error), cli.json),
    };
    let json = cli.json;
    let result = runtime.block_on(async {
        tokio::select! {
            result = run::run(cli) => result,
            _ = tokio::signal::ctrl_c() => Err(Fault::refused("interrupted; the store is as it was").fix("run the same command again")),
        }
    });
    // Work on other threads that an interrupt left behind must not hold the exit.
    runtime.shutdown_background();
    match result {
        Ok(()) => Exit::Done.into(),
        Err(fault) => report(&fault, json),
    }
}

fn report(fault: &Fault, json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::json!({"error": fault.report()}));
    }
    eprintln!("{}", fault.render());
    fault.exit().into()
}
