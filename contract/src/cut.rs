//! Where a disk's content is cut into chunks: the builder cuts images so, and the agent what it finds on a disk, to
//! recognise the same chunks wherever they lie.
//!
//! Chunks are runs of whole 4 KiB blocks, since files move by whole blocks in erofs and ext4, and the cut depends on the
//! content of the one block before it: so after an insertion the very next cut falls where it fell before, and all that
//! follows is found again. Measured with fixed chunks of 64 KiB and more, an ordinary update costs ten times as much.

use xxhash_rust::xxh3::xxh3_64;

use crate::{chunkmap::MAX_DATA_BLOCKS, manifest::BLOCK};

/// Bytes of a block, as `usize`.
pub const BLOCK_BYTES: usize = 4096;
const _: () = assert!(BLOCK == BLOCK_BYTES as u64);

/// No data chunk has fewer blocks, unless something else ends it: 16 KiB. A frame of its own costs about 80 bytes.
const MIN_BLOCKS: u32 = 4;
/// A cut after one block in so many, on average: chunks have about 80 KiB.
const CUT_MASK: u64 = 15;
/// A run of zero blocks is a chunk of its own from so many blocks on (64 KiB); shorter ones stay in the data.
const MIN_ZERO_RUN: u32 = 16;

/// A run of blocks that will be one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Blocks, at least 1.
    pub blocks: u32,
    /// Whether all of them are zero.
    pub zero: bool,
}

/// Cuts `bytes`, a whole number of blocks, into runs. `bytes` should end at a natural bound (a partition's end) or be
/// large: its end is always a cut.
pub fn cut(bytes: &[u8]) -> Vec<Run> {
    let blocks: Vec<&[u8]> = bytes.chunks_exact(BLOCK_BYTES).collect();
    let mut runs = Vec::new();
    let mut data = 0_u32; // blocks of the data run that is open
    let mut at = 0;
    while at < blocks.len() {
        let zeros = blocks[at..].iter().take_while(|block| is_zero(block)).count();
        let zeros = u32::try_from(zeros).unwrap_or(u32::MAX);
        if zeros >= MIN_ZERO_RUN || (zeros > 0 && zeros as usize == blocks.len() - at && data == 0) {
            close(&mut runs, &mut data);
            runs.push(Run { blocks: zeros, zero: true });
            at += zeros as usize;
            continue;
        }
        // At least one block of data; short runs of zeros go with it.
        for block in &blocks[at..at + (zeros as usize).max(1)] {
            data += 1;
            let wants_cut = data >= MIN_BLOCKS && xxh3_64(block) & CUT_MASK == 0;
            if wants_cut || data == MAX_DATA_BLOCKS {
                close(&mut runs, &mut data);
            }
            at += 1;
        }
    }
    close(&mut runs, &mut data);
    runs
}

fn close(runs: &mut Vec<Run>, data: &mut u32) {
    if *data > 0 {
        runs.push(Run { blocks: *data, zero: false });
        *data = 0;
    }
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (words, tail) = bytes.as_chunks::<16>(); // 16 at a time vectorises, byte by byte does not
    words.iter().all(|word| *word == [0; 16]) && tail.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Blocks that differ from each other and from those of another seed.
    fn noise(seed: u64, blocks: u64) -> Vec<u8> {
        (0..blocks * BLOCK / 8).flat_map(|word| xxh3_64(&[seed, word].map(u64::to_le_bytes).concat()).to_le_bytes()).collect()
    }

    #[test]
    fn an_insertion_moves_only_the_chunk_it_is_in() {
        let old = noise(1, 600);
        let mut new = old.clone();
        new.splice(200 * BLOCK_BYTES..200 * BLOCK_BYTES, noise(2, 3));
        let chunks = |bytes: &[u8]| {
            let mut at = 0;
            cut(bytes)
                .iter()
                .map(|run| {
                    let from = at;
                    at += run.blocks as usize * BLOCK_BYTES;
                    xxh3_64(&bytes[from..at])
                })
                .collect::<std::collections::HashSet<_>>()
        };
        let (old, new) = (chunks(&old), chunks(&new));
        assert!(old.len() > 15, "{}", old.len());
        assert!(new.difference(&old).count() <= 2, "{} of {} are new", new.difference(&old).count(), new.len());
    }

    #[test]
    fn long_zero_runs_stand_alone() {
        let mut bytes = noise(1, 40);
        bytes[10 * BLOCK_BYTES..30 * BLOCK_BYTES].fill(0);
        bytes[35 * BLOCK_BYTES..36 * BLOCK_BYTES].fill(0);
        let zeros: Vec<u32> = cut(&bytes).iter().filter(|run| run.zero).map(|run| run.blocks).collect();
        assert_eq!(zeros, [20]);
        assert_eq!(cut(&[0; 2 * BLOCK_BYTES]), [Run { blocks: 2, zero: true }]);
    }

    proptest! {
        #[test]
        fn runs_cover_everything_and_zero_means_zero(shape in prop::collection::vec((any::<bool>(), 1_usize..50), 0..8)) {
            let bytes: Vec<u8> = shape.iter().flat_map(|(zero, blocks)| if *zero { vec![0; blocks * BLOCK_BYTES] } else { noise(7, *blocks as u64) }).collect();
            let runs = cut(&bytes);
            let mut at = 0;
            for run in &runs {
                let end = at + run.blocks as usize * BLOCK_BYTES;
                prop_assert!(!run.zero || is_zero(&bytes[at..end]));
                prop_assert!(run.zero || run.blocks <= MAX_DATA_BLOCKS);
                at = end;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }
}
