//! Key files: written private and never over another, read within limits.

use std::{
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use livery_contract::{Fault, Result};

/// The most bytes that a key file may have.
const MAX_BYTES: u64 = 64 * 1024;

/// Writes a file that was not there, with its mode from the start: no moment in which others can read it.
pub(super) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let fault = |error| Fault::source("a key cannot be written").at(path.display()).cause(error);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fault)
}

/// Reads a private file; warns in the log where others can read it too.
///
/// # Errors
/// As [`read`].
pub(super) fn read_private(path: &Path) -> Result<String> {
    let text = read(path)?;
    let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or_default();
    // Not refused: mounted secrets of container platforms are often 0440 or 0644, inside a folder of their own.
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "a private key can be read by others: chmod 600");
    }
    Ok(text)
}

/// Reads a small text file.
///
/// # Errors
/// `Refused` where it is not there, cannot be read, or is no key file by its size.
pub(super) fn read(path: &Path) -> Result<String> {
    let fault = |what: &str| {
        Fault::refused(what.to_owned()).at(path.display()).fix("make keys with `livery-station keygen --out DIR --host NAME`")
    };
    let meta = std::fs::metadata(path).map_err(|error| fault("a key file is missing").cause(error))?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(fault("this is not a key file"));
    }
    std::fs::read_to_string(path).map_err(|error| fault("a key file cannot be read").cause(error))
}
