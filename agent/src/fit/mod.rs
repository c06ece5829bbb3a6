//! What must change so that an image fits a disk: a partition table that counts in the disk's sectors and ends where the disk ends, and,
//! for sectors of 4096 bytes, the FAT of the EFI system partition.
//!
//! | module | what it does |
//! |---|---|
//! | [`table`] | the partition table made to fit, and the image's own again |
//! | [`fat`] | a FAT made for 512-byte sectors, on a disk of 4096 |
//! | [`patch`] | a range that changes: put, recognised, read back |
//! | [`patches`](mod@patches) | which ranges these are, for an image and a disk |
//! | [`head`] | the image's first bytes, recognised on a disk that was finished |

pub(crate) mod fat;
pub(crate) mod head;
pub(crate) mod patch;
pub(crate) mod patches;
pub(crate) mod table;
