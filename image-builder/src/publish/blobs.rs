//! Files into a store: content found by its digest, written so that a killed run leaves no half file under a good name.
//!
//! Blobs and manifests count only once the metadata names them, so they need not reach the disk one by one: [`Blobs::settle`] does it
//! for all at once, before the metadata is written. Five thousand personal images would else wait for the disk fifteen thousand
//! times. A mark stands in the folder meanwhile. Where a power cut left it, the next run looks at all that is younger than it,
//! and removes what is not what its name says.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime},
};

use livery_contract::{Digest, Fault, Result, digest::Blob, digest::Hasher};
use livery_store::location::blob_path;
use nix::fcntl::{Flock, FlockArg};
use tempfile::NamedTempFile;

use crate::replace::{folder_of, replace};

/// A store's folder, open for writing. One writer at a time: the lock is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Blobs {
    top: PathBuf,
    /// Whether the mark stands.
    marked: Mutex<bool>,
    _lock: Flock<File>,
}

/// What stands in `tmp` while something may not be on the disk yet.
const MARK: &str = "unsettled";
/// File systems keep times no finer than this (FAT; others are better).
const GRAIN: Duration = Duration::from_secs(2);

impl Blobs {
    /// Opens or makes the folder, and waits for another writer to finish.
    ///
    /// # Errors
    /// Exit 5 where it can't be made or locked.
    pub(crate) fn open(top: &Path) -> Result<Self> {
        let failed = |error: io::Error| Fault::source("the store's folder can't be written").at(top.display()).cause(error);
        for folder in ["metadata", "targets", "blobs/sha256", "tmp"] {
            fs::create_dir_all(top.join(folder)).map_err(failed)?;
        }
        let lock = File::create(top.join("tmp/lock")).map_err(failed)?;
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((lock, _)) => {
                tracing::info!(store = %top.display(), "waiting for another program that writes to this store");
                Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?
            }
        };
        // What a killed run left behind; nobody else writes now.
        for entry in fs::read_dir(top.join("tmp")).map_err(failed)?.flatten() {
            if entry.file_name() != "lock" && entry.file_name() != MARK {
                let _ = fs::remove_file(entry.path()); // a leftover costs room, never correctness
            }
        }
        let blobs = Self { top: top.to_owned(), marked: Mutex::new(false), _lock: lock };
        if let Ok(mark) = fs::metadata(blobs.mark()) {
            let since = mark.modified().map_err(failed)?;
            blobs.look_at(since.checked_sub(GRAIN).unwrap_or(SystemTime::UNIX_EPOCH))?;
            *lock_of(&blobs.marked) = true;
            blobs.settle()?;
        }
        Ok(blobs)
    }

    fn mark(&self) -> PathBuf {
        self.top.join("tmp").join(MARK)
    }

    /// From now on something may not be on the disk yet.
    fn unsettle(&self) -> Result<()> {
        let mut marked = lock_of(&self.marked);
        if !*marked {
            write_atomically(&self.mark(), b"files newer than this one may be incomplete\n")?;
            *marked = true;
        }
        Ok(())
    }

    /// All that was put in so far is on the disk, also after a power cut.
    ///
    /// # Errors
    /// Exit 5 where the disk does not take it.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut marked = lock_of(&self.marked);
        if *marked {
            let failed = |error: io::Error| write_failed(&self.top, error);
            let top = File::open(&self.top).map_err(failed)?;
            nix::unistd::syncfs(&top).map_err(|error| failed(error.into()))?;
            fs::remove_file(self.mark()).map_err(failed)?;
            *marked = false;
        }
        Ok(())
    }

    /// Removes what a power cut left half: of all that was written since then, what is not what its name says.
    fn look_at(&self, since: SystemTime) -> Result<()> {
        tracing::warn!(store = %self.top.display(), "the last run was interrupted; checking what it wrote");
        let failed = |path: &Path, error: io::Error| {
            Fault::source("the store can't be read").at(path.display()).cause(error).fix("check the disk that holds it")
        };
        let list = |folder: &Path| -> Result<Vec<PathBuf>> {
            let entries = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
            entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| failed(folder, error))).collect()
        };
        let mut files = list(&self.top.join("targets"))?;
        for folder in list(&self.top.join("blobs/sha256"))? {
            files.extend(list(&folder)?);
        }
        for path in files {
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(|error| failed(&path, error))?;
            if modified < since {
                continue;
            }
            let mut hasher = HashWriter::default();
            File::open(&path).and_then(|mut file| io::copy(&mut file, &mut hasher)).map_err(|error| failed(&path, error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with(&hasher.0.finish().to_string()) {
                tracing::warn!(path = %path.display(), "incomplete, removed");
                fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            }
        }
        Ok(())
    }

    /// The store's folder.
    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// Puts these bytes in, if they are not there yet.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { digest: Digest::of(bytes), length: bytes.len() as u64 };
        let path = self.top.join(blob_path(&blob.digest));
        if !has_length(&path, blob.length) {
            self.unsettle()?;
            persist(temporary(&path, bytes)?, &path)?;
        }
        Ok(blob)
    }

    /// Begins a blob whose digest is known only at its end.
    ///
    /// # Errors
    /// Exit 5 where no file can be made.
    pub(crate) fn begin(&self) -> Result<GrowingBlob> {
        let folder = self.top.join("tmp");
        let file = NamedTempFile::new_in(&folder).map_err(|error| write_failed(&folder, error))?;
        Ok(GrowingBlob { file: io::BufWriter::with_capacity(1 << 20, file), hasher: Hasher::default(), length: 0 })
    }

    /// Ends it, and puts it under its digest.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub(crate) fn finish(&self, growing: GrowingBlob) -> Result<Blob> {
        let blob = Blob { digest: growing.hasher.finish(), length: growing.length };
        let path = self.top.join(blob_path(&blob.digest));
        let file = growing.file.into_inner().map_err(|error| write_failed(&path, error.into_error()))?;
        if !has_length(&path, blob.length) {
            self.unsettle()?;
            persist(file, &path)?;
        }
        Ok(blob)
    }

    /// Puts a manifest among the targets, under the name that consistent snapshots give it.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub(crate) fn put_target(&self, name: &str, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { digest: Digest::of(bytes), length: bytes.len() as u64 };
        let path = self.top.join(format!("targets/{}.{name}", blob.digest));
        self.unsettle()?;
        persist(temporary(&path, bytes)?, &path)?;
        Ok(blob)
    }
}

/// A blob being written.
#[derive(Debug)]
pub(crate) struct GrowingBlob {
    file: io::BufWriter<NamedTempFile>,
    hasher: Hasher,
    length: u64,
}

impl GrowingBlob {
    /// Appends; gives the offset of the first byte.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|error| write_failed(self.file.get_ref().path(), error))?;
        let offset = self.length;
        self.length += bytes.len() as u64;
        Ok(offset)
    }

    /// Bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// Writes a file whole or not at all, and its folder where there is none.
///
/// # Errors
/// Exit 5 where writing fails.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    replace(path, &mut &*bytes).map_err(|error| write_failed(path, error))
}

/// A file that is to become the one at `path`.
fn temporary(path: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    let mut file = NamedTempFile::new_in(folder).map_err(|error| write_failed(folder, error))?;
    file.write_all(bytes).map_err(|error| write_failed(path, error))?;
    Ok(file)
}

/// Puts it there. It is on the disk after the next [`Blobs::settle`].
fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    // Temporary files are 0600; a store is public, and served by another user than the one who made it.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(|error| write_failed(path, error))?;
    file.persist(path).map_err(|error| write_failed(path, error.error))?;
    Ok(())
}

/// A digest as something to copy to.
#[derive(Default)]
struct HashWriter(Hasher);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock_of(mutex: &Mutex<bool>) -> std::sync::MutexGuard<'_, bool> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn has_length(path: &Path, length: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == length)
}

fn write_failed(path: &Path, error: io::Error) -> Fault {
    Fault::source("writing into the store failed")
        .at(path.display())
        .cause(error)
        .fix("free some space and check the permissions; the store is unchanged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_power_cut_left_half_is_gone_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let settled = blobs.put(b"settled").unwrap();
        blobs.settle().unwrap();
        assert!(!blobs.mark().exists());
        let at = |blob: &Blob| folder.path().join(blob_path(&blob.digest));
        // Long before: what was settled then is not looked at again, whatever it is.
        fs::write(at(&settled), b"another").unwrap();
        File::options()
            .append(true)
            .open(at(&settled))
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
        let (whole, half) = (blobs.put(b"whole").unwrap(), blobs.put(b"half").unwrap());
        let manifest = blobs.put_target("m.json", b"manifest").unwrap();
        assert!(blobs.mark().exists());
        // The same length: only its digest tells.
        fs::write(at(&half), [0; 4]).unwrap();
        let target = folder.path().join(format!("targets/{}.m.json", manifest.digest));
        fs::write(&target, [0; 8]).unwrap();
        drop(blobs);
        let blobs = Blobs::open(folder.path()).unwrap();
        assert!(at(&settled).exists() && at(&whole).exists());
        assert!(!at(&half).exists() && !target.exists());
        assert!(!blobs.mark().exists());
    }
}
