//! A loop device over a file, taken away when dropped.

use std::path::{Path, PathBuf};

use livery_contract::{Fault, Result};

use super::measured::{take_down, tool};

/// See the module.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Over this file, with direct I/O below it: the file's page cache has no part in what is measured.
    ///
    /// # Errors
    /// Where the kernel gives none.
    pub fn attach(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let done = tool("losetup", ["--find", "--show", "--direct-io=on", &name])?;
        match done.stdout.trim() {
            "" => Err(Fault::refused("losetup names no device").at(name)),
            path => Ok(Self { path: path.into() }),
        }
    }

    /// Takes away what an earlier run that was killed left on a file of this name, which may be gone since.
    ///
    /// # Errors
    /// Where the devices can't be listed, or one is in use.
    pub fn clear(file: &Path) -> Result<()> {
        let name = file.display().to_string();
        for line in tool("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"])?.stdout.lines() {
            if let Some((device, below)) = line.split_once(' ')
                && below.trim().strip_suffix("(deleted)").unwrap_or(below).trim() == name
            {
                tool("losetup", ["--detach", device])?;
            }
        }
        Ok(())
    }

    /// The device.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        take_down("losetup", &["--detach", &self.path.display().to_string()]);
    }
}
