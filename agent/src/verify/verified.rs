//! All of the disk read back from the medium and compared; then the partition table, written last, read back too.
//!
//! In: a [`Written`]. Out: a [`Verified`], which can be made in no other way: the only thing from which a success record
//! can come. Fails with exit 6 naming offset and chunk. A mismatch is final: O_DIRECT asks the medium, and a cache could
//! only have hidden the fault.
//!
//! [`compare`] does the same for a disk that was written earlier, and changes nothing.

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    chunkmap::Content,
    compose::Extent,
    manifest::SectionRange,
    record::{Change, Section, Traffic},
    wire::Phase,
};

use crate::{
    device::Device,
    finish::finished,
    fit::{patch::Patch, table},
    image::{chunk, source::Source, trust::Trusted},
    readback::pass::{Pass, differs},
    target::choose::Target,
    write::{
        plan::is_held,
        written::{Work, Written},
    },
};

/// A disk that was read back completely and holds the image.
#[derive(Debug)]
pub struct Verified {
    target: Target,
    sections: Vec<Section>,
    changed: Vec<Change>,
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

    /// What an earlier run changed after its own read-back, as it was found now.
    pub fn changed(&self) -> &[Change] {
        &self.changed
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
    let all = trusted.composed().sections(manifest);
    // The sections that hold the partition tables can be read in whole only when those are written.
    let held_extent = |extent: &Extent| is_held(manifest, extent);
    let later: Vec<SectionRange> = all
        .iter()
        .filter(|section| extents.iter().any(|extent| held_extent(extent) && overlaps(extent, section)))
        .cloned()
        .collect();
    work.progress.enter(Phase::Verify, total(&all) + total(&later));

    let device = target.device();
    let pass = |sections: &[SectionRange], without: &(dyn Fn(&Extent) -> bool + Sync)| {
        Pass { device, all: trusted.composed(), sections, without, patches: &[] }.run(work)
    };
    let mut sections = pass(&all, &held_extent)?;
    work.stop.check()?;
    // From here on it is quick, and an interruption would only leave a good disk without its record.
    for (piece, bytes) in &held {
        for place in &piece.places {
            let end = usize::try_from(piece.length).unwrap_or(bytes.len());
            device.write(*place, &bytes[..end])?;
        }
        device.flush()?;
    }
    sections.extend(pass(&later, &|_| false)?);
    sections.sort_by_key(|section| section.offset);
    covers(&sections, &all)?;
    traffic.verified = total(&all);
    device.reread_partitions();
    Ok(Verified { target, sections, changed: Vec::new(), traffic, started, written, verified: Timestamp::now() })
}

/// Reads back a disk on which the [`survey`](crate::write::survey) found the whole image: nothing is written. Blocking.
///
/// # Errors
/// As [`compare`].
pub fn already_there<S: Source>(target: Target, trusted: &Trusted<S>, work: &Work) -> Result<Verified> {
    let started = Timestamp::now();
    let Comparison { sections, changed_after, .. } = compare(&target, trusted, work)?;
    let skipped = trusted.composed().extents.iter().filter(|extent| extent.content == Content::Skip).map(|extent| extent.length);
    let (size, skipped) = (trusted.manifest().size, skipped.sum::<u64>());
    let verified = sections.iter().map(|section| section.length).sum();
    let traffic = Traffic { kept: size - skipped, verified, skipped, ..Traffic::default() };
    Ok(Verified { target, sections, changed: changed_after, traffic, started, written: started, verified: Timestamp::now() })
}

/// Bytes of these.
pub(crate) fn total(sections: &[SectionRange]) -> u64 {
    sections.iter().map(|section| section.length).sum()
}

/// Whether all sections were read in whole: a digest that is missing must never pass for one that fits.
fn covers(sections: &[Section], all: &[SectionRange]) -> Result<()> {
    let same = sections.len() == all.len()
        && sections.iter().zip(all).all(|(section, range)| (section.offset, section.length) == (range.offset, range.length));
    if same { Ok(()) } else { Err(Fault::internal("a section was not read in whole")) }
}

/// What [`compare`] found.
#[derive(Debug, serde::Serialize)]
pub struct Comparison {
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
    let all = trusted.composed().sections(manifest);
    work.progress.enter(Phase::Verify, total(&all));
    let known = original_head(device, trusted)?;
    // Of the image's first bytes the disk itself has what is needed, proven by the chunks' digests; else the source has.
    let image = |offset: u64, length: u64| match usize::try_from(length).ok().zip(known.as_ref()) {
        Some((length, head)) if offset == 0 && length <= head.len() => Ok(head[..length].to_vec()),
        _ => chunk::range(trusted, &[], offset, length, &work.handle, &work.stop),
    };
    let (patches, backup_gpt) = match finished::patches(target, manifest, &image)? {
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

/// The image's first bytes, as far as a partition table goes, where the disk holds them: as they are, or with the backup
/// GPT's place undone. Proven by the chunks' digests; `None` where they do not hold, or reach farther.
///
/// # Errors
/// Exit 6 for an I/O error.
pub(crate) fn original_head<S: Source>(device: &Device, trusted: &Trusted<S>) -> Result<Option<Vec<u8>>> {
    let manifest = trusted.manifest();
    let length = usize::try_from(table::HEAD.min(manifest.size)).map_err(|_| Fault::internal("a small number"))?;
    let head = device.bytes(0, length)?;
    let holds = |head: &[u8]| {
        let within = trusted.composed().extents.iter().take_while(|extent| extent.offset < head.len() as u64);
        within.filter(|extent| matches!(extent.content, Content::Data { .. })).all(|extent| {
            let from = usize::try_from(extent.offset).unwrap_or(usize::MAX);
            let end = usize::try_from(extent.offset + extent.length).unwrap_or(usize::MAX);
            head.get(from..end).is_some_and(|bytes| differs(bytes, &extent.content).is_none())
        })
    };
    if holds(&head) {
        return Ok(Some(head));
    }
    Ok(table::undo(&head, manifest).filter(|head| holds(head)))
}

/// Whether what finishing puts on a disk with this original `head` is there in whole, or not at all. It lies beyond the
/// image in part, where no chunk's digest speaks of it.
///
/// # Errors
/// Exit 3 where the image cannot be made to fit, 6 for an I/O error.
pub(crate) fn finished_or_not<S: Source>(target: &Target, trusted: &Trusted<S>, head: Option<&[u8]>) -> Result<bool> {
    let (device, Some(head)) = (target.device(), head) else { return Ok(true) };
    let image = |offset: u64, length: u64| {
        let length = usize::try_from(length).map_err(|_| Fault::internal("a small number"))?;
        if offset == 0 && length <= head.len() {
            return Ok(head[..length].to_vec());
        }
        device.bytes(offset, length)
    };
    let patches = finished::patches(target, trusted.manifest(), &image)?.unwrap_or_default();
    if !patches.is_empty() && patches.iter().try_fold(true, |all, patch| Ok(all && patch.is_on(device)?))? {
        return Ok(true);
    }
    // Else it must be as in the image: a head that only undoing makes the image's own is a damaged one.
    Ok(device.bytes(0, head.len())? == head)
}

/// Whether the disk has the primary table as finishing puts it. That decides; a backup that does not fit it is then found
/// as a mismatch.
fn primary_is_on(device: &Device, patches: &[Patch]) -> Result<bool> {
    patches.iter().find(|patch| patch.offset == 0).map_or(Ok(false), |primary| primary.is_on(device))
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
