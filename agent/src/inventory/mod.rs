//! What this device is: system, firmware, disks, network interfaces.
//!
//! In: sysfs, SMBIOS through `/sys/class/dmi/id`, udev's database, `/proc`. Out: a [`contract`](livery_contract::inventory)
//! inventory. Fails (exit 6) only where the kernel's own lists cannot be read; a missing detail is `None`.
//!
//! Nothing is parsed from the output of `lsblk` or `blkid`: those are for people. Every function takes the root folder
//! that `sys`, `proc`, `run` and `dev` lie in, so that tests can give one with any machine in it.

mod disks;
mod holders;
mod nics;
mod partitions;
mod read;
mod sysfs;
mod system;
mod udev;

pub(crate) use self::{
    read::{disk_of_file, disk_of_node, read},
    udev::settle,
};

#[cfg(test)]
mod tests;
