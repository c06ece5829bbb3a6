//! Where the stages work: the cache, the packages, the tools, and what is said while they do.

use std::path::{Path, PathBuf};

use livery_contract::Result;
use livery_profile::Profile;

use crate::{
    cache::{Cache, Key},
    lock::{Supply, supply::Terms},
    progress::Progress,
};

#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    /// Results of stages.
    pub(crate) cache: Cache,
    /// The packages that roots are made from.
    pub(crate) supply: Supply,
    /// What a person sees.
    pub(crate) progress: Progress,
}

/// How a workshop is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Folder for the results of stages; by default `livery` in the user's cache folder.
    pub(crate) cache: Option<PathBuf>,
    /// How to come to packages.
    pub(crate) terms: Terms,
    /// What a person sees.
    pub(crate) progress: Progress,
}

impl Setup {
    /// Opens the cache: `folder`, or `livery` in the user's cache folder (XDG Base Directory Specification).
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub(crate) fn cache_at(folder: Option<PathBuf>) -> Result<Cache> {
        Cache::open(&folder.unwrap_or_else(default_folder))
    }

    /// Sets the workshop up for one profile; `store` is where a locked build's .debs lie.
    ///
    /// # Errors
    /// As [`cache_at`](Self::cache_at) and [`Supply::open`].
    pub(crate) fn open(&self, profile: &Profile, store: Option<&Path>) -> Result<Workshop> {
        let cache = Self::cache_at(self.cache.clone())?;
        let supply = Supply::open(profile, store, self.terms, &cache, &self.progress)?;
        if !supply.is_locked() {
            self.progress.note("no lockfile: using the packages that the mirrors have today (livery lock PROFILE writes one)");
        }
        Ok(Workshop { cache, supply, progress: self.progress.clone() })
    }
}

impl Workshop {
    /// A stage's result, from the cache or made now, with a line about it.
    ///
    /// # Errors
    /// What `make` answers.
    pub(crate) fn stage(&self, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if self.cache.has(key) {
            tracing::debug!(stage = key.stage(), "cached");
            return self.cache.get(key, make);
        }
        let step = self.progress.stage(key.stage());
        let path = self.cache.get(key, make)?;
        step.done();
        Ok(path)
    }
}

fn default_folder() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    base.unwrap_or_else(|| "/var/cache".into()).join("livery")
}
