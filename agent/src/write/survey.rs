//! What the disk holds of the image already.
//!
//! In: a trusted image and a disk. Out: [`Found`]: nothing worth a look, all of it, or which chunks lie where. Retry,
//! resume and update are this one mechanism: what a broken run wrote, what an older image shares, is not fetched again.
//! Fails with exit 6 where the disk cannot be read. Changes nothing.
//!
//! A full look reads the whole disk once. So a few samples come first: on a new disk, or one with other content, they cost
//! 16 MiB of reading, and nothing more is done. The disk's content is cut as the builder cuts images, so that a chunk is
//! recognised wherever it lies; and it is compared in place by the image's own chunks, however those were cut.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use livery_contract::{
    Digest, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    cut::{self, BLOCK_BYTES},
    manifest::SectionRange,
    wire::Phase,
};

use super::found::{Chunks, Found};
use crate::{
    device::{AlignedBuffer, Device},
    fit::head::{finished_or_not, original_head},
    image::{source::Source, trust::Trusted},
    readback::{
        ahead::ReadAhead,
        differ::differs,
        reads::{self, Read},
        sections::total,
    },
    target::claim::Target,
    work::{Work, threads},
};

/// Windows that are looked at first, spread over the image's data.
const SAMPLES: u64 = 16;
/// Bytes of each.
const SAMPLE: usize = 1 << 20;
/// So many samples must hold something of the image: else reading the whole disk costs more than it saves.
const ENOUGH: usize = 2;
/// Content that is not the image's in its place is cut into chunks in portions of so many bytes.
const PORTION: usize = 8 << 20;

/// Looks at the disk. Blocking; not for an async task.
///
/// # Errors
/// Exit 6 for an I/O error.
pub(crate) fn survey<S: Source>(trusted: &Trusted<S>, target: &Target, work: &Work) -> Result<Found> {
    let (composed, device) = (trusted.composed(), target.device());
    let wanted: HashSet<Digest> = composed.extents.iter().filter_map(digest).collect();
    if samples(composed, device, &wanted, work)? < ENOUGH.min(wanted.len()) {
        return Ok(Found::Nothing);
    }
    let sections = trusted.manifest().sections();
    work.progress.enter(Phase::Survey, total(&sections));
    let originals = original_head(device, trusted)?.into_iter().map(|head| (0, head)).collect::<Vec<_>>();
    let in_place: Vec<AtomicBool> = composed.extents.iter().map(|_| AtomicBool::new(true)).collect();
    let look = Look { composed, wanted: &wanted, originals: &originals, in_place: &in_place, work };
    let seen = threads::each(&sections, || ReadAhead::new(device), |ahead, section| look.section(section, ahead))?;
    let mut chunks =
        Chunks { in_place: in_place.into_iter().map(AtomicBool::into_inner).collect(), seen: seen.into_iter().flatten().collect() };
    // A disk that lost only what finishing put there is finished anew: it must not be refused for ever as faulty.
    let head = originals.first().map(|(_, head)| head.as_slice());
    if chunks.in_place.iter().all(|here| *here) && finished_or_not(target, trusted, head)? {
        return Ok(Found::Whole);
    }
    for (extent, here) in composed.extents.iter().zip(&chunks.in_place) {
        // What lies in its place is never written over: the best place to copy from.
        if let (Some(digest), true) = (digest(extent), *here) {
            chunks.seen.insert(digest, extent.offset);
        }
    }
    Ok(Found::Some(chunks))
}

fn digest(extent: &Extent) -> Option<Digest> {
    match extent.content {
        Content::Data { digest, .. } => Some(digest),
        Content::Zero | Content::Skip => None,
    }
}

/// How many of the samples hold something of the image.
fn samples(composed: &Composed, device: &Device, wanted: &HashSet<Digest>, work: &Work) -> Result<usize> {
    let data: Vec<&Extent> = composed.extents.iter().filter(|extent| digest(extent).is_some()).collect();
    let total: u64 = data.iter().map(|extent| extent.length).sum();
    let places: Vec<u64> = (0..SAMPLES.min(data.len() as u64))
        .map(|sample| {
            let mut at = total / SAMPLES * sample + total / SAMPLES / 2;
            let extent = data.iter().find(|extent| {
                let here = at < extent.length;
                at = at.saturating_sub(extent.length);
                here
            });
            extent.map_or(0, |extent| extent.offset)
        })
        .collect();
    let hits = threads::each(
        &places,
        || AlignedBuffer::new(SAMPLE),
        |buffer, offset| {
            work.stop.check()?;
            let length = usize::try_from(device.size() - offset).unwrap_or(SAMPLE).min(SAMPLE) / BLOCK_BYTES * BLOCK_BYTES;
            device.read(*offset, &mut buffer[..length])?;
            let mut known = Vec::new();
            recognise(*offset, &buffer[..length], wanted, true, &mut known);
            Ok(!known.is_empty() || any_in_place(composed, *offset, &buffer[..length]))
        },
    )?;
    Ok(hits.into_iter().filter(|hit| *hit).count())
}

/// Whether some whole data chunk of the image lies in its place in these bytes.
fn any_in_place(composed: &Composed, offset: u64, bytes: &[u8]) -> bool {
    let first = composed.extents.partition_point(|extent| extent.offset < offset);
    composed.extents[first..].iter().take_while(|extent| extent.offset + extent.length <= offset + bytes.len() as u64).any(
        |extent| {
            let Ok(from) = usize::try_from(extent.offset - offset) else { return false };
            let Ok(length) = usize::try_from(extent.length) else { return false };
            digest(extent).is_some_and(|digest| Digest::of(&bytes[from..from + length]) == digest)
        },
    )
}

/// Cuts bytes into chunks and notes those that are wanted; gives how many bytes that used. Unless `last`, the chunk at the
/// end is left: it may go on.
fn recognise(offset: u64, bytes: &[u8], wanted: &HashSet<Digest>, last: bool, known: &mut Vec<(Digest, u64)>) -> usize {
    let mut runs = cut::cut(bytes);
    if !last && runs.len() > 1 {
        runs.pop();
    }
    let mut at = 0;
    for run in runs {
        let length = run.blocks as usize * BLOCK_BYTES;
        if !run.zero {
            let digest = Digest::of(&bytes[at..at + length]);
            if wanted.contains(&digest) {
                known.push((digest, offset + at as u64));
            }
        }
        at += length;
    }
    at
}

/// The full look.
struct Look<'a> {
    composed: &'a Composed,
    wanted: &'a HashSet<Digest>,
    originals: &'a [(u64, Vec<u8>)],
    in_place: &'a [AtomicBool],
    work: &'a Work,
}

impl Look<'_> {
    fn section(&self, section: &SectionRange, ahead: &mut ReadAhead) -> Result<Vec<(Digest, u64)>> {
        let mut known = Vec::new();
        let mut strange = Strange { start: section.offset, bytes: Vec::new() };
        let reads = reads::plan(&self.composed.extents, section, &|_| false);
        ahead.each(&reads, self.originals, &self.work.stop, |read, bytes| {
            self.look(read, bytes, &mut strange, &mut known);
            self.work.progress.add(read.length as u64);
            Ok(())
        })?;
        strange.end(self.wanted, &mut known);
        Ok(known)
    }

    fn look(&self, read: &Read, bytes: &[u8], strange: &mut Strange, known: &mut Vec<(Digest, u64)>) {
        let mut at = 0;
        for part in &read.parts {
            let (place, bytes) = (read.offset + at as u64, &bytes[at..at + part.length]);
            let ours = !matches!(part.content, Content::Skip) && differs(bytes, &part.content).is_none();
            if ours {
                strange.end(self.wanted, known);
            } else {
                if !matches!(part.content, Content::Skip) {
                    let extent = self.composed.extents.partition_point(|extent| extent.offset + extent.length <= place);
                    self.in_place[extent].store(false, Ordering::SeqCst);
                }
                strange.take(place, bytes, self.wanted, known);
            }
            at += part.length;
        }
    }
}

/// Neighbouring bytes that are not the image's in this place.
struct Strange {
    start: u64,
    bytes: Vec<u8>,
}

impl Strange {
    fn take(&mut self, place: u64, bytes: &[u8], wanted: &HashSet<Digest>, known: &mut Vec<(Digest, u64)>) {
        if self.start + self.bytes.len() as u64 != place {
            self.end(wanted, known);
        }
        if self.bytes.is_empty() {
            self.start = place;
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PORTION {
            let used = recognise(self.start, &self.bytes, wanted, false, known);
            self.bytes.drain(..used);
            self.start += used as u64;
        }
    }

    fn end(&mut self, wanted: &HashSet<Digest>, known: &mut Vec<(Digest, u64)>) {
        recognise(self.start, &self.bytes, wanted, true, known);
        self.start += self.bytes.len() as u64;
        self.bytes.clear();
    }
}
