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
mod system;
mod udev;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_contract::{
    Fault, Result,
    inventory::{Disk, Inventory, Transport},
};

/// What this device is.
///
/// # Errors
/// Exit 6 where sysfs cannot be read.
pub fn read() -> Result<Inventory> {
    read_below(Path::new("/"))
}

/// As [`read`], for the machine whose `sys`, `proc`, `run` and `dev` lie below `root`.
///
/// # Errors
/// As [`read`].
pub fn read_below(root: &Path) -> Result<Inventory> {
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
pub fn disk_of_node(path: &Path, major: u64, minor: u64) -> Result<Disk> {
    disks::by_number(Path::new("/"), path, major, minor)
}

/// A regular file as a disk: only by hand and in tests. It has the sector size that the image wants.
pub fn disk_of_file(path: &Path, size: u64, sector: u32) -> Disk {
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

/// Waits until udev has handled all events, so that no disk is missed that is still being found; at most `limit`.
///
/// What `udevadm settle` does: while events are queued, udev keeps the file `/run/udev/queue`.
pub fn settle(limit: Duration) {
    let start = Instant::now();
    while Path::new("/run/udev/queue").exists() {
        if start.elapsed() > limit {
            tracing::warn!("udev has not settled after {} s; going on", limit.as_secs());
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The trimmed text of a small file such as a sysfs attribute; `None` where it is missing, empty or unreadable.
fn text(path: PathBuf) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // What firmware and devices say about themselves goes to screens and into JSON: no control characters.
    let text: String = text.trim_matches(['\0', ' ', '\n', '\t']).chars().filter(|character| !character.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

fn number<N: std::str::FromStr>(path: PathBuf) -> Option<N> {
    text(path)?.parse().ok()
}

/// The names in a folder, sorted; empty where it is not there.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn unreadable(path: &Path, error: std::io::Error) -> Fault {
    Fault::device("the kernel's list of devices cannot be read").at(path.display()).cause(error).fix("mount sysfs on /sys")
}

#[cfg(test)]
mod tests;
