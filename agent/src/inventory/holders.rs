//! Who holds a disk: mounts, swap, device-mapper and RAID sets, and the medium that this program was booted from.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use super::{
    partitions::{guid, partitions},
    sysfs::{lossy, names, text},
};

/// systemd's boot loader interface: which partition the firmware loaded us from (systemd.io/BOOT_LOADER_INTERFACE).
const LOADER_PARTITION: &str = "sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// What is in use on this machine.
pub(super) struct Holders {
    /// Device number and what holds it.
    uses: Vec<(String, String)>,
    /// Partition GUID of the boot medium.
    boot: Option<String>,
}

impl Holders {
    pub(super) fn read(root: &Path) -> Self {
        let mut uses = Vec::new();
        for line in lossy(&root.join("proc/self/mountinfo")).lines() {
            // 36 35 98:0 /root /mount options... - type source options (proc_pid_mountinfo(5))
            let fields: Vec<&str> = line.split(' ').collect();
            let (Some(number), Some(place)) = (fields.get(2), fields.get(4)) else { continue };
            let by = format!("mounted on {}", unescape(place));
            uses.push(((*number).to_owned(), by.clone()));
            // btrfs and others give a mount a number of its own (0:x): the source names the device.
            let source = fields.iter().position(|field| *field == "-").and_then(|dash| fields.get(dash + 2));
            if let Some(number) = source.and_then(|source| block_number(root, &unescape(source))) {
                uses.push((number, by));
            }
        }
        for line in lossy(&root.join("proc/swaps")).lines().skip(1) {
            if let Some(number) = line.split_whitespace().next().and_then(|path| block_number(root, &unescape(path))) {
                uses.push((number, "swap".into()));
            }
        }
        Self { uses, boot: boot_partition(root) }
    }

    /// What holds the disk in this sysfs folder, or a partition of it.
    pub(super) fn of(&self, root: &Path, disk: &Path) -> Vec<String> {
        let mut held = Vec::new();
        for folder in std::iter::once(disk.to_owned()).chain(partitions(disk)) {
            let Some(number) = text(folder.join("dev")) else { continue };
            held.extend(self.uses.iter().filter(|(used, _)| *used == number).map(|(_, by)| by.clone()));
            held.extend(names(&folder.join("holders")).into_iter().map(|holder| format!("part of {holder}")));
            if let Some(boot) = &self.boot
                && guid(root, &folder, &number).as_ref() == Some(boot)
            {
                held.push("the medium that this machine was booted from".into());
            }
        }
        held.sort();
        held.dedup();
        held
    }
}

/// The partition GUID that the firmware loaded our UKI from; `None` for a network boot.
fn boot_partition(root: &Path) -> Option<String> {
    let variable = fs::read(root.join(LOADER_PARTITION)).ok()?;
    // Four bytes of attributes, then UTF-16.
    let units: Vec<u16> = variable.get(4..)?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16_lossy(&units).trim_end_matches('\0').to_ascii_lowercase();
    (!text.is_empty()).then_some(text)
}

fn block_number(root: &Path, path: &str) -> Option<String> {
    let relative = path.strip_prefix('/')?;
    let metadata = fs::metadata(root.join(relative)).ok()?;
    metadata
        .file_type()
        .is_block_device()
        .then(|| format!("{}:{}", nix::sys::stat::major(metadata.rdev()), nix::sys::stat::minor(metadata.rdev())))
}

/// The kernel writes space, tab, newline and backslash in these files as octal `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}
