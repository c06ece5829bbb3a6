//! Where on a disk a file's bytes lie: it is filled with blocks that are found again, each of them like no other.

use std::collections::HashMap;

use livery_contract::{Digest, cut::BLOCK_BYTES as SIZE, manifest::BLOCK};

/// As many bytes as a file is to have: the same each time, like nothing else on a disk, and no two blocks alike.
pub(crate) fn filler(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 32);
    for number in 0.. {
        if bytes.len() >= size {
            break;
        }
        bytes.extend_from_slice(Digest::of(format!("livery: place of the personal layer, {number}").as_bytes()).as_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Looks for a filler's blocks.
pub(crate) struct Search<'a> {
    wanted: &'a [u8],
    /// The first bytes of each block, and which one it is.
    heads: HashMap<&'a [u8], usize>,
    /// Where each block was found.
    found: Vec<Option<u64>>,
    /// Where the first block was found off a bound.
    askew: Option<u64>,
}

impl<'a> Search<'a> {
    /// For a filler of whole blocks.
    pub(crate) fn new(wanted: &'a [u8]) -> Self {
        let heads: HashMap<&[u8], usize> =
            wanted.chunks_exact(SIZE).enumerate().map(|(number, block)| (&block[..32], number)).collect();
        Self { wanted, found: vec![None; heads.len()], heads, askew: None }
    }

    /// Looks at bytes of the disk, from `offset` on, which is on a bound.
    pub(crate) fn look(&mut self, bytes: &[u8], offset: u64) {
        for (index, block) in bytes.chunks_exact(SIZE).enumerate() {
            let at = offset + (index * SIZE) as u64;
            match self.heads.get(&block[..32]) {
                Some(number) if block == &self.wanted[number * SIZE..][..SIZE] => self.found[*number] = Some(at),
                // Sectors are the least that a file system counts in.
                _ => {
                    let first = block.chunks_exact(512).position(|sector| sector == &self.wanted[..512]);
                    self.askew = self.askew.or(first.map(|sector| at + (sector * 512) as u64));
                }
            }
        }
    }

    /// The first byte, where all of it lies in one piece; else, in words, why it is no use.
    pub(crate) fn found(&self) -> Result<u64, String> {
        let whole = self.found.iter().copied().collect::<Option<Vec<u64>>>();
        match (whole, self.askew) {
            (Some(places), _) => match places.windows(2).filter(|pair| pair[1] != pair[0] + BLOCK).count() {
                0 => places.first().copied().ok_or_else(|| "the file has no bytes".into()),
                breaks => Err(format!("the file lies in {} pieces, but must be in one", breaks + 1)),
            },
            (None, Some(at)) => Err(format!("the file begins at byte {at} of the disk, which is not a multiple of {BLOCK}")),
            (None, None) => Err("the file's bytes can't be found on the disk: they are compressed or encrypted".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_piece_on_a_bound_is_found_and_all_else_told() {
        let wanted = filler(3 * SIZE);
        assert_eq!(wanted, filler(3 * SIZE));
        let noise = vec![7; 2 * SIZE];
        let found = |disk: &[u8]| {
            let mut search = Search::new(&wanted);
            search.look(disk, 1 << 20);
            search.found()
        };
        assert_eq!(found(&[noise.clone(), wanted.clone(), noise.clone()].concat()), Ok((1 << 20) + 2 * BLOCK));
        let (one, rest) = wanted.split_at(SIZE);
        assert!(found(&[rest, &noise, one].concat()).unwrap_err().contains("in 2 pieces"));
        assert!(found(&[one, &noise, rest].concat()).unwrap_err().contains("in 2 pieces"));
        assert!(found(&[&noise[..512], &wanted, &noise[512..]].concat()).unwrap_err().contains("not a multiple of 4096"));
        assert!(found(&[one, &noise].concat()).unwrap_err().contains("can't be found"));
        let mut damaged = wanted.clone();
        damaged[SIZE + 100] ^= 1;
        assert!(found(&damaged).unwrap_err().contains("can't be found"));
    }
}
