//! One case: a disk, a fault, the verdict, and a plain re-run that must complete.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_contract::{Digest, Fault, Result, record::Record};
use serde::Serialize;

use super::{
    agent::{self, Ended},
    catalogue::{Entry, Kind},
    disks,
    ground::{Ground, NEW, Subject, broken},
    guests::Guests,
    image::FIRST,
    judge::{self, State},
    loops, packs, power, processes,
    rng::Rng,
    servers, verdict,
    verdict::{SILENCE, Verdict},
};
use crate::{evidence, raw_disk};

/// What a fault works on.
pub struct Scene<'a> {
    /// What all stand on.
    pub ground: &'a Ground,
    /// This case's own folder.
    pub folder: PathBuf,
    /// This case's numbers.
    pub rng: Rng,
    /// What was done, for the one who looks for the reason.
    pub notes: Vec<String>,
}

/// What a fault led to.
pub struct Run {
    /// The disk, as a file.
    pub subject: Subject,
    /// Where the agent finds it; none where that is the file.
    pub device: Option<PathBuf>,
    /// Its digest before the agent began; none where it does not matter what it was.
    pub before: Option<Was>,
    /// How the agent ended; none where the whole machine was cut off.
    pub ended: Option<Ended>,
    /// What the disk was then; none where it still is.
    pub judged: Option<Judged>,
}

/// What a disk held before the agent began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Was {
    whole: Digest,
    /// Without the first and the last MiB.
    inner: Digest,
}

impl Was {
    /// Reads it.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn of(disk: &Path) -> Result<Self> {
        let size = std::fs::metadata(disk).map_err(|error| broken(disk, error))?.len();
        let inner = raw_disk::digest(disk, FIRST, size.saturating_sub(2 * FIRST))?;
        Ok(Self { whole: raw_disk::digest(disk, 0, size)?, inner })
    }
}

/// What a disk was when the agent had ended.
#[derive(Clone, Debug)]
pub struct Judged {
    /// By its bytes.
    pub state: State,
    /// Whether it was what it was before.
    pub untouched: bool,
    /// Whether all between its two tables was: so far a run only takes the old tables away, the primary one first.
    pub intact: bool,
    /// Why the record of a success is not true of it; none where it is, or there was no success.
    pub lie: Option<String>,
}

impl Run {
    /// A run that ended.
    pub fn new(subject: Subject, before: Option<Was>, ended: Ended) -> Self {
        Self { subject, device: None, before, ended: Some(ended), judged: None }
    }

    /// A machine that was cut off.
    pub fn cut(subject: Subject, before: Option<Was>) -> Self {
        Self { subject, device: None, before, ended: None, judged: None }
    }

    /// Looks at the disk now, before it is changed further.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn judge(&mut self, scene: &Scene<'_>) -> Result<Judged> {
        if let Some(judged) = &self.judged {
            return Ok(judged.clone());
        }
        let path = &self.subject.path;
        let success = self.ended.as_ref().filter(|ended| ended.code == 0);
        let now = self.before.map(|_| Was::of(path)).transpose()?;
        let judged = Judged {
            state: judge::look(path, &scene.ground.image(NEW))?,
            untouched: self.before.is_some() && self.before == now,
            intact: self.before.zip(now).is_some_and(|(before, now)| before.inner == now.inner),
            lie: success.and_then(|ended| proves(ended, path).err()).map(|fault| fault.to_string()),
        };
        self.judged = Some(judged.clone());
        Ok(judged)
    }
}

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

impl Scene<'_> {
    /// Notes what was done.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// A disk of this case.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn subject(&mut self) -> Result<(Subject, Option<Was>)> {
        let subject = self.ground.subject(self.folder.join("disk.raw"), &mut self.rng)?;
        self.noted(subject)
    }

    /// Notes what the disk was.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn noted(&mut self, subject: Subject) -> Result<(Subject, Option<Was>)> {
        self.note(format!("the disk held before: {:?}, {} bytes", subject.before, subject.size));
        let was = Was::of(&subject.path)?;
        Ok((subject, Some(was)))
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

/// Whether the record that the agent printed says of the disk what it is.
fn proves(ended: &Ended, disk: &Path) -> Result<()> {
    let record = ended.stdout.lines().rev().find_map(|line| serde_json::from_str::<Record>(line.trim()).ok());
    let record = record.ok_or_else(|| Fault::internal("there is no record"))?;
    evidence::compare(&record, disk).map(drop)
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
