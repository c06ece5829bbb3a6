//! `scripts/bench link`: how busy the agent keeps a link with delay and loss, beside curl.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use livery_contract::{Fault, Result, record::Record};
use livery_tests::{
    bench::{
        images::{Image, Size},
        interrupt,
        link::{Link, Means, Terms, station::Station},
        material::Material,
        measured::{Running, Spent, run},
        outcome, place,
        table::{Spread, Table, mib, number},
        target::Target,
    },
    site::Site,
};
use serde::Serialize;

/// Fetches an image over a link with delay and loss: the agent onto a loop device, curl as one stream and as eight.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench-link",
    bin_name = "scripts/bench link",
    version,
    after_help = "Examples:\n  scripts/bench link\n  scripts/bench link --runs 3 --delay-ms 10 --loss-percent 0\n  scripts/bench link --image large --json"
)]
struct Flags {
    /// Which image
    #[arg(long, value_enum, default_value = "small")]
    image: Size,
    /// Runs of each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// The link's rate in Mbit/s, each direction
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    megabits: u32,
    /// Its delay in milliseconds, each direction
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    delay_ms: u32,
    /// How many of 100 packets it loses, each direction
    #[arg(long, default_value_t = 0.1, value_parser = percent)]
    loss_percent: f64,
    /// Seconds after which curl gives up on a pack; its rate is known by then
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
    curl_seconds: u32,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..100.0).contains(&value) => Ok(value),
        _ => Err("a percentage below 100".into()),
    }
}

/// What is kept.
#[derive(Serialize)]
struct Report {
    image: Size,
    terms: Terms,
    means: Means,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Serialize)]
struct Run {
    /// Seconds of the transfer: for the agent those of the write phase.
    seconds: f64,
    /// Bytes fetched.
    payload: u64,
    /// Bytes that the interface received, headers, TLS and repetitions included; none where no link was used.
    received: Option<u64>,
    /// Of the agent, all of it.
    spent: Option<Spent>,
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
    tokio::task::spawn_blocking(move || {
        let material = place::cache("material")?;
        let image = Image::get(flags.image, &master, || Material::of(&site, &master, &material))?;
        let report = measure(&flags, &image)?;
        place::keep(&format!("link-{}", flags.image.name()), &report)?;
        Ok(report)
    })
    .await
    .map_err(|error| Fault::internal("the benchmark broke off").cause(error))?
}

/// The most that a write over a slow link may take.
const LONG: Duration = Duration::from_secs(3600);
/// Streams of the wider curl.
const STREAMS: u64 = 8;

fn measure(flags: &Flags, image: &Image) -> Result<Report> {
    let mut target = Target::new(&place::cache("target")?, image.size())?;
    let terms = Terms { megabits: flags.megabits, delay_milliseconds: flags.delay_ms, loss_percent: flags.loss_percent };
    let link = Link::up(terms)?;
    let station = Station::start(&link, &image.shelf, &place::cache("link")?)?;
    // Those of the full size: the same range fits all of them, and one after the other they are one long stream.
    let mut packs = image.shelf.packs(&image.reference)?;
    let length = packs.iter().map(|pack| pack.length).max().unwrap_or(0);
    packs.retain(|pack| pack.length > length / 10 * 9);
    let length = packs.iter().map(|pack| pack.length).min().unwrap_or(0);
    let paths: Vec<String> =
        packs.iter().map(|pack| pack.digest.to_string()).map(|digest| format!("blobs/sha256/{}/{digest}", &digest[..2])).collect();
    let mut rows: Vec<Row> = ["livery-agent over the link", "livery-agent without a link", "curl, one stream", "curl, 8 streams"]
        .map(|name| Row { name: name.into(), runs: Vec::new() })
        .into();
    for round in 1..=flags.runs {
        for (index, row) in rows.iter_mut().enumerate() {
            interrupt::check()?;
            let run = match index {
                0 | 1 => {
                    target.refill()?;
                    agent(image, &target, (index == 0).then_some((&link, &station)))?
                }
                2 => curls(&link, &station, &paths, length, 1, flags.curl_seconds)?,
                _ => curls(&link, &station, &paths, length, STREAMS, flags.curl_seconds)?,
            };
            eprintln!("run {round} of {}: {:<28} {:>8.2} s", flags.runs, row.name, run.seconds);
            row.runs.push(run);
        }
    }
    Ok(Report { image: flags.image, terms, means: link.means, rows })
}

fn agent(image: &Image, target: &Target, over: Option<(&Link, &Station)>) -> Result<Run> {
    let (mut command, before) = match over {
        Some((link, station)) => {
            let mut command = image.shelf.write_from(&image.reference, &station.url(), target.path())?;
            command.arg("--ca").arg(station.ca());
            (link.near.command(&command), Some(link.received()?))
        }
        None => (image.shelf.write(&image.reference, target.path())?, None),
    };
    let (done, spent) = run(&mut command, LONG)?;
    let record: Record = done.json()?;
    let received = match (over, before) {
        (Some((link, _)), Some(before)) => Some(link.received()? - before),
        _ => None,
    };
    let seconds = record.times.written.duration_since(record.times.started).as_secs_f64();
    Ok(Run { seconds, payload: record.traffic.fetched, received, spent: Some(spent) })
}

/// The packs one after the other, each in so many ranges at once.
fn curls(link: &Link, station: &Station, paths: &[String], length: u64, streams: u64, most: u32) -> Result<Run> {
    let before = link.received()?;
    let (share, most) = (length.div_ceil(streams), most.to_string());
    let mut running = Vec::new();
    for stream in 0..streams {
        let range = format!("{}-{}", stream * share, ((stream + 1) * share).min(length) - 1);
        running.push(Running::start(&mut station.curl(link, paths, &["--max-time", &most, "--range", &range]))?);
    }
    let (mut payload, mut seconds) = (0, 0.0_f64);
    for curl in running {
        let (done, spent) = curl.wait(LONG)?;
        // 28: stopped after its time, which is as good.
        let done = if done.code == Some(28) { done } else { done.good()? };
        for line in done.stdout.lines() {
            let odd = |error| Fault::internal(format!("curl's answer is not what was asked for: {line:.200}")).cause(error);
            payload += line.trim().parse::<u64>().map_err(odd)?;
        }
        seconds = seconds.max(spent.seconds);
    }
    Ok(Run { seconds, payload, received: Some(link.received()? - before), spent: None })
}

fn render(report: &Report) -> String {
    let full = f64::from(report.terms.megabits) * 1e6 / 8.0;
    let mut table =
        Table::new(["who", "s", "min", "max", "fetched MiB", "Mbit/s", "payload %", "link busy %", "peak MiB", "CPU s"]);
    for row in &report.rows {
        let spread = |of: fn(&Run) -> Option<f64>| Spread::of(row.runs.iter().filter_map(of));
        let show = |of: Option<Spread>| of.map_or_else(|| "-".into(), |spread| number(spread.median));
        let Some(seconds) = spread(|run| Some(run.seconds)) else { continue };
        let rate = spread(|run| Some(run.payload as f64 / run.seconds));
        let busy = Spread::of(row.runs.iter().filter_map(|run| Some(run.received? as f64 / run.seconds / full * 100.0)));
        table.row([
            row.name.clone(),
            number(seconds.median),
            number(seconds.least),
            number(seconds.most),
            mib(row.runs.iter().map(|run| run.payload).max().unwrap_or(0)),
            rate.map_or_else(String::new, |rate| number(rate.median * 8.0 / 1e6)),
            rate.map_or_else(String::new, |rate| number(rate.median / full * 100.0)),
            show(busy),
            row.runs.iter().filter_map(|run| run.spent).map(|spent| spent.peak_bytes).max().map_or_else(|| "-".into(), mib),
            show(spread(|run| run.spent.map(|spent| spent.processor_seconds))),
        ]);
    }
    format!(
        "\nimage {} over {} Mbit/s, {} ms and {}% loss each way, by {}\n\n{}",
        report.image.name(),
        report.terms.megabits,
        report.terms.delay_milliseconds,
        report.terms.loss_percent,
        report.means,
        table.render()
    )
}
