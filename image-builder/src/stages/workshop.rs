//! Where the stages work: the cache, the tools, and what is said while they do.

use std::path::{Path, PathBuf};

use livery_contract::Result;

use super::{
    cache::{Cache, Key},
    roots,
    sandbox::Sandbox,
};
use crate::{profile::Profile, progress::Progress};

/// The cache, and what is said of progress.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// Results of stages.
    pub cache: Cache,
    /// What a person sees.
    pub progress: Progress,
}

impl Workshop {
    /// Opens the cache: `folder`, or `livery` in the user's cache folder (XDG Base Directory Specification).
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub fn open(folder: Option<&Path>, progress: Progress) -> Result<Self> {
        let folder = folder.map_or_else(default_folder, Path::to_owned);
        Ok(Self { cache: Cache::open(&folder)?, progress })
    }

    /// A stage's result, from the cache or made now, with a line about it.
    ///
    /// # Errors
    /// What `make` answers.
    pub fn stage(&self, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if self.cache.has(key) {
            tracing::debug!(stage = key.stage(), "cached");
            return self.cache.get(key, make);
        }
        let step = self.progress.stage(key.stage());
        let path = self.cache.get(key, make)?;
        step.done();
        Ok(path)
    }

    /// A sandbox over the tools root.
    ///
    /// # Errors
    /// As [`roots::tools`].
    pub fn tools(&self, profile: &Profile) -> Result<Sandbox> {
        Ok(Sandbox::new(&roots::tools(self, profile)?.path, profile.image.epoch.as_second()))
    }
}

fn default_folder() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    base.unwrap_or_else(|| "/var/cache".into()).join("livery")
}
