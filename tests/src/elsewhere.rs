//! The same program run as another person on another machine would: another user without privileges, another host name, time
//! zone, umask and home, and no network at all.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::process::Command;

use crate::programs::{self, Done};

/// A user that exists only in here.
const USER: u32 = 54_321;

/// See the module. Only root can set it up.
pub struct Elsewhere {
    /// A folder of that user's own; gone when this is dropped.
    pub home: tempfile::TempDir,
}

impl Elsewhere {
    /// Makes the user: known to this namespace of mounts only, with a range of numbers of his own.
    ///
    /// # Errors
    /// Where files can't be written.
    pub fn new() -> Result<Self> {
        // Gigabytes, in a place that another user can reach.
        let home = tempfile::Builder::new().prefix("livery-elsewhere-").tempdir_in("/var/tmp");
        let elsewhere = Self { home: home.map_err(|error| broken(Path::new("/var/tmp"), error))? };
        let folder = elsewhere.home.path();
        let users = fs::read_to_string("/etc/passwd").map_err(|error| broken(Path::new("/etc/passwd"), error))?;
        let passwd = format!("{users}elsewhere:x:{USER}:{USER}::{}:/bin/sh\n", folder.display());
        let range = format!("elsewhere:{}:65536\n", 700_000);
        for (name, text) in [("passwd", &passwd), ("subuid", &range), ("subgid", &range)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| broken(&path, error))?;
        }
        elsewhere.give(folder)?;
        Ok(elsewhere)
    }

    /// Copies a file or folder in, and makes it the user's.
    ///
    /// # Errors
    /// Where it can't be copied.
    pub async fn copy(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let to = self.home.path().join(name);
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--dereference"]).arg(from).arg(&to);
        programs::run(copy, "cp", Duration::from_secs(120)).await?.good()?;
        let mut own = Command::new("chown");
        own.args(["--recursive", &format!("{USER}:{USER}")]).arg(&to);
        programs::run(own, "chown", Duration::from_secs(120)).await?.good()?;
        Ok(to)
    }

    /// Runs a program there.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn run(&self, program: &Path, arguments: &[impl AsRef<OsStr>], most: Duration) -> Result<Done> {
        const SCRIPT: &str = r#"set -e
            home=$1; shift
            for file in passwd subuid subgid; do touch /etc/$file; mount --bind "$home/$file" /etc/$file; done
            hostname elsewhere
            cd "$home"
            umask 077
            exec setpriv --reuid 54321 --regid 54321 --clear-groups \
                env -i PATH=/usr/bin:/bin HOME="$home" TZ=Pacific/Kiritimati LANG=C LC_ALL=C "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "--net", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
        command.arg(self.home.path()).arg(program).args(arguments).kill_on_drop(true);
        programs::run(command, &program.display().to_string(), most).await
    }

    fn give(&self, path: &Path) -> Result<()> {
        chown(path, Some(USER), Some(USER)).map_err(|error| broken(path, error))
    }
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("the other user's folder can't be used").at(path.display()).cause(error)
}
