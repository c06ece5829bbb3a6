//! Both ends of the disk: cleared before anything is written, and written last. They make the disk a disk that boots.

use livery_contract::{chunkmap::Content, compose::Extent, manifest::Manifest};

use crate::device::whole_blocks;

/// Data below this offset (and below the first partition) is deferred: boot sector, primary GPT, a boot loader's core.
pub(crate) const HEAD: u64 = 1 << 20;
/// Data in the image's last bytes is deferred too: the backup GPT (at most 34 sectors of 512 or 5 of 4096 bytes), from which
/// firmware restores a primary one that it finds missing (UEFI 2.10, section 5.3.2).
pub(crate) const TAIL: u64 = 64 << 10;
/// How much at the disk's end is cleared: the old backup GPT, and RAID or ZFS labels by which a stale disk comes alive.
pub(crate) const END: u64 = 1 << 20;

/// What is cleared before anything is written, from byte to byte: at both ends of the disk, so that a broken run leaves
/// no disk that boots.
pub(crate) fn cleared(disk_size: u64) -> [(u64, u64); 2] {
    [(0, HEAD.min(disk_size)), whole_blocks(disk_size.saturating_sub(END), disk_size, disk_size)]
}

/// Whether a data extent is written last.
pub(crate) fn is_deferred(manifest: &Manifest, extent: &Extent) -> bool {
    if !matches!(extent.content, Content::Data { .. }) {
        return false;
    }
    let head = manifest.partitions.first().map_or(HEAD, |first| first.offset.min(HEAD));
    let last_end = manifest.partitions.last().map_or(0, |last| last.offset + last.length);
    let tail = manifest.size.saturating_sub(TAIL).max(last_end);
    extent.offset < head || extent.offset + extent.length > tail
}
