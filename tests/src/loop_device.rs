//! Loop devices: real block devices over files, taken away also after a failure.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Fault, Result};

/// A loop device over a file, taken away when dropped.
#[derive(Debug)]
pub struct LoopDevice(PathBuf);

impl LoopDevice {
    /// One with sectors of this many bytes (losetup(8)).
    ///
    /// # Errors
    /// Where the host gives none, such as an unprivileged container.
    pub fn attach(file: &Path, sector: u64) -> Result<Self> {
        let fault =
            |what: String| Fault::internal(format!("no loop device: {what}")).at(file.display()).fix("run the tests as root");
        let output = Command::new("losetup")
            .args(["--find", "--show", "--direct-io=on", "--sector-size", &sector.to_string()])
            .arg(file)
            .output()
            .map_err(|error| fault("losetup does not run".into()).cause(error))?;
        if !output.status.success() {
            return Err(fault(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(Self(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())))
    }

    /// Its device file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}
