//! One case: a disk, a fault, the verdict, and a plain re-run that must complete.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use livery_contract::Result;
use serde::Serialize;

use super::{
    agent,
    catalogue::{Entry, Kind},
    disks,
    ground::{Ground, NEW},
    guests::Guests,
    judge::{self, State},
    loops, packs, power, processes,
    rng::Rng,
    scene::{Judged, Run, Scene, proves},
    servers, verdict,
    verdict::{SILENCE, Verdict},
};

/// What a case came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The run's seed.
    pub seed: u64,
    /// The case's number.
    pub case: u64,
    /// The kind's name.
    pub kind: &'static str,
    /// How the first run counts.
    pub verdict: Verdict,
    /// Its exit code.
    pub code: i32,
    /// The longest time without a word in any of its runs, in seconds.
    pub silence: f64,
    /// Whether that was too long, or it never ended.
    pub silent: bool,
    /// Whether a plain re-run completed with the exact image.
    pub rerun: bool,
    /// Seconds in all.
    pub seconds: f64,
    /// Why, where something is wrong; and what was done.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Whether it is as it must be.
    pub fn good(&self) -> bool {
        matches!(self.verdict, Verdict::Verified | Verdict::Clear) && !self.silent && self.rerun
    }
}

/// Runs a case.
///
/// # Errors
/// Where the case itself can't be made: no fault of the agent.
pub async fn run(ground: &Ground, guests: &Guests, entry: &Entry, seed: u64, number: u64, folder: PathBuf) -> Result<Outcome> {
    let begun = Instant::now();
    let mut scene = Scene { ground, folder, rng: Rng::of(seed, number), notes: Vec::new() };
    // Holds mounts and loop devices until the re-run is over.
    let mut stand = loops::Stand::default();
    let mut run = match entry.kind {
        Kind::PackFlip
        | Kind::PackCut
        | Kind::PackSwap
        | Kind::PackReplay
        | Kind::PackGone
        | Kind::MapHarm
        | Kind::ManifestHarm
        | Kind::MetadataHarm
        | Kind::MetadataReplay => packs::run(&mut scene, entry.kind).await?,
        Kind::ServerStatus
        | Kind::ServerPage
        | Kind::ServerRedirect
        | Kind::ServerRange
        | Kind::ServerEndless
        | Kind::ServerDead
        | Kind::ServerReset
        | Kind::ServerFlaky
        | Kind::ServerStall
        | Kind::ServerTrickle
        | Kind::ServerMetadata => servers::run(&mut scene, entry.kind).await?,
        Kind::Kill | Kind::KillRot | Kind::Terminate | Kind::Pause => processes::run(&mut scene, entry.kind).await?,
        Kind::DiskRot | Kind::DiskTorn | Kind::DiskLost | Kind::AtRest | Kind::FileLimit => {
            disks::run(&mut scene, entry.kind).await?
        }
        Kind::LoopFull | Kind::LoopCut => loops::run(&mut scene, entry.kind, &mut stand).await?,
        Kind::PowerLog => power::run(&mut scene, guests).await?,
        Kind::GuestPower | Kind::GuestWrite | Kind::GuestRead | Kind::GuestFlush => guests.run(&mut scene, entry.kind).await?,
    };
    conclude(&mut scene, entry, &mut run, seed, number, begun).await
}

/// Judges a run, runs the agent once more on the healthy store, judges that.
///
/// # Errors
/// Where a disk can't be read.
async fn conclude(scene: &mut Scene<'_>, entry: &Entry, run: &mut Run, seed: u64, number: u64, begun: Instant) -> Result<Outcome> {
    let image = scene.ground.image(NEW);
    let Judged { state, untouched, intact, lie } = run.judge(scene)?;
    let Run { subject, device, ended, .. } = run;
    let code = ended.as_ref().map_or(verdict::CUT, |ended| ended.code);
    let (mut verdict, mut why) = verdict::of(entry, code, ended.as_ref(), state, untouched, intact);
    if let (Verdict::Verified, Some(lie)) = (verdict, lie) {
        (verdict, why) = (Verdict::FalseSuccess, format!("the disk is the image, its record is not true: {lie}"));
    }
    let mut notes = std::mem::take(&mut scene.notes);
    notes.push(format!(
        "ended with {code}; the disk is {state:?}{}",
        if untouched {
            ", untouched"
        } else if intact {
            ", untouched between its tables"
        } else {
            ""
        }
    ));
    if let Some(report) = ended.as_ref().and_then(|ended| ended.report.as_ref()) {
        notes.push(format!(
            "it said: {} | {} | {}",
            report.what,
            report.at.as_deref().unwrap_or("-"),
            report.fix.as_deref().unwrap_or("-")
        ));
    }
    if !why.is_empty() {
        notes.push(why);
        notes.extend(ended.as_ref().map(|ended| ended.stderr.clone()));
    }
    let store = scene.ground.store().display().to_string();
    let again = agent::run(&scene.ground.order("write", NEW, &store, device.as_ref().unwrap_or(&subject.path))).await?;
    let after = judge::look(&subject.path, &image)?;
    let rerun = again.code == 0 && after == State::Exact && proves(&again, &subject.path).is_ok();
    if !rerun {
        notes.push(format!("the re-run ended with {}, the disk is {after:?}: {}", again.code, again.stderr));
    }
    let silence = ended.as_ref().map_or(Duration::ZERO, |ended| ended.silence).max(again.silence);
    let hung = ended.as_ref().is_some_and(|ended| ended.hung) || again.hung;
    Ok(Outcome {
        seed,
        case: number,
        kind: entry.name,
        verdict,
        code,
        silence: silence.as_secs_f64(),
        silent: hung || silence > SILENCE,
        rerun,
        seconds: begun.elapsed().as_secs_f64(),
        notes,
    })
}
