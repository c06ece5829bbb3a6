//! Bytes that a file system is read from.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use livery_contract::{Digest, Fault, Result};

/// What is known of a byte without reading it: which chunk it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Digest of the chunk; `None` for zeros.
    pub(crate) chunk: Option<Digest>,
    /// Where in the chunk; 0 for zeros.
    pub(crate) within: u64,
    /// How many bytes from this one on lie in it.
    pub(crate) left: u64,
}

/// Bytes at offsets.
pub(crate) trait Bytes: Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// Exit 3 where they end before, 4 where they are not what was signed, 5 where they can't be had.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// The chunk that the byte at `offset` lies in, where there are chunks.
    fn known(&self, offset: u64) -> Option<Known> {
        let _ = offset;
        None
    }
}

/// So many bytes from `offset`.
///
/// # Errors
/// As [`Bytes::read`].
pub(crate) fn take(bytes: &dyn Bytes, offset: u64, length: usize) -> Result<Vec<u8>> {
    if offset.checked_add(length as u64).is_none_or(|end| end > bytes.length()) {
        return Err(cut_short(offset, length as u64));
    }
    let mut buffer = vec![0; length];
    bytes.read(offset, &mut buffer)?;
    Ok(buffer)
}

/// What is asked for lies behind the end.
pub(super) fn cut_short(offset: u64, length: u64) -> Fault {
    Fault::refused("the file system points beyond its own end").at(format!("bytes {offset}+{length}"))
}

impl Bytes for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let from = usize::try_from(offset).ok().and_then(|from| self.get(from..)?.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or_else(|| cut_short(offset, buffer.len() as u64))?);
        Ok(())
    }
}

/// A file on this machine.
#[derive(Debug)]
pub(crate) struct OnDisk {
    file: File,
    length: u64,
}

impl OnDisk {
    /// Opens it.
    ///
    /// # Errors
    /// Exit 3 where it can't be read.
    pub(crate) fn open(path: &std::path::Path) -> Result<Self> {
        let open = || -> io::Result<Self> {
            let file = File::open(path)?;
            Ok(Self { length: file.metadata()?.len(), file })
        };
        open().map_err(|error| Fault::refused("a file can't be read").at(path.display()).cause(error))
    }
}

impl Bytes for OnDisk {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| Fault::refused("a file can't be read").at(format!("bytes {offset}+{}", buffer.len())).cause(error))
    }
}
