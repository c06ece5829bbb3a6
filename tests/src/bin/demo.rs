//! `scripts/demo`: the whole way, once, and a table of it.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use livery_tests::whole_way::{Stage, whole_way};

/// The whole way, once, for real: from profile and roster to a virtual device with its user's sign-in page on its screen.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  scripts/demo\n  scripts/demo --out /tmp/livery-demo")]
struct Flags {
    /// Folder for what it leaves behind: records, logs, pictures
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let begun = Instant::now();
    let mut stages: Vec<Stage> = Vec::new();
    let out = std::path::absolute(&flags.out).unwrap_or(flags.out);
    let mut tell = |stage: &Stage| {
        eprintln!("{:>6} s  {}: {}", begun.elapsed().as_secs(), stage.name, stage.result);
        stages.push(stage.clone());
    };
    // Dropping the way cuts the devices' power and ends the station.
    let result = tokio::select! {
        result = whole_way(&out, &mut tell) => result,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("interrupted");
            return ExitCode::from(3);
        }
    };
    let width = stages.iter().map(|stage| stage.result.chars().count()).max().unwrap_or(0);
    println!("\n{:<24} {:>6}  {:<width$}  where to look", "stage", "time", "result");
    for stage in &stages {
        println!("{:<24} {:>4} s  {:<width$}  {}", stage.name, stage.seconds, stage.result, stage.look);
    }
    println!("{:<24} {:>4} s  {}", "all", begun.elapsed().as_secs(), if result.is_ok() { "ok" } else { "FAILED" });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("\n{}", fault.render());
            fault.exit().into()
        }
    }
}
