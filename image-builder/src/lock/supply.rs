//! Lock and .debs together: what the stages take roots from.

use std::path::{Path, PathBuf};

use livery_contract::{Fault, Result};
use livery_profile::Profile;

use super::{
    apt::Apt,
    archive,
    debs::Debs,
    file::{Lock, Package, Release, RootName},
    request,
    resolve::resolve,
    sidecar,
};
use crate::{
    cache::{Cache, Key},
    progress::Progress,
};

/// Raised when apt is asked otherwise.
const VERSION: u32 = 1;

/// How a build comes to its packages.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Terms {
    /// Refuse to build without a lockfile (PROFILE's name with .lock).
    #[arg(long)]
    pub(crate) locked: bool,
    /// Fetch nothing: build from the lockfile and the .debs in the store or the cache.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Supply {
    lock: Lock,
    debs: Debs,
    locked: bool,
    offline: bool,
}

impl Supply {
    /// The packages of a profile: by its lockfile, else what the mirrors have today. `store` is where a locked build's .debs lie.
    ///
    /// # Errors
    /// Exit 3 where the lockfile does not fit or is asked for and not there, 5 where apt is needed and no mirror answers.
    pub(crate) fn open(profile: &Profile, store: Option<&Path>, terms: Terms, cache: &Cache, progress: &Progress) -> Result<Self> {
        let (requests, supplied) = (request::requests(profile), request::supplied(profile));
        let path = sidecar::path_of(&profile.path);
        let (in_cache, in_store) = (cache.debs(), store.map(in_store));
        if let Some(lock) = sidecar::read(&path)? {
            lock.fits(&Release::from(&profile.debian), &requests, &supplied).map_err(|fault| fault.at(path.display()))?;
            let debs = match in_store {
                Some(store) => Debs::new(store, Some(in_cache)),
                None => Debs::new(in_cache, None),
            };
            let debs = debs.with(&profile.packages.supplied);
            return Ok(Self { lock, debs, locked: true, offline: terms.offline });
        }
        if terms.locked || terms.offline {
            return Err(Fault::refused("the profile has no lockfile")
                .at(path.display())
                .fix(format!("livery lock {} --store STORE, then build again", profile.path.display())));
        }
        // What a mirror has changes at most a few times a day; asking again for each build would cost the time and change little.
        let today = jiff::Timestamp::now().strftime("%F").to_string();
        let key = Key::new("packages", VERSION, &(&profile.debian, &requests, &supplied, today))?;
        let debs = Debs::new(in_cache, in_store).with(&profile.packages.supplied);
        let folder = cache.get(&key, |folder| {
            let step = progress.stage(key.stage());
            let lock = resolve(&profile.debian, &requests, &supplied, None, &debs, cache.scratch()?)?;
            step.done();
            sidecar::write(&folder.join("lock"), &lock)
        })?;
        let path = folder.join("lock");
        let lock = sidecar::read(&path)?.ok_or_else(|| Fault::internal("a file is missing from the cache").at(path.display()))?;
        Ok(Self { lock, debs, locked: false, offline: false })
    }

    /// Whether a lockfile names the packages.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// The packages of one root, in order of name.
    pub(crate) fn packages(&self, root: RootName) -> Vec<&Package> {
        self.lock.of(root).collect()
    }

    /// Names of those of them that are installed after the others.
    pub(crate) fn added(&self, root: RootName) -> Vec<&str> {
        self.lock.added(root).collect()
    }

    /// Brings the .debs of these roots, as far as they are not here.
    ///
    /// # Errors
    /// Exit 5 where one can't be had.
    pub(crate) fn bring(&self, roots: &[RootName], profile: &Profile, cache: &Cache, progress: &Progress) -> Result<()> {
        let wanted = |package: &&Package| package.roots.iter().any(|root| roots.contains(root));
        let wanted: Vec<&Package> = self.lock.packages.iter().filter(wanted).collect();
        let lacking = self.debs.lacking(wanted.iter().copied());
        if self.offline && !lacking.is_empty() {
            let names: Vec<String> = lacking.iter().take(10).map(|package| package.file_name()).collect();
            return Err(Fault::source(format!(
                "{} of {} packages are missing, and --offline fetches none",
                lacking.len(),
                wanted.len()
            ))
            .at(names.join(", "))
            .fix("on a machine with a network, run: livery lock PROFILE --store STORE"));
        }
        self.debs.bring(&wanted, || Apt::new(cache.scratch()?, &profile.debian), progress)
    }

    /// A repository of these packages, in `folder`.
    ///
    /// # Errors
    /// Exit 4 where a .deb is not what was locked, 5 where one is not here.
    pub(crate) fn archive(&self, folder: &Path, packages: &[&Package]) -> Result<()> {
        archive::make(folder, packages, &self.debs, &self.lock.debian)
    }
}

/// Where a store keeps its .debs.
pub(crate) fn in_store(store: &Path) -> PathBuf {
    // Links into it are followed from elsewhere.
    std::path::absolute(store).unwrap_or_else(|_| store.to_owned()).join("debs")
}
