//! One disk, opened and held, and proven to be the one that was chosen.

use std::path::Path;

use livery_contract::{
    Fault, Result,
    inventory::{Disk, Transport},
    manifest::BLOCK,
};

use super::choose::{Needs, describe, refusals};
use crate::{
    device::{Device, Mode},
    inventory,
};

/// One disk, opened and held, and proven to be the one that was chosen.
#[derive(Debug)]
pub(crate) struct Target {
    disk: Disk,
    device: Device,
}

impl Target {
    /// Opens the disk that [`choose`] chose, for writing.
    ///
    /// # Errors
    /// Exit 3 where it is held, or another disk has come under its name since.
    pub(crate) fn claim(disk: &Disk) -> Result<Self> {
        // The name by sequence number cannot come to mean another disk; where udev does not run there is only the other.
        let pinned =
            disk.diskseq.map(|sequence| format!("/dev/disk/by-diskseq/{sequence}")).filter(|path| Path::new(path).exists());
        let device = Device::open(Path::new(pinned.as_deref().unwrap_or(&disk.path)), Mode::Write)?;
        let target = Self { disk: disk.clone(), device };
        target.check_pin()?;
        Ok(target)
    }

    /// Opens a disk or a file that a person named, for writing, after the same checks.
    ///
    /// # Errors
    /// Exit 3 as [`choose`], for this one disk.
    pub(crate) fn by_hand(path: &Path, needs: Needs, allow_removable: bool) -> Result<Self> {
        let target = Self::named(path, needs, Mode::Write)?;
        let why = refusals(&target.disk, needs, allow_removable);
        if !why.is_empty() {
            let fault = Fault::refused(format!("this disk may not be written: {}", why.join("; "))).at(describe(&target.disk));
            return Err(match (target.disk.removable && !allow_removable, target.disk.size < needs.size) {
                (true, _) => fault.fix("if you really mean this disk, add --removable"),
                (_, true) => fault.fix("use a larger disk, or an image made for this one"),
                _ => fault.fix("choose another disk: `livery-agent inventory` shows them"),
            });
        }
        Ok(target)
    }

    /// Opens a disk or a file that a person named, for reading only: it may be mounted.
    ///
    /// # Errors
    /// Exit 3 where it is too small or has other sectors: it cannot hold that image.
    pub(crate) fn for_reading(path: &Path, needs: Needs) -> Result<Self> {
        let target = Self::named(path, needs, Mode::Read)?;
        let free = Disk { held_by: Vec::new(), read_only: false, ..target.disk.clone() };
        let why = refusals(&free, needs, true);
        if !why.is_empty() {
            return Err(Fault::refused(format!("this disk cannot hold that image: {}", why.join("; "))).at(describe(&target.disk)));
        }
        Ok(target)
    }

    fn named(path: &Path, needs: Needs, mode: Mode) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| {
            Fault::refused("this disk or file does not exist")
                .at(path.display())
                .cause(error)
                .fix("`livery-agent inventory` shows the disks; to use a file, create it first: `truncate -s 8G FILE`")
        })?;
        let disk = if std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type()) {
            let number = std::os::unix::fs::MetadataExt::rdev(&metadata);
            inventory::disk_of_node(path, nix::sys::stat::major(number), nix::sys::stat::minor(number))?
        } else {
            inventory::disk_of_file(path, metadata.len(), needs.sector)
        };
        // Said before opening, since the kernel's own EBUSY cannot say who.
        if mode == Mode::Write && !disk.held_by.is_empty() {
            return Err(Fault::refused(format!("this disk may not be written: {}", disk.held_by.join("; ")))
                .at(describe(&disk))
                .fix("unmount it, or choose another disk: `livery-agent inventory` shows them"));
        }
        let device = Device::open(path, mode)?;
        if !device.is_block() && !device.size().is_multiple_of(BLOCK) {
            return Err(Fault::refused(format!("a file of {} bytes cannot stand for a disk", device.size()))
                .at(path.display())
                .fix("make its size a multiple of 4096: `truncate -s %4096 FILE`"));
        }
        let target = Self { disk, device };
        target.check_pin()?;
        Ok(target)
    }

    /// Whether what was opened is what was looked at: number in this boot, size, sectors.
    fn check_pin(&self) -> Result<()> {
        if !self.device.is_block() {
            return Ok(());
        }
        let sequence = self.device.diskseq();
        let same_sequence = self.disk.diskseq.is_none() || sequence.is_none() || self.disk.diskseq == sequence;
        if !same_sequence || self.device.size() != self.disk.size || self.device.sector() != self.disk.logical_sector {
            return Err(Fault::refused("another disk has taken this name since the agent chose it")
                .at(describe(&self.disk))
                .fix("do not plug or unplug disks, and start again"));
        }
        Ok(())
    }

    /// Whether it is a disk of this machine, and stays one: no file, no stick.
    pub(crate) fn stays(&self) -> bool {
        self.device.is_block() && !self.disk.removable && self.disk.transport != Transport::Loop
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The name is the same, the disk is another one: what was pinned counts (loop devices count their diskseq up at each
    /// attachment, as disks do when they are plugged in).
    #[test]
    fn a_disk_that_changed_between_choice_and_opening_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let losetup = |arguments: &[&std::ffi::OsStr]| std::process::Command::new("losetup").args(arguments).output().unwrap();
        let output = losetup(&["--find".as_ref(), "--show".as_ref(), file.path().as_os_str()]);
        assert!(output.status.success(), "run the tests as root: {output:?}");
        let path = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let needs = Needs { size: 1 << 20, sector: 512, converts_to_4096: false };
        let claims = || {
            let disk = Target::by_hand(Path::new(&path), needs, false)?.disk().clone();
            let stale = Disk { diskseq: disk.diskseq.map(|sequence| sequence - 1), ..disk.clone() };
            let code = |disk: &Disk| Target::claim(disk).map(drop).map_err(|fault| fault.exit().code());
            Ok((code(&disk), code(&stale)))
        };
        let claims: Result<_> = claims();
        losetup(&["--detach".as_ref(), path.as_ref()]);
        assert_eq!(claims.unwrap(), (Ok(()), Err(3)));
    }

    #[test]
    fn a_file_by_hand() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let needs = Needs { size: 1 << 20, sector: 4096, converts_to_4096: false };
        assert_eq!(Target::by_hand(file.path(), needs, false).unwrap().disk().transport, Transport::Loop);
        let fault = Target::by_hand(file.path(), Needs { size: 2 << 20, ..needs }, false).unwrap_err();
        assert!(fault.to_string().contains("too small"), "{fault}");
        file.as_file().set_len((1 << 20) + 1).unwrap();
        assert!(Target::by_hand(file.path(), needs, false).unwrap_err().to_string().contains("cannot stand"));
        let missing = file.path().with_extension("none");
        assert_eq!(Target::by_hand(&missing, needs, false).unwrap_err().exit().code(), 3);
        assert!(!missing.exists());
    }
}
