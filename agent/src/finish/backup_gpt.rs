//! The backup GPT at the disk's real end (UEFI 2.10, section 5.3): an image ends where it ends, the disk mostly later.
//!
//! In: the image's first bytes and the disk's size. Out: [`Patch`]es: the primary header (and the protective MBR's
//! length), and the backup entries and header in the disk's last sectors. The old backup inside the image stays; nothing
//! looks there any more. Pure, so that [`verify`](crate::verify) can work out the same.
//!
//! The crate `gpt` reads and writes the headers and their checksums. Its `GptDisk::write` is not used: it numbers the
//! partitions anew without gaps, and rewrites entries that it does not fully understand. Ours are copied byte for byte.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use gpt::{disk::LogicalBlockSize, header::Header};
use livery_contract::{Digest, Fault, Result, manifest::BLOCK, record::Change};

use crate::device::{AlignedBuffer, Device, whole_blocks};

/// So many first bytes hold every table that we accept: MBR, header, up to [`MAX_ENTRIES`] entries.
pub const HEAD: u64 = 256 << 10;
const MAX_ENTRIES: u32 = 1024;
/// Bytes of an entry; the only size in use, and the only one that the crate reads.
const ENTRY: u32 = 128;

/// Bytes that finishing puts on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Why, for the record.
    pub reason: &'static str,
    /// First byte on the disk, a multiple of the sector size.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Patch {
    /// Writes it, whole blocks at a time; what lies beside it stays.
    ///
    /// # Errors
    /// Exit 6.
    pub fn apply(&self, device: &Device) -> Result<()> {
        let (start, mut blocks, inside) = self.blocks(device)?;
        let length = blocks.1;
        blocks.0[inside.clone()].copy_from_slice(&self.bytes);
        device.write(start, &blocks.0[..length])
    }

    /// Whether the disk holds it.
    ///
    /// # Errors
    /// Exit 6 for an I/O error.
    pub fn is_on(&self, device: &Device) -> Result<bool> {
        let (_, blocks, inside) = self.blocks(device)?;
        Ok(blocks.0[inside] == self.bytes)
    }

    /// The whole blocks that it lies in, as read back.
    ///
    /// # Errors
    /// Exit 6 for an I/O error, or where the disk does not hold it.
    pub fn read_back(&self, device: &Device) -> Result<Change> {
        let (start, blocks, inside) = self.blocks(device)?;
        if blocks.0[inside] != self.bytes {
            return Err(device
                .fault(&format!("{} was not kept by the disk", self.reason), self.offset, self.bytes.len() as u64)
                .fix("the disk does not keep what it is given: replace it"));
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

/// Whether these first bytes of a disk hold a valid GPT.
pub fn is_gpt(head: &[u8], sector: u32) -> bool {
    table(head, sector).is_some()
}

/// The first bytes of the image whose backup GPT was moved: the inverse of [`plan`], for an image of `image_size` bytes.
/// `None` where these hold no GPT. Whether it is the image's, only a digest tells.
pub fn undo(head: &[u8], sector: u32, image_size: u64) -> Option<Vec<u8>> {
    let patches = plan(head, sector, image_size).ok()??;
    let front = patches.iter().find(|patch| patch.offset == 0)?;
    let mut head = head.to_vec();
    head.get_mut(..front.bytes.len())?.copy_from_slice(&front.bytes);
    Some(head)
}

/// What must change so that the backup GPT stands at the end of a disk of `disk_size` bytes; `None` where there is no GPT
/// or it stands there already. The patch at offset 0 comes first.
///
/// # Errors
/// Exit 4 where a partition of the image would reach into the new backup.
pub fn plan(head: &[u8], sector: u32, disk_size: u64) -> Result<Option<Vec<Patch>>> {
    let Some((header, block)) = table(head, sector) else { return Ok(None) };
    let sector = u64::from(sector);
    let last_lba = (disk_size / sector).saturating_sub(1);
    if header.backup_lba == last_lba {
        return Ok(None);
    }
    let table_bytes = u64::from(header.num_parts) * u64::from(ENTRY);
    let table_sectors = table_bytes.div_ceil(sector);
    let table_start = last_lba.saturating_sub(table_sectors);
    let (Ok(first), Ok(length)) = (usize::try_from(header.part_start * sector), usize::try_from(table_bytes)) else {
        return Err(Fault::internal("a table that was checked"));
    };
    let entries = &head[first..first + length];
    let reaches = entries.as_chunks::<128>().0.iter().filter(|entry| entry[..16] != [0; 16]).map(last_lba_of).max().unwrap_or(0);
    if reaches >= table_start || table_start <= header.first_usable {
        return Err(Fault::untrusted(format!(
            "the image's last partition ends in sector {reaches}, the backup GPT begins in {table_start}"
        ))
        .fix("build the image again: its partitions do not fit into its own size"));
    }
    let fail = |error: gpt::header::HeaderError| Fault::internal("a partition table cannot be written to memory").cause(error);

    let mut primary = header.clone();
    primary.backup_lba = last_lba;
    primary.last_usable = table_start - 1;
    let mut window = Window { base: 0, cursor: Cursor::new(head.to_vec()) };
    primary.write_primary(&mut window, block).map_err(fail)?;
    let mut front = window.cursor.into_inner();
    front.truncate(usize::try_from(BLOCK.max(2 * sector)).unwrap_or(front.len()));
    lengthen_protective_mbr(&mut front, last_lba);

    let mut backup = primary.clone();
    (backup.current_lba, backup.backup_lba, backup.part_start) = (last_lba, primary.current_lba, table_start);
    let mut tail = entries.to_vec();
    let tail_length = usize::try_from((table_sectors + 1) * sector).map_err(|_| Fault::internal("a table that was checked"))?;
    tail.resize(tail_length, 0);
    let mut window = Window { base: table_start * sector, cursor: Cursor::new(tail) };
    backup.write_backup(&mut window, block).map_err(fail)?;

    Ok(Some(vec![
        Patch { reason: "primary GPT header points to the backup at the disk's end", offset: 0, bytes: front },
        Patch { reason: "backup GPT at the disk's end", offset: table_start * sector, bytes: window.cursor.into_inner() },
    ]))
}

/// The primary header, where it and the table are valid and lie inside `head`.
fn table(head: &[u8], sector: u32) -> Option<(Header, LogicalBlockSize)> {
    let block = LogicalBlockSize::try_from(u64::from(sector)).ok()?;
    let mut cursor = Cursor::new(head);
    let header = gpt::header::read_header_from_arbitrary_device(&mut cursor, block).ok()?;
    let end = header.part_start.checked_mul(u64::from(sector))?.checked_add(u64::from(header.num_parts) * u64::from(ENTRY))?;
    // Checked before the crate reads the entries: it asserts their size and allocates what the header asks for.
    let sane = header.part_size == ENTRY
        && header.header_size_le == 92
        && (1..=MAX_ENTRIES).contains(&header.num_parts)
        && header.current_lba == 1
        && header.part_start >= 2
        && header.backup_lba > 1
        && end <= head.len() as u64;
    (sane && gpt::partition::file_read_partitions(&mut cursor, &header, block).is_ok()).then_some((header, block))
}

/// Ending LBA of an entry (UEFI 2.10, table 5.6).
fn last_lba_of(entry: &[u8; 128]) -> u64 {
    entry[40..48].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A protective MBR covers the whole disk, as far as 32 bits can say (UEFI 2.10, section 5.2.3).
fn lengthen_protective_mbr(front: &mut [u8], last_lba: u64) {
    let length = u32::try_from(last_lba).unwrap_or(u32::MAX);
    for entry in front.get_mut(446..510).into_iter().flat_map(|table| table.as_chunks_mut::<16>().0) {
        if entry[4] == 0xee {
            entry[12..16].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Part of a disk in memory, addressed as on the disk: what the crate writes headers to.
#[derive(Debug)]
struct Window {
    base: u64,
    cursor: Cursor<Vec<u8>>,
}

impl Window {
    /// A vector grows when written past its end; a disk does not.
    fn left(&self) -> usize {
        let end = self.cursor.get_ref().len() as u64;
        usize::try_from(end.saturating_sub(self.cursor.position())).unwrap_or(0)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cursor.read(buffer)
    }
}

impl Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(self.left());
        self.cursor.write(&bytes[..take])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "outside of the window");
        match to {
            SeekFrom::Start(offset) => {
                self.cursor.seek(SeekFrom::Start(offset.checked_sub(self.base).ok_or_else(outside)?))?;
            }
            other => {
                self.cursor.seek(other)?;
            }
        }
        self.cursor.position().checked_add(self.base).ok_or_else(outside)
    }
}

#[cfg(test)]
mod tests;
