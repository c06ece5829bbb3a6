//! A disk that was written earlier, compared with its image. Changes nothing.

use livery_contract::{
    Result,
    record::{Change, Section},
    wire::Phase,
};

use crate::{
    device::Device,
    fit::{head::original_head, patch::Patch, patches::patches},
    image::{chunk, source::Source, trust::Trusted},
    readback::{
        pass::Pass,
        sections::{covers, total},
    },
    target::claim::Target,
    work::Work,
};

/// What [`compare`] found.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Comparison {
    /// What was read, end to end over the image: as the record of a write has it.
    pub sections: Vec<Section>,
    /// The ranges that finishing changed, as they are now: the partition table, made to fit the disk.
    pub changed_after: Vec<Change>,
    /// Whether the backup GPT was moved, stands as in the image, or need not be moved.
    pub backup_gpt: BackupGpt,
}

/// Where a disk's backup GPT is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackupGpt {
    /// At the disk's real end, byte for byte as finishing puts it.
    Moved,
    /// As in the image, whose end is not the disk's end.
    AsInImage,
    /// The image ends where the disk ends, or has no GPT.
    InPlace,
}

/// Compares a disk with an image, changing nothing. Blocking; not for an async task.
///
/// On a larger disk, finishing has moved the backup GPT; that is worked out anew from the signed image and compared too.
///
/// # Errors
/// Exit 6 where anything differs; 4 or 5 where the image's own partition table can't be had to compare with.
pub(crate) fn compare<S: Source>(target: &Target, trusted: &Trusted<S>, work: &Work) -> Result<Comparison> {
    let device = target.device();
    let manifest = trusted.manifest();
    let all = trusted.composed().sections(manifest);
    work.progress.enter(Phase::Verify, total(&all));
    let known = original_head(device, trusted)?;
    // Of the image's first bytes the disk itself has what is needed, proven by the chunks' digests; else the source has.
    let image = |offset: u64, length: u64| match usize::try_from(length).ok().zip(known.as_ref()) {
        Some((length, head)) if offset == 0 && length <= head.len() => Ok(head[..length].to_vec()),
        _ => chunk::range(trusted, &[], offset, length, &work.handle, &work.stop),
    };
    let (patches, backup_gpt) = match patches(target, manifest, &image)? {
        None => (Vec::new(), BackupGpt::InPlace),
        Some(patches) if primary_is_on(device, &patches)? => (patches, BackupGpt::Moved),
        Some(_) => (Vec::new(), BackupGpt::AsInImage),
    };
    // Where the disk holds what finishing put there, the image's own bytes are what the chunks are compared with.
    let originals = patches
        .iter()
        .map(|patch| {
            let end = (patch.offset + patch.bytes.len() as u64).min(manifest.size);
            Ok((patch.offset, image(patch.offset, end.saturating_sub(patch.offset))?))
        })
        .collect::<Result<Vec<_>>>()?;
    let sections = Pass { device, all: trusted.composed(), sections: &all, without: &|_| false, patches: &originals }.run(work)?;
    covers(&sections, &all)?;
    let changed_after = patches.iter().map(|patch| patch.read_back(device)).collect::<Result<_>>()?;
    Ok(Comparison { sections, changed_after, backup_gpt })
}

/// Whether the disk has the primary table as finishing puts it. That decides; a backup that does not fit it is then found
/// as a mismatch.
fn primary_is_on(device: &Device, patches: &[Patch]) -> Result<bool> {
    patches.iter().find(|patch| patch.offset == 0).map_or(Ok(false), |primary| primary.is_on(device))
}
