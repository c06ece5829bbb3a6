//! `livery lock`.

use std::path::{Path, PathBuf};

use livery_contract::Result;
use livery_profile::Profile;
use serde::Serialize;

use super::{
    apt::Apt,
    change::{Change, changes},
    debs::Debs,
    request,
    resolve::resolve,
    sidecar,
    supply::in_store,
};
use crate::{
    cache::Cache,
    profiles,
    progress::{Progress, bytes},
};

/// What shall be done.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Profiles (TOML): each gets a lockfile in its folder.
    #[arg(required = true)]
    pub(crate) profiles: Vec<PathBuf>,
    /// Show what is newer, package by package, and change nothing.
    #[arg(long)]
    pub(crate) update: bool,
    /// With --update: write the newer versions into the lockfile.
    #[arg(long, requires = "update")]
    pub(crate) accept: bool,
    /// The store's folder; the .debs go there, so that a build needs no network.
    #[arg(long)]
    pub(crate) store: Option<PathBuf>,
}

/// What came of one profile.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Locked {
    /// The lockfile.
    pub(crate) lockfile: PathBuf,
    /// How many packages it names.
    pub(crate) packages: usize,
    /// Bytes of their .debs.
    pub(crate) bytes: u64,
    /// What differs from the lockfile that was there; for a first one nothing.
    pub(crate) changes: Vec<Change>,
    /// Whether the lockfile was written.
    pub(crate) written: bool,
    /// Whether there was one.
    pub(crate) first: bool,
}

/// Locks profiles.
///
/// # Errors
/// Exit 3 where a profile or its lockfile is faulty or its packages exclude one another, 5 where no mirror can be reached.
pub(crate) fn lock(options: &Options, cache: &Cache, progress: &Progress, json: bool) -> Result<Vec<Locked>> {
    // All of them before the network is asked.
    let profiles: Vec<Profile> = options.profiles.iter().map(|path| profiles::load(path, json)).collect::<Result<_>>()?;
    profiles.iter().map(|profile| one(profile, options, cache, progress)).collect()
}

fn one(profile: &Profile, options: &Options, cache: &Cache, progress: &Progress) -> Result<Locked> {
    let path = sidecar::path_of(&profile.path);
    let debs = debs(options.store.as_deref(), cache).with(&profile.packages.supplied);
    let before = sidecar::read(&path)?;
    let keep = before.as_ref().filter(|_| !options.update);
    let step = progress.stage("packages");
    let (requests, supplied) = (request::requests(profile), request::supplied(profile));
    let now = resolve(&profile.debian, &requests, &supplied, keep, &debs, cache.scratch()?)?;
    step.done();
    let changes = before.as_ref().map(|before| changes(before, &now)).unwrap_or_default();
    let differs = before.as_ref() != Some(&now);
    let written = differs && (before.is_none() || !options.update || options.accept);
    // The .debs first: a lockfile that is there can be built from.
    if options.store.is_some() && (written || !differs) {
        let all: Vec<_> = now.packages.iter().collect();
        debs.bring(&all, || Apt::new(cache.scratch()?, &profile.debian), progress)?;
    }
    if written {
        sidecar::write(&path, &now)?;
    }
    Ok(Locked {
        lockfile: path,
        packages: now.packages.len(),
        bytes: now.packages.iter().map(|package| package.size).sum(),
        changes,
        written,
        first: before.is_none(),
    })
}

fn debs(store: Option<&Path>, cache: &Cache) -> Debs {
    match store {
        Some(store) => Debs::new(in_store(store), Some(cache.debs())),
        None => Debs::new(cache.debs(), None),
    }
}

impl Locked {
    /// For a person.
    pub(crate) fn text(&self) -> String {
        let mut text: String = self.changes.iter().map(|change| format!("{change}\n")).collect();
        let lockfile = self.lockfile.display();
        let size = format!("{} packages, {}", self.packages, bytes(self.bytes));
        text.push_str(&match (self.written, self.first, self.changes.is_empty()) {
            (true, true, _) => format!("{lockfile}: {size}"),
            (true, false, _) => format!("{lockfile}: {size}; {} changed", self.changes.len()),
            (false, _, true) => format!("{lockfile}: {size}; nothing is newer"),
            (false, ..) => format!("{lockfile}: {} would change; to accept it: --update --accept", self.changes.len()),
        });
        text
    }
}
