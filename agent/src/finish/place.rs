//! What the image cannot know: where this disk ends, and what this firmware boots.

use std::path::Path;

use livery_contract::{Fault, Result, manifest::Manifest, record::Change};

use crate::{
    device::AlignedBuffer,
    firmware::{boot_entry, variables::EFIVARS},
    fit::patches::patches,
    target::claim::Target,
};

/// Makes the table fit the disk; gives what changed, read back.
///
/// # Errors
/// Exit 4 where the image's partition table is none, 6 where the disk does not take or keep a change.
pub(super) fn fit(target: &Target, manifest: &Manifest) -> Result<Vec<Change>> {
    let device = target.device();
    let patches = patches(target, manifest, &|offset, length| {
        let length = usize::try_from(length).map_err(|_| Fault::internal("a small number"))?;
        let mut bytes = AlignedBuffer::new(length);
        device.read(offset, &mut bytes[..length])?;
        Ok(bytes[..length].to_vec())
    })?;
    // The primary table last: until then the disk is as the image made it, or does not boot.
    let mut changes = Vec::new();
    for patch in patches.unwrap_or_default().iter().rev() {
        patch.apply(device)?;
        device.flush()?;
        changes.push(patch.read_back(device)?);
    }
    if !changes.is_empty() {
        device.reread_partitions();
    }
    Ok(changes)
}

/// Puts the boot entry in where that is `wanted`, the machine was booted through UEFI, and the disk stays in it. Gives its name.
///
/// # Errors
/// Exit 6 where the firmware does not take or keep it.
pub(super) fn put_boot_entry(target: &Target, manifest: &Manifest, wanted: bool) -> Result<Option<String>> {
    // Other disks are not this machine's to boot from: firmware finds a removable one by its fallback path wherever it is
    // plugged in (UEFI 2.10, section 3.5.1.1), and a file never.
    let (Some(boot), true) = (&manifest.boot, wanted && target.stays()) else { return Ok(None) };
    if !Path::new(EFIVARS).is_dir() {
        tracing::warn!("this machine was not booted through UEFI: adding no boot entry");
        return Ok(None);
    }
    let partition = manifest
        .partitions
        .iter()
        .find(|partition| partition.number == boot.partition)
        .ok_or_else(|| Fault::internal("a manifest whose boot entry names no partition passed its check"))?;
    let entry = boot_entry::Entry::new(boot, partition, target.disk().logical_sector);
    boot_entry::put(Path::new(EFIVARS), &entry).map(Some)
}
