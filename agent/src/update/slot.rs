//! One partition of the spare slot: what of it is there is left, what the running slot has is copied, the rest is fetched; then all of it
//! is read back from the medium. In: a part of a trusted image. Out: a [`Filled`]. Fails with exit 4, 5 or 6; then the slot holds what it
//! holds, and nothing starts from it.

use std::collections::HashMap;

use livery_contract::{
    Digest, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    manifest::{Partition, SectionRange},
    record::Traffic,
    wire::Phase,
};

use crate::{
    device::{AlignedBuffer, Device},
    image::{piece::Piece, source::Source, trust::Trusted},
    readback::{
        differ::differs,
        pass::Pass,
        sections::{covers, total},
    },
    work::{Work, threads},
    write::{
        batch::BATCH,
        carry::carry,
        fetch,
        moves::{Copy, Move, join},
        runs::{ToFetch, runs},
        stream::write_all,
    },
};

/// The most bytes of a chunk.
const CHUNK: usize = 1 << 20;
/// How many chunks are looked at to learn whether an earlier run has begun.
const SAMPLES: usize = 64;

/// A partition that was read back in whole, and is what was signed. Only [`fill`] makes one.
#[derive(Debug)]
pub(crate) struct Filled(());

/// The sections of a partition, counted from its own beginning.
pub(crate) fn sections<S: Source>(trusted: &Trusted<S>, partition: &Partition) -> Vec<SectionRange> {
    let end = partition.offset + partition.length;
    let mut all = trusted.composed().sections(trusted.manifest());
    all.retain(|section| section.offset >= partition.offset && section.offset < end);
    all.iter_mut().for_each(|section| section.offset -= partition.offset);
    all
}

/// Fills `device` with `part`; `from` is the same partition of the running slot, and what its own image says lies where. Blocking.
///
/// # Errors
/// See the module.
pub(crate) fn fill<S: Source>(
    part: &Trusted<S>,
    sections: &[SectionRange],
    device: &Device,
    from: Option<(&Device, &Composed)>,
    work: &Work,
    traffic: &mut Traffic,
) -> Result<Filled> {
    let in_place = look(part.composed(), device, work)?;
    let running: HashMap<Digest, u64> = from
        .iter()
        .flat_map(|(_, composed)| &composed.extents)
        .filter_map(|extent| {
            let Content::Data { digest, .. } = extent.content else { return None };
            Some((digest, extent.offset))
        })
        .collect();
    let mut sorted = Sorted::new(part.composed(), &in_place, &running);
    work.progress.enter(Phase::Write, sorted.to_write);
    let (mut fetched, mut missed) = (0, 0);
    let mut get = |pieces: ToFetch, zeros: &[(u64, u64)]| {
        let runs = runs(pieces);
        fetched += runs.iter().map(|run| run.length).sum::<u64>();
        missed += runs.iter().flat_map(|run| &run.pieces).map(|piece| piece.length * piece.places.len() as u64).sum::<u64>();
        let fetching = fetch::start(&work.handle, part.source(), &part.composed().packs, runs, &work.stop);
        write_all(part, device, fetching, zeros, work)
    };
    // First, so that a store that can't be reached or trusted costs no gigabyte of copying.
    get(std::mem::take(&mut sorted.pieces), &sorted.zeros)?;
    if let Some((source, _)) = from {
        for piece in copy(&join(std::mem::take(&mut sorted.moves)), source, device, work)? {
            sorted.fetch(piece);
        }
        if !sorted.pieces.is_empty() {
            get(std::mem::take(&mut sorted.pieces), &[])?;
        }
    }
    work.progress.enter(Phase::Flush, 0);
    device.flush()?;
    let length = total(sections);
    work.progress.enter(Phase::Verify, length);
    let read = Pass { device, all: part.composed(), sections, without: &|_| false, patches: &[] }.run(work)?;
    covers(&read, sections)?;
    traffic.written += sorted.to_write;
    traffic.kept += sorted.kept;
    traffic.fetched += fetched;
    traffic.moved += sorted.to_write.saturating_sub(missed + sorted.zeros.iter().map(|(_, length)| length).sum::<u64>());
    traffic.verified += length;
    Ok(Filled(()))
}

/// Which data chunks lie in their places already: all are looked at where one of the samples does.
fn look(all: &Composed, device: &Device, work: &Work) -> Result<Vec<bool>> {
    let data: Vec<usize> =
        (0..all.extents.len()).filter(|index| matches!(all.extents[*index].content, Content::Data { .. })).collect();
    let step = (data.len() / SAMPLES).max(1);
    let samples: Vec<usize> = data.iter().copied().step_by(step).collect();
    let mut in_place = vec![false; all.extents.len()];
    if !holds(all, &samples, device, work)?.contains(&true) {
        return Ok(in_place);
    }
    work.progress.enter(Phase::Survey, data.iter().map(|index| all.extents[*index].length).sum());
    for (index, here) in data.iter().zip(holds(all, &data, device, work)?) {
        in_place[*index] = here;
    }
    Ok(in_place)
}

fn holds(all: &Composed, which: &[usize], device: &Device, work: &Work) -> Result<Vec<bool>> {
    threads::each(
        which,
        || AlignedBuffer::new(CHUNK),
        |buffer, index| {
            work.stop.check()?;
            let Extent { offset, length, content } = all.extents[*index];
            let bytes = &mut buffer[..usize::try_from(length).unwrap_or(CHUNK).min(CHUNK)];
            device.read(offset, bytes)?;
            work.progress.add(length);
            Ok(differs(bytes, &content).is_none())
        },
    )
}

/// A part's content, by what is to be done with it.
#[derive(Debug, Default)]
struct Sorted {
    moves: Vec<Move>,
    pieces: ToFetch,
    zeros: Vec<(u64, u64)>,
    to_write: u64,
    kept: u64,
}

impl Sorted {
    fn new(all: &Composed, in_place: &[bool], running: &HashMap<Digest, u64>) -> Self {
        let mut sorted = Self::default();
        for (index, extent) in all.extents.iter().enumerate() {
            match extent.content {
                Content::Skip => {}
                Content::Zero => {
                    sorted.to_write += extent.length;
                    sorted.zeros.push((extent.offset, extent.length));
                }
                Content::Data { .. } if in_place.get(index) == Some(&true) => sorted.kept += extent.length,
                Content::Data { digest, frame } => {
                    sorted.to_write += extent.length;
                    let piece = Piece { frame, length: extent.length, digest, places: vec![extent.offset] };
                    match running.get(&digest) {
                        Some(from) => sorted.moves.push(Move { from: *from, piece }),
                        None => sorted.fetch(piece),
                    }
                }
            }
        }
        sorted
    }

    fn fetch(&mut self, Piece { frame, length, digest, places }: Piece) {
        self.pieces.entry((frame, length, digest)).or_default().extend(places);
    }
}

/// Copies from slot to slot; gives the chunks that the running slot does not hold as its map says: they are fetched.
fn copy(copies: &[Copy], from: &Device, to: &Device, work: &Work) -> Result<Vec<Piece>> {
    let missing = threads::each(
        copies,
        || AlignedBuffer::new(BATCH),
        |buffer, copy| {
            let carried = carry(copy, from, to, buffer, work)?;
            Ok(if carried { Vec::new() } else { copy.pieces.clone() })
        },
    )?;
    Ok(missing.into_iter().flatten().collect())
}
