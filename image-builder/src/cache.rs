//! A stage's result, kept under the digest of all its inputs and its own version.
//!
//! A result is a folder, made under a temporary name and renamed when it is complete: a killed build leaves nothing that
//! looks like a result. The key covers everything that the result depends on, so a hit needs no checks of age. A folder's time of
//! change says when a build last took it: what none has taken for [`UNUSED`] goes, and where the file system runs full, what none has
//! taken the longest.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use livery_contract::{Digest, Fault, Result};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::statvfs::statvfs,
};
use serde::Serialize;
use serde_json::Value;

/// A result that no build took for so long is removed: each new setting and package leaves older ones behind, and a host that builds
/// daily would fill up. Making it again costs a minute.
pub(crate) const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes that stay free on the cache's file system when a build begins: a laptop's root, tree and file system are 5 GiB, its image and
/// the store's share come on top. Of a small one, [`FREE_SHARE`].
const FREE: u64 = 16 << 30;
/// What a build leaves free of a small file system: a part of it, as journald's `SystemKeepFree=` does.
const FREE_SHARE: u64 = 7;
/// Digits of a key's digest in a result's name.
const DIGITS: usize = 32;

/// The folder of results.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Shared by all that use the folder; who finds himself alone clears up.
    _lock: Arc<Flock<File>>,
}

/// What a result depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    stage: &'static str,
    digest: Digest,
    inputs: Value,
}

impl Key {
    /// The key of a stage, from its version and its inputs. Raise the version when the stage does the same work otherwise.
    ///
    /// # Errors
    /// Exit 1 where the inputs do not encode.
    pub(crate) fn new(stage: &'static str, version: u32, inputs: &impl Serialize) -> Result<Self> {
        let encode = |error| Fault::internal("a stage's inputs do not encode").cause(error);
        let inputs = serde_json::to_value(inputs).map_err(encode)?;
        let bytes = serde_json::to_vec(&(stage, version, &inputs)).map_err(encode)?;
        Ok(Self { stage, digest: Digest::of(&bytes), inputs })
    }

    /// What it was made from, to say what is new in it.
    pub(crate) fn inputs(&self) -> &Value {
        &self.inputs
    }

    /// The digest alone, as an input of a later stage.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The stage's name.
    pub(crate) fn stage(&self) -> &'static str {
        self.stage
    }
}

impl Cache {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, room)
    }

    fn open_with(folder: &Path, room: impl Fn(&Path) -> std::io::Result<bool>) -> Result<Self> {
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary).map_err(|error| failed(folder, error))?;
        let lock = File::create(folder.join("lock")).map_err(|error| failed(folder, error))?;
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(alone) => {
                clear(folder, &temporary, SystemTime::now(), room).map_err(|error| failed(folder, error))?;
                alone.relock(FlockArg::LockShared).map_err(|error| failed(folder, error.into())).map(|()| alone)?
            }
            Err((lock, _)) => Flock::lock(lock, FlockArg::LockShared).map_err(|(_, error)| failed(folder, error.into()))?,
        };
        // Tools in sandboxes get absolute paths.
        Ok(Self { folder: fs::canonicalize(folder).map_err(|error| failed(folder, error))?, _lock: Arc::new(lock) })
    }

    /// Where the result is or would be.
    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}-{}", key.stage, &key.digest.to_string()[..DIGITS]))
    }

    /// Whether the result is there.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.path(key).is_dir()
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the .debs of builds without a lockfile lie.
    pub(crate) fn debs(&self) -> PathBuf {
        self.folder.join("debs")
    }

    /// An empty folder on the same file system, removed when dropped.
    ///
    /// # Errors
    /// Exit 3 where it can't be made.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix("livery-").tempdir_in(self.folder.join("tmp")).map_err(|error| failed(&self.folder, error))
    }

    /// The result, made by `make` into an empty folder where it is not there yet.
    ///
    /// # Errors
    /// What `make` answers; exit 3 where the folder can't be written.
    pub(crate) fn get(&self, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
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

/// Removes what killed builds left, gigabytes that nobody else would ever remove, the results that none has used of late, and, until
/// there is `room`, those that were used the longest ago.
fn clear(folder: &Path, temporary: &Path, now: SystemTime, room: impl Fn(&Path) -> std::io::Result<bool>) -> std::io::Result<()> {
    for entry in fs::read_dir(temporary)?.flatten() {
        remove(&entry.path());
    }
    let mut results: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| is_result(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((entry.metadata().and_then(|about| about.modified()).ok()?, entry.path())))
        .collect();
    results.sort();
    for (used, result) in results {
        if used + UNUSED >= now && room(folder)? {
            break;
        }
        let Some(aside) = result.file_name().map(|name| temporary.join(name)) else { continue };
        // Aside first: half a result must not look like one.
        match fs::rename(&result, &aside) {
            Ok(()) => remove(&aside),
            Err(error) => tracing::warn!(path = %result.display(), "an old result can't be removed: {error}"),
        }
    }
    Ok(())
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), "a leftover can't be removed: {error}");
    }
}

/// Whether a build finds room on the folder's file system.
fn room(folder: &Path) -> std::io::Result<bool> {
    let about = statvfs(folder)?;
    // Their widths differ from one architecture to another.
    let (unit, all, free) = (about.fragment_size(), about.blocks(), about.blocks_available());
    Ok(free.saturating_mul(unit) >= FREE.min(all.saturating_mul(unit) / FREE_SHARE))
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
        .fix("free some space, or give another folder with --cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a file system that has room, whatever this host's has.
    fn open(folder: &tempfile::TempDir) -> Result<Cache> {
        Cache::open_with(folder.path(), |_| Ok(true))
    }

    #[test]
    fn leftovers_go_when_nobody_works() {
        let folder = tempfile::tempdir().unwrap();
        let leftover = folder.path().join("tmp/livery-killed/result");
        fs::create_dir_all(&leftover).unwrap();
        let first = open(&folder).unwrap();
        assert!(!leftover.exists());
        let at_work = first.scratch().unwrap();
        let second = open(&folder).unwrap();
        assert!(at_work.path().exists(), "somebody works there");
        drop((first, second));
    }

    #[test]
    fn what_no_build_has_used_for_long_goes_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder).unwrap();
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
        let other = open(&folder).unwrap();
        assert!(other.has(&old), "somebody works there");
        drop((cache, other));
        let cache = open(&folder).unwrap();
        assert!(!cache.has(&old) && cache.has(&used));
        assert!(others.iter().all(|other| other.is_dir()));
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_full_file_system_loses_what_was_used_the_longest_ago() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder).unwrap();
        let keys = ["first", "second", "third", "fourth"].map(|name| Key::new("stage", 1, &name).unwrap());
        for (key, ago) in keys.iter().zip([40, 30, 20, 10]) {
            let path = cache.get(key, |_| Ok(())).unwrap();
            File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(ago)).unwrap();
        }
        // Taken again, the oldest is the newest.
        cache.get(&keys[0], |_| panic!("made twice")).unwrap();
        let two_left = |folder: &Path| {
            let results = fs::read_dir(folder)?.flatten().filter(|entry| is_result(&entry.file_name().to_string_lossy()));
            Ok(results.count() <= 2)
        };
        clear(folder.path(), &folder.path().join("tmp"), SystemTime::now(), two_left).unwrap();
        assert_eq!(keys.each_ref().map(|key| cache.has(key)), [true, false, false, true]);
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
        assert!(room(folder.path()).is_ok());
    }

    #[test]
    fn made_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder).unwrap();
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
