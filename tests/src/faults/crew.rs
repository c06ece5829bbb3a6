//! Many cases at once: those that compute as many as there are processors, those that wait for time-outs by the dozen.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use livery_contract::{Fault, Result};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    case::{self, Outcome},
    catalogue::{self, Entry, Lane},
    ground::{Ground, broken},
    guests::Guests,
    loops,
};

/// How many agents wait for time-outs at once: each may hold 100 MiB.
const WAITING: usize = 32;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's seed.
    pub seed: u64,
    /// The numbers of the cases.
    pub cases: Vec<u64>,
    /// The kinds that may come.
    pub kinds: Vec<Entry>,
    /// Where all of it lies; taken away by the caller.
    pub folder: PathBuf,
    /// The folder with `vmlinuz` and `initrd.img` of `livery medium`.
    pub medium: PathBuf,
}

/// The kinds of some lanes, of those that this host can run.
pub fn kinds(lanes: &[Lane]) -> Vec<Entry> {
    let loops = loops::possible();
    catalogue::ALL.iter().filter(|entry| lanes.contains(&entry.lane) && (entry.lane != Lane::Loop || loops)).copied().collect()
}

struct Lanes {
    light: Semaphore,
    waiting: Semaphore,
    loops: Semaphore,
    guests: Semaphore,
}

/// Runs all; each outcome goes to `tell` when it is there. Dropped, it leaves no process behind.
///
/// # Errors
/// The first case that can't be made, once all others are done: a fault of the tests or of this host, not of the agent.
pub async fn run(plan: Plan, tell: mpsc::UnboundedSender<Outcome>) -> Result<()> {
    let place = |name: &str| -> Result<PathBuf> {
        let path = plan.folder.join(name);
        std::fs::create_dir_all(&path).map_err(|error| broken(&path, error))?;
        Ok(path)
    };
    let ground = Arc::new(Ground::make(&place("ground")?).await?);
    let guests = Arc::new(Guests::new(&place("guests")?, &plan.medium));
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let lanes = Arc::new(Lanes {
        light: Semaphore::new(processors),
        waiting: Semaphore::new(WAITING),
        loops: Semaphore::new(1),
        guests: Semaphore::new(1),
    });
    let cases = place("cases")?;
    let mut running = JoinSet::new();
    for number in plan.cases {
        let entry = catalogue::kind_of(plan.seed, number, &plan.kinds)
            .ok_or_else(|| Fault::usage("no kind of fault is left that this host can run"))?;
        let (ground, guests, lanes, folder, seed) =
            (ground.clone(), guests.clone(), lanes.clone(), cases.join(number.to_string()), plan.seed);
        running.spawn(async move {
            let lane = match entry.lane {
                Lane::Light | Lane::Recorded => &lanes.light,
                Lane::Sleepy | Lane::Patient => &lanes.waiting,
                Lane::Loop => &lanes.loops,
                Lane::Guest => &lanes.guests,
            };
            let _turn = lane.acquire().await;
            one(&ground, &guests, &entry, seed, number, &folder).await
        });
    }
    let mut result = Ok(());
    while let Some(outcome) = running.join_next().await {
        match outcome.unwrap_or_else(|error| Err(Fault::internal("a case broke off").cause(error))) {
            Ok(outcome) => {
                // Whoever listened may have gone: then nobody wants the rest.
                if tell.send(outcome).is_err() {
                    return Ok(());
                }
            }
            Err(fault) => result = result.and(Err(fault)),
        }
    }
    result
}

async fn one(ground: &Ground, guests: &Guests, entry: &Entry, seed: u64, number: u64, folder: &Path) -> Result<Outcome> {
    std::fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
    let context =
        |fault: Fault| Fault::internal(format!("case {number} ({}) of seed {seed} can't be run", entry.name)).cause(fault);
    let outcome = case::run(ground, guests, entry, seed, number, folder.to_owned()).await.map_err(context)?;
    // What went wrong is kept to be looked at, as long as the run's folder is.
    if outcome.good() {
        let _ = std::fs::remove_dir_all(folder);
    }
    Ok(outcome)
}
