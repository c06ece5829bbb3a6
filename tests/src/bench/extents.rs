//! Which 4 KiB blocks of an image hold data, and what a disk holds at those places afterwards.

use livery_contract::{Digest, digest::Hasher};
use serde::{Deserialize, Serialize};

/// Bytes that are looked at together; a multiple of [`BLOCK`].
pub const SHEET: usize = 4 << 20;
/// Bytes of a block.
pub const BLOCK: usize = 4096;

/// Digests of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// All of it.
    pub whole: Digest,
    /// The extents only, end to end.
    pub data: Digest,
}

/// Finds the extents of an image whose bytes come in order.
#[derive(Debug, Default)]
pub struct Finder {
    at: u64,
    extents: Vec<(u64, u64)>,
}

impl Finder {
    /// The next bytes: a multiple of [`BLOCK`], but at the end.
    pub fn add(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            let length = block.len() as u64;
            if block.iter().any(|byte| *byte != 0) {
                match self.extents.last_mut() {
                    Some((offset, old)) if *offset + *old == self.at => *old += length,
                    _ => self.extents.push((self.at, length)),
                }
            }
            self.at += length;
        }
    }

    /// Offset and length in bytes of each run of blocks that are not all zeros.
    pub fn finish(self) -> Vec<(u64, u64)> {
        self.extents
    }
}

/// Takes both digests of a disk whose bytes come in order.
pub struct Survey<'a> {
    at: u64,
    left: &'a [(u64, u64)],
    whole: Hasher,
    data: Hasher,
}

impl<'a> Survey<'a> {
    /// By these extents, in order of offset.
    pub fn of(extents: &'a [(u64, u64)]) -> Self {
        Self { at: 0, left: extents, whole: Hasher::default(), data: Hasher::default() }
    }

    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        let end = self.at + bytes.len() as u64;
        while let Some((offset, length)) = self.left.first() {
            let (from, to) = (self.at.max(*offset), end.min(offset + length));
            if from < to {
                let index = |place: u64| usize::try_from(place - self.at).unwrap_or(usize::MAX).min(bytes.len());
                self.data.update(&bytes[index(from)..index(to)]);
            }
            if offset + length > end {
                break;
            }
            self.left = &self.left[1..];
        }
        self.at = end;
    }

    /// The digests.
    pub fn finish(self) -> Found {
        Found { whole: self.whole.finish(), data: self.data.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_found_and_only_they_are_in_the_digest_of_the_data() {
        let mut disk = vec![0; 10 * BLOCK];
        disk[BLOCK + 7] = 1;
        disk[2 * BLOCK] = 2;
        disk[9 * BLOCK + 4095] = 3;
        let mut finder = Finder::default();
        for part in disk.chunks(3 * BLOCK) {
            finder.add(part);
        }
        let extents = finder.finish();
        let block = BLOCK as u64;
        assert_eq!(extents, [(block, 2 * block), (9 * block, block)]);
        let found = |disk: &[u8]| {
            let mut survey = Survey::of(&extents);
            disk.chunks(1000).for_each(|part| survey.add(part));
            survey.finish()
        };
        let right = found(&disk);
        assert_eq!(right.data, Digest::of(&[&disk[BLOCK..3 * BLOCK], &disk[9 * BLOCK..]].concat()));
        disk[5 * BLOCK] = 9; // in a hole
        assert_eq!(found(&disk).data, right.data);
        assert_ne!(found(&disk).whole, right.whole);
        disk[2 * BLOCK] = 9; // in the data
        assert_ne!(found(&disk).data, right.data);
    }
}
