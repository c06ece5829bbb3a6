//! What the images are filled with: the data of the built terminal's master (programs, libraries, fonts, a kernel), which
//! compresses about 2.7:1, end to end. Where more is asked for than it has, it goes on with variants of itself: every byte
//! turned over by the same pattern, so that no 4 KiB block comes twice and each compresses as the first one did.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Duration,
};

use livery_contract::{Fault, Reference, Result};

use super::{
    extents::{Finder, SHEET},
    interrupt,
    measured::run,
};
use crate::{programs::Program, site::Site};

/// See the module.
#[derive(Debug)]
pub struct Material {
    file: File,
    /// Where each extent begins in the stream, in the file, and its bytes.
    extents: Vec<(u64, u64, u64)>,
    bytes: u64,
}

impl Material {
    /// Exports the site's master into `folder`, where it is not there yet.
    ///
    /// # Errors
    /// Where it can't be exported or read.
    pub fn of(site: &Site, master: &Reference, folder: &Path) -> Result<Self> {
        let path = folder.join(format!("{master}.raw"));
        let broken = |error| Fault::refused("the material can't be kept").cause(error).at(path.display());
        if !path.exists() {
            let part = path.with_extension("part");
            let _ = fs::remove_file(&part);
            let mut command = std::process::Command::new(Program::Livery.path()?);
            command.args(["export", &master.to_string(), "--format", "raw", "--store"]).arg(site.store()).arg(&part);
            run(&mut command, Duration::from_secs(600))?;
            fs::rename(&part, &path).map_err(broken)?;
        }
        let file = File::open(&path).map_err(broken)?;
        let size = file.metadata().map_err(broken)?.len();
        let (mut finder, mut sheet, mut at) = (Finder::default(), vec![0; SHEET], 0);
        while at < size {
            interrupt::check()?;
            let length = SHEET.min(usize::try_from(size - at).unwrap_or(SHEET));
            file.read_exact_at(&mut sheet[..length], at).map_err(broken)?;
            finder.add(&sheet[..length]);
            at += length as u64;
        }
        let (mut extents, mut bytes) = (Vec::new(), 0);
        for (offset, length) in finder.finish() {
            extents.push((bytes, offset, length));
            bytes += length;
        }
        if bytes == 0 {
            return Err(Fault::refused("the terminal's master is empty").at(path.display()));
        }
        Ok(Self { file, extents, bytes })
    }

    /// Fills a buffer with what comes at this place of the endless stream.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(&self, mut position: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let (round, within) = (position / self.bytes, position % self.bytes);
            let index = self.extents.partition_point(|(begin, ..)| *begin <= within) - 1;
            let (begin, offset, length) = self.extents[index];
            let count = usize::try_from(begin + length - within).unwrap_or(usize::MAX).min(buffer.len());
            let (now, later) = buffer.split_at_mut(count);
            self.file
                .read_exact_at(now, offset + within - begin)
                .map_err(|error| Fault::refused("the material can't be read").cause(error))?;
            let pattern = pattern(round);
            now.iter_mut().for_each(|byte| *byte ^= pattern);
            buffer = later;
            position += count as u64;
        }
        Ok(())
    }
}

/// The first round is the master as it is; the others differ from it and from each other.
fn pattern(round: u64) -> u8 {
    u8::try_from(round % 255).unwrap_or(0).wrapping_mul(37)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rounds_are_the_same() {
        let patterns: std::collections::BTreeSet<u8> = (0..255).map(pattern).collect();
        assert_eq!((patterns.len(), pattern(0)), (255, 0));
    }
}
