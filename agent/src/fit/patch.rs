//! A range of the disk that finishing changes: put there in whole blocks, recognised, read back.

use livery_contract::{Digest, Fault, Result, record::Change};

use crate::device::{AlignedBuffer, Device, whole_blocks};

/// Bytes that finishing puts on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Why, for the record.
    pub reason: &'static str,
    /// First byte on the disk, a multiple of the sector size.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl Patch {
    /// Writes it, whole blocks at a time; what lies around it stays.
    ///
    /// # Errors
    /// Exit 6.
    pub(crate) fn apply(&self, device: &Device) -> Result<()> {
        let (start, mut blocks, range) = self.blocks(device)?;
        let length = blocks.1;
        blocks.0[range.clone()].copy_from_slice(&self.bytes);
        device.write(start, &blocks.0[..length])
    }

    /// Whether the disk holds it.
    ///
    /// # Errors
    /// Exit 6 for an I/O error.
    pub(crate) fn is_on(&self, device: &Device) -> Result<bool> {
        let (_, blocks, range) = self.blocks(device)?;
        Ok(blocks.0[range] == self.bytes)
    }

    /// The whole blocks that it lies in, as read back.
    ///
    /// # Errors
    /// Exit 6 for an I/O error, or where the disk does not hold it.
    pub(crate) fn read_back(&self, device: &Device) -> Result<Change> {
        let (start, blocks, range) = self.blocks(device)?;
        if blocks.0[range] != self.bytes {
            return Err(device
                .fault(&format!("{} was written, but the disk did not store it", self.reason), self.offset, self.bytes.len() as u64)
                .fix("the disk loses data: replace it"));
        }
        let bytes = &blocks.0[..blocks.1];
        Ok(Change { reason: self.reason.into(), offset: start, length: bytes.len() as u64, sha256: Digest::of(bytes) })
    }

    fn blocks(&self, device: &Device) -> Result<(u64, (AlignedBuffer, usize), std::ops::Range<usize>)> {
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Fault::internal("a partition table larger than memory"));
        let (start, end) = whole_blocks(self.offset, self.offset + self.bytes.len() as u64, device.size());
        let length = size(end - start)?;
        let mut buffer = AlignedBuffer::new(length);
        device.read(start, &mut buffer[..length])?;
        let from = size(self.offset - start)?;
        Ok((start, (buffer, length), from..from + self.bytes.len()))
    }
}
