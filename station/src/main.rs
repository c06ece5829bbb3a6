//! `livery-station`: see the library.

use clap::Parser as _;
use livery_station::cli::Cli;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    Cli::parse().main().await
}
