//! Files into a store: content found by its digest, written so that a killed run leaves no half file under a good name.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result, digest::Blob, digest::Hasher};
use livery_store::location::blob_path;
use nix::fcntl::{Flock, FlockArg};
use tempfile::NamedTempFile;

/// A store's folder, open for writing. One writer at a time: the lock is held until this is dropped.
#[derive(Debug)]
pub struct Blobs {
    top: PathBuf,
    _lock: Flock<File>,
}

impl Blobs {
    /// Opens or makes the folder, and waits for another writer to finish.
    ///
    /// # Errors
    /// Exit 5 where it can't be made or locked.
    pub fn open(top: &Path) -> Result<Self> {
        let failed = |error: io::Error| Fault::source("the store's folder can't be written").at(top.display()).cause(error);
        for folder in ["metadata", "targets", "blobs/sha256", "tmp"] {
            fs::create_dir_all(top.join(folder)).map_err(failed)?;
        }
        let lock = File::create(top.join("tmp/lock")).map_err(failed)?;
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((lock, _)) => {
                tracing::info!(store = %top.display(), "waiting for another writer of this store");
                Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?
            }
        };
        // What a killed run left behind; nobody else writes now.
        for entry in fs::read_dir(top.join("tmp")).map_err(failed)?.flatten() {
            if entry.file_name() != "lock" {
                let _ = fs::remove_file(entry.path()); // a leftover costs room, never correctness
            }
        }
        Ok(Self { top: top.to_owned(), _lock: lock })
    }

    /// The store's folder.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Puts these bytes in, if they are not there yet.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { digest: Digest::of(bytes), length: bytes.len() as u64 };
        let path = self.top.join(blob_path(&blob.digest));
        if !has_length(&path, blob.length) {
            write_atomically(&path, bytes)?;
        }
        Ok(blob)
    }

    /// Begins a blob whose digest is known only at its end.
    ///
    /// # Errors
    /// Exit 5 where no file can be made.
    pub fn begin(&self) -> Result<GrowingBlob> {
        let folder = self.top.join("tmp");
        let file = NamedTempFile::new_in(&folder).map_err(|error| write_failed(&folder, error))?;
        Ok(GrowingBlob { file: io::BufWriter::with_capacity(1 << 20, file), hasher: Hasher::default(), length: 0 })
    }

    /// Ends it, and puts it under its digest.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub fn finish(&self, growing: GrowingBlob) -> Result<Blob> {
        let blob = Blob { digest: growing.hasher.finish(), length: growing.length };
        let path = self.top.join(blob_path(&blob.digest));
        let file = growing.file.into_inner().map_err(|error| write_failed(&path, error.into_error()))?;
        if !has_length(&path, blob.length) {
            persist(file, &path)?;
        }
        Ok(blob)
    }

    /// Puts a manifest among the targets, under the name that consistent snapshots give it.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub fn put_target(&self, name: &str, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { digest: Digest::of(bytes), length: bytes.len() as u64 };
        write_atomically(&self.top.join(format!("targets/{}.{name}", blob.digest)), bytes)?;
        Ok(blob)
    }
}

/// A blob being written.
#[derive(Debug)]
pub struct GrowingBlob {
    file: io::BufWriter<NamedTempFile>,
    hasher: Hasher,
    length: u64,
}

impl GrowingBlob {
    /// Appends; gives the offset of the first byte.
    ///
    /// # Errors
    /// Exit 5 where writing fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|error| write_failed(self.file.get_ref().path(), error))?;
        let offset = self.length;
        self.length += bytes.len() as u64;
        Ok(offset)
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// Writes a file whole or not at all: temporary file, sync, rename.
///
/// # Errors
/// Exit 5 where writing fails.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    let mut file = NamedTempFile::new_in(folder).map_err(|error| write_failed(folder, error))?;
    file.write_all(bytes).map_err(|error| write_failed(path, error))?;
    persist(file, path)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    // Temporary files are 0600; a store is public, and served by another user than the one who made it.
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| write_failed(path, error))?;
    file.persist(path).map_err(|error| write_failed(path, error.error))?;
    // The rename itself must survive a power cut too.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| write_failed(folder, error))
}

fn has_length(path: &Path, length: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == length)
}

fn write_failed(path: &Path, error: io::Error) -> Fault {
    Fault::source("writing into the store failed")
        .at(path.display())
        .cause(error)
        .fix("make room and check the permissions; the store is as it was before")
}
