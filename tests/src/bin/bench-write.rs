//! `scripts/bench write`: one image to one disk, by Livery and by others, in turns; a table of medians and ratios.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use livery_contract::{Fault, Result};
use livery_tests::{
    bench::{
        contestants::{Contestant, Run, warm},
        images::{Image, Size},
        interrupt,
        limit::Limit,
        material::Material,
        outcome, place,
        table::{Spread, Table, mib, number},
        target::Target,
        virtual_disk::{self, System},
    },
    site::Site,
};
use serde::{Deserialize, Serialize};

/// Writes one image to one disk with Livery (which reads all of it back) and with other tools, in turns, and compares.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench-write",
    bin_name = "scripts/bench write",
    version,
    after_help = "Examples:\n  scripts/bench write\n  scripts/bench write --image large --runs 3\n  scripts/bench write --only limit,livery --json"
)]
struct Flags {
    /// Which image
    #[arg(long, value_enum, default_value = "small")]
    image: Size,
    /// Runs of each contestant
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Which disk
    #[arg(long, value_enum, default_value = "loop")]
    target: Kind,
    /// Only these contestants
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Contestant::Limit, Contestant::Livery, Contestant::Dd, Contestant::Bmaptool, Contestant::Casync])]
    only: Vec<Contestant>,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// In the guest: this disk, whose content is of no worth
    #[arg(long, hide = true, requires = "prepared")]
    disk: Option<PathBuf>,
    /// In the guest: the folder of the image
    #[arg(long, hide = true, requires = "disk")]
    prepared: Option<PathBuf>,
}

/// Which disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// A loop device with direct I/O over a file whose blocks are all allocated
    Loop,
    /// An NVMe disk in QEMU; slow where the processor is emulated: begin with --image tiny --runs 1
    Nvme,
}

impl Kind {
    /// Its name in files and tables.
    const fn name(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Nvme => "nvme",
        }
    }
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Report {
    image: Size,
    target: Kind,
    size: u64,
    data: u64,
    /// Bytes of manifest and chunk maps.
    index: u64,
    limit: Option<Limit>,
    contestants: Vec<Column>,
}

#[derive(Serialize, Deserialize)]
struct Column {
    contestant: Contestant,
    verifies: bool,
    /// What the first run left on the disk.
    left: Left,
    seconds: Option<Spread>,
    processor_seconds: Option<Spread>,
    peak_bytes: u64,
    /// Median seconds, by the limit's.
    times_limit: Option<f64>,
    /// Median seconds, by Livery's.
    times_livery: Option<f64>,
    runs: Vec<Run>,
}

/// What was found on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Left {
    /// Byte for byte the image.
    Exact,
    /// The data of the image; its holes still hold what an earlier owner left.
    Data,
    /// Not looked at: the limit writes no image.
    Nothing,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let json = flags.json;
    outcome::show(bench(flags).await, json, render)
}

async fn bench(flags: Flags) -> Result<Report> {
    interrupt::listen()?;
    let broke = |error| Fault::internal("the benchmark broke off").cause(error);
    if let (Some(disk), Some(prepared)) = (flags.disk.clone(), flags.prepared.clone()) {
        let inside = move || {
            let image = Image::at(&prepared)?;
            measure(&flags, &image, Target::disk(disk, image.size()))
        };
        return tokio::task::spawn_blocking(inside).await.map_err(broke)?;
    }
    let site = Site::shared().await?;
    let master = site.build().await?;
    let which = flags.image;
    let image = tokio::task::spawn_blocking(move || {
        let material = place::cache("material")?;
        Image::get(which, &master, || Material::of(&site, &master, &material))
    });
    let image = image.await.map_err(broke)??;
    let name = format!("write-{}-{}", flags.image.name(), flags.target.name());
    let report = match flags.target {
        Kind::Loop => {
            let run = move || measure(&flags, &image, Target::new(&place::cache("target")?, image.size())?);
            tokio::task::spawn_blocking(run).await.map_err(broke)??
        }
        Kind::Nvme => {
            let system = tokio::task::spawn_blocking(System::get).await.map_err(broke)??;
            let said = virtual_disk::measure(system, image, inside(&flags), patience(&flags)).await?;
            serde_json::from_str(&said).map_err(|error| Fault::internal("the guest's result is none").cause(error))?
        }
    };
    place::keep(&name, &report)?;
    Ok(report)
}

/// What the program is told in the guest.
fn inside(flags: &Flags) -> Vec<String> {
    let only: Vec<String> =
        flags.only.iter().filter_map(ValueEnum::to_possible_value).map(|value| value.get_name().to_owned()).collect();
    let (image, runs, only) = (flags.image.name().to_owned(), flags.runs.to_string(), only.join(","));
    let words = ["--image", &image, "--target", "nvme", "--runs", &runs, "--only", &only];
    let more = ["--json", "--disk", "/dev/nvme0n1", "--prepared", "/mnt/image"];
    words.into_iter().chain(more).map(str::to_owned).collect()
}

/// The most that a guest may take for all of it, emulated.
fn patience(flags: &Flags) -> Duration {
    let gigabytes = u32::try_from(flags.image.bytes().0 >> 30).unwrap_or(u32::MAX) + 1;
    Duration::from_secs(900) + Duration::from_secs(300) * gigabytes * (flags.runs + 1)
}

fn measure(flags: &Flags, image: &Image, mut target: Target) -> Result<Report> {
    let limit = match flags.only.contains(&Contestant::Limit) {
        true => {
            eprintln!("looking for the limit");
            Some(Limit::find(&mut target)?)
        }
        false => None,
    };
    let mut columns: Vec<(Contestant, Left, Vec<Run>)> =
        flags.only.iter().map(|contestant| (*contestant, Left::Nothing, Vec::new())).collect();
    // In turns: whatever else the machine does meets all of them.
    for round in 1..=flags.runs {
        for (contestant, left, runs) in &mut columns {
            target.refill()?;
            warm(&contestant.sources(image)?)?;
            let run = contestant.run(image, &target, limit.as_ref())?;
            eprintln!("run {round} of {}: {:<22} {:>8.2} s", flags.runs, contestant.name(), run.spent.seconds);
            if runs.is_empty() && *contestant != Contestant::Limit {
                *left = look(*contestant, image, &target)?;
            }
            runs.push(run);
        }
    }
    let median = |wanted: Contestant| {
        let (.., runs) = columns.iter().find(|(contestant, ..)| *contestant == wanted)?;
        Spread::of(runs.iter().map(|run| run.spent.seconds)).map(|spread| spread.median)
    };
    let (of_limit, of_livery) = (median(Contestant::Limit), median(Contestant::Livery));
    let contestants = columns
        .into_iter()
        .map(|(contestant, left, runs)| {
            let seconds = Spread::of(runs.iter().map(|run| run.spent.seconds));
            let ratio = |by: Option<f64>| Some(seconds?.median / by?);
            Column {
                contestant,
                verifies: contestant.verifies(),
                left,
                seconds,
                processor_seconds: Spread::of(runs.iter().map(|run| run.spent.processor_seconds)),
                peak_bytes: runs.iter().map(|run| run.spent.peak_bytes).max().unwrap_or(0),
                times_limit: ratio(of_limit),
                times_livery: ratio(of_livery),
                runs,
            }
        })
        .collect();
    let (_, index) = image.shelf.manifest(&image.reference)?;
    Ok(Report { image: flags.image, target: flags.target, size: image.size(), data: image.data(), index, limit, contestants })
}

/// A figure for a disk that does not hold the image is worth nothing.
fn look(contestant: Contestant, image: &Image, target: &Target) -> Result<Left> {
    let (found, wanted) = (target.found(image.extents())?, image.found());
    match (found.whole == wanted.whole, found.data == wanted.data) {
        (true, _) => Ok(Left::Exact),
        (false, true) => Ok(Left::Data),
        (false, false) => Err(Fault::device(format!("{} left a disk that does not hold the image", contestant.name()))),
    }
}

fn render(report: &Report) -> String {
    let mut table =
        Table::new(["contestant", "verifies", "disk", "median s", "min", "max", "x limit", "x livery", "peak MiB", "CPU s"]);
    for column in &report.contestants {
        let of = |spread: Option<Spread>, part: fn(Spread) -> f64| spread.map_or_else(String::new, |spread| number(part(spread)));
        let ratio = |value: Option<f64>| value.map_or_else(|| "-".into(), number);
        let left = match column.left {
            Left::Exact => "exact",
            Left::Data => "data only",
            Left::Nothing => "-",
        };
        table.row([
            column.contestant.name().into(),
            if column.verifies { "yes" } else { "no" }.into(),
            left.into(),
            of(column.seconds, |spread| spread.median),
            of(column.seconds, |spread| spread.least),
            of(column.seconds, |spread| spread.most),
            ratio(column.times_limit),
            ratio(column.times_livery),
            mib(column.peak_bytes),
            of(column.processor_seconds, |spread| spread.median),
        ]);
    }
    let mut text = format!(
        "\nimage {}: {} MiB, {} MiB of it data, on {}; manifest and chunk map {} KiB ({:.3}% of the image)\n",
        report.image.name(),
        report.size >> 20,
        report.data >> 20,
        match report.target {
            Kind::Loop => "a loop device",
            Kind::Nvme => "an NVMe disk in QEMU",
        },
        report.index >> 10,
        report.index as f64 * 100.0 / report.size as f64,
    );
    if let Some(limit) = &report.limit {
        text.push_str(&format!("limit: writing by {}; reading by {}\n", limit.write, limit.read));
    }
    text + "\n" + table.render().as_str()
}
