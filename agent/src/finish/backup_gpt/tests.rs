#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};

use super::*;
use crate::device::Mode;

/// An image of 4 MiB with partitions 1 and 3, made by the crate (whose own numbering has no gaps, so one is removed).
fn image(block: LogicalBlockSize) -> Vec<u8> {
    let size = 4 << 20;
    let mut device = Cursor::new(vec![0; size]);
    ProtectiveMBR::with_lb_size(u32::try_from(size / block.as_usize() - 1).unwrap()).overwrite_lba0(&mut device).unwrap();
    let mut disk = GptConfig::new().writable(true).logical_block_size(block).create_from_device(device, None).unwrap();
    for name in ["esp", "gone", "root"] {
        disk.add_partition(name, 256 << 10, partition_types::LINUX_FS, 0, Some(8)).unwrap();
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
            let patches = plan(&image[..256 << 10], sector, size).unwrap().unwrap();
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
            let disk = config.open(file.path()).unwrap();
            let names: BTreeMap<u32, String> = disk.partitions().iter().map(|(n, p)| (*n, p.name.clone())).collect();
            assert_eq!(names.into_iter().collect::<Vec<_>>(), [(1, "esp".into()), (2, "gone".into()), (3, "root".into())]);
            let (primary, backup) = (disk.primary_header().unwrap(), disk.backup_header().unwrap());
            assert_eq!((primary.backup_lba + 1) * block.as_u64(), size);
            assert_eq!((backup.current_lba, backup.crc32_parts), (primary.backup_lba, primary.crc32_parts));
            assert_eq!(backup.part_start, primary.last_usable + 1);
            // And nothing else changed: the entries are the image's, byte for byte.
            let mut after = vec![0; 64 << 10];
            std::os::unix::fs::FileExt::read_exact_at(file.as_file(), &mut after, 0).unwrap();
            assert_eq!(after[2 * block.as_usize()..], image[2 * block.as_usize()..64 << 10]);
            assert_eq!(u32::from_le_bytes(after[458..462].try_into().unwrap()), u32::try_from(size / block.as_u64() - 1).unwrap());
            assert_eq!(plan(&after, sector, size).unwrap(), None, "a second time there is nothing to do");
        }
    }
}

#[test]
fn an_unfitting_or_damaged_table_changes_nothing() {
    let mut image = image(LogicalBlockSize::Lb512);
    assert_eq!(plan(&image, 512, 4 << 20).unwrap(), None, "the disk ends where the image does");
    assert!(plan(&image, 512, 700 << 10).is_err(), "partitions would reach into the backup");
    image[1024 + 40] ^= 1;
    assert_eq!(plan(&image, 512, 16 << 20).unwrap(), None, "the entries' checksum does not hold");
    assert!(!is_gpt(&image, 512));
    assert!(!is_gpt(&[], 512) && !is_gpt(&[0; 4096], 4096));
}

proptest::proptest! {
    /// Whatever a table holds, it is answered without a panic, and a plan never lies outside the disk.
    #[test]
    fn damage_never_panics(at in 512_usize..2048, byte in proptest::prelude::any::<u8>(), size in 0_u64..64 << 20) {
        let mut image = image(LogicalBlockSize::Lb512);
        image[at] = byte;
        if let Ok(Some(patches)) = plan(&image[..64 << 10], 512, size) {
            for patch in patches {
                proptest::prop_assert!(patch.offset + patch.bytes.len() as u64 <= size);
            }
        }
    }
}
