//! A FAT file system made for 512-byte sectors, on a disk of 4096 (Microsoft's FAT specification 1.03, section 3).
//!
//! Linux and firmware refuse a FAT whose sectors are smaller than the disk's (rackerlabs/understack#2069). Clusters and the
//! allocation table do not depend on the sector size where they are aligned to 4096 bytes, as the builder's are: then only
//! the reserved sectors in front (boot sector, FSInfo, their backups) must be written anew. In: the partition's first bytes.
//! Out: the reserved area. Fails with exit 3 for any other FAT. Pure.

use livery_contract::{Fault, Result};

/// The reserved area is read up to this length; a longer one is refused.
pub(crate) const RESERVED: usize = 64 << 10;
/// A sector of the disk.
const SECTOR: usize = 4096;
const RATIO: u32 = 8;
/// Offsets in the boot sector (section 3.1 and 3.3).
const BYTES_PER_SECTOR: usize = 11;
const SECTORS_PER_CLUSTER: usize = 13;
const RESERVED_SECTORS: usize = 14;
const FATS: usize = 16;
const TOTAL_SECTORS_16: usize = 19;
const FAT_SIZE_16: usize = 22;
const HIDDEN_SECTORS: usize = 28;
const TOTAL_SECTORS_32: usize = 32;
const FAT_SIZE_32: usize = 36;
const FS_INFO: usize = 48;
const BACKUP_BOOT: usize = 50;

/// The reserved area for sectors of 4096 bytes, made from one for 512.
///
/// # Errors
/// Exit 3 where this is no FAT32 for 512-byte sectors, or not aligned so that it can be converted.
pub(crate) fn for_4096(front: &[u8]) -> Result<Vec<u8>> {
    let refuse = |what: &str| {
        Fault::refused(format!("the image's EFI system partition cannot be used with sectors of 4096 bytes: {what}"))
            .fix("build the image with `image.sectors = \"any\"`, or use a disk of 512-byte sectors")
    };
    let u16_at = |at: usize| front.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes));
    let u32_at = |at: usize| front.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if front.get(510..512) != Some(&[0x55, 0xaa]) || u16_at(BYTES_PER_SECTOR) != 512 {
        return Err(refuse("it is not a FAT file system with sectors of 512 bytes"));
    }
    if u16_at(FAT_SIZE_16) != 0 || u16_at(TOTAL_SECTORS_16) != 0 || u32_at(FAT_SIZE_32) == 0 {
        return Err(refuse("it is not FAT32"));
    }
    let (per_cluster, reserved) = (u32::from(front[SECTORS_PER_CLUSTER]), u32::from(u16_at(RESERVED_SECTORS)));
    let (total, fat) = (u32_at(TOTAL_SECTORS_32), u32_at(FAT_SIZE_32));
    let hidden = u32_at(HIDDEN_SECTORS);
    let aligned = [per_cluster, reserved, fat, hidden].iter().all(|value| value.is_multiple_of(RATIO));
    // mkfs.vfat rounds the total to whole tracks of old disks, so it need not be a multiple; the clusters must stay as many.
    let tables = u64::from(reserved) + u64::from(front[FATS]) * u64::from(fat);
    let clusters = |total: u64, tables: u64, each: u64| total.checked_sub(tables).and_then(|data| data.checked_div(each));
    let before = clusters(total.into(), tables, per_cluster.into());
    let after = clusters((total / RATIO).into(), tables / u64::from(RATIO), (per_cluster / RATIO).into());
    if !aligned || before.is_none() || before != after {
        return Err(refuse("its clusters or tables are not aligned to 4096 bytes"));
    }
    let info = usize::from(u16_at(FS_INFO)) * 512;
    let length = reserved as usize * 512;
    let sectors = length / SECTOR;
    let (Some(boot), Some(info), 2.., ..=RESERVED) = (front.get(..512), front.get(info..info + 512), sectors, length) else {
        return Err(refuse("its reserved area is too short or too long"));
    };
    let mut boot = boot.to_vec();
    let backup = if sectors >= 8 { 6_u16 } else { 0 };
    boot[BYTES_PER_SECTOR..BYTES_PER_SECTOR + 2].copy_from_slice(&4096_u16.to_le_bytes());
    boot[SECTORS_PER_CLUSTER] /= 8;
    boot[RESERVED_SECTORS..RESERVED_SECTORS + 2].copy_from_slice(&(u16_at(RESERVED_SECTORS) / 8).to_le_bytes());
    boot[HIDDEN_SECTORS..HIDDEN_SECTORS + 4].copy_from_slice(&(hidden / RATIO).to_le_bytes());
    boot[TOTAL_SECTORS_32..TOTAL_SECTORS_32 + 4].copy_from_slice(&(total / RATIO).to_le_bytes());
    boot[FAT_SIZE_32..FAT_SIZE_32 + 4].copy_from_slice(&(fat / RATIO).to_le_bytes());
    boot[FS_INFO..FS_INFO + 2].copy_from_slice(&1_u16.to_le_bytes());
    boot[BACKUP_BOOT..BACKUP_BOOT + 2].copy_from_slice(&backup.to_le_bytes());

    let mut area = vec![0; length];
    let starts = if backup == 0 { &[0][..] } else { &[0, usize::from(backup)] };
    for start in starts {
        let at = start * SECTOR;
        area[at..at + 512].copy_from_slice(&boot);
        area[at + SECTOR..at + SECTOR + 512].copy_from_slice(info);
    }
    Ok(area)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    /// A FAT32 by mkfs.vfat, with one file by mtools; whole in memory.
    fn made(arguments: &[&str]) -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("fat.img");
        std::fs::File::create(&image).unwrap().set_len(264 << 20).unwrap();
        std::fs::write(folder.path().join("FILE"), vec![7; 100_000]).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{program}: {output:?}");
        };
        run("mkfs.vfat", &[&["-F32", "--invariant"], arguments, &["fat.img"]].concat());
        run("mcopy", &["-i", "fat.img", "FILE", "::"]);
        let bytes = std::fs::read(&image).unwrap();
        (folder, bytes)
    }

    #[test]
    fn other_readers_find_the_same_file() {
        let (folder, mut bytes) = made(&["-s8", "-R64"]);
        let area = for_4096(&bytes[..RESERVED]).unwrap();
        assert_eq!(area.len(), 64 * 512);
        bytes[..area.len()].copy_from_slice(&area);
        std::fs::write(folder.path().join("fat.img"), &bytes).unwrap();
        let check = Command::new("fsck.vfat").args(["-n", "fat.img"]).current_dir(folder.path()).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        let read = Command::new("mcopy").args(["-i", "fat.img", "::FILE", "-"]).current_dir(folder.path()).output().unwrap();
        assert!(read.stdout == vec![7; 100_000], "{}", String::from_utf8_lossy(&read.stderr));
    }

    #[test]
    fn what_cannot_be_converted_is_refused() {
        let (_, bytes) = made(&["-s1", "-R32"]);
        assert_eq!(for_4096(&bytes[..RESERVED]).unwrap_err().exit().code(), 3);
        assert_eq!(for_4096(&[0; RESERVED]).unwrap_err().exit().code(), 3);
        assert_eq!(for_4096(&[]).unwrap_err().exit().code(), 3);
    }

    proptest::proptest! {
        #[test]
        fn damage_never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600), at in 0_usize..60) {
            let mut front = vec![0; 4096];
            front[..bytes.len()].copy_from_slice(&bytes);
            front[510..512].copy_from_slice(&[0x55, 0xaa]);
            front[11..13].copy_from_slice(&512_u16.to_le_bytes());
            front[at] = 8;
            let _ = for_4096(&front);
        }
    }
}
