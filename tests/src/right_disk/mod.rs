//! The right disk, or none: a virtual device with many disks, and a table of what may be wrong with each, made so for real
//! by the kernel and by Debian's tools inside it. For each row the agent is started, by hand (`write --disk`) and by a job,
//! and must refuse with exit 3 and touch nothing, or write exactly the disk that it should.
//!
//! | module | where | what it is |
//! |---|---|---|
//! | [`cases`] | both | the disks, and the table |
//! | [`guest`] | host | the device: firmware, the agent's own medium with the cases on top, its words read |
//! | [`inside`] | guest | goes through the table and tells |
//! | [`hold`] | guest | makes disks mounted, swapped on, part of LVM, dm and md sets, late, swapped for others |
//! | [`sysfs`] | guest | disks as the kernel and udev show them, found without the agent |
//! | [`replug`] | guest | disks that come, go, and take another's name while the agent opens them |
//! | [`station`] | guest | a station whose jobs name a disk |

pub mod cases;
pub mod guest;
pub mod hold;
pub mod inside;
pub mod replug;
pub mod station;
pub mod sysfs;
mod tools;
