//! All of the disk read back from the medium and compared; then the partition table, written last, read back too.
//!
//! In: a [`Written`]. Out: a [`Verified`], which can be made in no other way: the only thing from which a success record
//! can come. Fails with exit 6 naming offset and chunk. A mismatch is final: O_DIRECT asks the medium, and a cache could
//! only have hidden the fault.
//!
//! [`compare`] does the same for a disk that was written earlier, and changes nothing.

use jiff::Timestamp;
use livery_contract::{
    Result,
    chunkmap::Content,
    compose::Extent,
    manifest::SectionRange,
    record::{Change, Section, Traffic},
    wire::Phase,
};

use crate::{
    content,
    device::Device,
    fetch::Source,
    finish::backup_gpt::{self, Patch},
    plan::is_held,
    readback::{Pass, length},
    target::Target,
    trust::Trusted,
    write::{Work, Written},
};

/// A disk that was read back completely and holds the image.
#[derive(Debug)]
pub struct Verified {
    target: Target,
    sections: Vec<Section>,
    traffic: Traffic,
    started: Timestamp,
    written: Timestamp,
    verified: Timestamp,
}

impl Verified {
    /// The disk.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What was read back, end to end over the image.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What was moved.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// When writing began, and when it and reading back ended.
    pub fn times(&self) -> (Timestamp, Timestamp, Timestamp) {
        (self.started, self.written, self.verified)
    }
}

/// Reads everything back; then writes the held chunks, flushes, and reads the sections that they lie in back too.
/// Blocking; not for an async task.
///
/// # Errors
/// Exit 6 for an I/O error or a mismatch.
pub fn read_back<S: Source>(written: Written, trusted: &Trusted<S>, work: &Work) -> Result<Verified> {
    let Written { target, held, mut traffic, started, written, .. } = written;
    let (manifest, extents) = (trusted.manifest(), trusted.composed().extents.as_slice());
    // The sections that hold the partition tables can be read in whole only when those are written. (An image without
    // partitions is one section, which is then read twice: the price of a table that we could not read.)
    let (later, now): (Vec<SectionRange>, Vec<SectionRange>) = manifest
        .sections()
        .into_iter()
        .partition(|section| extents.iter().any(|extent| is_held(manifest, extent) && overlaps(extent, section)));
    let rest: Vec<Extent> = extents.iter().filter(|extent| !is_held(manifest, extent)).copied().collect();
    let last = within(extents, &later);
    work.progress.enter(Phase::Verify, length(&rest) + length(&last));

    let device = target.device();
    let pass = |extents: &[Extent], sections: &[SectionRange]| {
        Pass { device, all: trusted.composed(), extents, sections, patches: &[] }.run(work)
    };
    let mut sections = pass(&rest, &now)?;
    work.stop.check()?;
    // From here on it is quick, and an interruption would only leave a good disk without its record.
    for (piece, bytes) in &held {
        for place in &piece.places {
            let end = usize::try_from(piece.length).unwrap_or(bytes.len());
            device.write(*place, &bytes[..end])?;
        }
        device.flush()?;
    }
    sections.extend(pass(&last, &later)?);
    sections.sort_by_key(|section| section.offset);
    traffic.verified = length(extents);
    device.reread_partitions();
    Ok(Verified { target, sections, traffic, started, written, verified: Timestamp::now() })
}

/// What [`compare`] found.
#[derive(Debug, serde::Serialize)]
pub struct Comparison {
    /// What was read, end to end over the image: as the record of a write has it.
    pub sections: Vec<Section>,
    /// The ranges that finishing changed, as they are now: the backup GPT at the disk's real end.
    pub changed_after: Vec<Change>,
    /// Whether the backup GPT was moved, stands as in the image, or need not be moved.
    pub backup_gpt: BackupGpt,
}

/// Where a disk's backup GPT is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupGpt {
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
pub fn compare<S: Source>(target: &Target, trusted: &Trusted<S>, work: &Work) -> Result<Comparison> {
    let device = target.device();
    let manifest = trusted.manifest();
    work.progress.enter(Phase::Verify, manifest.size);
    let head = content::range(trusted, 0, backup_gpt::HEAD.min(manifest.size), &work.handle, &work.stop)?;
    let patches = backup_gpt::plan(&head, manifest.sector_size, device.size())?;
    let (patches, backup_gpt) = match patches {
        None => (Vec::new(), BackupGpt::InPlace),
        Some(patches) if is_applied(device, &patches)? => (patches, BackupGpt::Moved),
        Some(_) => (Vec::new(), BackupGpt::AsInImage),
    };
    // Where the disk holds what finishing put there, the image's own bytes are what the chunks are compared with.
    let originals = patches
        .iter()
        .map(|patch| {
            let end = (patch.offset + patch.bytes.len() as u64).min(manifest.size);
            let length = end.saturating_sub(patch.offset);
            Ok((patch.offset, content::range(trusted, patch.offset, length, &work.handle, &work.stop)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let extents = trusted.composed().extents.as_slice();
    let sections = manifest.sections();
    let sections = Pass { device, all: trusted.composed(), extents, sections: &sections, patches: &originals }.run(work)?;
    let changed_after = patches.iter().map(|patch| patch.read_back(device)).collect::<Result<_>>()?;
    Ok(Comparison { sections, changed_after, backup_gpt })
}

/// Whether the disk holds all of the patches, or none.
fn is_applied(device: &Device, patches: &[Patch]) -> Result<bool> {
    let held = patches.iter().map(|patch| patch.is_on(device)).collect::<Result<Vec<bool>>>()?;
    // The primary table decides; a backup that does not fit it is then found as a mismatch.
    let Some(first) = patches.iter().zip(&held).find(|(patch, _)| patch.offset == 0) else { return Ok(false) };
    Ok(*first.1)
}

/// The extents that these sections lie in; runs of one content cut at the sections' bounds, data chunks in whole.
fn within(extents: &[Extent], sections: &[SectionRange]) -> Vec<Extent> {
    let mut inside: Vec<Extent> = Vec::new();
    for section in sections {
        for extent in extents.iter().filter(|extent| overlaps(extent, section)) {
            let (from, to) = match extent.content {
                Content::Data { .. } => (extent.offset, extent.offset + extent.length),
                Content::Zero | Content::Skip => {
                    (extent.offset.max(section.offset), (extent.offset + extent.length).min(section.offset + section.length))
                }
            };
            if inside.last().is_none_or(|last| last.offset + last.length <= from) {
                inside.push(Extent { offset: from, length: to - from, content: extent.content });
            }
        }
    }
    inside
}

fn overlaps(extent: &Extent, section: &SectionRange) -> bool {
    extent.offset < section.offset + section.length && section.offset < extent.offset + extent.length
}

// What a `Verified` may be made into is in `finish`.
impl Verified {
    pub(crate) fn into_parts(self) -> (Target, Vec<Section>, Traffic, (Timestamp, Timestamp, Timestamp)) {
        let times = self.times();
        (self.target, self.sections, self.traffic, times)
    }
}
