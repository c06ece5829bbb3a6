//! What the image cannot know: where this disk ends, and what this firmware boots.
//!
//! In: a [`Verified`] disk. Out: a [`Finished`] one: backup GPT at the disk's real end, boot entry in place, each change
//! read back. Fails with exit 6.

pub mod backup_gpt;
pub mod boot_entry;

use std::path::Path;

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    manifest::Manifest,
    record::{Change, Section, Times, Traffic},
    wire::Phase,
};

use crate::{device::AlignedBuffer, progress::Progress, target::Target, verify::Verified};

/// Where the kernel shows the firmware's variables.
const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// A disk that is ready to boot.
#[derive(Debug)]
pub struct Finished {
    target: Target,
    sections: Vec<Section>,
    changed_after: Vec<Change>,
    boot_entry: Option<String>,
    traffic: Traffic,
    times: Times,
}

impl Finished {
    pub(crate) fn into_parts(self) -> (Target, Vec<Section>, Vec<Change>, Option<String>, Traffic, Times) {
        (self.target, self.sections, self.changed_after, self.boot_entry, self.traffic, self.times)
    }
}

/// Moves the backup GPT, and puts the boot entry in where `boot_entry` says so and the machine was booted through UEFI.
/// Blocking; not for an async task.
///
/// # Errors
/// Exit 4 where the image's partition table is none, 6 where disk or firmware do not take or keep a change.
pub fn finish(verified: Verified, manifest: &Manifest, boot_entry: bool, progress: &Progress) -> Result<Finished> {
    progress.enter(Phase::Finish, 0);
    let mut changed_after = verified.changed().to_vec();
    changed_after.extend(move_backup_gpt(verified.target(), manifest)?);
    changed_after.sort_by_key(|change| change.offset);
    let boot_entry = put_boot_entry(verified.target(), manifest, boot_entry)?;
    let (target, sections, traffic, (started, written, verified)) = verified.into_parts();
    let times = Times { started, written, verified, finished: Timestamp::now() };
    Ok(Finished { target, sections, changed_after, boot_entry, traffic, times })
}

fn move_backup_gpt(target: &Target, manifest: &Manifest) -> Result<Vec<Change>> {
    let device = target.device();
    let length = usize::try_from(backup_gpt::HEAD.min(manifest.size)).map_err(|_| Fault::internal("a small number"))?;
    let mut head = AlignedBuffer::new(length);
    device.read(0, &mut head[..length])?;
    let patches = backup_gpt::plan(&head[..length], manifest.sector_size, device.size())?;
    if patches.is_none() && !manifest.partitions.is_empty() && !backup_gpt::is_gpt(&head[..length], manifest.sector_size) {
        return Err(Fault::untrusted("the image names partitions, but has no valid partition table")
            .at(manifest.reference())
            .fix("build or import the image again"));
    }
    // The backup first: until the primary points to it, the disk is as the image made it.
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
    let (Some(boot), true) = (&manifest.boot, wanted && target.device().is_block()) else { return Ok(None) };
    if !Path::new(EFIVARS).is_dir() {
        tracing::warn!("this machine was not booted through UEFI: no boot entry is put in");
        return Ok(None);
    }
    let partition = manifest
        .partitions
        .iter()
        .find(|partition| partition.number == boot.partition)
        .ok_or_else(|| Fault::internal("a manifest whose boot entry names no partition passed its check"))?;
    let entry = boot_entry::Entry::new(boot, partition, manifest.sector_size);
    boot_entry::put(Path::new(EFIVARS), &entry).map(Some)
}
