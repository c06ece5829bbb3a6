//! Raw disk images for tests: made with a real partition table and content of every kind, and judged afterwards.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};
use livery_contract::{Digest, Fault, Result, digest::Hasher};

const MIB: u64 = 1 << 20;

/// Makes an image of `mib` MiB (at least 12): GPT, an ESP of 4 MiB, and one partition over the rest, filled with noise,
/// zeros and repetition in turns. The same `seed` gives the same content.
///
/// # Errors
/// Where it can't be written.
pub fn make(path: &Path, mib: u64, seed: u64) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| Fault::internal(format!("a disk image can't be made: {error}")).at(path.display());
    let partitions = [("esp", 4 * MIB, partition_types::EFI), ("system", (mib - 6) * MIB, partition_types::LINUX_FS)];
    let mut file = partitioned(path, mib * MIB, &partitions)?;
    file.seek(SeekFrom::Start(MIB)).map_err(|error| broken(&error))?;
    let mut noise = Noise(seed | 1);
    for block in 0..(mib - 2) * 16 {
        // 64 KiB of each kind in turns; noise, so that not all of it compresses away.
        let bytes: Vec<u8> = match (block + seed) % 4 {
            0 => noise.bytes(64 << 10),
            1 => vec![0; 64 << 10],
            2 => rows(block / 8, 64 << 10),
            _ => [noise.bytes(4 << 10), vec![0; 60 << 10]].concat(),
        };
        file.write_all(&bytes).map_err(|error| broken(&error))?;
    }
    file.sync_all().map_err(|error| broken(&error))
}

/// So many bytes of one line, again and again.
fn rows(number: u64, count: usize) -> Vec<u8> {
    let row = format!("row {number:08}\n");
    let mut bytes = row.repeat(count.div_ceil(row.len())).into_bytes();
    bytes.truncate(count);
    bytes
}

/// An image of this many bytes with a partition table (name, bytes and type of each partition, from 1 MiB on) and no content.
///
/// # Errors
/// Where it can't be written.
pub fn partitioned(path: &Path, size: u64, partitions: &[(&str, u64, partition_types::Type)]) -> Result<File> {
    let broken = |error: &dyn std::fmt::Display| Fault::internal(format!("a disk image can't be made: {error}")).at(path.display());
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).map_err(|error| broken(&error))?;
    file.set_len(size).map_err(|error| broken(&error))?;
    let sectors = u32::try_from(size / 512 - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut file).map_err(|error| broken(&error))?;
    let mut disk = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(file, None)
        .map_err(|error| broken(&error))?;
    disk.update_partitions(BTreeMap::new()).map_err(|error| broken(&error))?;
    for (name, length, kind) in partitions {
        disk.add_partition(name, *length, kind.clone(), 0, Some(2048)).map_err(|error| broken(&error))?;
    }
    disk.write().map_err(|error| broken(&error))
}

/// An empty disk of this many bytes, full of what an earlier owner left there.
///
/// # Errors
/// Where it can't be written.
pub fn used(path: &Path, size: u64) -> Result<()> {
    let broken = |error| Fault::internal("a disk can't be made").cause(error).at(path.display());
    make(path, size.div_ceil(MIB).max(12), 0xdead)?;
    File::options().write(true).open(path).and_then(|file| file.set_len(size)).map_err(broken)
}

/// SHA-256 of a range of a file or device.
///
/// # Errors
/// Where it can't be read.
pub fn digest(path: &Path, offset: u64, length: u64) -> Result<Digest> {
    let broken = |error| Fault::internal("a disk can't be read").cause(error).at(path.display());
    let mut file = File::open(path).map_err(broken)?;
    file.seek(SeekFrom::Start(offset)).map_err(broken)?;
    let (mut hasher, mut left, mut buffer) = (Hasher::default(), length, vec![0; 1 << 20]);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact(&mut buffer[..want]).map_err(broken)?;
        hasher.update(&buffer[..want]);
        left -= want as u64;
    }
    Ok(hasher.finish())
}

/// SHA-256 of a whole file.
///
/// # Errors
/// Where it can't be read.
pub fn digest_all(path: &Path) -> Result<Digest> {
    let length = fs::metadata(path).map_err(|error| Fault::internal("no such disk").cause(error).at(path.display()))?.len();
    digest(path, 0, length)
}

/// Whether firmware could boot from it: a partition table that holds, at the front or at the end, or an MBR with a partition.
///
/// # Errors
/// Where it can't be read.
pub fn bootable(path: &Path) -> Result<bool> {
    let broken = |error| Fault::internal("a disk can't be read").cause(error).at(path.display());
    let mut file = File::open(path).map_err(broken)?;
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, 0).map_err(broken)?;
    let mbr = sector[510..] == [0x55, 0xaa] && (0..4).any(|entry| sector[446 + entry * 16 + 4] != 0);
    let table = [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096].into_iter().any(|block| {
        file.rewind().is_ok()
            && file
                .try_clone()
                .is_ok_and(|file| GptConfig::new().writable(false).logical_block_size(block).open_from_device(file).is_ok())
    });
    Ok(mbr || table)
}

/// Checks the partition table as `sgdisk -v` does: both headers and both tables hold, agree, and the backup is in the last
/// sector. Returns the partitions as (first sector, last sector, name).
///
/// # Errors
/// Where one of these does not hold.
pub fn check_table(path: &Path) -> Result<Vec<(u64, u64, String)>> {
    let wrong = |what: String| Fault::device(what).at(path.display());
    let file = File::open(path).map_err(|error| wrong("a disk can't be read".into()).cause(error))?;
    let size =
        file.try_clone().and_then(|mut file| file.seek(SeekFrom::End(0))).map_err(|error| wrong("no size".into()).cause(error))?;
    let disk = GptConfig::new()
        .writable(false)
        .only_valid_headers(true)
        .open_from_device(file)
        .map_err(|error| wrong(format!("the partition table does not hold: {error}")))?;
    let primary = disk.primary_header().map_err(|error| wrong(format!("primary header: {error}")))?;
    let backup = disk.backup_header().map_err(|error| wrong(format!("backup header: {error}")))?;
    let last = size / 512 - 1;
    if primary.current_lba != 1 || primary.backup_lba != last || backup.current_lba != last || backup.backup_lba != 1 {
        return Err(wrong(format!(
            "the headers point to {} and {}, the disk ends with {last}",
            primary.backup_lba, backup.backup_lba
        )));
    }
    if primary.disk_guid != backup.disk_guid || primary.crc32_parts != backup.crc32_parts {
        return Err(wrong("primary and backup table differ".into()));
    }
    // The crate checks the checksum of the table that it reads, and of the other one only the header.
    let entries = u64::from(primary.num_parts) * u64::from(primary.part_size);
    if digest(path, primary.part_start * 512, entries)? != digest(path, backup.part_start * 512, entries)? {
        return Err(wrong("the entries of primary and backup table differ".into()));
    }
    if primary.last_usable >= backup.part_start {
        return Err(wrong(format!(
            "the usable area ends at {}, over the backup table at {}",
            primary.last_usable, backup.part_start
        )));
    }
    let used = disk.partitions().values().filter(|partition| partition.is_used());
    Ok(used.map(|partition| (partition.first_lba, partition.last_lba, partition.name.clone())).collect())
}

/// Turns one bit of one byte over.
///
/// # Errors
/// Where the file can't be written.
pub fn flip(path: &Path, offset: u64) -> Result<()> {
    let broken = |error| Fault::internal("a file can't be changed").cause(error).at(path.display());
    let file = File::options().read(true).write(true).open(path).map_err(broken)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).map_err(broken)?;
    byte[0] ^= 0x40;
    file.write_all_at(&byte, offset).map_err(broken)
}

/// xorshift64: quick noise that is the same every time.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_made_passes_and_what_is_damaged_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        make(&path, 16, 1).unwrap();
        assert!(bootable(&path).unwrap());
        assert_eq!(check_table(&path).unwrap().len(), 2);
        let before = digest_all(&path).unwrap();
        // An entry that is not used, in the backup only.
        flip(&path, 16 * MIB - 20 * 512).unwrap();
        assert!(check_table(&path).is_err());
        flip(&path, 16 * MIB - 20 * 512).unwrap();
        flip(&path, 512 + 60).unwrap();
        assert!(check_table(&path).is_err());
        assert_ne!(digest_all(&path).unwrap(), before);
        File::options().write(true).open(&path).unwrap().set_len(17 * MIB).unwrap();
        assert!(check_table(&path).is_err(), "the backup is not at the end");
        fs::write(&path, vec![0; 1 << 20]).unwrap();
        assert!(!bootable(&path).unwrap());
    }
}
