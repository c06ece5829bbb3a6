//! GUID partition tables (UEFI 2.10, chapter 5): read from an imported image, made for a built one. By the `gpt` crate.

use std::{collections::BTreeMap, fs::File};

use gpt::{DiskDevice, GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition, partition_types};
use livery_contract::{
    Fault, Result,
    manifest::{BLOCK, Partition, Role},
};
use uuid::Uuid;

/// Type GUIDs of the partitions that we make (UEFI 2.10 table 5.7; Discoverable Partitions Specification, x86-64).
pub(crate) const ESP: Uuid = Uuid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
/// Root, x86-64.
pub(crate) const ROOT: Uuid = Uuid::from_u128(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);
/// Root's verity hash tree, x86-64.
pub(crate) const ROOT_VERITY: Uuid = Uuid::from_u128(0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5);
/// The signature over its root hash, x86-64.
pub(crate) const ROOT_VERITY_SIGNATURE: Uuid = Uuid::from_u128(0x41092b05_9fc8_4523_994f_2def0408b176);
/// Generic Linux data: the identity partition has no type of its own in the specification.
pub(crate) const LINUX: Uuid = Uuid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4);

/// The table of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Bytes of a sector.
    pub(crate) sector_size: u32,
    /// Partitions in order of offset.
    pub(crate) partitions: Vec<Partition>,
}

/// Reads the table of a raw disk image of `size` bytes; `None` where it has none that we can address in 4 KiB blocks.
pub(crate) fn read(raw: &File, size: u64) -> Option<Table> {
    for (block, sector_size) in [(LogicalBlockSize::Lb512, 512_u32), (LogicalBlockSize::Lb4096, 4096)] {
        let Ok(disk) = GptConfig::new().writable(false).logical_block_size(block).open_from_device(raw.try_clone().ok()?) else {
            continue;
        };
        let mut partitions = Vec::new();
        for (number, entry) in disk.partitions().iter().filter(|(_, entry)| entry.is_used()) {
            let sectors = entry.last_lba.checked_sub(entry.first_lba)?.checked_add(1)?;
            let offset = entry.first_lba.checked_mul(u64::from(sector_size))?;
            let length = sectors.checked_mul(u64::from(sector_size))?;
            if !offset.is_multiple_of(BLOCK) || !length.is_multiple_of(BLOCK) || offset.checked_add(length)? > size {
                return None;
            }
            partitions.push(Partition {
                number: *number,
                role: if entry.part_type_guid.guid == ESP { Role::Esp } else { Role::Other },
                offset,
                length,
                type_guid: entry.part_type_guid.guid,
                guid: entry.part_guid,
                used: None,
                label: entry.name.clone(),
            });
        }
        partitions.sort_by_key(|partition| partition.offset);
        let overlap = partitions.windows(2).any(|pair| pair[0].offset + pair[0].length > pair[1].offset);
        return (!overlap).then_some(Table { sector_size, partitions });
    }
    None
}

/// Writes protective MBR, primary and backup table for 512-byte sectors over the whole of `disk`.
///
/// # Errors
/// Exit 5 where writing fails.
pub(crate) fn write(disk: &mut impl DiskDevice, size: u64, disk_guid: Uuid, partitions: &[Partition]) -> Result<()> {
    const SECTOR: u64 = 512;
    let failed =
        |what: &str, error: &dyn std::error::Error| Fault::source(format!("writing the partition table failed: {what}: {error}"));
    let last = u32::try_from(size / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(last).overwrite_lba0(disk).map_err(|error| failed("protective MBR", &error))?;
    let mut table = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(disk, Some(disk_guid))
        .map_err(|error| failed("new table", &error))?;
    let entries: BTreeMap<u32, partition::Partition> = partitions
        .iter()
        .map(|partition| {
            let entry = partition::Partition {
                part_type_guid: partition_types::Type { guid: partition.type_guid, os: partition_types::OperatingSystem::None },
                part_guid: partition.guid,
                first_lba: partition.offset / SECTOR,
                last_lba: (partition.offset + partition.length) / SECTOR - 1,
                flags: 0,
                name: partition.label.clone(),
            };
            (partition.number, entry)
        })
        .collect();
    table.update_partitions(entries).map_err(|error| failed("entries", &error))?;
    table.write().map_err(|error| failed("headers", &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let size = 64 << 20;
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(size).unwrap();
        let partition = |number, role, type_guid, offset, length| Partition {
            number,
            role,
            offset,
            length,
            type_guid,
            guid: Uuid::from_u128(number.into()),
            used: None,
            label: format!("p{number}"),
        };
        let partitions = vec![partition(1, Role::Esp, ESP, 1 << 20, 8 << 20), partition(2, Role::Other, ROOT, 9 << 20, 20 << 20)];
        write(&mut disk, size, Uuid::from_u128(7), &partitions).unwrap();
        assert_eq!(read(&disk, size).unwrap(), Table { sector_size: 512, partitions });
        let empty = tempfile::tempfile().unwrap();
        empty.set_len(size).unwrap();
        assert_eq!(read(&empty, size), None);
    }
}
