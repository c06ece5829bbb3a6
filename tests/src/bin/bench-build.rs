//! `scripts/bench build`: the same packages made into an image, by Livery, by mkosi and by hand: cold, with nothing changed, after a
//! changed setting, after one package more.

use std::{path::Path, process::ExitCode};

use clap::Parser;
use livery_contract::{Fault, Result};
use livery_tests::{
    bench::{
        build::{
            contestants::{Built, Contestant, Ground, Step},
            packages::Packages,
            workbench::Workbench,
        },
        interrupt, outcome, place,
        table::{Spread, Table, mib, number},
    },
    site::Site,
};
use serde::Serialize;

/// Makes the terminal's packages into an image, by Livery and by others, step by step, and compares.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench-build",
    bin_name = "scripts/bench build",
    version,
    after_help = "Examples:\n  scripts/bench build\n  scripts/bench build --runs 3\n  scripts/bench build --only livery,hand --json"
)]
struct Flags {
    /// Runs of each contestant, in turns; each of all four steps
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// Only these contestants
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Contestant::Livery, Contestant::Mkosi, Contestant::Hand])]
    only: Vec<Contestant>,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What is kept.
#[derive(Serialize)]
struct Report {
    packages: usize,
    contestants: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    contestant: Contestant,
    makes: &'static str,
    steps: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    step: Step,
    seconds: Option<Spread>,
    /// Median seconds, by the same contestant's cold build.
    of_cold: Option<f64>,
    /// Median seconds, by Livery's in the same step.
    times_livery: Option<f64>,
    runs: Vec<Built>,
}

impl Cell {
    fn median(&self) -> Option<f64> {
        self.seconds.map(|seconds| seconds.median)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let json = flags.json;
    outcome::show(bench(flags).await, json, render)
}

async fn bench(flags: Flags) -> Result<Report> {
    interrupt::listen()?;
    let site = Site::shared().await?;
    let work = move || {
        let report = measure(&flags, site, &place::cache("build")?)?;
        place::keep("build", &report)?;
        Ok(report)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::internal("the benchmark broke off").cause(error))?
}

fn measure(flags: &Flags, site: Site, folder: &Path) -> Result<Report> {
    place::check_room(folder, 14 << 30)?;
    let packages = Packages::get(site, folder)?;
    let workbench = Workbench::get(folder)?;
    let ground = Ground::new(folder, &packages, &workbench)?;
    let empty = |contestant: &Contestant| {
        let cell = |step| Cell { step, seconds: None, of_cold: None, times_livery: None, runs: Vec::new() };
        Row { contestant: *contestant, makes: contestant.makes(), steps: Step::ALL.map(cell).into() }
    };
    let mut rows: Vec<Row> = flags.only.iter().map(empty).collect();
    for turn in 1..=flags.runs {
        for row in &mut rows {
            for cell in &mut row.steps {
                let built = ground.build(row.contestant, cell.step)?;
                eprintln!("{turn}: {}, {}: {:.2} s", row.contestant.name(), cell.step.name(), built.spent.seconds);
                cell.runs.push(built);
            }
        }
    }
    for row in &mut rows {
        for cell in &mut row.steps {
            cell.seconds = Spread::of(cell.runs.iter().map(|built| built.spent.seconds));
        }
        let cold = row.steps.first().and_then(Cell::median);
        for cell in &mut row.steps {
            cell.of_cold = ratio(cell.median(), cold);
        }
    }
    let ours = rows.iter().find(|row| row.contestant == Contestant::Livery);
    let ours: Vec<Option<f64>> = ours.map(|row| row.steps.iter().map(Cell::median).collect()).unwrap_or_default();
    for row in &mut rows {
        for (cell, ours) in row.steps.iter_mut().zip(&ours) {
            cell.times_livery = ratio(cell.median(), *ours);
        }
    }
    Ok(Report { packages: packages.device.len(), contestants: rows })
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.zip(other).map(|(one, other)| one / other)
}

fn render(report: &Report) -> String {
    let mut table = Table::new(["who", "step", "s", "from", "to", "of cold", "times Livery", "CPU s", "MiB"]);
    for row in &report.contestants {
        for cell in &row.steps {
            let Some((seconds, last)) = cell.seconds.zip(cell.runs.last()) else { continue };
            let of = |ratio: Option<f64>| ratio.map_or_else(|| "-".into(), number);
            table.row([
                row.contestant.name().into(),
                cell.step.name().into(),
                number(seconds.median),
                number(seconds.least),
                number(seconds.most),
                of(cell.of_cold),
                of(cell.times_livery),
                number(last.spent.processor_seconds),
                mib(last.bytes),
            ]);
        }
    }
    let makes: String = report.contestants.iter().map(|row| format!("{} makes {}\n", row.contestant.name(), row.makes)).collect();
    format!("\n{} packages asked for\n\n{}\n{makes}", report.packages, table.render())
}
