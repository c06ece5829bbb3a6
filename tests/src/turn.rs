//! Waits for one's turn: tests are processes of their own, and of each thing that they share only one is made.

use std::{fs::File, path::Path};

use livery_contract::{Fault, Result};
use nix::fcntl::{Flock, FlockArg};

/// Holds this lock file, once nobody else does; until what comes back is dropped.
///
/// # Errors
/// Where the file can't be made or locked.
pub async fn of(path: &Path) -> Result<Flock<File>> {
    let path = path.to_owned();
    let taken = tokio::task::spawn_blocking(move || {
        let broken = |error| Fault::refused("a lock file can't be used").cause(error).at(path.display());
        let file = File::create(&path).map_err(broken)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| broken(error.into()))
    });
    taken.await.map_err(|error| Fault::internal("waiting for a lock broke off").cause(error))?
}
