//! What must change so that an image fits a disk: a partition table that counts in the disk's sectors and ends where the disk ends.

pub mod fat;
pub mod patch;
pub mod table;
