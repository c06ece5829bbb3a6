//! dm-verity's hash tree (kernel: Documentation/admin-guide/device-mapper/verity.rst; cryptsetup: lib/verity/verity.c), format 1,
//! SHA-256, blocks of 4096 bytes, no salt: a salt guards against trees computed beforehand, which a signed root hash makes pointless.
//!
//! The root's tree is made by `veritysetup`; this exists since 5,000 personal layers are made in seconds, without a tool being
//! started for each.

use livery_contract::{Digest, Fault, Result, manifest::BLOCK};
use uuid::Uuid;

const BLOCK_BYTES: usize = 4096;
const _: () = assert!(BLOCK == BLOCK_BYTES as u64);
const DIGEST: usize = 32;

/// A tree with its superblock, as it lies on the hash device.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Superblock in a block of its own, then the levels, the top one first.
    pub(crate) bytes: Vec<u8>,
    /// The root hash.
    pub(crate) root: Digest,
}

/// The tree over `data`, whole blocks.
///
/// # Errors
/// Exit 1 where `data` has not at least two whole blocks: then there would be no tree.
pub(crate) fn tree(data: &[u8], uuid: Uuid) -> Result<Tree> {
    if data.len() < 2 * BLOCK_BYTES || !data.len().is_multiple_of(BLOCK_BYTES) {
        return Err(Fault::internal(format!("{} bytes are not two blocks or more", data.len())));
    }
    let mut levels = vec![level(data)];
    while let Some(below) = levels.last().filter(|level| level.len() > BLOCK_BYTES) {
        levels.push(level(below));
    }
    let root = Digest::of(levels.last().map_or(&[], Vec::as_slice));
    let mut bytes = superblock((data.len() / BLOCK_BYTES) as u64, uuid);
    levels.iter().rev().for_each(|level| bytes.extend_from_slice(level));
    Ok(Tree { bytes, root })
}

/// The digests of all blocks, padded to whole blocks.
fn level(below: &[u8]) -> Vec<u8> {
    let mut digests: Vec<u8> = Vec::with_capacity(below.len() / BLOCK_BYTES * DIGEST);
    below.chunks(BLOCK_BYTES).for_each(|block| digests.extend_from_slice(Digest::of(block).as_bytes()));
    digests.resize(digests.len().next_multiple_of(BLOCK_BYTES), 0);
    digests
}

/// `struct verity_sb`, little-endian.
fn superblock(data_blocks: u64, uuid: Uuid) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_BYTES];
    bytes[0..6].copy_from_slice(b"verity");
    bytes[8] = 1; // version
    bytes[12] = 1; // hash type: the salt goes first
    bytes[16..32].copy_from_slice(uuid.as_bytes());
    bytes[32..38].copy_from_slice(b"sha256");
    bytes[64..68].copy_from_slice(&4096_u32.to_le_bytes());
    bytes[68..72].copy_from_slice(&4096_u32.to_le_bytes());
    bytes[72..80].copy_from_slice(&data_blocks.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_counts_and_levels_are_added() {
        let data = vec![7; 300 * BLOCK_BYTES];
        let large = tree(&data, Uuid::nil()).unwrap();
        // Superblock, one block of the top level, three of the level below it (300 digests of 32 bytes).
        assert_eq!(large.bytes.len(), 5 * BLOCK_BYTES);
        assert_eq!(Digest::of(&large.bytes[BLOCK_BYTES..2 * BLOCK_BYTES]), large.root);
        for at in [0, BLOCK_BYTES - 1, 299 * BLOCK_BYTES, 300 * BLOCK_BYTES - 1] {
            let mut other = data.clone();
            other[at] ^= 1;
            assert_ne!(tree(&other, Uuid::nil()).unwrap().root, large.root, "byte {at}");
        }
        let small = tree(&data[..3 * BLOCK_BYTES], Uuid::nil()).unwrap();
        assert_eq!(small.bytes.len(), 2 * BLOCK_BYTES);
        for bad in [0, BLOCK_BYTES, 2 * BLOCK_BYTES + 1] {
            assert!(tree(&data[..bad], Uuid::nil()).is_err(), "{bad}");
        }
    }
}
