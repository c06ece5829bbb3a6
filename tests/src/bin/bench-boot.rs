//! `scripts/bench boot`: from power-on to the sign-in page, and what the time goes into; a terminal of Livery's and a plain Debian with
//! the same kiosk, in turns.

use std::{fs, process::ExitCode};

use clap::Parser;
use livery_contract::{Fault, Reference, Result};
use livery_tests::{
    bench::{
        boot::{
            self, plain,
            start::{Start, start},
        },
        interrupt, outcome, place,
        table::{Spread, Table, number},
    },
    gateway::{Config, Gateway, accounts::Accounts},
    site::{GATEWAY, Site},
};
use serde::Serialize;

/// Starts a terminal and a plain Debian with the same kiosk, in turns, on the same virtual device.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench-boot",
    bin_name = "scripts/bench boot",
    version,
    after_help = "Examples:\n  scripts/bench boot\n  scripts/bench boot --runs 5 --json\n\nEach one has an extra first start that is not counted, since a first start creates files that later ones find."
)]
struct Flags {
    /// Counted starts of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// Make the plain Debian again
    #[arg(long)]
    anew: bool,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What is kept.
#[derive(Serialize)]
struct Report {
    image: Reference,
    contestants: Vec<Contestant>,
    /// Median of ours, by median of the plain one's.
    ratio: f64,
}

#[derive(Serialize)]
struct Contestant {
    name: &'static str,
    page: Spread,
    starts: Vec<Start>,
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
    let master = site.build().await?;
    let personal = site.personalise(&master, &site.roster()).await?;
    let image = personal.first().cloned().ok_or_else(|| Fault::refused("the roster is empty"))?;
    let folder = place::cache("boot")?;
    let disks = ["livery.raw", "plain.raw"].map(|name| folder.join(name));
    boot::written(&site, &image, &disks[0]).await?;
    let stamp = folder.join("plain.of");
    if flags.anew || fs::read_to_string(&stamp).ok().as_deref() != Some(&master.to_string()) || !disks[1].exists() {
        let _ = fs::remove_file(&stamp);
        plain::make(&site, &disks[0], &folder.join("plain"), &disks[1])?;
        fs::write(&stamp, master.to_string()).map_err(|error| Fault::refused("no note").cause(error).at(stamp.display()))?;
    }
    let accounts = Accounts::for_roster(&site.employees()?, "Bureau Assurance")?;
    let gateway = Gateway::start(Config::new(GATEWAY, site.authority(), accounts)).await?;
    let names = ["Livery", "plain Debian"];
    let mut starts = [Vec::new(), Vec::new()];
    for run in 0..=flags.runs {
        for (which, name) in names.iter().enumerate() {
            let device = name.replace(' ', "-").to_lowercase();
            let start = interrupt::unless(start(&device, &folder.join(&device), &disks[which], &gateway)).await?;
            let counted = if run == 0 { ", not counted" } else { "" };
            eprintln!("{name}: {:.1} s{counted}", start.page);
            if run > 0 {
                starts[which].push(start);
            }
        }
    }
    let contestants: Vec<Contestant> = names
        .into_iter()
        .zip(starts)
        .filter_map(|(name, starts)| Some(Contestant { name, page: Spread::of(starts.iter().map(|start| start.page))?, starts }))
        .collect();
    let [ours, theirs] = &contestants[..] else { return Err(Fault::internal("nothing was measured")) };
    let report = Report { image, ratio: ours.page.median / theirs.page.median, contestants };
    place::keep("boot", &report)?;
    Ok(report)
}

fn render(report: &Report) -> String {
    let mut table = Table::new([
        "",
        "to the page s",
        "least",
        "most",
        "firmware",
        "loader",
        "kernel",
        "initrd",
        "to the screen",
        "browser",
        "busy",
        "read MiB",
    ]);
    for contestant in &report.contestants {
        let median = |part: fn(&Start) -> f64| Spread::of(contestant.starts.iter().map(part)).map_or(0.0, |spread| spread.median);
        let Spread { median: page, least, most } = contestant.page;
        let parts: [fn(&Start) -> f64; 8] = [
            |start| start.firmware,
            |start| start.loader,
            |start| start.kernel,
            |start| start.initrd,
            |start| start.screen,
            |start| start.browser,
            |start| start.busy,
            |start| start.read,
        ];
        let numbers = [page, least, most].into_iter().chain(parts.map(median)).map(number);
        table.row([contestant.name.to_owned()].into_iter().chain(numbers));
    }
    let mut text = format!("\n{}\n\n{}\nours takes {:.2} of the plain one's time\n", report.image, table.render(), report.ratio);
    for contestant in &report.contestants {
        let Some(last) = contestant.starts.last() else { continue };
        text.push_str(&format!("\n{}, what took the longest:\n", contestant.name));
        last.blame.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        text.push_str("who had the processors the longest:\n");
        last.processors.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}
