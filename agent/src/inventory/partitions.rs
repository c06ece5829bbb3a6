//! The partitions of a disk, as the kernel lists them.

use std::path::{Path, PathBuf};

use super::{
    sysfs::{lossy, names},
    udev,
};

/// The folders of a disk's partitions.
pub(super) fn partitions(folder: &Path) -> Vec<PathBuf> {
    names(folder).into_iter().map(|name| folder.join(name)).filter(|path| path.join("partition").exists()).collect()
}

/// A partition's GUID: from udev, or from the kernel (`PARTUUID=` in uevent, Linux 6.13).
pub(super) fn guid(root: &Path, folder: &Path, number: &str) -> Option<String> {
    udev::properties(root, number)
        .remove("ID_PART_ENTRY_UUID")
        .or_else(|| lossy(&folder.join("uevent")).lines().find_map(|line| line.strip_prefix("PARTUUID=").map(str::to_owned)))
        .map(|guid| guid.to_ascii_lowercase())
}
