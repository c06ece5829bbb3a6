//! `livery-desk`: see the library.

use clap::Parser as _;
use livery_desk::cli::Cli;

fn main() -> std::process::ExitCode {
    Cli::parse().main()
}
