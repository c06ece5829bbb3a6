//! `scripts/bench update`: what an ordinary update fetches and writes, what the same image again does, and what is fetched
//! twice after a kill at half.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode, thread::sleep, time::Duration};

use clap::Parser;
use livery_contract::{
    Fault, Reference, Result,
    record::{Record, Traffic},
};
use livery_tests::{
    bench::{
        counting_server::CountingServer,
        interrupt,
        measured::{Running, run},
        outcome, place,
        table::{Table, mib, number},
        target::Target,
        update::{Changed, Fresh, Update},
    },
    site::Site,
};
use serde::Serialize;

/// Writes a terminal's master to a disk, then an ordinary update over it, then the same again; and resumes after a kill.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench-update",
    bin_name = "scripts/bench update",
    version,
    after_help = "Examples:\n  scripts/bench update\n  scripts/bench update --kill-at 25 --json"
)]
struct Flags {
    /// Kill the agent when this percentage of the bytes is on the disk
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=99))]
    kill_at: u64,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What is kept.
#[derive(Serialize)]
struct Report {
    old: Reference,
    new: Reference,
    changed: Vec<Changed>,
    changed_bytes: u64,
    /// Chunks that the new master has and the old one has nowhere, by partition.
    fresh: BTreeMap<String, Fresh>,
    steps: Vec<Step>,
    /// Bytes fetched by the update, by the changed files' bytes.
    update_ratio: f64,
    /// Of all that a whole write fetches, the part that was fetched before the kill and again after it.
    fetched_twice_percent: f64,
}

#[derive(Clone, Serialize)]
struct Step {
    name: String,
    seconds: f64,
    /// Requests for ranges of packs, and bytes of these that the server sent.
    requests: u64,
    sent: u64,
    /// By the record; none where it was killed.
    traffic: Option<Traffic>,
    peak_bytes: u64,
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
    let broke = |error| Fault::internal("the benchmark broke off").cause(error);
    let update = tokio::task::spawn_blocking(move || Update::get(&site, &master)).await.map_err(broke)??;
    let server = CountingServer::start(&update.shelf.store())?;
    tokio::task::spawn_blocking(move || {
        let report = measure(&flags, &update, &server)?;
        place::keep("update", &report)?;
        Ok(report)
    })
    .await
    .map_err(broke)?
}

/// The most that one write may take.
const LONG: Duration = Duration::from_secs(3600);

fn measure(flags: &Flags, update: &Update, server: &CountingServer) -> Result<Report> {
    let least = |reference| update.shelf.manifest(reference).map(|(manifest, _)| manifest.minimum_disk);
    let size = least(&update.old)?.max(least(&update.new)?).next_multiple_of(4 << 20);
    let mut target = Target::new(&place::cache("target")?, size)?;
    let write = |name: &str, reference: &Reference, target: &Target| {
        target.settle()?;
        server.take();
        let mut command = update.shelf.write_from(reference, &server.url(), target.path())?;
        let (done, spent) = run(&mut command, LONG)?;
        let record: Record = done.json()?;
        let (sent, requests) = server.take();
        eprintln!("{name}: {:.2} s", spent.seconds);
        let (seconds, peak_bytes) = (spent.seconds, spent.peak_bytes);
        Ok::<_, Fault>(Step { name: name.into(), seconds, requests, sent, traffic: Some(record.traffic), peak_bytes })
    };
    target.refill()?;
    let before = written(target.path())?;
    let first = write("old, on a used disk", &update.old, &target)?;
    let whole = written(target.path())? - before;
    let second = write("new, over the old", &update.new, &target)?;
    let third = write("new, again", &update.new, &target)?;
    target.refill()?;
    let full = write("new, on a used disk", &update.new, &target)?;
    target.refill()?;
    let killed = kill(update, server, &target, whole * flags.kill_at / 100)?;
    let resumed = write("after it", &update.new, &target)?;
    let twice = (killed.sent + resumed.sent).saturating_sub(full.sent);
    let changed_bytes = update.changed_bytes();
    Ok(Report {
        old: update.old.clone(),
        new: update.new.clone(),
        changed: update.changed.clone(),
        changed_bytes,
        fresh: update.fresh()?,
        update_ratio: second.sent as f64 / changed_bytes as f64,
        fetched_twice_percent: twice as f64 * 100.0 / full.sent as f64,
        steps: vec![first, second, third, full, killed, resumed],
    })
}

/// Writes, and kills the agent when this many bytes have gone to the device.
fn kill(update: &Update, server: &CountingServer, target: &Target, at: u64) -> Result<Step> {
    target.settle()?;
    server.take();
    let before = written(target.path())?;
    let begun = std::time::Instant::now();
    let mut running = Running::start(&mut update.shelf.write_from(&update.new, &server.url(), target.path())?)?;
    while written(target.path())? - before < at {
        interrupt::check()?;
        if running.ended()? {
            let (done, _) = running.wait(LONG)?;
            done.good()?;
            return Err(Fault::internal("the agent had done before it could be killed"));
        }
        sleep(Duration::from_millis(1));
    }
    running.kill()?;
    let seconds = begun.elapsed().as_secs_f64();
    // What its connections still had in their buffers has been sent for nothing; the server notices within a moment.
    sleep(Duration::from_millis(500));
    let (sent, requests) = server.take();
    eprintln!("killed after {seconds:.2} s");
    Ok(Step { name: "new, on a used disk, killed".into(), seconds, requests, sent, traffic: None, peak_bytes: 0 })
}

/// Bytes written to a block device since the kernel knows it (Documentation/admin-guide/iostats.rst, field 7).
fn written(device: &Path) -> Result<u64> {
    let name = device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = Path::new("/sys/class/block").join(name).join("stat");
    let odd = || Fault::internal("the kernel's count of a device can't be read").at(path.display());
    let text = fs::read_to_string(&path).map_err(|error| odd().cause(error))?;
    let sectors: u64 = text.split_whitespace().nth(6).and_then(|field| field.parse().ok()).ok_or_else(odd)?;
    Ok(sectors * 512)
}

fn render(report: &Report) -> String {
    let mut text = format!("\nupdate {} -> {}\n\n", report.old, report.new);
    let mut table = Table::new(["changed file", "KiB", "what"]);
    for file in &report.changed {
        table.row([file.path.display().to_string(), (file.bytes >> 10).to_string(), file.what.clone()]);
    }
    table.row(["all".into(), (report.changed_bytes >> 10).to_string(), String::new()]);
    text.push_str(&table.render());
    let mut table = Table::new(["partition", "new chunks", "MiB", "compressed MiB"]);
    let mut all = Fresh::default();
    for (name, fresh) in &report.fresh {
        all = Fresh {
            chunks: all.chunks + fresh.chunks,
            bytes: all.bytes + fresh.bytes,
            compressed: all.compressed + fresh.compressed,
        };
        table.row([name.clone(), fresh.chunks.to_string(), mib(fresh.bytes), mib(fresh.compressed)]);
    }
    table.row(["all".into(), all.chunks.to_string(), mib(all.bytes), mib(all.compressed)]);
    text.push('\n');
    text.push_str(&table.render());
    let mut table = Table::new(["write", "s", "requests", "fetched MiB", "written MiB", "verified MiB", "peak MiB"]);
    for step in &report.steps {
        let of = |part: fn(Traffic) -> u64| step.traffic.map_or_else(|| "-".into(), |traffic| mib(part(traffic)));
        table.row([
            step.name.clone(),
            number(step.seconds),
            step.requests.to_string(),
            mib(step.sent),
            of(|traffic| traffic.written),
            of(|traffic| traffic.verified),
            mib(step.peak_bytes),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render());
    text.push_str(&format!(
        "\nthe update fetched {:.2} times the changed files' bytes; {:.1}% was fetched twice around the kill\n",
        report.update_ratio, report.fetched_twice_percent
    ));
    text
}
