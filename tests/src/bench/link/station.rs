//! `livery-station serve` in the station's namespace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

use livery_contract::{Fault, Result};

use super::{FAR, Link};
use crate::{
    bench::{
        interrupt,
        measured::{Running, run},
        shelf::Shelf,
    },
    programs::Program,
};

/// Making keys, or an answer.
const SOON: Duration = Duration::from_secs(30);

/// A running one; it is killed when dropped.
pub struct Station {
    ca: PathBuf,
    _running: Running,
}

impl Station {
    /// Serves the shelf's store; keys and database lie in `folder`.
    ///
    /// # Errors
    /// Where it does not answer the device's side within 30 s.
    pub fn start(link: &Link, shelf: &Shelf, folder: &Path) -> Result<Self> {
        let keys = folder.join("station");
        if !keys.join("tls.pem").exists() {
            let _ = fs::remove_dir_all(&keys);
            let mut keygen = Command::new(Program::Station.path()?);
            run(keygen.args(["keygen", "--host", FAR, "--out"]).arg(&keys), SOON)?;
        }
        let database = format!("sqlite:{}", folder.join("station.db").display());
        let mut serve = Command::new(Program::Station.path()?);
        serve.arg("serve").arg("--store").arg(shelf.store()).arg("--trust").arg(shelf.trust()).arg("--keys").arg(&keys);
        serve.args(["--database", &database, "--listen", &format!("{FAR}:8443")]);
        let mut running = Running::start(&mut link.far.command(&serve))?;
        let ca = keys.join("ca.pem");
        for _ in 0..30 {
            interrupt::check()?;
            let mut ask = curl(link, &ca, &["metadata/timestamp.json".into()], &["--connect-timeout", "5", "--fail"]);
            if Running::start(&mut ask)?.wait(SOON)?.0.code == Some(0) {
                return Ok(Self { ca, _running: running });
            }
            if running.ended()? {
                running.wait(SOON)?.0.good()?;
                break;
            }
            sleep(Duration::from_secs(1));
        }
        Err(Fault::source("the station does not answer over the link").at(FAR))
    }

    /// Its authority.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("https://{FAR}:8443/store/")
    }

    /// A curl in the device's namespace for files of the store, one after the other over one connection; it prints a line
    /// with the bytes of each.
    pub fn curl(&self, link: &Link, paths: &[String], more: &[&str]) -> Command {
        curl(link, &self.ca, paths, more)
    }
}

fn curl(link: &Link, ca: &Path, paths: &[String], more: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "%{size_download}\n"]).args(more).arg("--cacert").arg(ca);
    for path in paths {
        curl.args(["--output", "/dev/null", &format!("https://{FAR}:8443/store/{path}")]);
    }
    link.near.command(&curl)
}
