//! What the image cannot know: where this disk ends, and what this firmware boots.
//!
//! In: a [`Verified`] disk. Out: a [`Finished`] one: partition table (and, for sectors of 4096 bytes, the ESP's FAT) made
//! to fit the disk, boot entry in place, each change read back. Fails with exit 6.

use std::path::Path;

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    manifest::{Manifest, Role},
    record::{Bound, Change, DeviceKeys, Section, Times, Traffic},
    wire::Phase,
};

use crate::{
    device::AlignedBuffer,
    firmware::boot_entry,
    fit::{fat, patch::Patch, table},
    target::choose::Target,
    verify::verified::Verified,
    work::progress::Progress,
};

/// Where the kernel shows the firmware's variables.
pub(crate) const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// A disk that is ready to boot.
#[derive(Debug)]
pub struct Finished {
    target: Target,
    sections: Vec<Section>,
    changed_after: Vec<Change>,
    boot_entry: Option<String>,
    bound: Option<Bound>,
    keys: Option<DeviceKeys>,
    traffic: Traffic,
    times: Times,
}

/// All of a finished disk that goes into its record.
pub(crate) struct Parts {
    pub target: Target,
    pub sections: Vec<Section>,
    pub changed_after: Vec<Change>,
    pub boot_entry: Option<String>,
    pub bound: Option<Bound>,
    pub keys: Option<DeviceKeys>,
    pub traffic: Traffic,
    pub times: Times,
}

impl Finished {
    pub(crate) fn into_parts(self) -> Parts {
        let Self { target, sections, changed_after, boot_entry, bound, keys, traffic, times } = self;
        Parts { target, sections, changed_after, boot_entry, bound, keys, traffic, times }
    }

    /// The disk.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes in what was tied to this machine, which keys were made, and what changed for both.
    pub(crate) fn bound(&mut self, bound: Option<Bound>, keys: Option<DeviceKeys>, changes: Vec<Change>) {
        (self.bound, self.keys) = (bound, keys);
        self.changed_after.extend(changes);
        self.changed_after.sort_by_key(|change| change.offset);
        self.times.finished = Timestamp::now();
    }
}

/// Makes the table fit, and puts the boot entry in where `boot_entry` says so, the machine was booted through UEFI, and the
/// disk stays in it. Blocking; not for an async task.
///
/// # Errors
/// Exit 4 where the image's partition table is none, 6 where disk or firmware do not take or keep a change.
pub fn finish(verified: Verified, manifest: &Manifest, boot_entry: bool, progress: &Progress) -> Result<Finished> {
    progress.enter(Phase::Finish, 0);
    let mut changed_after = verified.changed().to_vec();
    changed_after.extend(fit(verified.target(), manifest)?);
    changed_after.sort_by_key(|change| change.offset);
    let boot_entry = put_boot_entry(verified.target(), manifest, boot_entry)?;
    let (target, sections, traffic, (started, written, verified)) = verified.into_parts();
    let times = Times { started, written, verified, finished: Timestamp::now() };
    Ok(Finished { target, sections, changed_after, boot_entry, bound: None, keys: None, traffic, times })
}

/// What must change so that the image fits this disk, from the image's own bytes; `None` where nothing must.
///
/// # Errors
/// Exit 3 where it cannot be made to fit; what `image` fails with.
pub fn patches(target: &Target, manifest: &Manifest, image: &dyn Fn(u64, u64) -> Result<Vec<u8>>) -> Result<Option<Vec<Patch>>> {
    let disk = table::Disk { size: target.device().size(), sector: target.disk().logical_sector, grow: manifest.grow };
    let head = image(0, table::HEAD.min(manifest.size))?;
    let Some(mut patches) = table::plan(&head, manifest.sector_size, disk)? else {
        if !manifest.partitions.is_empty() && !table::is_gpt(&head, manifest.sector_size) {
            return Err(Fault::untrusted("the image names partitions, but has no valid partition table")
                .at(manifest.reference())
                .fix("build or import the image again"));
        }
        return Ok(None);
    };
    if let (Some(esp), true) = (manifest.partition(Role::Esp), disk.sector != manifest.sector_size) {
        let bytes = fat::for_4096(&image(esp.offset, esp.length.min(fat::RESERVED as u64))?)?;
        patches.push(Patch { reason: "FAT of the EFI system partition for sectors of 4096 bytes", offset: esp.offset, bytes });
    }
    Ok(Some(patches))
}

fn fit(target: &Target, manifest: &Manifest) -> Result<Vec<Change>> {
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

fn put_boot_entry(target: &Target, manifest: &Manifest, wanted: bool) -> Result<Option<String>> {
    // Other disks are not this machine's to boot from: firmware finds a removable one by its fallback path wherever it is
    // plugged in (UEFI 2.10, section 3.5.1.1), and a file never.
    let (Some(boot), true) = (&manifest.boot, wanted && target.stays()) else { return Ok(None) };
    if !Path::new(EFIVARS).is_dir() {
        tracing::warn!("this machine was not booted through UEFI: no boot entry is put in");
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
