//! The partition table made to fit the disk (UEFI 2.10, section 5.3): an image ends where it ends, the disk mostly later;
//! its last partition may grow; and a disk of 4096-byte sectors counts in these.
//!
//! In: the image's first bytes and the [`Disk`]. Out: [`Patch`]es: protective MBR, primary header (and entries, where they
//! change), and the backup entries and header in the disk's last sectors. The old backup inside the image stays; nothing
//! looks there any more. Pure, so that [`verify`](crate::verify::verified) can work out the same.
//!
//! The crate `gpt` reads and writes the headers and their checksums. Its `GptDisk::write` is not used: it numbers the
//! partitions anew without gaps, and rewrites entries that it does not fully understand. Ours are copied byte for byte.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use gpt::{disk::LogicalBlockSize, header::Header};
use livery_contract::{
    Fault, Result,
    manifest::{BLOCK, Manifest},
};

use super::patch::Patch;

/// So many first bytes hold every table that we accept: MBR, header, up to [`MAX_ENTRIES`] entries.
pub(crate) const HEAD: u64 = 256 << 10;
const MAX_ENTRIES: u32 = 1024;
/// Bytes of an entry; the only size in use, and the only one that the crate reads.
const ENTRY: u32 = 128;
/// A grown partition ends on such a bound: what partitioning tools align to.
const GROWTH: u64 = 1 << 20;

/// What a table must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector: u32,
    /// Number of the partition that takes all the rest, if one does.
    pub grow: Option<u32>,
}

/// Whether these first bytes of a disk hold a valid GPT.
pub(crate) fn is_gpt(head: &[u8], sector: u32) -> bool {
    table(head, sector).is_some()
}

/// The first bytes of the image whose table was made to fit another disk: the inverse of [`plan`], for the image itself.
/// `None` where these hold no GPT. Whether it is the image's, only a digest tells.
pub(crate) fn undo(head: &[u8], manifest: &Manifest) -> Option<Vec<u8>> {
    let sector = manifest.sector_size;
    let (header, _) = table(head, sector)?;
    let mut head = head.to_vec();
    if let Some(number) = manifest.grow {
        let partition = manifest.partitions.iter().find(|partition| partition.number == number)?;
        let last = (partition.offset + partition.length) / u64::from(sector) - 1;
        let at = usize::try_from(header.part_start * u64::from(sector) + u64::from(number - 1) * u64::from(ENTRY)).ok()?;
        set_last_lba(head.get_mut(at..)?.first_chunk_mut()?, last);
    }
    let front = fit(&head, sector, &header, Disk { size: manifest.size, sector, grow: None }).ok()?.0;
    head.get_mut(..front.len())?.copy_from_slice(&front);
    Some(head)
}

/// What must change so that the table fits the disk; `None` where there is no GPT, or it fits already. The patch at
/// offset 0 comes first.
///
/// # Errors
/// Exit 4 where a partition of the image would reach into the new backup, or does not begin and end on the disk's sectors.
pub(crate) fn plan(head: &[u8], sector: u32, disk: Disk) -> Result<Option<Vec<Patch>>> {
    let Some((header, _)) = table(head, sector) else { return Ok(None) };
    let last_lba = (disk.size / u64::from(disk.sector)).saturating_sub(1);
    if sector == disk.sector && header.backup_lba == last_lba {
        return Ok(None);
    }
    let (mut front, tail, tail_start) = fit(head, sector, &header, disk)?;
    if sector == disk.sector && disk.grow.is_none() {
        // The entries stay as they are; only what changes is a change.
        front.truncate(usize::try_from(BLOCK.max(2 * u64::from(sector))).unwrap_or(front.len()));
    }
    Ok(Some(vec![
        Patch { reason: "partition table adjusted to this disk", offset: 0, bytes: front },
        Patch { reason: "backup GPT at the disk's end", offset: tail_start, bytes: tail },
    ]))
}

/// MBR, header and entries at the disk's beginning; entries and header at its end; and where the latter begin.
fn fit(head: &[u8], sector: u32, header: &Header, disk: Disk) -> Result<(Vec<u8>, Vec<u8>, u64)> {
    let checked = || Fault::internal("a table that was checked");
    let bytes = |value: u64| usize::try_from(value).map_err(|_| checked());
    let (from, to) = (u64::from(sector), u64::from(disk.sector));
    let block = LogicalBlockSize::try_from(to).map_err(|_| checked())?;
    let last_lba = (disk.size / to).saturating_sub(1);
    let table_bytes = u64::from(header.num_parts) * u64::from(ENTRY);
    let table_sectors = table_bytes.div_ceil(to);
    let table_start = last_lba.saturating_sub(table_sectors);

    let first = bytes(header.part_start * from)?;
    let mut entries = head.get(first..first + bytes(table_bytes)?).ok_or_else(checked)?.to_vec();
    let mut reaches = 0;
    for (number, entry) in (1..).zip(entries.as_chunks_mut::<128>().0) {
        if entry[..16] == [0; 16] {
            continue;
        }
        let (start, end) = (first_lba(entry) * from, (last_lba_of(entry) + 1) * from);
        if !start.is_multiple_of(to) || !end.is_multiple_of(to) {
            return Err(Fault::refused(format!("partition {number} does not begin and end on boundaries of {to}-byte sectors"))
                .fix("build the image with partitions aligned to 4096 bytes, or use a disk with the image's sector size"));
        }
        set_first_lba(entry, start / to);
        let mut last = end / to - 1;
        if disk.grow == Some(number) {
            let bound = (table_start * to - table_start * to % GROWTH) / to;
            last = last.max(bound.saturating_sub(1));
        }
        set_last_lba(entry, last);
        reaches = reaches.max(last);
    }
    let part_start = if from == to { header.part_start } else { 2 };
    let first_usable = if from == to { header.first_usable } else { 2 + table_sectors };
    if reaches >= table_start || table_start <= first_usable {
        return Err(Fault::refused(format!(
            "the image's last partition ends in sector {reaches}, the backup GPT begins in {table_start}"
        ))
        .fix("use a larger disk; or build the image again: its partitions exceed its own size"));
    }
    let starts = entries.as_chunks::<128>().0.iter().filter(|entry| entry[..16] != [0; 16]).map(first_lba).min();
    if from != to && starts.is_some_and(|start| start < first_usable) {
        return Err(Fault::refused(format!("the image's first partition begins before sector {first_usable} of {to} bytes"))
            .fix("build the image with its first partition at 1 MiB"));
    }
    let fail = |error: gpt::header::HeaderError| Fault::internal("a partition table cannot be written to memory").cause(error);

    let mut primary = header.clone();
    primary.backup_lba = last_lba;
    primary.part_start = part_start;
    primary.first_usable = first_usable;
    primary.last_usable = table_start - 1;
    let at = bytes(part_start * to)?;
    let mut front = if from == to { head.to_vec() } else { vec![0; at + bytes(table_sectors * to)?] };
    if from != to {
        front[..512].copy_from_slice(head.get(..512).ok_or_else(checked)?);
    }
    front.get_mut(at..at + entries.len()).ok_or_else(checked)?.copy_from_slice(&entries);
    let mut window = Window { base: 0, cursor: Cursor::new(front) };
    primary.write_primary(&mut window, block).map_err(fail)?;
    let mut front = window.cursor.into_inner();
    front.truncate((at + entries.len()).next_multiple_of(bytes(BLOCK)?));
    lengthen_protective_mbr(&mut front, last_lba);

    let mut backup = primary.clone();
    (backup.current_lba, backup.backup_lba, backup.part_start) = (last_lba, primary.current_lba, table_start);
    entries.resize(bytes((table_sectors + 1) * to)?, 0);
    let mut window = Window { base: table_start * to, cursor: Cursor::new(entries) };
    backup.write_backup(&mut window, block).map_err(fail)?;
    Ok((front, window.cursor.into_inner(), table_start * to))
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

/// Starting LBA of an entry (UEFI 2.10, table 5.6).
fn first_lba(entry: &[u8; 128]) -> u64 {
    entry[32..40].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn set_first_lba(entry: &mut [u8; 128], lba: u64) {
    entry[32..40].copy_from_slice(&lba.to_le_bytes());
}

fn set_last_lba(entry: &mut [u8; 128], lba: u64) {
    entry[40..48].copy_from_slice(&lba.to_le_bytes());
}

/// Ending LBA of an entry.
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
