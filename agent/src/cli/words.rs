//! What a person reads in place of JSON.

use livery_contract::inventory::Inventory;

use crate::{
    console::bytes,
    verify::compare::{BackupGpt, Comparison},
};

/// What a comparison found, section by section.
pub(super) fn table(comparison: &Comparison) -> String {
    let mut lines = vec![format!("{:12} {:>14} {:>14}  SHA-256 as read back", "section", "offset", "bytes")];
    for section in &comparison.sections {
        lines.push(format!("{:12} {:>14} {:>14}  {}", section.name, section.offset, section.length, section.sha256));
    }
    for change in &comparison.changed_after {
        lines.push(format!("{:12} {:>14} {:>14}  {} ({})", "changed", change.offset, change.length, change.sha256, change.reason));
    }
    lines.push(match comparison.backup_gpt {
        BackupGpt::Moved => "the disk holds the image; its backup GPT was moved to the disk's end, as the finish step does".into(),
        BackupGpt::AsInImage => {
            "the disk holds the image, but its backup GPT is not at the disk's end: the finish step did not run".into()
        }
        BackupGpt::InPlace => "the disk holds the image".into(),
    });
    lines.join("\n")
}

/// What this device is.
pub(super) fn describe(inventory: &Inventory) -> String {
    let or = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let system = &inventory.system;
    let mut lines = vec![
        format!(
            "system    {} {}, serial {}, UUID {}",
            or(&system.manufacturer),
            or(&system.product),
            or(&system.serial),
            or(&system.uuid)
        ),
        format!(
            "firmware  {}, Secure Boot {}",
            if inventory.firmware.uefi { "UEFI" } else { "not UEFI" },
            match inventory.firmware.secure_boot {
                Some(true) => "on",
                Some(false) => "off",
                None => "unknown",
            }
        ),
    ];
    for disk in &inventory.disks {
        let free = if disk.held_by.is_empty() { "free".into() } else { disk.held_by.join("; ") };
        lines.push(format!(
            "disk      {} {:?} {}, model {}, serial {}, sectors {}/{}{}{}: {free}",
            disk.path,
            disk.transport,
            bytes(disk.size),
            disk.model.as_deref().unwrap_or("unknown"),
            disk.serial.as_deref().unwrap_or("unknown"),
            disk.logical_sector,
            disk.physical_sector,
            if disk.removable { ", removable" } else { "" },
            if disk.read_only { ", read-only" } else { "" },
        ));
    }
    for nic in &inventory.nics {
        let usb = if nic.usb { ", USB" } else { "" };
        lines.push(format!("network   {} {} ({}{usb})", nic.name, nic.mac, nic.driver.as_deref().unwrap_or("no driver")));
    }
    lines.join("\n")
}
