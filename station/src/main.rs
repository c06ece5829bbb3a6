//! `livery-station`: see the library.

use clap::Parser as _;
use livery_contract::Fault;
use livery_station::cli::Cli;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        if let Some(fix) = Fault::fix_within(&error) {
            eprintln!("  fix: {fix}");
        }
        std::process::exit(error.exit_code())
    });
    cli.main().await
}
