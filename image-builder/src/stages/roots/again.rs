//! mmdebstrap in a root that is one already: what it writes there itself must not be there, and what packages put there comes back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use livery_contract::Result;

use super::files::failed;

/// Copied from the host for the time of the work; systemd-resolved makes a link of it, which leads nowhere then.
const RESOLVER: &str = "etc/resolv.conf";
/// The archive of the time before.
const SOURCES: &str = "etc/apt/sources.list";

/// What lies aside until mmdebstrap is done.
#[must_use]
pub(crate) struct Aside {
    place: PathBuf,
    copy: Option<PathBuf>,
}

/// Makes room in a root for another run of mmdebstrap; what comes back lies in `scratch`, on the same file system.
///
/// # Errors
/// Exit 1 where it can't be made.
pub(crate) fn make_room(root: &Path, scratch: &Path) -> Result<Aside> {
    let sources = root.join(SOURCES);
    if_there(fs::remove_file(&sources)).map_err(|error| failed(&sources, error))?;
    let (place, copy) = (root.join(RESOLVER), scratch.join("resolv.conf"));
    let there = if_there(fs::rename(&place, &copy)).map_err(|error| failed(&place, error))?;
    Ok(Aside { place, copy: there.map(|()| copy) })
}

impl Aside {
    /// Puts it back over what mmdebstrap left in its place.
    ///
    /// # Errors
    /// Exit 1 where it can't be.
    pub(crate) fn put_back(self) -> Result<()> {
        self.copy.map_or(Ok(()), |copy| fs::rename(copy, &self.place)).map_err(|error| failed(&self.place, error))
    }
}

fn if_there(done: io::Result<()>) -> io::Result<Option<()>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}
