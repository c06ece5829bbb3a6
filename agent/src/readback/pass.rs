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

use super::{
    ahead::ReadAhead,
    differ::differs,
    reads::{Read, plan},
    zeros,
};
use crate::{
    device::Device,
    work::{Work, threads},
};

/// What to read and compare.
pub(crate) struct Pass<'a> {
    pub device: &'a Device,
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
    Each,
    /// Those that reach over the section's end: the section's digest speaks for the others.
    Crossing,
}

impl Pass<'_> {
    /// Reads, compares, and gives the digest of each section that was read in whole.
    ///
    /// # Errors
    /// Exit 6 for the first I/O error or mismatch.
    pub(crate) fn run(&self, work: &Work) -> Result<Vec<Section>> {
        let sections =
            threads::each(self.sections, || ReadAhead::new(self.device), |ahead, section| self.section(section, ahead, work))?;
        Ok(sections.into_iter().flatten().collect())
    }

    fn section(&self, section: &SectionRange, ahead: &mut ReadAhead, work: &Work) -> Result<Option<Section>> {
        let reads = plan(&self.all.extents, section, self.without);
        let whole = reads.iter().flat_map(|read| &read.parts).map(|part| part.in_section as u64).sum::<u64>() == section.length;
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
            let in_section = self.compare(read, bytes, compare)?;
            take(&bytes[..in_section]);
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
            return Fault::untrusted(format!(
                "the image contradicts itself: its chunks have the digest {found}, but its section has {signed}"
            ))
            .at(format!("{}, bytes {}..{}", self.device.path().display(), section.offset, section.offset + section.length))
            .fix("build the image again and write the new one: the one in the store is inconsistent");
        }
        self.device
            .fault("two reads of the same range returned different data", section.offset, section.length)
            .fix("the disk or its cable is faulty: replace it, then start again")
    }

    /// Compares what was read; gives how many of the bytes belong to the section.
    fn compare(&self, read: &Read, bytes: &[u8], compare: Compare) -> Result<usize> {
        let (mut at, mut in_section) = (0, 0);
        for part in &read.parts {
            let place = read.offset + at as u64;
            // Of a chunk that reaches over the section's end, its digest says a part only.
            if (compare == Compare::Each || part.in_section < part.length)
                && let Some((skip, what)) = differs(&bytes[at..at + part.length], &part.content)
            {
                return Err(self.mismatch(place + skip as u64, part.length - skip, &what));
            }
            at += part.length;
            in_section += part.in_section;
        }
        Ok(in_section)
    }

    fn mismatch(&self, offset: u64, length: usize, what: &str) -> Fault {
        let chunk = self.all.extents.partition_point(|extent| extent.offset + extent.length <= offset);
        self.device
            .fault(&format!("the disk's content differs from the image: chunk {chunk}: {what}"), offset, length as u64)
            .fix("the disk lost data: replace it; or something changed it meanwhile: write it again")
    }
}
