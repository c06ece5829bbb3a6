//! The lockfile beside its profile: `terminal.lock` for `terminal.toml`.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use super::file::Lock;
use crate::publish::blobs::write_atomically;

/// The most bytes of a lockfile: some 40,000 packages.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// The lockfile of a profile.
pub(crate) fn path_of(profile: &Path) -> PathBuf {
    profile.with_extension("lock")
}

/// Reads a profile's lockfile; `None` where there is none.
///
/// # Errors
/// Exit 3 where it can't be read or is not a lockfile.
pub(crate) fn read(path: &Path) -> Result<Option<Lock>> {
    let failed = |error| Fault::refused("the lockfile can't be read").at(path.display()).cause(error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Fault::refused(format!("the lockfile has more than {MAX_BYTES} bytes")).at(path.display()));
    }
    Lock::parse(&text).map(Some).map_err(|fault| fault.at(path.display()))
}

/// Writes a lockfile, whole or not at all.
///
/// # Errors
/// Exit 5 where it can't be written.
pub(crate) fn write(path: &Path, lock: &Lock) -> Result<()> {
    write_atomically(path, lock.encode()?.as_bytes())
}
