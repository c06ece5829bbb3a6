//! The disk that is written. Before each run all of it is written anew with noise that never was there before: nobody profits
//! from holes, from the last run's result, or from blocks that a file system below has still to find.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use super::{
    extents::{Found, SHEET, Survey},
    measured::{shell, tool},
    place,
};
use crate::loop_device::LoopDevice;

/// See the module.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    below: Option<Below>,
    size: u64,
    fills: u32,
}

/// A loop device and its file, which goes when this is dropped.
#[derive(Debug)]
struct Below {
    // Detached before its file goes.
    _device: LoopDevice,
    file: Backing,
}

#[derive(Debug)]
struct Backing(PathBuf);

impl Drop for Backing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Target {
    /// A loop device of this many bytes, a multiple of 4 MiB.
    ///
    /// # Errors
    /// Where there is no room, or no loop device.
    pub fn new(folder: &Path, size: u64) -> Result<Self> {
        let file = Backing(folder.join("target.raw"));
        LoopDevice::clear(&file.0)?;
        let _ = fs::remove_file(&file.0);
        place::check_room(folder, size)?;
        let broken = |error| Fault::refused("the target can't be made").cause(error).at(file.0.display());
        File::create(&file.0).and_then(|file| file.set_len(size)).map_err(broken)?;
        let device = LoopDevice::attach(&file.0, 512)?;
        Ok(Self { path: device.path().to_owned(), below: Some(Below { _device: device, file }), size, fills: 0 })
    }

    /// A disk whose content is of no worth. Only its first bytes are used.
    pub fn disk(path: PathBuf, size: u64) -> Self {
        Self { path, below: None, size, fills: 0 }
    }

    /// The device.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path as text.
    pub fn name(&self) -> String {
        self.path().display().to_string()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills it with new noise, and leaves nothing of it in the page cache.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn refill(&mut self) -> Result<()> {
        self.fills += 1;
        let arguments = [
            "--name=noise",
            &format!("--filename={}", self.name()),
            &format!("--size={}", self.size),
            &format!("--randseed={}", std::process::id() + self.fills * 7919),
            "--rw=write",
            "--bs=4M",
            "--direct=1",
            "--ioengine=libaio",
            "--iodepth=4",
            "--refill_buffers=1",
            "--end_fsync=1",
        ];
        tool("fio", arguments)?;
        self.settle()
    }

    /// Waits until nothing of it is on its way to the disk, and forgets what the page cache has of it.
    ///
    /// # Errors
    /// Where it can't be flushed.
    pub fn settle(&self) -> Result<()> {
        shell("blockdev --flushbufs \"$1\"; sync \"$1\"", &[&self.name()], SETTLE)?;
        if let Some(Below { file, .. }) = &self.below {
            shell("sync \"$1\"", &[&file.0.display().to_string()], SETTLE)?;
        }
        Ok(())
    }

    /// Reads all of it and looks what is there, by the list of an image's extents.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn found(&self, extents: &[(u64, u64)]) -> Result<Found> {
        let broken = |error| Fault::device("the target can't be read").cause(error).at(self.name());
        let file = File::open(self.path()).map_err(broken)?;
        let mut survey = Survey::of(extents);
        let mut sheet = vec![0; SHEET];
        let mut at = 0;
        while at < self.size {
            super::interrupt::check()?;
            let length = SHEET.min(usize::try_from(self.size - at).unwrap_or(SHEET));
            file.read_exact_at(&mut sheet[..length], at).map_err(broken)?;
            survey.add(&sheet[..length]);
            at += length as u64;
        }
        self.settle()?;
        Ok(survey.finish())
    }
}

/// The most that flushing may take.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(600);
