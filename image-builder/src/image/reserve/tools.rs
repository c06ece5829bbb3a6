//! The file systems' own tools: mtools for FAT, debugfs for ext2 to ext4, ntfs-3g's for NTFS. None of them mounts anything.
//!
//! All of them are told the time that the file is to bear: the same image is imported to the same bytes.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use jiff::Timestamp;
use livery_contract::{Fault, Result};

use crate::sandbox;

/// A file system that files can be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fat,
    Ext,
    Ntfs,
}

impl Kind {
    /// Programs, and the packages of Debian that have them.
    const fn needs(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Fat => (&["mcopy", "mdir", "mtype"], "mtools"),
            Self::Ext => (&["debugfs"], "e2fsprogs"),
            Self::Ntfs => (&["ntfscp", "ntfscat", "faketime"], "ntfs-3g and faketime"),
        }
    }
}

/// The tools for one file system, in a file of its own.
#[derive(Debug)]
pub(crate) struct Tools {
    kind: Kind,
    image: PathBuf,
    time: Timestamp,
}

impl Tools {
    /// For what lies in `image`.
    ///
    /// # Errors
    /// Exit 3 where that is no file system that we know, was left unclean, or its tools are not here.
    pub(crate) fn new(image: &Path, time: Timestamp) -> Result<Self> {
        let mut head = [0; 4096];
        let read = File::open(image).and_then(|file| file.read_exact_at(&mut head, 0));
        read.map_err(|error| Fault::refused("the partition can't be read").cause(error))?;
        let kind = kind(&head).map_err(|(what, fix)| Fault::refused(what).fix(fix))?;
        let (programs, packages) = kind.needs();
        if let Some(missing) = programs.iter().find(|program| !on_path(program)) {
            return Err(Fault::refused(format!("{missing} is needed to put a file into this partition, but is not installed"))
                .fix(format!("install Debian's {packages}")));
        }
        Ok(Self { kind, image: image.to_owned(), time })
    }

    /// Puts `from` in as `path`, and reads it back: it must be `bytes`.
    ///
    /// # Errors
    /// Exit 3 where there is such a file already, its folder is not there, or there is no room.
    pub(crate) fn put(&self, path: &str, from: &Path, bytes: &[u8]) -> Result<()> {
        if self.has(path)? {
            return Err(Fault::refused("this file exists already")
                .fix("choose another name in `personal.file`, or remove the file from the image first"));
        }
        let said = match self.kind {
            Kind::Fat => self.run("mcopy", |command| {
                command.args(["-m", "-i"]).arg(&self.image).arg(from).arg(format!("::{path}"));
            }),
            Kind::Ext => self.debugfs(true, &format!("write {} \"{path}\"", from.display())),
            Kind::Ntfs => {
                // Not by itself told a time; one that stands still.
                let time = self.time.strftime("%F %T").to_string();
                self.run("faketime", |command| {
                    command.args(["-f", &time, "ntfscp", "--quiet", "--min-fragments"]).arg(&self.image).arg(from).arg(path);
                })
            }
        }?;
        match self.read(path)? {
            Some(back) if back == bytes => Ok(()),
            _ => {
                let words =
                    String::from_utf8_lossy(&[said.stderr, said.stdout].concat()).trim().replace(&from.display().to_string(), "it");
                let words = words.lines().filter(|line| !line.starts_with("debugfs ")).take(3).collect::<Vec<_>>().join("; ");
                Err(Fault::refused(format!("the file can't be put into the partition: {words}")).fix(
                    "its folder must exist, with room for the file; a Windows system must have been shut down, not hibernated",
                ))
            }
        }
    }

    /// Whether there is something of this name.
    fn has(&self, path: &str) -> Result<bool> {
        Ok(match self.kind {
            Kind::Fat => self
                .run("mdir", |command| {
                    command.args(["-b", "-i"]).arg(&self.image).arg(format!("::{path}"));
                })?
                .status
                .success(),
            Kind::Ext => String::from_utf8_lossy(&self.debugfs(false, &format!("stat \"{path}\""))?.stdout).contains("Inode:"),
            Kind::Ntfs => self.read(path)?.is_some(),
        })
    }

    /// The file's bytes; `None` where there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let output = match self.kind {
            Kind::Fat => self.run("mtype", |command| {
                command.arg("-i").arg(&self.image).arg(format!("::{path}"));
            }),
            // It ends well whatever happens; then there are no bytes.
            Kind::Ext => self.debugfs(false, &format!("cat \"{path}\"")),
            Kind::Ntfs => self.run("ntfscat", |command| {
                command.arg(&self.image).arg(path);
            }),
        }?;
        Ok(output.status.success().then_some(output.stdout))
    }

    fn debugfs(&self, write: bool, request: &str) -> Result<Output> {
        self.run("debugfs", |command| {
            if write {
                command.arg("-w");
            }
            command.args(["-R", request]).arg(&self.image);
        })
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<Output> {
        let mut command = Command::new(program);
        sandbox::clean_environment(&mut command);
        let seconds = self.time.as_second().to_string();
        command.envs([("SOURCE_DATE_EPOCH", seconds.as_str()), ("E2FSPROGS_FAKE_TIME", &seconds), ("MTOOLSRC", "/dev/null")]);
        // A partition's size and what its first sector says of it differ here and there.
        command.env("MTOOLS_SKIP_CHECK", "1");
        arguments(&mut command);
        command.output().map_err(|error: io::Error| Fault::refused(format!("{program} can't be run")).cause(error))
    }
}

/// By the first 4 KiB of a partition; what is wrong with others, and what to do.
fn kind(head: &[u8; 4096]) -> Result<Kind, (String, &'static str)> {
    let magic = |at: usize, text: &[u8]| &head[at..at + text.len()] == text;
    if magic(3, b"NTFS    ") {
        return Ok(Kind::Ntfs);
    }
    if magic(510, &[0x55, 0xaa]) && (magic(82, b"FAT32   ") || magic(54, b"FAT1")) {
        return Ok(Kind::Fat);
    }
    // The superblock begins at byte 1024; magic, then feature_incompat with its flag "needs recovery" (ext4's disk layout).
    if magic(1024 + 0x38, &[0x53, 0xef]) {
        if head[1024 + 0x60] & 0x4 != 0 {
            return Err((
                "the partition's file system was not unmounted".into(),
                "replay its journal: start the image once, or run e2fsck on it",
            ));
        }
        return Ok(Kind::Ext);
    }
    let fix = "name a partition with NTFS, FAT or ext4 in `personal.partition`";
    for (at, text, name) in
        [(3, &b"EXFAT   "[..], "exFAT"), (3, b"-FVE-FS-", "BitLocker"), (0, b"LUKS\xba\xbe", "LUKS"), (0, b"XFSB", "XFS")]
    {
        if magic(at, text) {
            return Err((format!("the partition has {name}, into which Livery cannot put a file"), fix));
        }
    }
    Err(("the partition has no file system into which Livery can put a file".into(), fix))
}

fn on_path(program: &str) -> bool {
    // Where the tools are looked for, not where this user's own path leads.
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_known_by_their_first_bytes() {
        let with = |marks: &[(usize, &[u8])]| {
            let mut head = [0; 4096];
            for (at, text) in marks {
                head[*at..at + text.len()].copy_from_slice(text);
            }
            kind(&head)
        };
        assert_eq!(with(&[(3, b"NTFS    ")]), Ok(Kind::Ntfs));
        assert_eq!(with(&[(510, b"\x55\xaa"), (82, b"FAT32   ")]), Ok(Kind::Fat));
        assert_eq!(with(&[(510, b"\x55\xaa"), (54, b"FAT16   ")]), Ok(Kind::Fat));
        assert_eq!(with(&[(0x438, b"\x53\xef")]), Ok(Kind::Ext));
        assert!(with(&[(0x438, b"\x53\xef"), (0x460, &[4])]).unwrap_err().0.contains("not unmounted"));
        assert!(with(&[(3, b"-FVE-FS-"), (510, b"\x55\xaa")]).unwrap_err().0.contains("BitLocker"));
        assert!(with(&[(82, b"FAT32   ")]).is_err(), "without the signature it is none");
        assert!(with(&[]).is_err());
    }
}
