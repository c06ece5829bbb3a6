//! The disk as this program sees it: ranges read and written past the page cache, zeroed, flushed.
//!
//! In: a path and what the [`target`](crate::target::choose) policy learnt of it. Out: a [`Device`] that is held exclusively.
//! Fails with exit 3 where it cannot be had (held, gone, another disk), 6 where it answers with an I/O error.
//!
//! O_DIRECT, since a page cache can hide a fault (a read-back that never reaches the medium), fills the memory, and turns
//! the last sync into minutes at "100%" (raspberrypi/rpi-imager#1216).

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, Result, manifest::BLOCK};
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, Flock, FlockArg, PosixFadviseAdvice, fallocate, posix_fadvise},
    libc,
};

use super::{buffer::AlignedBuffer, ioctl};

/// The most bytes that are zeroed in one step: so that progress moves and Ctrl-C is heard on a disk that must write them.
pub(crate) const ZERO_STEP: u64 = 64 << 20;

/// An open disk, or a regular file that stands for one.
#[derive(Debug)]
pub(crate) struct Device {
    pub(super) file: Flock<File>,
    path: PathBuf,
    size: u64,
    sector: u32,
    block: bool,
}

/// For what a [`Device`] is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reading only, as others may too.
    Read,
    /// Reading and writing, with nobody else.
    Write,
}

impl Device {
    /// Opens a whole disk or a regular file. Never creates one.
    ///
    /// # Errors
    /// Exit 3 where it is not there, held by somebody, or neither a block device nor a regular file.
    pub(crate) fn open(path: &Path, mode: Mode) -> Result<Self> {
        let refuse = |what: &str| Fault::refused(what.to_owned()).at(path.display());
        let metadata = std::fs::metadata(path).map_err(|error| {
            refuse("the disk cannot be opened").cause(error).fix("`livery-agent inventory` shows the disks; a file must exist")
        })?;
        let block = metadata.file_type().is_block_device();
        if !block && !metadata.file_type().is_file() {
            return Err(refuse("this is neither a disk nor a regular file"));
        }
        let file = open_direct(path, mode, block)?;
        let file = lock(file, path, mode)?;
        let device = |error: Errno| Fault::device("the disk does not respond").at(path.display()).cause(error);
        let (size, sector) = if block {
            (ioctl::size(&file).map_err(device)?, ioctl::sector(&file).map_err(device)?)
        } else {
            (metadata.len(), 512)
        };
        if block && mode == Mode::Write && ioctl::read_only(&file).map_err(device)? {
            return Err(refuse("the disk is write-protected"));
        }
        // A later size change cannot happen to a block device that we hold, and matters to no file that we wrote.
        Ok(Self { file, path: path.to_owned(), size, sector, block })
    }

    /// Its path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Logical sector size in bytes; 512 for a file.
    pub(crate) fn sector(&self) -> u32 {
        self.sector
    }

    /// Whether it is a block device, not a file.
    pub(crate) fn is_block(&self) -> bool {
        self.block
    }

    /// The kernel's disk sequence number; `None` before Linux 5.15 and for a file.
    pub(crate) fn diskseq(&self) -> Option<u64> {
        if self.block { ioctl::diskseq(&self.file).ok() } else { None }
    }

    /// Reads exactly `buffer`, from the medium.
    ///
    /// # Errors
    /// Exit 6 with the offset.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.check_bounds(offset, buffer.len() as u64)?;
        self.file.read_exact_at(buffer, offset).map_err(|error| self.read_failed(offset, buffer.len() as u64, error))
    }

    /// A few bytes, from the medium: both numbers are multiples of the sector size.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut buffer = AlignedBuffer::new(length);
        self.read(offset, &mut buffer[..length])?;
        Ok(buffer[..length].to_vec())
    }

    /// Writes all of `bytes`, past the cache.
    ///
    /// # Errors
    /// Exit 6 with the offset.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_bounds(offset, bytes.len() as u64)?;
        self.file.write_all_at(bytes, offset).map_err(|error| self.write_failed(offset, bytes.len() as u64, error))
    }

    /// Makes at most [`ZERO_STEP`] bytes read as zero.
    ///
    /// Not by discarding: a discarded block may read as anything, even as the old data, unless the device promises
    /// otherwise (the kernel dropped `discard_zeroes_data` in 4.12 because devices lied). BLKZEROOUT uses the device's
    /// WRITE ZEROES where it has one and writes zeros where not. A run of zeros is not a hole to be left out either: on
    /// a disk that was not blank that kept old bytes in FAT and ext4 (intel/bmap-tools#75).
    ///
    /// # Errors
    /// Exit 6 with the offset.
    pub(crate) fn zero(&self, offset: u64, length: u64) -> Result<()> {
        self.check_bounds(offset, length)?;
        let fail = |error: Errno| {
            self.fault("zeroing the disk failed", offset, length)
                .cause(error)
                .fix("the disk is faulty or full: replace it, then start again")
        };
        if self.block {
            return ioctl::zero_out(&self.file, offset, length).map_err(fail);
        }
        let (Ok(start), Ok(count)) = (i64::try_from(offset), i64::try_from(length)) else {
            return Err(fail(Errno::EOVERFLOW));
        };
        // In a file a hole reads as zeros by definition, and a test image stays small. Not every file system can.
        match fallocate(&*self.file, FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE, start, count) {
            Ok(()) => Ok(()),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                let zeros = AlignedBuffer::new(1 << 20);
                let mut at = offset;
                while at < offset + length {
                    let step = (offset + length - at).min(zeros.len() as u64);
                    self.write(at, &zeros[..usize::try_from(step).unwrap_or(zeros.len())])?;
                    at += step;
                }
                Ok(())
            }
            Err(error) => Err(fail(error)),
        }
    }

    /// All that was written is on the medium when this returns, the disk's own cache included.
    ///
    /// # Errors
    /// Exit 6: a failed flush says that *something* written before is lost.
    pub(crate) fn flush(&self) -> Result<()> {
        let fail = |error: std::io::Error| {
            Fault::device("flushing the disk failed: some data did not reach it")
                .at(self.path.display())
                .cause(error)
                .fix("the disk or its cable is faulty: replace it, then start again")
        };
        // fsync of a block device also sends the flush command to its write cache.
        self.file.sync_data().map_err(fail)?;
        if self.block {
            // Others (udev's probes) read through the page cache: what it holds from before must not be seen again.
            ioctl::forget_cache(&self.file).map_err(|error| fail(error.into()))?;
        } else if let Err(error) = posix_fadvise(&*self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED) {
            tracing::debug!(%error, "the page cache could not be emptied of the file");
        }
        Ok(())
    }

    /// Asks the kernel to read the partition table anew; a disk that is busy for a moment is asked again.
    ///
    /// Not being able to is no fault: the disk is right, only this running kernel's view of it is old.
    pub(crate) fn reread_partitions(&self) {
        if !self.block {
            return;
        }
        for _ in 0..10 {
            match ioctl::reread_partitions(&self.file) {
                // EINVAL: a device that has no partitions, such as a loop device made without them.
                Ok(()) | Err(Errno::EINVAL) => return,
                Err(error) => tracing::debug!(%error, "the kernel has not read the new partition table yet"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        tracing::warn!(disk = %self.path.display(), "the kernel keeps its old view of the partition table until the next boot");
    }

    /// A device fault at a place on this disk.
    pub(crate) fn fault(&self, what: &str, offset: u64, length: u64) -> Fault {
        Fault::device(what.to_owned()).at(format!("{}, bytes {offset}..{}", self.path.display(), offset.saturating_add(length)))
    }

    pub(super) fn read_failed(&self, offset: u64, length: u64, error: io::Error) -> Fault {
        self.fault("reading the disk failed", offset, length)
            .cause(error)
            .fix("the disk or its cable is faulty: replace it, then start again")
    }

    pub(super) fn write_failed(&self, offset: u64, length: u64, error: io::Error) -> Fault {
        self.fault("writing the disk failed", offset, length)
            .cause(error)
            .fix("the disk is faulty or full: replace it, then start again")
    }

    pub(super) fn check_bounds(&self, offset: u64, length: u64) -> Result<()> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(Fault::internal(format!("bytes {offset}+{length} of a disk of {}", self.size)).at(self.path.display()));
        }
        Ok(())
    }
}

fn open_direct(path: &Path, mode: Mode, block: bool) -> Result<File> {
    let write = mode == Mode::Write;
    // O_EXCL without O_CREAT on a block device: the kernel itself refuses one that is mounted, swapped on, or part of a
    // RAID or device-mapper set, and keeps those from taking it while we hold it.
    let exclusive = if block && write { libc::O_EXCL } else { 0 };
    let open = |flags: i32| OpenOptions::new().read(true).write(write).custom_flags(flags | exclusive | libc::O_CLOEXEC).open(path);
    let result = match open(libc::O_DIRECT) {
        // Some file systems (older tmpfs) know no O_DIRECT. A block device always does.
        Err(error) if !block && error.raw_os_error() == Some(libc::EINVAL) => {
            tracing::warn!(file = %path.display(), "this file system has no O_DIRECT: reading and writing through the page cache");
            open(0)
        }
        result => result,
    };
    result.map_err(|error| {
        let fault = Fault::refused("the disk cannot be opened").at(path.display());
        match error.raw_os_error() {
            Some(libc::EBUSY) => fault.fix("it is in use: unmount it, or stop its swap, RAID or device-mapper set"),
            Some(libc::EACCES | libc::EPERM) => fault.fix("run as root, or as a user with write permission for this disk"),
            _ => fault,
        }
        .cause(error)
    })
}

/// Takes the BSD lock that keeps udev from probing a disk under our hands (systemd.io/BLOCK_DEVICE_LOCKING), and two
/// agents from writing one file.
fn lock(mut file: File, path: &Path, mode: Mode) -> Result<Flock<File>> {
    let arg = if mode == Mode::Write { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
    for _ in 0..50 {
        match Flock::lock(file, arg) {
            Ok(locked) => return Ok(locked),
            // udev itself holds a shared lock for the moment of a probe.
            Err((unlocked, Errno::EWOULDBLOCK)) => file = unlocked,
            Err((_, error)) => return Err(Fault::refused("the disk cannot be locked").at(path.display()).cause(error)),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Fault::refused("another program has locked the disk")
        .at(format!("{} (descriptor {})", path.display(), file.as_raw_fd()))
        .fix("wait until it ends; `fuser -v` on the path names it"))
}

/// The smallest range of whole blocks around `offset..end`, cut at the disk's size.
pub(crate) fn whole_blocks(offset: u64, end: u64, size: u64) -> (u64, u64) {
    let start = offset - offset % BLOCK;
    (start, end.next_multiple_of(BLOCK).min(size))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(size: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        file
    }

    #[test]
    fn writes_reads_and_zeroes() {
        let file = file(1 << 20);
        let device = Device::open(file.path(), Mode::Write).unwrap();
        let mut buffer = AlignedBuffer::new(8192);
        buffer.fill(0xa5);
        device.write(4096, &buffer).unwrap();
        device.zero(8192, 4096).unwrap();
        device.flush().unwrap();
        let mut back = AlignedBuffer::new(16384);
        device.read(0, &mut back).unwrap();
        assert!(back[..4096].iter().all(|byte| *byte == 0));
        assert!(back[4096..8192].iter().all(|byte| *byte == 0xa5));
        assert!(back[8192..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn two_writers_are_refused_and_nothing_is_created() {
        let file = file(8192);
        let first = Device::open(file.path(), Mode::Write).unwrap();
        let start = std::time::Instant::now();
        let error = Device::open(file.path(), Mode::Write).unwrap_err();
        assert_eq!(error.exit().code(), 3);
        assert!(start.elapsed() < Duration::from_secs(20));
        drop(first);
        let missing = file.path().with_extension("missing");
        assert_eq!(Device::open(&missing, Mode::Write).unwrap_err().exit().code(), 3);
        assert!(!missing.exists());
    }

    #[test]
    fn nothing_outside_is_touched() {
        let file = file(8192);
        let device = Device::open(file.path(), Mode::Write).unwrap();
        assert_eq!(device.write(8192, &AlignedBuffer::new(4096)).unwrap_err().exit().code(), 1);
        assert!(device.zero(u64::MAX, 4096).is_err());
    }
}
