//! A chunk map, as it comes out of a store.

use livery_contract::chunkmap::ChunkMap;

/// Checks one input; whether it is a chunk map.
///
/// # Panics
/// Where there is a second spelling of the same map: its digest is signed, so there must be one only.
pub fn check(input: &[u8]) -> bool {
    let Ok(map) = ChunkMap::decode(input) else { return false };
    assert!(map.encode() == input, "encoded again it has other bytes");
    true
}
