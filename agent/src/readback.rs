//! One pass over ranges of the disk: read from the medium, compare each chunk, hash each section.
//!
//! Several threads read and compare, each with a buffer of its own; one takes the buffers in the disk's order and hashes
//! the sections. There are few buffers, and a reader takes one *before* it takes the next range: so the range that the
//! hasher waits for always has one, and nothing can come to a standstill.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use livery_contract::{
    Digest, Fault, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    digest::Hasher,
    manifest::SectionRange,
    record::Section,
};

use crate::{
    device::{AlignedBuffer, Device},
    write::Work,
};

/// Bytes of one read.
const READ: usize = 4 << 20;
/// Reads in memory at most, and so in flight.
const BUFFERS: usize = 8;

/// What to read and compare.
pub(crate) struct Pass<'a> {
    pub device: &'a Device,
    /// The whole image, to name chunks by their number.
    pub all: &'a Composed,
    /// What to read, in the disk's order, not overlapping.
    pub extents: &'a [Extent],
    /// What to hash, in the disk's order; covered by the extents.
    pub sections: &'a [SectionRange],
    /// Bytes to put in place of what was read, before comparing and hashing: offset and bytes.
    pub patches: &'a [(u64, Vec<u8>)],
}

/// Bytes of these extents.
pub(crate) fn length(extents: &[Extent]) -> u64 {
    extents.iter().map(|extent| extent.length).sum()
}

/// Neighbouring extents that are read with one call.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    offset: u64,
    length: usize,
    parts: Vec<(usize, Content)>,
}

type Done = (usize, AlignedBuffer, Result<()>);

impl Pass<'_> {
    /// Reads, compares, and gives the digest of each section.
    ///
    /// # Errors
    /// Exit 6 for the first I/O error or mismatch.
    pub fn run(&self, work: &Work) -> Result<Vec<Section>> {
        let reads = plan(self.extents);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (free, buffers) = mpsc::channel::<AlignedBuffer>();
        let buffers = Mutex::new(buffers);
        let (done, results) = mpsc::channel::<Done>();
        for _ in 0..BUFFERS.min(reads.len()) {
            let _ = free.send(AlignedBuffer::new(READ));
        }
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4)) {
                let (done, reads, next, failed, buffers) = (done.clone(), &reads, &next, &failed, &buffers);
                scope.spawn(move || {
                    loop {
                        let buffer = buffers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
                        let Ok(mut buffer) = buffer else { return };
                        let index = next.fetch_add(1, Ordering::SeqCst);
                        let (Some(read), false) = (reads.get(index), failed.load(Ordering::SeqCst)) else { return };
                        let result = work.stop.check().and_then(|()| self.read(read, &mut buffer));
                        work.progress.add(read.length as u64);
                        if done.send((index, buffer, result)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            let hashed = self.hash(&reads, &results, &free);
            failed.store(true, Ordering::SeqCst);
            // Wakes the readers that wait for a buffer.
            drop(free);
            hashed
        })
    }

    fn read(&self, read: &Read, buffer: &mut [u8]) -> Result<()> {
        let buffer = &mut buffer[..read.length];
        self.device.read(read.offset, buffer)?;
        for (offset, bytes) in self.patches {
            patch(read.offset, buffer, *offset, bytes);
        }
        let mut at = 0;
        for (length, content) in &read.parts {
            let bytes = &buffer[at..at + length];
            let place = read.offset + at as u64;
            match content {
                Content::Skip => {}
                Content::Zero => {
                    if let Some(first) = first_not_zero(bytes) {
                        return Err(self.mismatch(place + first as u64, 1, "it is not zero, as the image says"));
                    }
                }
                Content::Data { digest, .. } => {
                    let found = Digest::of(bytes);
                    if found != *digest {
                        let what = format!("its digest is {found}, the image says {digest}");
                        return Err(self.mismatch(place, *length as u64, &what));
                    }
                }
            }
            at += length;
        }
        Ok(())
    }

    fn mismatch(&self, offset: u64, length: u64, what: &str) -> Fault {
        let chunk = self.all.extents.partition_point(|extent| extent.offset + extent.length <= offset);
        self.device
            .fault(&format!("what was read back is not the image: chunk {chunk}: {what}"), offset, length)
            .fix("the disk does not keep what it is given: replace it; or it was changed since: write it again")
    }

    /// Takes the buffers in order, and gives them back.
    fn hash(&self, reads: &[Read], results: &mpsc::Receiver<Done>, free: &mpsc::Sender<AlignedBuffer>) -> Result<Vec<Section>> {
        let mut waiting = BTreeMap::new();
        let mut sections = Sections::new(self.sections);
        let mut wanted = 0;
        while wanted < reads.len() {
            let Ok((index, buffer, result)) = results.recv() else {
                return Err(Fault::internal("reading back broke off"));
            };
            result?;
            waiting.insert(index, buffer);
            while let (Some(buffer), Some(read)) = (waiting.remove(&wanted), reads.get(wanted)) {
                sections.feed(read.offset, &buffer[..read.length]);
                let _ = free.send(buffer);
                wanted += 1;
            }
        }
        sections.finish()
    }
}

/// Cuts extents into reads of at most [`READ`] bytes; a data chunk is never cut.
fn plan(extents: &[Extent]) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    for extent in extents {
        let (mut at, end) = (extent.offset, extent.offset + extent.length);
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            let whole = matches!(extent.content, Content::Data { .. });
            let room = reads
                .last()
                .filter(|last| last.offset + last.length as u64 == at)
                .map_or(0, |last| READ.saturating_sub(last.length));
            let length = if room > 0 && (rest <= room || !whole) {
                rest.min(room)
            } else {
                reads.push(Read { offset: at, length: 0, parts: Vec::new() });
                rest.min(READ)
            };
            if let Some(last) = reads.last_mut() {
                last.length += length;
                last.parts.push((length, extent.content));
            }
            at += length as u64;
        }
    }
    reads
}

/// Puts `bytes`, which belong at `at` on the disk, over a buffer that was read at `offset`.
fn patch(offset: u64, buffer: &mut [u8], at: u64, bytes: &[u8]) {
    let (from, to) = (at.max(offset), (at + bytes.len() as u64).min(offset + buffer.len() as u64));
    if from < to {
        let index = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(usize::MAX);
        buffer[index(from, offset)..index(to, offset)].copy_from_slice(&bytes[index(from, at)..index(to, at)]);
    }
}

fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    // A block at a time without branches, which the compiler turns into vector code.
    let block = bytes.chunks(4096).position(|block| block.iter().fold(0, |all, byte| all | byte) != 0)?;
    bytes[block * 4096..].iter().position(|byte| *byte != 0).map(|at| block * 4096 + at)
}

/// The running SHA-256 of each section.
struct Sections<'a> {
    ranges: &'a [SectionRange],
    current: (Hasher, u64),
    done: Vec<Section>,
}

impl<'a> Sections<'a> {
    fn new(ranges: &'a [SectionRange]) -> Self {
        Self { ranges, current: (Hasher::default(), 0), done: Vec::with_capacity(ranges.len()) }
    }

    /// Takes in what lies at `offset`; what lies in no section is passed over.
    fn feed(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while let Some(range) = self.ranges.get(self.done.len()) {
            let wanted = range.offset + self.current.1;
            let Ok(skip) = usize::try_from(wanted.saturating_sub(offset)) else { return };
            let Some(rest) = bytes.get(skip..).filter(|rest| !rest.is_empty()) else { return };
            let take = usize::try_from(range.length - self.current.1).unwrap_or(usize::MAX).min(rest.len());
            self.current.0.update(&rest[..take]);
            self.current.1 += take as u64;
            offset += (skip + take) as u64;
            bytes = &rest[take..];
            if self.current.1 == range.length {
                let (hasher, length) = std::mem::take(&mut self.current);
                self.done.push(Section { name: range.name.clone(), offset: range.offset, length, sha256: hasher.finish() });
            }
        }
    }

    fn finish(self) -> Result<Vec<Section>> {
        if self.done.len() != self.ranges.len() {
            return Err(Fault::internal("a section was not read in whole"));
        }
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
    use proptest::prelude::*;

    use super::*;

    fn range(name: &str, offset: u64, length: u64) -> SectionRange {
        SectionRange { name: name.into(), offset, length }
    }

    #[test]
    fn long_zeros_are_cut_and_chunks_are_not() {
        let digest = Digest::of(b"");
        let data = Content::Data { digest, frame: livery_contract::chunkmap::Frame { pack: 0, offset: 0, length: 1 } };
        let extent = |offset: u64, length: u64, content| Extent { offset, length, content };
        let mib = 1 << 20;
        let reads = plan(&[
            extent(0, 9 * mib, Content::Zero),
            extent(9 * mib, mib, data),
            extent(10 * mib, mib, data),
            extent(11 * mib, mib + 4096, Content::Skip),
            extent(20 * mib, mib, data),
        ]);
        let got: Vec<_> = reads.iter().map(|read| (read.offset / mib, read.length >> 20, read.parts.len())).collect();
        assert_eq!(got, [(0, 4, 1), (4, 4, 1), (8, 4, 4), (12, 0, 1), (20, 1, 1)]);
    }

    #[test]
    fn the_first_byte_that_is_not_zero() {
        let mut bytes = vec![0; 10000];
        assert_eq!(first_not_zero(&bytes), None);
        bytes[9999] = 1;
        assert_eq!(first_not_zero(&bytes), Some(9999));
    }

    #[test]
    fn a_section_that_was_not_read_is_no_success() {
        let ranges = [range("a", 0, 10)];
        let mut sections = Sections::new(&ranges);
        sections.feed(0, &[0; 9]);
        assert!(sections.finish().is_err());
    }

    proptest! {
        /// Fed in any pieces, with gaps between the sections, each section has the digest of its own bytes.
        #[test]
        fn sections_are_hashed_whatever_the_pieces(cuts in prop::collection::vec(1_usize..40, 1..30), bytes in prop::collection::vec(any::<u8>(), 300)) {
            let ranges = [range("a", 0, 100), range("b", 130, 70), range("c", 200, 60)];
            let mut sections = Sections::new(&ranges);
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                sections.feed(at as u64, &bytes[at..end]);
                at = end;
                if at == bytes.len() { break; }
            }
            let done = sections.finish().unwrap();
            for section in done {
                let (from, to) = (section.offset as usize, (section.offset + section.length) as usize);
                prop_assert_eq!(section.sha256, Digest::of(&bytes[from..to]));
            }
        }

        #[test]
        fn a_patch_changes_just_its_range(offset in 0_u64..100, at in 0_u64..100, bytes in prop::collection::vec(1_u8.., 0..50)) {
            let mut buffer = vec![0; 40];
            patch(offset, &mut buffer, at, &bytes);
            for (index, byte) in buffer.iter().enumerate() {
                let place = offset + index as u64;
                let expected = place.checked_sub(at).and_then(|inside| bytes.get(inside as usize)).copied().unwrap_or(0);
                prop_assert_eq!(*byte, expected);
            }
        }
    }
}
