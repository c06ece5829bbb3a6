#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};

use super::*;
use livery_contract::Digest;

use crate::device::{Device, Mode};

fn disk(size: u64, sector: u32) -> Disk {
    Disk { size, sector, grow: None }
}

/// An image of 4 MiB with partitions 1 and 3, made by the crate (whose own numbering has no gaps, so one is removed).
fn image(block: LogicalBlockSize) -> Vec<u8> {
    let size = 4 << 20;
    let mut device = Cursor::new(vec![0; size]);
    ProtectiveMBR::with_lb_size(u32::try_from(size / block.as_usize() - 1).unwrap()).overwrite_lba0(&mut device).unwrap();
    let mut disk = GptConfig::new().writable(true).logical_block_size(block).create_from_device(device, None).unwrap();
    for name in ["esp", "gone", "root"] {
        disk.add_partition(name, 256 << 10, partition_types::LINUX_FS, 0, Some(64)).unwrap();
    }
    disk.write().unwrap().into_inner()
}

fn place(image: &[u8], size: u64) -> (tempfile::NamedTempFile, Device) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    std::os::unix::fs::FileExt::write_all_at(file.as_file(), image, 0).unwrap();
    file.as_file().sync_all().unwrap();
    let device = Device::open(file.path(), Mode::Write).unwrap();
    (file, device)
}

#[test]
fn on_a_larger_disk_both_tables_are_valid_and_alike() {
    for block in [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096] {
        let sector = u32::try_from(block.as_u64()).unwrap();
        // 4100 KiB: the new backup lies over the image's own. 16 MiB: far from it.
        for size in [(4 << 20) + 4096, 16 << 20] {
            let image = image(block);
            let (file, device) = place(&image, size);
            let patches = plan(&image[..256 << 10], sector, disk(size, sector)).unwrap().unwrap();
            assert_eq!(patches[0].offset, 0);
            assert!(!patches[0].is_on(&device).unwrap());
            for patch in &patches {
                patch.apply(&device).unwrap();
            }
            device.flush().unwrap();
            for patch in &patches {
                let change = patch.read_back(&device).unwrap();
                let mut bytes = vec![0; usize::try_from(change.length).unwrap()];
                std::os::unix::fs::FileExt::read_exact_at(file.as_file(), &mut bytes, change.offset).unwrap();
                assert_eq!(change.sha256, Digest::of(&bytes));
            }
            // A second opinion: the crate opens it with both headers required to be valid.
            let config = GptConfig::new().logical_block_size(block).only_valid_headers(true);
            let opened = config.open(file.path()).unwrap();
            let names: BTreeMap<u32, String> = opened.partitions().iter().map(|(n, p)| (*n, p.name.clone())).collect();
            assert_eq!(names.into_iter().collect::<Vec<_>>(), [(1, "esp".into()), (2, "gone".into()), (3, "root".into())]);
            let (primary, backup) = (opened.primary_header().unwrap(), opened.backup_header().unwrap());
            assert_eq!((primary.backup_lba + 1) * block.as_u64(), size);
            assert_eq!((backup.current_lba, backup.crc32_parts), (primary.backup_lba, primary.crc32_parts));
            assert_eq!(backup.part_start, primary.last_usable + 1);
            // And nothing else changed: the entries are the image's, byte for byte.
            let mut after = vec![0; 64 << 10];
            std::os::unix::fs::FileExt::read_exact_at(file.as_file(), &mut after, 0).unwrap();
            assert_eq!(after[2 * block.as_usize()..], image[2 * block.as_usize()..64 << 10]);
            assert_eq!(u32::from_le_bytes(after[458..462].try_into().unwrap()), u32::try_from(size / block.as_u64() - 1).unwrap());
            assert_eq!(plan(&after, sector, disk(size, sector)).unwrap(), None, "a second time there is nothing to do");
        }
    }
}

#[test]
fn an_unfitting_or_damaged_table_changes_nothing() {
    let mut image = image(LogicalBlockSize::Lb512);
    assert_eq!(plan(&image, 512, disk(4 << 20, 512)).unwrap(), None, "the disk ends where the image does");
    assert!(plan(&image, 512, disk(700 << 10, 512)).is_err(), "partitions would reach into the backup");
    image[1024 + 40] ^= 1;
    assert_eq!(plan(&image, 512, disk(16 << 20, 512)).unwrap(), None, "the entries' checksum does not hold");
    assert!(!is_gpt(&image, 512));
    assert!(!is_gpt(&[], 512) && !is_gpt(&[0; 4096], 4096));
}

proptest::proptest! {
    /// Whatever a table holds, it is answered without a panic, and a plan never lies outside the disk.
    #[test]
    fn damage_never_panics(at in 512_usize..2048, byte in proptest::prelude::any::<u8>(), size in 0_u64..64 << 20) {
        let mut image = image(LogicalBlockSize::Lb512);
        image[at] = byte;
        if let Ok(Some(patches)) = plan(&image[..64 << 10], 512, disk(size, 512)) {
            for patch in patches {
                proptest::prop_assert!(patch.offset + patch.bytes.len() as u64 <= size);
            }
        }
    }
}

/// The partitions of a disk in memory, by the crate: number, first and last byte.
fn partitions(bytes: &[u8], block: LogicalBlockSize) -> Vec<(u32, u64, u64)> {
    let device = Cursor::new(bytes.to_vec());
    let disk = GptConfig::new().logical_block_size(block).only_valid_headers(true).open_from_device(device).unwrap();
    let size = block.as_u64();
    disk.partitions().iter().map(|(n, p)| (*n, p.first_lba * size, (p.last_lba + 1) * size)).collect()
}

fn patched(image: &[u8], size: usize, patches: &[Patch]) -> Vec<u8> {
    let mut bytes = image.to_vec();
    bytes.resize(size, 0);
    for patch in patches {
        let at = usize::try_from(patch.offset).unwrap();
        bytes[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
    bytes
}

#[test]
fn on_sectors_of_4096_bytes_the_same_partitions_lie_in_the_same_places() {
    let image = image(LogicalBlockSize::Lb512);
    let size = 16 << 20;
    let patches = plan(&image[..256 << 10], 512, disk(size, 4096)).unwrap().unwrap();
    let after = patched(&image, 16 << 20, &patches);
    assert_eq!(partitions(&after, LogicalBlockSize::Lb4096), partitions(&image, LogicalBlockSize::Lb512));
    assert!(!is_gpt(&after, 512), "the old table is gone");
    assert!(patches[0].bytes.len() <= 24 << 10, "nothing of a partition is touched");
}

#[test]
fn the_last_partition_grows_and_that_can_be_undone() {
    let image = image(LogicalBlockSize::Lb512);
    for sector in [512, 4096] {
        let size = (16 << 20) + 12288;
        let patches = plan(&image[..256 << 10], 512, Disk { size, sector, grow: Some(3) }).unwrap().unwrap();
        let after = patched(&image, usize::try_from(size).unwrap(), &patches);
        let block = LogicalBlockSize::try_from(u64::from(sector)).unwrap();
        let (before, grown) = (partitions(&image, LogicalBlockSize::Lb512), partitions(&after, block));
        assert_eq!(grown[..2], before[..2]);
        let last = size - if sector == 512 { 33 * 512 } else { 5 * 4096 };
        assert_eq!((grown[2].1, grown[2].2), (before[2].1, last - last % (1 << 20)), "to a whole MiB before the backup table");
        if sector == 512 {
            let partition = |number: u32, from: u64, to: u64| {
                let guid = uuid::Uuid::from_u128(u128::from(number));
                serde_json::json!({"number": number, "role": "other", "offset": from, "length": to - from,
                    "type_guid": guid, "guid": guid, "label": "x"})
            };
            let list: Vec<_> = before.iter().map(|(number, from, to)| partition(*number, *from, *to)).collect();
            let mut manifest = crate::image::sample::manifest(4 << 20, &serde_json::json!(list));
            manifest.grow = Some(3);
            let undone = undo(&after[..256 << 10], &manifest).unwrap();
            assert!(undone == image[..256 << 10]);
        }
    }
}

#[test]
fn partitions_between_the_sectors_are_refused() {
    let mut device = Cursor::new(vec![0; 4 << 20]);
    ProtectiveMBR::with_lb_size(8191).overwrite_lba0(&mut device).unwrap();
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut odd = config.create_from_device(device, None).unwrap();
    odd.add_partition_at("odd", 1, 2049, 8, partition_types::LINUX_FS, 0).unwrap();
    let image = odd.write().unwrap().into_inner();
    assert_eq!(plan(&image, 512, disk(16 << 20, 4096)).unwrap_err().exit().code(), 3);
}
