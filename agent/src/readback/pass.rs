//! One pass over the disk: read from the medium, compare each chunk, hash each section.
//!
//! Several threads, each with a section at a time and buffers of its own: while it compares, its next read is under way.
//! Nothing is shared but the list of sections, so there is no order to keep and no queue to run full.
//!
//! Where the image says what a section's digest is, that one digest is the comparison of all of its chunks; only where it
//! does not fit are they compared one by one, to say which.

use livery_contract::{
    Digest, Fault, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    digest::Hasher,
    manifest::SectionRange,
    record::Section,
};

use crate::{
    device::Device,
    readback::{ahead::ReadAhead, zeros},
    work::threads,
    write::written::Work,
};

/// Bytes of one read.
pub(crate) const READ: usize = 4 << 20;

/// What to read and compare.
pub(crate) struct Pass<'a> {
    pub device: &'a Device,
    /// The image.
    pub all: &'a Composed,
    /// What to read, in the disk's order.
    pub sections: &'a [SectionRange],
    /// Extents that are not there yet: neither read nor compared, and a section with one gets no digest.
    pub without: &'a (dyn Fn(&Extent) -> bool + Sync),
    /// Bytes to put in place of what was read, before comparing and hashing: offset and bytes.
    pub patches: &'a [(u64, Vec<u8>)],
}

/// Which chunks are compared by digests of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    /// All of them.
    Each,
    /// Those that reach over the section's end: the section's digest speaks for the others.
    Crossing,
}

/// Part of a read with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub length: usize,
    /// How many of these bytes belong to the section; a chunk that reaches over its end is read in whole, to be compared.
    pub inside: usize,
    pub content: Content,
}

/// Neighbouring extents that are read with one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub offset: u64,
    pub length: usize,
    pub parts: Vec<Part>,
}

impl Pass<'_> {
    /// Reads, compares, and gives the digest of each section that was read in whole.
    ///
    /// # Errors
    /// Exit 6 for the first I/O error or mismatch.
    pub fn run(&self, work: &Work) -> Result<Vec<Section>> {
        let sections =
            threads::each(self.sections, || ReadAhead::new(self.device), |ahead, section| self.section(section, ahead, work))?;
        Ok(sections.into_iter().flatten().collect())
    }

    fn section(&self, section: &SectionRange, ahead: &mut ReadAhead, work: &Work) -> Result<Option<Section>> {
        let reads = plan(&self.all.extents, section, self.without);
        let whole = reads.iter().flat_map(|read| &read.parts).map(|part| part.inside as u64).sum::<u64>() == section.length;
        let all_zero = reads.iter().flat_map(|read| &read.parts).all(|part| part.content == Content::Zero);
        // What was compared with zero, byte for byte, has the digest of zeros.
        let zeros = zeros::digest(section.length).filter(|_| whole && all_zero);
        let signed = self.all.section_digest(section).filter(|_| whole && zeros.is_none());
        let sha256 = if let Some(zeros) = zeros {
            self.each(&reads, ahead, Compare::Each, &mut |bytes| work.progress.add(bytes.len() as u64), work)?;
            Some(zeros)
        } else {
            let mut hasher = Hasher::default();
            let compare = if signed.is_some() { Compare::Crossing } else { Compare::Each };
            let mut take = |bytes: &[u8]| {
                hasher.update(bytes);
                work.progress.add(bytes.len() as u64);
            };
            self.each(&reads, ahead, compare, &mut take, work)?;
            Some(hasher.finish()).filter(|_| whole)
        };
        if let (Some(signed), Some(found)) = (signed, sha256)
            && signed != found
        {
            return Err(self.which_differs(section, &reads, &found, &signed, ahead, work));
        }
        let (name, offset, length) = (section.name.clone(), section.offset, section.length);
        Ok(sha256.map(|sha256| Section { name, offset, length, sha256 }))
    }

    /// Reads, compares as `compare` says, and hands the section's bytes to `take`, in order.
    fn each(
        &self,
        reads: &[Read],
        ahead: &mut ReadAhead,
        compare: Compare,
        take: &mut dyn FnMut(&[u8]),
        work: &Work,
    ) -> Result<()> {
        ahead.each(reads, self.patches, &work.stop, |read, bytes| {
            let inside = self.compare(read, bytes, compare)?;
            take(&bytes[..inside]);
            Ok(())
        })
    }

    /// The fault of a section whose digest is not the signed one: the chunk that differs, read once more.
    fn which_differs(
        &self,
        section: &SectionRange,
        reads: &[Read],
        found: &Digest,
        signed: &Digest,
        ahead: &mut ReadAhead,
        work: &Work,
    ) -> Fault {
        let mut hasher = Hasher::default();
        if let Err(fault) = self.each(reads, ahead, Compare::Each, &mut |bytes| hasher.update(bytes), work) {
            return fault;
        }
        if hasher.finish() == *found {
            // Each chunk is as signed, and so is none of it: no disk can do that.
            return Fault::untrusted(format!("the image contradicts itself: its chunks make {found}, its section says {signed}"))
                .at(format!("{}, bytes {}..{}", self.device.path().display(), section.offset, section.offset + section.length))
                .fix("build the image again and write that: the one in the store was made wrongly");
        }
        self.device
            .fault("the disk does not read twice the same", section.offset, section.length)
            .fix("the disk is faulty, or its cable: replace it, then start again")
    }

    /// Compares what was read; gives how many of the bytes belong to the section.
    fn compare(&self, read: &Read, bytes: &[u8], compare: Compare) -> Result<usize> {
        let (mut at, mut inside) = (0, 0);
        for part in &read.parts {
            let place = read.offset + at as u64;
            // Of a chunk that reaches over the section's end, its digest says a part only.
            if (compare == Compare::Each || part.inside < part.length)
                && let Some((skip, what)) = differs(&bytes[at..at + part.length], &part.content)
            {
                return Err(self.mismatch(place + skip as u64, part.length - skip, &what));
            }
            at += part.length;
            inside += part.inside;
        }
        Ok(inside)
    }

    fn mismatch(&self, offset: u64, length: usize, what: &str) -> Fault {
        let chunk = self.all.extents.partition_point(|extent| extent.offset + extent.length <= offset);
        self.device
            .fault(&format!("what was read back is not the image: chunk {chunk}: {what}"), offset, length as u64)
            .fix("the disk does not keep what it is given: replace it; or it was changed since: write it again")
    }
}

/// Whether bytes are not what they should be: from which byte on, and in words.
pub(crate) fn differs(bytes: &[u8], content: &Content) -> Option<(usize, String)> {
    match content {
        Content::Skip => None,
        Content::Zero => first_not_zero(bytes).map(|first| (first, "it is not zero, as the image says".into())),
        Content::Data { digest, .. } => {
            let found = Digest::of(bytes);
            (found != *digest).then(|| (0, format!("its digest is {found}, the image says {digest}")))
        }
    }
}

/// Cuts a section into reads of at most [`READ`] bytes. A data chunk that begins in it is read in whole; of one that began
/// before it, only the rest, which is not compared here but where it began.
pub(crate) fn plan(extents: &[Extent], section: &SectionRange, without: &dyn Fn(&Extent) -> bool) -> Vec<Read> {
    let section_end = section.offset + section.length;
    let mut reads: Vec<Read> = Vec::new();
    let first = extents.partition_point(|extent| extent.offset + extent.length <= section.offset);
    for extent in extents[first..].iter().take_while(|extent| extent.offset < section_end) {
        if without(extent) {
            continue;
        }
        let extent_end = extent.offset + extent.length;
        let (mut at, end, content) = match extent.content {
            Content::Data { .. } if extent.offset < section.offset => (section.offset, extent_end.min(section_end), Content::Skip),
            Content::Data { .. } => (extent.offset, extent_end, extent.content),
            Content::Zero | Content::Skip => (extent.offset.max(section.offset), extent_end.min(section_end), extent.content),
        };
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            let whole = matches!(content, Content::Data { .. });
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
            let inside = usize::try_from(section_end.saturating_sub(at)).unwrap_or(usize::MAX).min(length);
            if let Some(last) = reads.last_mut() {
                last.length += length;
                last.parts.push(Part { length, inside, content });
            }
            at += length as u64;
        }
    }
    reads
}

fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    // A block at a time without branches, which the compiler turns into vector code.
    let block = bytes.chunks(4096).position(|block| block.iter().fold(0, |all, byte| all | byte) != 0)?;
    bytes[block * 4096..].iter().position(|byte| *byte != 0).map(|at| block * 4096 + at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::chunkmap::Frame;
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn data(seed: u32) -> Content {
        Content::Data { digest: Digest::of(&seed.to_le_bytes()), frame: Frame { pack: 0, offset: 0, length: 1 } }
    }

    fn extents(parts: &[(u64, Content)]) -> Vec<Extent> {
        let mut offset = 0;
        parts
            .iter()
            .map(|(length, content)| {
                offset += length;
                Extent { offset: offset - length, length: *length, content: *content }
            })
            .collect()
    }

    fn section(offset: u64, length: u64) -> SectionRange {
        SectionRange { name: "s".into(), offset, length }
    }

    #[test]
    fn long_zeros_are_cut_and_chunks_are_not() {
        let extents =
            extents(&[(9 * MIB, Content::Zero), (MIB, data(1)), (MIB, data(2)), (MIB + 4096, Content::Skip), (MIB, data(3))]);
        let reads = plan(&extents, &section(0, 13 * MIB + 4096), &|_| false);
        let got: Vec<_> = reads.iter().map(|read| (read.offset / MIB, read.length >> 20, read.parts.len())).collect();
        assert_eq!(got, [(0, 4, 1), (4, 4, 1), (8, 4, 4), (12, 1, 2)]);
    }

    #[test]
    fn the_first_byte_that_is_not_zero() {
        let mut bytes = vec![0; 10000];
        assert_eq!(first_not_zero(&bytes), None);
        bytes[9999] = 1;
        assert_eq!(first_not_zero(&bytes), Some(9999));
    }

    proptest! {
        /// However a disk is cut into sections, each chunk is compared exactly once and in whole, and each section is
        /// read end to end.
        #[test]
        fn each_chunk_is_compared_once_and_each_section_read_in_whole(
            parts in prop::collection::vec((1_u64..257, 0_u32..3), 1..60),
            step in 1_u64..300,
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(blocks, kind)| {
                (blocks * 4096, match kind { 0 => Content::Zero, 1 => Content::Skip, _ => data(kind) })
            }).collect();
            let extents = extents(&parts);
            let end = parts.iter().map(|(length, _)| length).sum::<u64>();
            let (mut at, mut compared) = (0, Vec::new());
            while at < end {
                let section = section(at, (step * 4096).min(end - at));
                let mut inside = at;
                for read in plan(&extents, &section, &|_| false) {
                    prop_assert_eq!(read.offset, inside, "no gap");
                    prop_assert!(read.length <= READ);
                    prop_assert_eq!(read.parts.iter().map(|part| part.length).sum::<usize>(), read.length);
                    let mut place = read.offset;
                    for part in &read.parts {
                        if matches!(part.content, Content::Data { .. }) {
                            compared.push((place, part.length as u64));
                        }
                        place += part.length as u64;
                    }
                    inside += read.parts.iter().map(|part| part.inside as u64).sum::<u64>();
                }
                at += section.length;
                prop_assert_eq!(inside, at);
            }
            let wanted: Vec<_> = extents.iter().filter(|extent| matches!(extent.content, Content::Data { .. }))
                .map(|extent| (extent.offset, extent.length)).collect();
            prop_assert_eq!(compared, wanted);
        }
    }
}
