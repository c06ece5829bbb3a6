//! What a device is: read by the agent, shown by the station, matched against an order.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that the agent found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The machine (SMBIOS type 1).
    pub system: System,
    /// Its firmware.
    pub firmware: Firmware,
    /// Whole disks, in order of their kernel names.
    pub disks: Vec<Disk>,
    /// Network interfaces, loopback left out.
    pub nics: Vec<Nic>,
}

/// SMBIOS System Information (DSP0134, type 1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Manufacturer.
    pub manufacturer: String,
    /// Product name.
    pub product: String,
    /// Serial number, trimmed. Empty where the firmware has none or a placeholder; see [`usable_serial`].
    pub serial: String,
    /// System UUID; empty where unknown.
    pub uuid: String,
}

/// How the device boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Whether it booted through UEFI.
    pub uefi: bool,
    /// Whether Secure Boot is enforced; `None` where it can't be read.
    pub secure_boot: Option<bool>,
}

/// One whole disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Kernel name: `nvme0n1`, `sda`, `vda`, `mmcblk0`.
    pub name: String,
    /// Device node.
    pub path: String,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World Wide Name, NVMe EUI-64/NGUID included.
    pub wwn: Option<String>,
    /// How it is attached.
    pub transport: Transport,
    /// Bytes.
    pub size: u64,
    /// Logical sector size in bytes.
    pub logical_sector: u32,
    /// Physical sector size in bytes.
    pub physical_sector: u32,
    /// Whether the kernel calls it removable, or it hangs on USB.
    pub removable: bool,
    /// Whether it is write-protected.
    pub read_only: bool,
    /// The kernel's sequence number: never the same for two disks in one boot (`/dev/disk/by-diskseq`).
    pub diskseq: Option<u64>,
    /// GUIDs of the GPT partitions on it.
    #[serde(default)]
    pub partition_guids: Vec<Uuid>,
    /// Who holds it: mounts, swap, dm/md holders, the boot medium. Empty for a free disk.
    pub held_by: Vec<String>,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Transport {
    /// NVM Express.
    Nvme,
    /// SATA or ATA.
    Sata,
    /// SCSI or SAS.
    Scsi,
    /// eMMC or SD.
    Mmc,
    /// virtio-blk.
    Virtio,
    /// USB.
    Usb,
    /// A loop device or a file: only by hand and in tests.
    Loop,
    /// Anything else.
    Unknown,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// Interface name.
    pub name: String,
    /// MAC address.
    pub mac: String,
    /// Driver.
    pub driver: Option<String>,
    /// Whether it hangs on USB: such an adapter moves from device to device and identifies none.
    pub usb: bool,
}

/// The serial number as something that identifies one machine, or `None` for the placeholders that factories leave in
/// (`To be filled by O.E.M.`, `Default string`, `Enter Serial`…): they made many machines one (FOGProject/fogproject#198).
pub fn usable_serial(serial: &str) -> Option<&str> {
    const PLACEHOLDERS: [&str; 12] = [
        "0",
        "123456789",
        "chassis serial number",
        "default string",
        "enter serial",
        "invalid",
        "n/a",
        "none",
        "not applicable",
        "not specified",
        "system serial number",
        "to be filled by o.e.m.",
    ];
    let serial = serial.trim();
    let lower = serial.to_ascii_lowercase();
    let one_character = serial.chars().all(|character| serial.starts_with(character));
    let bad = serial.len() > 128
        || one_character
        || PLACEHOLDERS.contains(&lower.as_str())
        || serial.chars().any(|character| character.is_control());
    (!bad).then_some(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_identify_nothing() {
        for bad in ["", " ", "0", "00000000", "xxxxxxx", "Default string", "To Be Filled By O.E.M.", "Enter Serial", "a\nb"] {
            assert_eq!(usable_serial(bad), None, "{bad:?}");
        }
        assert_eq!(usable_serial(" WT5070-0001 "), Some("WT5070-0001"));
    }
}
