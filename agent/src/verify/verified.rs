//! All of the disk read back from the medium and compared; then the partition table, written last, read back too.
//!
//! In: a [`Written`]. Out: a [`Verified`], which can be made in no other way: the only thing from which a success record
//! can come. Fails with exit 6 naming offset and chunk. A mismatch is final: O_DIRECT asks the medium, and a cache could
//! only have hidden the fault.

use jiff::Timestamp;
use livery_contract::{
    Result,
    chunkmap::Content,
    compose::Extent,
    manifest::SectionRange,
    record::{Change, Section, Traffic},
    wire::Phase,
};

use super::compare::{Comparison, compare};
use crate::{
    image::{source::Source, trust::Trusted},
    readback::{
        pass::Pass,
        sections::{covers, total},
    },
    target::claim::Target,
    work::Work,
    write::{ends::is_deferred, written::Written},
};

/// A disk that was read back completely and holds the image.
#[derive(Debug)]
pub(crate) struct Verified {
    target: Target,
    sections: Vec<Section>,
    changed: Vec<Change>,
    traffic: Traffic,
    started: Timestamp,
    written: Timestamp,
    verified: Timestamp,
}

impl Verified {
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What an earlier run changed after its own read-back, as it was found now.
    pub(crate) fn changed(&self) -> &[Change] {
        &self.changed
    }

    /// When writing began, and when it and reading back ended.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp, Timestamp) {
        (self.started, self.written, self.verified)
    }
}

/// Reads everything back; then writes the deferred chunks, flushes, and reads the sections that they lie in back too.
/// Blocking; not for an async task.
///
/// # Errors
/// Exit 6 for an I/O error or a mismatch.
pub(crate) fn read_back<S: Source>(written: Written, trusted: &Trusted<S>, work: &Work) -> Result<Verified> {
    let Written { target, deferred, mut traffic, started, written, .. } = written;
    let (manifest, extents) = (trusted.manifest(), trusted.composed().extents.as_slice());
    let all = trusted.composed().sections(manifest);
    // The sections that hold the partition tables can be read in whole only when those are written.
    let deferred_extent = |extent: &Extent| is_deferred(manifest, extent);
    let later: Vec<SectionRange> = all
        .iter()
        .filter(|section| extents.iter().any(|extent| deferred_extent(extent) && overlaps(extent, section)))
        .cloned()
        .collect();
    work.progress.enter(Phase::Verify, total(&all) + total(&later));

    let device = target.device();
    let pass = |sections: &[SectionRange], without: &(dyn Fn(&Extent) -> bool + Sync)| {
        Pass { device, all: trusted.composed(), sections, without, patches: &[] }.run(work)
    };
    let mut sections = pass(&all, &deferred_extent)?;
    work.stop.check()?;
    // From here on it is quick, and an interruption would only leave a good disk without its record.
    for (piece, bytes) in &deferred {
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
pub(crate) fn already_there<S: Source>(target: Target, trusted: &Trusted<S>, work: &Work) -> Result<Verified> {
    let started = Timestamp::now();
    let Comparison { sections, changed_after, .. } = compare(&target, trusted, work)?;
    let skipped = trusted.composed().extents.iter().filter(|extent| extent.content == Content::Skip).map(|extent| extent.length);
    let (size, skipped) = (trusted.manifest().size, skipped.sum::<u64>());
    let verified = sections.iter().map(|section| section.length).sum();
    let traffic = Traffic { kept: size - skipped, verified, skipped, ..Traffic::default() };
    Ok(Verified { target, sections, changed: changed_after, traffic, started, written: started, verified: Timestamp::now() })
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
