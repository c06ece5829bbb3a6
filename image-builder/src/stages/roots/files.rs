//! Files around a root that is put together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

/// A file for mmdebstrap; gives its path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| failed(&path, error))?;
    Ok(path)
}

/// What could not be written.
pub(crate) fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("a root can't be put together").at(path.display()).cause(error)
}
