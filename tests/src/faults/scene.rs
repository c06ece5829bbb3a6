//! What a fault works on, and what it led to.

use std::path::{Path, PathBuf};

use livery_contract::{Digest, Fault, Result, record::Record};

use super::{
    agent::Ended,
    ground::{Ground, NEW, Subject, broken},
    image::FIRST,
    judge::{self, State},
    rng::Rng,
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

/// Whether the record that the agent printed says of the disk what it is.
pub(super) fn proves(ended: &Ended, disk: &Path) -> Result<()> {
    let record = ended.stdout.lines().rev().find_map(|line| serde_json::from_str::<Record>(line.trim()).ok());
    let record = record.ok_or_else(|| Fault::internal("there is no record"))?;
    evidence::compare(&record, disk).map(drop)
}
