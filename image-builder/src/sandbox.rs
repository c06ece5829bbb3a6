//! A tool in a root of its own, by bubblewrap: no network, no host files but those that are bound, a clean environment.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Fault, Result};
use nix::errno::Errno;

/// The most of a tool's output that an error shows.
const SHOWN: usize = 2000;

/// What tools see of the environment: nothing of the user's language, time zone or search path.
const ENVIRONMENT: [(&str, &str); 3] = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];

/// A root to run tools in, and the folders that they may see.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    root: PathBuf,
    binds: Vec<(PathBuf, PathBuf)>,
    epoch: i64,
    read_only: bool,
}

impl Sandbox {
    /// Runs tools of `root`; `epoch` becomes their `SOURCE_DATE_EPOCH`.
    pub(crate) fn new(root: &Path, epoch: i64) -> Self {
        Self { root: root.to_owned(), binds: Vec::new(), epoch, read_only: false }
    }

    /// The root itself can't be written: only what is bound can.
    #[must_use]
    pub(crate) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Lets the tools see `host` as `target`, writable.
    #[must_use]
    pub(crate) fn bind(mut self, host: &Path, target: &str) -> Self {
        self.binds.push((host.to_owned(), target.into()));
        self
    }

    /// The root's folders one by one, over a root that is thrown away: where the tools' own `/dev` goes, nothing is made in ours.
    fn lay_out(&self, command: &mut Command) -> Result<()> {
        let failed = |error: std::io::Error| Fault::internal("a root can't be read").at(self.root.display()).cause(error);
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let target = Path::new("/").join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                command.arg("--symlink").arg(std::fs::read_link(entry.path()).map_err(failed)?).arg(target);
            } else if kind.is_dir() && !["/dev", "/proc", "/run", "/tmp"].iter().any(|fresh| target == Path::new(fresh)) {
                command.arg("--ro-bind").arg(entry.path()).arg(target);
            }
        }
        Ok(())
    }

    /// Runs a program to its end; gives its standard output.
    ///
    /// # Errors
    /// Exit 1 where it fails, with the end of what it said; exit 3 where bubblewrap is missing.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Result<Vec<u8>> {
        let mut command = Command::new("bwrap");
        if self.read_only {
            self.lay_out(&mut command)?;
        } else {
            command.arg("--bind").arg(&self.root).arg("/");
        }
        for (host, target) in &self.binds {
            command.arg("--bind").arg(host).arg(target);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]);
        command.args(["--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--chdir", "/", "--clearenv"]);
        for (name, value) in ENVIRONMENT {
            command.args(["--setenv", name, value]);
        }
        command.args(["--setenv", "SOURCE_DATE_EPOCH", &self.epoch.to_string()]);
        command.arg(program).args(arguments);
        run(command, program, Fault::internal)
    }
}

/// The same environment for a tool of the host's; only how to reach the network is the user's.
pub(crate) fn clean_environment(command: &mut Command) {
    command.env_clear().envs(ENVIRONMENT);
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Runs a command to its end; `fault` makes the error where it fails.
///
/// # Errors
/// What `fault` makes; exit 3 where the program is missing or finds no room on a disk.
pub(crate) fn run(mut command: Command, what: &str, fault: fn(String) -> Fault) -> Result<Vec<u8>> {
    tracing::debug!(?command, "run");
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|error| missing(&program, error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let mut said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.is_empty() {
        String::from_utf8_lossy(&output.stdout).trim().clone_into(&mut said);
    }
    // Said once: a copying program says it of each file that is left.
    if said.contains(Errno::ENOSPC.desc()) {
        return Err(Fault::refused(format!("{what} failed: {}", Errno::ENOSPC.desc()))
            .fix("free some space on the cache's file system, or give a folder on another one with --cache"));
    }
    let from = said.len().saturating_sub(SHOWN);
    let from = (from..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    Err(fault(format!("{what} failed ({}):\n{}", output.status, &said[from..])))
}

fn missing(program: &OsString, error: std::io::Error) -> Fault {
    Fault::refused(format!("{} can't be run", program.to_string_lossy())).cause(error).fix("install the build tools: scripts/setup")
}

#[cfg(test)]
mod tests {
    use livery_contract::Exit;

    use super::*;

    #[test]
    fn a_full_disk_is_said_once_and_with_what_mends_it() {
        let says = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("for file in a b c; do echo \"cp: $file: {text}\" >&2; done; exit 1")]);
            run(command, "copying", Fault::internal).unwrap_err()
        };
        let full = says("No space left on device");
        assert_eq!(full.exit(), Exit::Refused);
        assert_eq!(full.render().matches("No space left").count(), 1);
        assert!(full.render().contains("--cache"), "{}", full.render());
        assert_eq!(says("Permission denied").exit(), Exit::Internal);
    }
}
