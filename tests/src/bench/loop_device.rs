//! A loop device over a file, taken away when dropped.

use std::path::{Path, PathBuf};

use livery_contract::{Fault, Result};

use super::measured::tool;

/// See the module.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Over this file, with direct I/O below it: the file's page cache has no part in what is measured. What an earlier run
    /// that was killed left on the same file goes first.
    ///
    /// # Errors
    /// Where the kernel gives none.
    pub fn attach(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        for left in tool("losetup", ["--noheadings", "--output", "NAME", "--associated", &name])?.stdout.lines() {
            tool("losetup", ["--detach", left.trim()])?;
        }
        let done = tool("losetup", ["--find", "--show", "--direct-io=on", &name])?;
        match done.stdout.trim() {
            "" => Err(Fault::refused("losetup names no device").at(name)),
            path => Ok(Self { path: path.into() }),
        }
    }

    /// The device.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let path = self.path.display().to_string();
        if let Err(fault) = tool("losetup", ["--detach", &path]) {
            eprintln!("{}", fault.render());
        }
    }
}
