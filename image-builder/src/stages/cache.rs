//! A stage's result, kept under the digest of all its inputs and its own version.
//!
//! A result is a folder, made under a temporary name and renamed when it is complete: a killed build leaves nothing that
//! looks like a result. The key covers everything that the result depends on, so a hit needs no checks of age. A folder's time of
//! change says when a build last took it: what none has taken for [`UNUSED`] goes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use livery_contract::{Digest, Fault, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde_json::Value;

/// A result that no build took for so long is removed: each new setting and package leaves older ones behind, and a host that builds
/// daily would fill up. Making it again costs a minute.
pub const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Digits of a key's digest in a result's name.
const DIGITS: usize = 32;

/// The folder of results.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Shared by all that use the folder; who finds himself alone clears up.
    _lock: Arc<Flock<File>>,
}

/// What a result depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    stage: &'static str,
    digest: Digest,
    inputs: Value,
}

impl Key {
    /// The key of a stage, from its version and its inputs. Raise the version when the stage does the same work otherwise.
    ///
    /// # Errors
    /// Exit 1 where the inputs do not encode.
    pub fn new(stage: &'static str, version: u32, inputs: &impl Serialize) -> Result<Self> {
        let encode = |error| Fault::internal("a stage's inputs do not encode").cause(error);
        let inputs = serde_json::to_value(inputs).map_err(encode)?;
        let bytes = serde_json::to_vec(&(stage, version, &inputs)).map_err(encode)?;
        Ok(Self { stage, digest: Digest::of(&bytes), inputs })
    }

    /// What it was made from, to say what is new in it.
    pub fn inputs(&self) -> &Value {
        &self.inputs
    }

    /// The digest alone, as an input of a later stage.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The stage's name.
    pub fn stage(&self) -> &'static str {
        self.stage
    }
}

impl Cache {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub fn open(folder: &Path) -> Result<Self> {
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary).map_err(|error| failed(folder, error))?;
        let lock = File::create(folder.join("lock")).map_err(|error| failed(folder, error))?;
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(alone) => {
                clear(folder, &temporary, SystemTime::now()).map_err(|error| failed(folder, error))?;
                alone.relock(FlockArg::LockShared).map_err(|error| failed(folder, error.into())).map(|()| alone)?
            }
            Err((lock, _)) => Flock::lock(lock, FlockArg::LockShared).map_err(|(_, error)| failed(folder, error.into()))?,
        };
        // Tools in sandboxes get absolute paths.
        Ok(Self { folder: fs::canonicalize(folder).map_err(|error| failed(folder, error))?, _lock: Arc::new(lock) })
    }

    /// Where the result is or would be.
    pub fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}-{}", key.stage, &key.digest.to_string()[..DIGITS]))
    }

    /// Whether the result is there.
    pub fn has(&self, key: &Key) -> bool {
        self.path(key).is_dir()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the .debs of builds without a lockfile lie.
    pub fn debs(&self) -> PathBuf {
        self.folder.join("debs")
    }

    /// An empty folder on the same file system, removed when dropped.
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub fn scratch(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix("livery-").tempdir_in(self.folder.join("tmp")).map_err(|error| failed(&self.folder, error))
    }

    /// The result, made by `make` into an empty folder where it is not there yet.
    ///
    /// # Errors
    /// What `make` answers; exit 3 where the folder can't be written.
    pub fn get(&self, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.path(key);
        if path.is_dir() {
            // Where that fails, it goes earlier than it need: no reason to stop a build.
            if let Err(error) = File::open(&path).and_then(|folder| folder.set_modified(SystemTime::now())) {
                tracing::debug!(path = %path.display(), "its use can't be noted: {error}");
            }
            return Ok(path);
        }
        let scratch = self.scratch()?;
        let result = scratch.path().join("result");
        fs::create_dir(&result).map_err(|error| failed(&result, error))?;
        make(&result)?;
        match fs::rename(&result, &path) {
            Ok(()) => Ok(path),
            // Another build made the same in the meantime: by the key it is the same.
            Err(_) if path.is_dir() => Ok(path),
            Err(error) => Err(failed(&path, error)),
        }
    }
}

/// Removes what killed builds left, gigabytes that nobody else would ever remove, and the results that none has used of late.
fn clear(folder: &Path, temporary: &Path, now: SystemTime) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let old = entry.metadata().and_then(|about| about.modified()).is_ok_and(|used| used + UNUSED < now);
        // Aside first: half a result must not look like one.
        if old
            && is_result(&entry.file_name().to_string_lossy())
            && let Err(error) = fs::rename(entry.path(), temporary.join(entry.file_name()))
        {
            tracing::warn!(path = %entry.path().display(), "an old result can't be removed: {error}");
        }
    }
    for entry in fs::read_dir(temporary)?.flatten() {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), "a leftover can't be removed: {error}");
        }
    }
    Ok(())
}

/// Whether a name is a stage and a digest's first digits.
fn is_result(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(stage, digits)| {
        !stage.is_empty() && digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("the cache's folder can't be written")
        .at(path.display())
        .cause(error)
        .fix("make room, or give another folder with --cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_when_nobody_works() {
        let folder = tempfile::tempdir().unwrap();
        let leftover = folder.path().join("tmp/livery-killed/result");
        fs::create_dir_all(&leftover).unwrap();
        let first = Cache::open(folder.path()).unwrap();
        assert!(!leftover.exists());
        let at_work = first.scratch().unwrap();
        let second = Cache::open(folder.path()).unwrap();
        assert!(at_work.path().exists(), "somebody works there");
        drop((first, second));
    }

    #[test]
    fn what_no_build_has_used_for_long_goes_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let [old, used] = ["old", "used"].map(|name| Key::new("stage", 1, &name).unwrap());
        let make = |path: &Path| fs::write(path.join("x"), "1").map_err(|error| failed(path, error));
        let paths = [&old, &used].map(|key| cache.get(key, make).unwrap());
        let others = ["debs", "what-somebody-put-here"].map(|name| folder.path().join(name));
        others.iter().for_each(|other| fs::create_dir(other).unwrap());
        for path in paths.iter().chain(&others) {
            let long_ago = SystemTime::now() - UNUSED - Duration::from_secs(1);
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        cache.get(&used, |_| panic!("made twice")).unwrap();
        let other = Cache::open(folder.path()).unwrap();
        assert!(other.has(&old), "somebody works there");
        drop((cache, other));
        let cache = Cache::open(folder.path()).unwrap();
        assert!(!cache.has(&old) && cache.has(&used));
        assert!(others.iter().all(|other| other.is_dir()));
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn made_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = Key::new("stage", 1, &["a"]).unwrap();
        assert!(cache.get(&key, |_| Err(Fault::internal("no"))).is_err());
        assert!(!cache.has(&key));
        let path = cache.get(&key, |path| fs::write(path.join("x"), "1").map_err(|error| failed(path, error))).unwrap();
        assert_eq!(fs::read_to_string(path.join("x")).unwrap(), "1");
        cache.get(&key, |_| panic!("made twice")).unwrap();
        assert_ne!(key, Key::new("stage", 2, &["a"]).unwrap());
        assert_ne!(key, Key::new("stage", 1, &["b"]).unwrap());
    }
}
