//! A thousand faults in one command, and the table of what came of them. See livery_tests::faults.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use livery_contract::{Exit, Fault, Result};
use livery_tests::{
    faults::{
        catalogue::{self, Lane},
        crew::{self, Plan},
        tally::Tally,
    },
    site::Site,
};
use tokio::{signal, sync::mpsc};

const EXAMPLES: &str = "\
Examples:
  scripts/bench faults                            1,000 cases
  scripts/bench faults --count 100 --no-guests    a sample, without virtual devices
  scripts/bench faults --only kill-9 --seed 7 --case 312   repeats one case and shows every step
  scripts/bench faults --only kill-9 --count 50
  scripts/bench faults --list

Exit code: 0 if nothing was false or silent, every message was clear and every re-run completed; 1 otherwise.";

/// Injects faults into `livery-agent write`, judges each by the disk's bytes, and re-runs on the healthy source.
#[derive(Parser)]
#[command(name = "bench-faults", version, after_help = EXAMPLES)]
struct Cli {
    /// The number of cases
    #[arg(long, default_value_t = 1000, value_name = "N")]
    count: u64,
    /// The random seed [default: from the clock, and printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Run only this case of the seed, and show every step
    #[arg(long, value_name = "N")]
    case: Option<u64>,
    /// Only these kinds of fault; see --list
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<String>,
    /// Skip virtual devices: neither blkdebug nor power cuts
    #[arg(long)]
    no_guests: bool,
    /// Skip cases that wait minutes for a time-out
    #[arg(long)]
    no_stalls: bool,
    /// Kernel and drivers for the virtual devices: a folder made by `livery medium` [default: out/site/medium, built if absent]
    #[arg(long, value_name = "DIR")]
    medium: Option<PathBuf>,
    /// Where disks and stores are made; 2 GB [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// One JSON object on standard output in place of the table
    #[arg(long)]
    json: bool,
    /// Show the kinds of fault, and how a run may end under each
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match main_with(&cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("{}", fault.render());
            fault.exit().into()
        }
    }
}

async fn main_with(cli: &Cli) -> Result<bool> {
    if cli.list {
        for entry in catalogue::ALL {
            println!("{:18} 0 or {:<18} {}", entry.name, format!("{:?}", entry.codes), entry.what);
        }
        return Ok(true);
    }
    let kinds = kinds(cli)?;
    let seed = cli.seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs()));
    let cases: Vec<u64> = match cli.case {
        Some(case) => vec![case],
        None => (1..=cli.count).collect(),
    };
    let base = cli.work.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new()
        .prefix("faults-")
        .tempdir_in(&base)
        .map_err(|error| Fault::refused("no folder to work in").at(base.display()).cause(error))?;
    let medium = match &cli.medium {
        Some(medium) => medium.clone(),
        None if kinds.iter().any(|entry| matches!(entry.lane, Lane::Guest | Lane::Recorded)) => medium().await?,
        None => PathBuf::new(),
    };
    let total = cases.len();
    eprintln!("{total} cases of seed {seed} in {}", folder.path().display());
    let (tell, mut told) = mpsc::unbounded_channel();
    let plan = Plan { seed, cases, kinds, folder: folder.path().to_owned(), medium };
    let mut work = tokio::spawn(crew::run(plan, tell));
    let (mut tally, begun, mut said) = (Tally::default(), Instant::now(), Instant::now());
    let mut ended = None;
    loop {
        tokio::select! {
            outcome = told.recv() => {
                let Some(outcome) = outcome else { break };
                if !outcome.good() {
                    eprintln!("{:?}: --only {} --seed {seed} --case {}", outcome.verdict, outcome.kind, outcome.case);
                }
                if cli.case.is_some() {
                    eprintln!("{}: {:?}\n  {}", outcome.kind, outcome.verdict, outcome.notes.join("\n  "));
                }
                tally.count(outcome);
                let done = usize::try_from(tally.all.cases).unwrap_or(total);
                if said.elapsed() > Duration::from_secs(5) || done == total {
                    said = Instant::now();
                    eprintln!("{done} of {total} cases, {} not as they must be, {} s", tally.bad.len(), begun.elapsed().as_secs());
                }
            }
            result = &mut work, if ended.is_none() => {
                ended = Some(result.unwrap_or_else(|error| Err(Fault::internal("the run broke off").cause(error))));
            }
            _ = signal::ctrl_c() => {
                // Dropping the tasks kills what they started; the folder goes with its guard.
                work.abort();
                let _ = (&mut work).await;
                // Their own ends run beside: mounts and loop devices go before the folder does.
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Err(Fault::new(Exit::Refused, format!("interrupted after {} cases", tally.all.cases)));
            }
        }
    }
    let result = match ended {
        Some(result) => result,
        None => work.await.unwrap_or_else(|error| Err(Fault::internal("the run broke off").cause(error))),
    };
    show(cli, seed, &tally, begun.elapsed())?;
    if !tally.good() {
        eprintln!("what went wrong is kept in {}", folder.keep().display());
    }
    result.map(|()| tally.good())
}

fn kinds(cli: &Cli) -> Result<Vec<catalogue::Entry>> {
    let mut lanes = vec![Lane::Light, Lane::Sleepy, Lane::Loop];
    if !cli.no_stalls {
        lanes.push(Lane::Patient);
    }
    if !cli.no_guests {
        lanes.extend([Lane::Guest, Lane::Recorded]);
    }
    let mut kinds = crew::kinds(&lanes);
    if !cli.only.is_empty() {
        for name in &cli.only {
            let known = catalogue::entry_of(name);
            known.ok_or_else(|| Fault::usage(format!("no such kind of fault: {name}")).fix("--list shows them"))?;
        }
        kinds.retain(|entry| cli.only.iter().any(|name| name == entry.name));
    }

    if kinds.is_empty() {
        return Err(Fault::refused("none of these kinds can be run here"));
    }
    Ok(kinds)
}

async fn medium() -> Result<PathBuf> {
    let site = Site::shared().await?;
    let folder = site.folder.join("medium");
    if !folder.join("initrd.img").exists() {
        eprintln!("building the medium, whose kernel the virtual devices run: minutes, once");
        site.medium().await?;
    }
    Ok(folder)
}

fn show(cli: &Cli, seed: u64, tally: &Tally, took: Duration) -> Result<()> {
    if cli.json {
        let all = serde_json::json!({ "seed": seed, "seconds": took.as_secs_f64(), "good": tally.good(), "tally": tally });
        println!("{all}");
    } else {
        println!("{}", tally.table());
        println!("seed {seed}, {} s in all", took.as_secs());
    }
    if !tally.good() {
        eprintln!("{}", tally.complaints());
    }
    Ok(())
}
