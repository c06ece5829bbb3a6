//! How long a terminal takes from power-on to its sign-in page, beside a plain Debian with the same packages, the same kiosk and the
//! same kernel: two disks, the same virtual device, the same Gateway, in turns.
//!
//! | module | what it is |
//! |---|---|
//! | [`plain`] | the plain Debian's disk |
//! | [`start`] | one start of a device, and what its time went into |

pub mod plain;
pub mod start;

use std::{fs, path::Path, time::Duration};

use livery_contract::{Fault, Reference, Result};

use crate::{programs::Program, site::Site};

/// Bytes of either disk, sparse.
pub const DISK: u64 = 8 << 30;
/// Writing either.
const LONG: Duration = Duration::from_secs(900);

/// Writes a personal image to a file as the agent does it in the factory.
///
/// # Errors
/// Where the agent fails.
pub async fn written(site: &Site, image: &Reference, disk: &Path) -> Result<()> {
    let broken = |error| Fault::refused("a disk can't be made").cause(error).at(disk.display());
    let _ = fs::remove_file(disk);
    fs::File::create(disk).and_then(|file| file.set_len(DISK)).map_err(broken)?;
    let [image, from, trust, to] =
        [image.to_string(), site.store().display().to_string(), site.trust().display().to_string(), disk.display().to_string()];
    let arguments = ["write", &image, "--from", &from, "--trust", &trust, "--disk", &to];
    Program::Agent.run_within(arguments, LONG).await?.good().map(drop)
}
