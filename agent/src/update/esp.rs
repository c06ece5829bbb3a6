//! UKIs in the EFI system partition. What is always started is `EFI\BOOT\BOOTX64.EFI`; a newer one lies next to it until it is committed, with a
//! note of how often it was started.
//!
//! Each file comes into being under another name, is read back, and takes its own by a rename, which on FAT changes one directory entry in
//! one sector: after a power cut there is the old file or the new one.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use livery_contract::{
    Digest, Fault, Reference, Result,
    manifest::{MAX_UKI, Uki},
};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde::{Deserialize, Serialize};

use super::slot::Filled;

/// Where systemd mounts it while we run (`efi.mount`).
const MOUNTED: &str = "/efi";
/// What the firmware is to start once.
pub(crate) const NEXT: &str = r"\EFI\livery\next.efi";
/// In our folder of the partition.
const NEXT_FILE: &str = "EFI/livery/next.efi";
const NOTE: &str = "EFI/livery/next.json";
/// What the firmware starts on any disk.
const DEFAULT: &str = "EFI/BOOT/BOOTX64.EFI";
/// The most bytes of the note.
const MAX_NOTE: u64 = 4096;

/// A newer image that is to be started, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    pub image: Reference,
    /// How often it may have been started.
    pub tries: u32,
}

/// The partition, mounted.
#[derive(Clone, Debug)]
pub(crate) struct Esp(PathBuf);

impl Esp {
    /// Where systemd mounts it.
    pub(crate) fn mounted() -> Self {
        Self::at(Path::new(MOUNTED))
    }

    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The note; `None` where there is none, or a power cut left half of one.
    ///
    /// # Errors
    /// Exit 6 where it can't be read.
    pub(crate) fn trial(&self) -> Result<Option<Trial>> {
        let path = self.0.join(NOTE);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(MAX_NOTE).read_to_string(&mut text)) {
            Ok(_) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData) => Ok(None),
            Err(error) => Err(failed("reading", &path, error)),
        }
    }

    /// Leaves the note.
    ///
    /// # Errors
    /// Exit 6 where it can't be written.
    pub(crate) fn note(&self, trial: &Trial) -> Result<()> {
        let text = serde_json::to_string(trial).map_err(|error| Fault::internal("a note does not encode").cause(error))?;
        self.replace(NOTE, text.as_bytes())
    }

    /// The bytes of the UKI in use, to take from them what a newer one has too; none where their number is not that of this one.
    ///
    /// # Errors
    /// Exit 6 where it can't be read.
    pub(crate) fn current(&self, uki: &Uki) -> Result<Vec<u8>> {
        let path = self.0.join(DEFAULT);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_UKI).read_to_end(&mut bytes))
            .map_err(|error| failed("reading", &path, error))?;
        Ok(if bytes.len() as u64 == uki.length { bytes } else { Vec::new() })
    }

    /// Puts a UKI next to the one in use, for a root and a hash tree that were read back.
    ///
    /// # Errors
    /// Exit 3 where there is no room, 6 where the partition does not take it or does not keep it.
    pub(crate) fn put(&self, uki: &[u8], _root_and_tree: &[Filled; 2]) -> Result<()> {
        self.put_file(uki)
    }

    fn put_file(&self, uki: &[u8]) -> Result<()> {
        let path = self.0.join(NEXT_FILE);
        // One that was given up, and what a power cut left of one.
        remove(&path)?;
        remove(&fresh(&path))?;
        self.remove_salvaged()?;
        let room = nix::sys::statvfs::statvfs(&self.0).map_err(|error| failed("asking for room in", &self.0, error.into()))?;
        let free = room.blocks_available().saturating_mul(room.fragment_size());
        // And a little for folders and the note.
        let needs = uki.len() as u64 + (64 << 10);
        if free < needs {
            return Err(Fault::refused(format!("the EFI system partition has {free} bytes free, but the newer UKI needs {needs}"))
                .at(self.0.display())
                .fix(
                    "make the UKI smaller (fewer firmware files and modules in the initrd), or write this device again at the line",
                ));
        }
        self.replace(NEXT_FILE, uki)
    }

    /// Removes the files that `fsck.vfat -a` makes of clusters that a power cut left to none: `FSCK0000.REC` and so on.
    fn remove_salvaged(&self) -> Result<()> {
        let reading = |error| failed("listing", &self.0, error);
        for entry in fs::read_dir(&self.0).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            if is_salvaged(&entry.file_name().to_string_lossy()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// A newer image that is up: its UKI becomes the one that is always started. Again after a power cut it does what is left to do.
    ///
    /// # Errors
    /// Exit 6 where the partition does not take it.
    pub(crate) fn commit(&self) -> Result<()> {
        let (next, current, note) = (self.0.join(NEXT_FILE), self.0.join(DEFAULT), self.0.join(NOTE));
        match fs::rename(&next, &current) {
            Ok(()) => {}
            // It was renamed before a power cut.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && current.exists() => {}
            Err(error) => return Err(failed("keeping", &next, error)),
        }
        self.flush()?;
        remove(&note)?;
        self.flush()
    }

    /// A file's content, new or replaced: in whole or not at all, and read back from the medium.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        let fresh = fresh(&path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed("making", folder, error))?;
        }
        File::create(&fresh)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(|error| failed("writing", &fresh, error))?;
        self.flush()?;
        let wanted = Digest::of(bytes);
        let found = read_back(&fresh)?;
        if found != wanted {
            return Err(Fault::device(format!("the data read back has the digest {found}, but {wanted} was written"))
                .at(fresh.display())
                .fix("the disk loses data: replace it"));
        }
        fs::rename(&fresh, &path).map_err(|error| failed("renaming", &fresh, error))?;
        self.flush()
    }

    /// All of the file system is on the medium when this returns.
    fn flush(&self) -> Result<()> {
        let flush = || {
            let folder = File::open(&self.0)?;
            nix::unistd::syncfs(folder.as_fd()).map_err(std::io::Error::from)
        };
        flush().map_err(|error| failed("flushing", &self.0, error))
    }
}

/// Where a file comes into being. A name of FAT's own form: no second directory entry for a long one.
fn fresh(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Whether `fsck.vfat` gives this name to what it finds. Names of FAT are shown in small letters by some mounts.
fn is_salvaged(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let number = name.strip_prefix("FSCK").and_then(|rest| rest.strip_suffix(".REC"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Removes a file, where there is one.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removing", path, error)),
        _ => Ok(()),
    }
}

/// The digest of a file, past what the page cache holds of it.
fn read_back(path: &Path) -> Result<Digest> {
    let read = || {
        let file = File::open(path)?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        let mut bytes = Vec::new();
        file.take(MAX_UKI + 1).read_to_end(&mut bytes)?;
        Ok(Digest::of(&bytes))
    };
    read().map_err(|error| failed("reading back", path, error))
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Fault {
    Fault::device(format!("{what} a file of the EFI system partition failed")).at(path.display()).cause(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn esp() -> (tempfile::TempDir, Esp) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("EFI/BOOT")).unwrap();
        fs::write(folder.path().join(DEFAULT), "old").unwrap();
        let esp = Esp::at(folder.path());
        (folder, esp)
    }

    fn trial(tries: u32) -> Trial {
        Trial { image: "laptop@2".parse().unwrap(), tries }
    }

    #[test]
    fn what_is_up_takes_the_place_of_what_was() {
        let (folder, esp) = esp();
        assert_eq!(esp.trial().unwrap(), None);
        fs::create_dir_all(folder.path().join("EFI/livery")).unwrap();
        fs::write(folder.path().join("EFI/livery/next.new"), "half of one").unwrap();
        esp.put_file(b"new").unwrap();
        assert!(!folder.path().join("EFI/livery/next.new").exists());
        esp.note(&trial(1)).unwrap();
        esp.note(&trial(2)).unwrap();
        assert_eq!((esp.trial().unwrap(), fs::read(folder.path().join(DEFAULT)).unwrap()), (Some(trial(2)), b"old".to_vec()));
        esp.commit().unwrap();
        assert_eq!((esp.trial().unwrap(), fs::read(folder.path().join(DEFAULT)).unwrap()), (None, b"new".to_vec()));
        assert!(!folder.path().join(NEXT_FILE).exists());
    }

    #[test]
    fn what_a_check_has_salvaged_gives_its_room_back_and_nothing_else_does() {
        let (folder, esp) = esp();
        let files = ["FSCK0000.REC", "fsck0001.rec", "FSCK.REC", "FSCKNOTE.REC", "FSCK0000.TXT"];
        files.iter().for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        esp.put_file(b"new").unwrap();
        assert_eq!(files.map(|name| folder.path().join(name).exists()), [false, false, true, true, true]);
    }

    #[test]
    fn a_power_cut_between_the_two_steps_of_committing_costs_nothing() {
        let (folder, esp) = esp();
        esp.put_file(b"new").unwrap();
        esp.note(&trial(1)).unwrap();
        fs::rename(folder.path().join(NEXT_FILE), folder.path().join(DEFAULT)).unwrap();
        esp.commit().unwrap();
        assert_eq!((esp.trial().unwrap(), fs::read(folder.path().join(DEFAULT)).unwrap()), (None, b"new".to_vec()));
    }

    #[test]
    fn half_a_note_is_none_and_an_endless_one_is_not_read() {
        let (folder, esp) = esp();
        fs::create_dir_all(folder.path().join("EFI/livery")).unwrap();
        for text in ["", "{\"image\":\"lap", "\u{0}\u{0}", &"x".repeat(1 << 20)] {
            fs::write(folder.path().join(NOTE), text).unwrap();
            assert_eq!(esp.trial().unwrap(), None);
        }
        fs::write(folder.path().join(NOTE), [0xff, 0xfe]).unwrap();
        assert_eq!(esp.trial().unwrap(), None);
    }
}
