//! `livery-lints`: see the library.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use livery_lints::{Finding, circles, claims, orphans, sleeps, workspace::Workspace};

/// Look at the sources for what the compiler does not look at
#[derive(Parser)]
#[command(version, after_help = "Examples:\n  livery-lints\n  livery-lints circles --package livery-agent\n  livery-lints claims")]
struct Cli {
    /// What to look for [default: all]
    checks: Vec<Check>,
    /// Look for circles in these packages only
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Folder of the Cargo workspace
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Check {
    /// Files of one crate that import each other in a circle
    Circles,
    /// Rust files that nothing compiles
    Orphans,
    /// Waits of a fixed length that say no reason
    Sleeps,
    /// Claims without a test, rows of the threat model without a claim
    Claims,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let findings = look(&cli).unwrap_or_else(|finding| vec![finding]);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look(cli: &Cli) -> Result<Vec<Finding>, Finding> {
    let all = [Check::Circles, Check::Orphans, Check::Sleeps, Check::Claims];
    let checks: BTreeSet<Check> = if cli.checks.is_empty() { all.into() } else { cli.checks.iter().copied().collect() };
    let workspace = Workspace::read(&cli.root)?;
    let mut findings = Vec::new();
    for check in checks {
        let found = match check {
            Check::Circles => circles::find(&workspace, &cli.packages),
            Check::Orphans => Ok(orphans::find(&workspace)),
            Check::Sleeps => sleeps::find(&workspace),
            Check::Claims => claims::find(&workspace),
        };
        // One that can't look hides nothing that the others find.
        findings.extend(found.unwrap_or_else(|finding| vec![finding]));
    }
    Ok(findings)
}
