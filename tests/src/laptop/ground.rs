//! A test with an employee's laptop, in namespaces of its own: image, roster with its code, disk, all made once and kept. Fails where the
//! image can't be built or written.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, Reference, Result};

use crate::{
    container::{self, root},
    fixtures::{masters, order::LAPTOP},
    programs::Program,
    site::Site,
};

/// Bytes of a laptop's disk; the file is sparse.
const DISK: u64 = 40 << 30;
/// The disk with the employee's image, inside namespaces of this test's own; see [`container::ground::inside`].
///
/// # Errors
/// As there.
pub async fn inside(site: &Site, test: &str, most: Duration) -> Result<Option<PathBuf>> {
    container::ground::inside(test, most, async || disk(site).await).await
}

/// The disk with the employee's image, made where it is not there yet.
///
/// # Errors
/// Where the image can't be built or written, or a roster without codes is not refused.
pub async fn disk(site: &Site) -> Result<PathBuf> {
    let (master, _) = masters::laptop(site).await?;
    let without = site.folder.join("laptop-without-codes.csv");
    fs::write(&without, masters::without_codes()).map_err(|error| broken(&without, error))?;
    refused(site, &master, &without).await?;
    let image = Reference { order: Some(LAPTOP.order.parse()?), ..master };
    root::disk(site, "laptop-session", DISK, &image).await
}

/// A roster without codes is refused: nobody could sign in.
async fn refused(site: &Site, master: &Reference, roster: &Path) -> Result<()> {
    let [master, roster, store, keys] = [master.to_string(), text(roster), text(&site.store()), text(&site.keys())];
    let done = Program::Livery.run(["personalise", &master, "--roster", &roster, "--store", &store, "--keys", &keys]).await?;
    if done.code == Some(3) && done.stderr.contains("row 1, column first-password") {
        return Ok(());
    }
    Err(Fault::internal(format!("a roster without codes: {done:?}")))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("the employee's roster can't be had").at(path.display()).cause(error)
}
