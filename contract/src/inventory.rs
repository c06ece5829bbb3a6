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

/// What factories leave in place of a serial number, letters and digits alone, in lower case. From boards' own firmware, and from those
/// who met them: FOGProject/fogproject#198, fleet and inventory tools' block lists.
const PLACEHOLDERS: [&str; 40] = [
    "assettag",
    "baseboardserialnumber",
    "chassisserialnumber",
    "default",
    "defaultstring",
    "empty",
    "enterserial",
    "enterserialnumber",
    "filledbyoem",
    "invalid",
    "na",
    "nil",
    "noasset",
    "noassettag",
    "none",
    "noserial",
    "noserialnumber",
    "notapplicable",
    "notassigned",
    "notavailable",
    "notset",
    "notspecified",
    "null",
    "oem",
    "oemdefault",
    "serial",
    "serialnumber",
    "sn",
    "standard",
    "systemmanufacturer",
    "systemname",
    "systemproductname",
    "systemserialnumber",
    "systemversion",
    "tobedefinedbyoem",
    "tobefilled",
    "tobefilledbyoem",
    "tobefilledbyoemmore",
    "undefined",
    "unknown",
];

/// The serial number as something that identifies one machine, or `None` for the placeholders that factories leave in (`To be filled by
/// O.E.M.`, `Default string`, `Not Available`, `1234567890`…), in whatever spelling: they made many machines one. A serial number is
/// printed on a label and typed by people, so it is ASCII (DSP0134, section 6.1.3): what cannot be seen, or looks like another character,
/// is none.
pub fn usable_serial(serial: &str) -> Option<&str> {
    let serial = serial.trim();
    let plain: String =
        serial.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect();
    let bytes = plain.as_bytes();
    let one_character = bytes.iter().all(|byte| Some(byte) == bytes.first());
    // 0123456789, 1234567890, 123456789012.
    let counted = bytes.len() >= 4
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes.windows(2).all(|pair| (pair[0] - b'0' + 1) % 10 == pair[1] - b'0');
    let bad = serial.len() > 128
        || one_character
        || counted
        || PLACEHOLDERS.binary_search(&plain.as_str()).is_ok()
        || !serial.chars().all(|character| character.is_ascii_graphic() || character == ' ');
    (!bad).then_some(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_identify_nothing() {
        assert!(PLACEHOLDERS.is_sorted());
        for bad in [
            "",
            " ",
            "0",
            "00000000",
            "0000-0000",
            "xxxxxxx",
            "...",
            "Default string",
            "To Be Filled By O.E.M.",
            "To be filled by O.E.M",
            "OEM",
            "O.E.M.",
            "Enter Serial",
            "Unknown",
            "Not Available",
            "N/A",
            "System manufacturer",
            "System Serial Number",
            "1234567890",
            "123456789",
            "0123456789",
            "a\nb",
            "WT\u{202e}1",
            "WT\u{200b}1",
            "WТ5070",
            "not-specified",
        ] {
            assert_eq!(usable_serial(bad), None, "{bad:?}");
        }
        for good in ["WT5070-0001", "4XK9YJ3", "PF1A2B3C", "1234567891", "12", "VMware-56 4d 01", "CZC1234567", "5CG0123456"] {
            assert_eq!(usable_serial(&format!(" {good} ")), Some(good));
        }
    }
}
