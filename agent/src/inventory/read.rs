//! The parts of an inventory put together; and a single disk that somebody names.

use std::path::Path;

use livery_contract::{
    Result,
    inventory::{Disk, Inventory, Transport},
};

use super::{disks, nics, system};

/// What this device is.
///
/// # Errors
/// Exit 6 where sysfs cannot be read.
pub(crate) fn read() -> Result<Inventory> {
    read_below(Path::new("/"))
}

/// As [`read`], for the machine whose `sys`, `proc`, `run` and `dev` lie below `root`.
///
/// # Errors
/// As [`read`].
pub(super) fn read_below(root: &Path) -> Result<Inventory> {
    Ok(Inventory {
        system: system::system(root),
        firmware: system::firmware(root),
        disks: disks::physical(root)?,
        nics: nics::nics(root),
    })
}

/// The whole disk behind a device node, whatever kind it is (loop devices too); for a disk that is named by hand.
///
/// # Errors
/// Exit 3 where the node is a partition, or no disk at all.
pub(crate) fn disk_of_node(path: &Path, major: u64, minor: u64) -> Result<Disk> {
    disks::by_number(Path::new("/"), path, major, minor)
}

/// A regular file as a disk: only by hand and in tests. It has the sector size that the image wants.
pub(crate) fn disk_of_file(path: &Path, size: u64, sector: u32) -> Disk {
    Disk {
        name: path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned()),
        path: path.display().to_string(),
        model: None,
        serial: None,
        wwn: None,
        transport: Transport::Loop,
        size,
        logical_sector: sector,
        physical_sector: sector,
        removable: false,
        read_only: false,
        diskseq: None,
        partition_guids: Vec::new(),
        held_by: Vec::new(),
    }
}
