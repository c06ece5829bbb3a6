//! What a disk is, by its bytes and the image that was imported; nothing that the agent says counts here.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

use livery_contract::{Fault, Result};

use super::image::FIRST;
use crate::raw_disk;

/// Bytes at the image's end that may belong to its backup GPT: 33 sectors.
const TAIL: u64 = 33 * 512;
/// Bytes compared at a time.
const STEP: usize = 1 << 20;

/// What a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The image, and its partition table as it must be on this disk: primary and backup hold, agree, and lie where they must.
    Exact,
    /// The image bit for bit, on a larger disk: only the backup GPT is not at the disk's end yet.
    Unfinished,
    /// All partitions hold the image; only the table is not there in whole.
    AllButTable,
    /// No valid partition table at either end, no MBR: firmware finds nothing.
    DoesNotBoot,
    /// A valid table, and something behind it is not the image.
    Otherwise,
}

/// Looks.
///
/// # Errors
/// Where the disk can't be read.
pub fn look(disk: &Path, image: &Path) -> Result<State> {
    let broken = |error| Fault::internal("a disk can't be judged").cause(error).at(disk.display());
    let (mut there, mut wanted) = (File::open(disk).map_err(broken)?, File::open(image).map_err(broken)?);
    let (disk_size, size) = (there.seek(SeekFrom::End(0)).map_err(broken)?, wanted.seek(SeekFrom::End(0)).map_err(broken)?);
    if disk_size < size {
        return Ok(State::Otherwise);
    }
    let same = |from: u64, to: u64| same(&there, &wanted, from, to).map_err(broken);
    let mut sector = [0_u8; 2048];
    let partitions = same(FIRST, size - TAIL)?;
    if partitions {
        let (head, tail) = (same(0, FIRST)?, same(size - TAIL, size)?);
        if head && tail {
            return Ok(if disk_size == size { State::Exact } else { State::Unfinished });
        }
        let mut moved = [0_u8; 2048];
        there.read_exact_at(&mut sector, 0).map_err(broken)?;
        wanted.read_exact_at(&mut moved, 0).map_err(broken)?;
        let only_the_pointers = differences(&sector, &moved).all(may_change) && same(2048, FIRST)?;
        // The image's own backup may lie where the disk's backup now is.
        let tail = tail || disk_size < size + TAIL;
        if only_the_pointers
            && tail
            && raw_disk::check_table(disk).is_ok_and(|found| raw_disk::check_table(image).is_ok_and(|wanted| found == wanted))
        {
            return Ok(State::Exact);
        }
    }
    if !raw_disk::bootable(disk)? {
        return Ok(if partitions { State::AllButTable } else { State::DoesNotBoot });
    }
    Ok(if partitions { State::AllButTable } else { State::Otherwise })
}

fn differences(one: &[u8], other: &[u8]) -> impl Iterator<Item = usize> {
    one.iter().zip(other).enumerate().filter(|(_, (one, other))| one != other).map(|(at, _)| at)
}

/// What moving the backup GPT changes in the first sectors (UEFI 2.10, table 5.5): the protective MBR's length, and in
/// the header its checksum, the backup's place and the last usable sector.
fn may_change(at: usize) -> bool {
    let mbr = (446..510).contains(&at) && (at - 446) % 16 >= 12;
    let header = at.wrapping_sub(512);
    mbr || (16..20).contains(&header) || (32..40).contains(&header) || (48..56).contains(&header)
}

fn same(one: &File, other: &File, from: u64, to: u64) -> std::io::Result<bool> {
    let (mut left, mut right) = (vec![0; STEP], vec![0; STEP]);
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(STEP).min(STEP);
        one.read_exact_at(&mut left[..count], at)?;
        other.read_exact_at(&mut right[..count], at)?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::faults::image::{self, SIZE, Version};

    #[test]
    fn each_state_is_told_from_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (image, disk) = (folder.path().join("image"), folder.path().join("disk"));
        image::make(&image, Version::New).unwrap();
        fs::copy(&image, &disk).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::Exact);
        let file = File::options().read(true).write(true).open(&disk).unwrap();
        file.set_len(SIZE + (1 << 20)).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::Unfinished);
        raw_disk::flip(&disk, SIZE / 2).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::Otherwise, "one bit in a hole");
        file.write_all_at(&[0; 8192], 0).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::DoesNotBoot);
        raw_disk::flip(&disk, SIZE / 2).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::AllButTable);
        file.set_len(SIZE).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::AllButTable, "the backup is there");
        raw_disk::flip(&disk, SIZE / 2).unwrap();
        assert_eq!(look(&disk, &image).unwrap(), State::Otherwise, "a backup table alone is one too");
    }
}
