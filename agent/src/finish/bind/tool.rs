//! A program of the system that this agent runs on.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use livery_contract::{Fault, Result};

/// A program by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool(pub &'static str);

/// Where programs are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

impl Tool {
    /// Whether it is there.
    ///
    /// # Errors
    /// Exit 3 where it is not.
    pub(crate) fn is_there(self) -> Result<()> {
        if PATH.split(':').any(|folder| Path::new(folder).join(self.0).exists()) {
            return Ok(());
        }
        Err(Fault::refused(format!("this device has a TPM, but {} is missing, which binds the device to it", self.0)).fix(
            "add systemd-cryptsetup, cryptsetup-bin and the libtss2 libraries to the packages of the agent's profile; \
             or do not bind the device: `bind = false`, --bind false",
        ))
    }

    /// Runs it with this input; gives what it prints. What it is given and prints is never logged: there are keys among it.
    ///
    /// # Errors
    /// Exit 6 where it fails, with its own words.
    pub(crate) fn run(self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let mut child = Command::new(self.0)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Fault::device(format!("{} can't be run", self.0)).cause(error))?;
        let failed = |what: String| Fault::device(format!("{} failed: {what}", self.0));
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without reading; then its own words say why.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(|error| failed("waiting for it failed".into()).cause(error))?;
        if !output.status.success() {
            let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(600).collect();
            return Err(failed(said)
                .fix("open the firmware's setup; check that the TPM is on and has no owner password, or clear it there"));
        }
        Ok(output.stdout)
    }

    /// The same where a path is among the arguments.
    ///
    /// # Errors
    /// As [`run`](Self::run); exit 1 where the path is no text.
    pub(crate) fn run_on(self, arguments: &[&str], path: &Path) -> Result<Vec<u8>> {
        let path = path.to_str().ok_or_else(|| Fault::internal("a temporary file's path is not valid text"))?;
        self.run(&[arguments, &[path]].concat(), b"")
    }
}
