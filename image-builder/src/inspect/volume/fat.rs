//! The files of a FAT file system, such as the EFI system partition. By the `fatfs` crate.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use livery_contract::{Fault, Result};

use super::{
    bytes::Bytes,
    tree::{Entry, Kind, Tree, Volume},
};

/// The most bytes of all files: an EFI system partition holds a few UKIs.
const MAX_BYTES: u64 = 1 << 30;
/// The most files, and the deepest folder.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 16;

/// Reads all files into memory; `None` where these bytes are no FAT.
///
/// # Errors
/// Exit 3 where it is damaged or too large, otherwise as [`Bytes::read`].
pub(crate) fn read(bytes: &dyn Bytes) -> Result<Option<Volume>> {
    let mut cursor = Cursor { bytes, at: 0, failed: None };
    let read = files(&mut cursor);
    if let Some(fault) = cursor.failed {
        return Err(fault);
    }
    match read {
        Ok(volume) => Ok(Some(volume)),
        Err(Problem::Other) => Ok(None),
        Err(Problem::TooLarge) => Err(Fault::refused("a FAT file system has too many files to inspect")),
        Err(Problem::Damaged(error)) => Err(Fault::refused("a FAT file system can't be read").cause(error)),
    }
}

enum Problem {
    /// It is no FAT.
    Other,
    Damaged(io::Error),
    TooLarge,
}

fn files(cursor: &mut Cursor<'_>) -> std::result::Result<Volume, Problem> {
    let options = fatfs::FsOptions::new().update_accessed_date(false);
    let fat = fatfs::FileSystem::new(cursor, options).map_err(|_| Problem::Other)?;
    let (mut tree, mut content) = (Tree::new(), Vec::new());
    let mut open = vec![(String::new(), fat.root_dir(), 0)];
    while let Some((path, folder, depth)) = open.pop() {
        for found in folder.iter() {
            let found = found.map_err(Problem::Damaged)?;
            let name = found.file_name();
            if name == "." || name == ".." {
                continue;
            }
            let path = format!("{path}/{name}");
            let from = content.len() as u64;
            let mut entry = entry(Kind::Folder);
            if found.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(Problem::TooLarge);
                }
                open.push((path.clone(), found.to_dir(), depth + 1));
            } else {
                let room = MAX_BYTES.saturating_sub(from);
                if found.len() > room {
                    return Err(Problem::TooLarge);
                }
                let read = found.to_file().take(room).read_to_end(&mut content).map_err(Problem::Damaged)? as u64;
                (entry.kind, entry.size, entry.runs) = (Kind::File, read, vec![(from, read)]);
            }
            tree.insert(path, entry);
            if tree.len() > MAX_FILES {
                return Err(Problem::TooLarge);
            }
        }
    }
    Ok(Volume { tree, bytes: Box::new(content) })
}

/// FAT knows neither owners nor permissions.
fn entry(kind: Kind) -> Entry {
    Entry { kind, mode: 0o755, uid: 0, gid: 0, size: 0, time: 0, target: None, attributes: BTreeMap::new(), runs: Vec::new() }
}

/// Bytes as a stream that can only be read.
struct Cursor<'a> {
    bytes: &'a dyn Bytes,
    at: u64,
    /// What a reading failed with: the crate hands on only an I/O error.
    failed: Option<Fault>,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.length().saturating_sub(self.at);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if let Err(fault) = self.bytes.read(self.at, &mut buffer[..length]) {
            let text = fault.to_string();
            self.failed = Some(fault);
            return Err(io::Error::other(text));
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("before the beginning"))?;
        Ok(self.at)
    }
}

impl Write for Cursor<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_other_bytes_are_no_fat() {
        let mut disk = io::Cursor::new(vec![0; 4 << 20]);
        fatfs::format_volume(&mut disk, fatfs::FormatVolumeOptions::new()).unwrap();
        {
            let fat = fatfs::FileSystem::new(&mut disk, fatfs::FsOptions::new()).unwrap();
            let boot = fat.root_dir().create_dir("EFI").unwrap().create_dir("BOOT").unwrap();
            boot.create_file("BOOTX64.EFI").unwrap().write_all(b"a program").unwrap();
        }
        let volume = read(&disk.into_inner()).unwrap().unwrap();
        assert_eq!(volume.tree.keys().collect::<Vec<_>>(), ["/EFI", "/EFI/BOOT", "/EFI/BOOT/BOOTX64.EFI"]);
        assert_eq!(volume.content(&volume.tree["/EFI/BOOT/BOOTX64.EFI"], 100).unwrap(), b"a program");
        assert!(read(&vec![0; 1 << 20]).unwrap().is_none());
    }
}
