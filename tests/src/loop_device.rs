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
    /// One with sectors of this many bytes (losetup(8)). What is read and written goes past the page cache of the file below.
    ///
    /// # Errors
    /// Where the host gives none, such as an unprivileged container.
    pub fn attach(file: &Path, sector: u64) -> Result<Self> {
        let (sector, name) = (sector.to_string(), file.display().to_string());
        let said = losetup(&["--find", "--show", "--direct-io=on", "--sector-size", &sector, &name], file)?;
        Ok(Self(said.trim().into()))
    }

    /// Takes away what an earlier run that was killed left on a file of this name, which may be gone since.
    ///
    /// # Errors
    /// Where the devices can't be listed, or one is in use.
    pub fn clear(file: &Path) -> Result<()> {
        let name = file.display().to_string();
        for line in losetup(&["--list", "--noheadings", "--output", "NAME,BACK-FILE"], file)?.lines() {
            if let Some((device, below)) = line.split_once(' ')
                && below.trim().strip_suffix("(deleted)").unwrap_or(below).trim() == name
            {
                losetup(&["--detach", device], file)?;
            }
        }
        Ok(())
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

/// What losetup(8) prints.
fn losetup(arguments: &[&str], file: &Path) -> Result<String> {
    let fault = |what: String| Fault::internal(format!("no loop device: {what}")).at(file.display()).fix("run this as root");
    let done = Command::new("losetup").args(arguments).output();
    let output = done.map_err(|error| fault("losetup does not run".into()).cause(error))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(fault(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
