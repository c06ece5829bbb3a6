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
    fixtures::masters,
    programs::Program,
    site::Site,
};

/// Bytes of a laptop's disk; the file is sparse.
const DISK: u64 = 40 << 30;
/// The employee: without a first password yet.
const ROSTER: &str = "order,serial,user,name,hostname,locale,keyboard,timezone,tunnel-address\n\
    ORD-2003,LAT5440-0003,lea.martin,Léa Martin,lt-lyon-0003,fr_FR.UTF-8,fr,Europe/Paris,10.200.0.19/32\n";

/// The disk with the employee's image, inside namespaces of this test's own; see [`container::ground::inside`].
///
/// # Errors
/// As there.
pub async fn inside(site: &Site, test: &str, most: Duration) -> Result<Option<PathBuf>> {
    container::ground::inside(test, most, async || disk(site).await).await
}

/// The code that IT sent the employee.
///
/// # Errors
/// Where it is not drawn yet.
pub fn code(site: &Site) -> Result<String> {
    let codes = codes(site);
    let text = fs::read_to_string(&codes).map_err(|error| broken(&codes, error))?;
    Ok(text.trim().rsplit(',').next().unwrap_or_default().to_owned())
}

/// The disk with the employee's image, made where it is not there yet.
///
/// # Errors
/// Where the image can't be built or written, or a roster without codes is not refused.
pub async fn disk(site: &Site) -> Result<PathBuf> {
    let (master, _) = masters::laptop(site).await?;
    let [roster, without] = ["session-roster.csv", "session-without-codes.csv"].map(|name| site.folder.join(name));
    fs::write(&without, ROSTER).map_err(|error| broken(&without, error))?;
    refused(site, &master, &without).await?;
    let codes = codes(site);
    // Drawn once: another code would be another image.
    if !codes.exists() {
        fs::write(&roster, ROSTER).map_err(|error| broken(&roster, error))?;
        Program::Livery.run(["codes", &text(&roster), "--out", &text(&codes)]).await?.good()?;
    }
    let image = site.personalise(&master, &roster).await?.pop();
    let image = image.ok_or_else(|| Fault::internal("the roster has nobody in it").at(roster.display()))?;
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

fn codes(site: &Site) -> PathBuf {
    site.folder.join("session-codes.csv")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("the employee's roster can't be had").at(path.display()).cause(error)
}
