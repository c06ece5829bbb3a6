//! What to fetch and where to put it, worked out before the first byte is written.
//!
//! In: the composed extents of an image, and what the disk holds of them. Out: a [`Plan`]: chunks to copy on the disk,
//! runs of neighbouring frames (one range request each), runs of zeros, and the *deferred* chunks: those that make the disk a
//! disk that boots, written last. Pure; fails with exit 4 where the extents contradict the manifest.

use std::collections::HashMap;

use livery_contract::{Fault, Result, chunkmap::Content, compose::Composed, manifest::Manifest};

use super::{
    ends::{cleared, is_deferred},
    found::Found,
    moves::{self, Copy, Move},
    runs::{Run, ToFetch, runs},
};
use crate::image::piece::Piece;

/// All of an image's content, sorted by how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Chunks that the disk holds in other places, in the order in which they must be copied, before all else.
    pub copies: Vec<Copy>,
    /// Data to fetch, in the order of the packs.
    pub runs: Vec<Run>,
    /// Ranges that must read as zero: offset and length.
    pub zeros: Vec<(u64, u64)>,
    /// What is written last, in this order: the chunk at the disk's beginning is the very last.
    pub deferred: Vec<Piece>,
    /// Bytes of data and zeros to write, copies and deferred ones included.
    pub written: u64,
    /// Bytes that the disk holds in their places.
    pub kept: u64,
    /// Bytes that are left as they are.
    pub skipped: u64,
}

impl Plan {
    /// Sorts an image's content, for a disk of `disk_size` bytes.
    ///
    /// # Errors
    /// Exit 4 where the extents do not cover the image end to end.
    pub(crate) fn new(manifest: &Manifest, composed: &Composed, found: &Found, disk_size: u64) -> Result<Self> {
        let mut plan =
            Self { copies: Vec::new(), runs: Vec::new(), zeros: Vec::new(), deferred: Vec::new(), written: 0, kept: 0, skipped: 0 };
        let mut pieces = ToFetch::new();
        let mut moved = Vec::new();
        // What is cleared first is gone, whatever the disk had there.
        let cleared = cleared(disk_size);
        let stays = |offset: u64, length: u64| !cleared.iter().any(|(start, end)| offset < *end && *start < offset + length);
        let none = HashMap::new();
        let (in_place, seen) = match found {
            Found::Some(chunks) => (chunks.in_place.as_slice(), &chunks.seen),
            Found::Nothing | Found::Whole => ([].as_slice(), &none),
        };
        let mut at = 0;
        for (index, extent) in composed.extents.iter().enumerate() {
            if extent.offset != at {
                return Err(Fault::untrusted(format!("the image's chunks leave a gap at byte {at}")));
            }
            at += extent.length;
            let skip = extent.content == Content::Skip;
            if !skip && in_place.get(index) == Some(&true) && stays(extent.offset, extent.length) && !is_deferred(manifest, extent)
            {
                plan.kept += extent.length;
                continue;
            }
            match extent.content {
                Content::Skip => plan.skipped += extent.length,
                Content::Zero => {
                    plan.written += extent.length;
                    match plan.zeros.last_mut() {
                        Some((offset, length)) if *offset + *length == extent.offset => *length += extent.length,
                        _ => plan.zeros.push((extent.offset, extent.length)),
                    }
                }
                Content::Data { digest, frame } => {
                    plan.written += extent.length;
                    if is_deferred(manifest, extent) {
                        plan.deferred.push(Piece { frame, length: extent.length, digest, places: vec![extent.offset] });
                    } else if let Some(from) = seen.get(&digest).filter(|from| stays(**from, extent.length)) {
                        let piece = Piece { frame, length: extent.length, digest, places: vec![extent.offset] };
                        moved.push(Move { from: *from, piece });
                    } else {
                        pieces.entry((frame, extent.length, digest)).or_default().push(extent.offset);
                    }
                }
            }
        }
        if at != manifest.size {
            return Err(Fault::untrusted(format!("the image's chunks cover {at} bytes, its manifest says {}", manifest.size)));
        }
        plan.deferred.reverse();
        let (copies, instead) = moves::order(moved);
        plan.copies = copies;
        for Piece { frame, length, digest, places } in instead {
            pieces.entry((frame, length, digest)).or_default().extend(places);
        }
        plan.runs = runs(pieces);
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::{
        Digest,
        chunkmap::{Chunk, ChunkMap, Frame},
        digest::Blob,
        manifest::BLOCK,
    };
    use proptest::prelude::*;

    use super::{
        super::{
            found::Chunks,
            runs::{MAX_GAP, MAX_RUN},
        },
        *,
    };
    use crate::image::sample::manifest;

    fn plan(chunks: Vec<Chunk>) -> (Manifest, Plan) {
        let packs = vec![Blob { digest: Digest::of(b"p"), length: 1 << 30 }; 3];
        let map = ChunkMap { packs, chunks, ..ChunkMap::default() };
        let manifest = manifest(map.length(), &serde_json::json!([]));
        let composed = Composed::new(&manifest, &[map]).unwrap();
        let plan = Plan::new(&manifest, &composed, &Found::Nothing, 64 << 30).unwrap();
        (manifest, plan)
    }

    fn data(blocks: u32, pack: u32, offset: u64, length: u32) -> Chunk {
        Chunk {
            blocks,
            content: Content::Data {
                digest: Digest::of(&offset.to_le_bytes()),
                frame: Frame { pack, offset, length, digest: Digest::of(b"") },
            },
        }
    }

    const SKIP: Chunk = Chunk { blocks: 1 << 10, content: Content::Skip };

    #[test]
    fn the_beginning_and_the_end_are_deferred_and_the_first_chunk_is_last() {
        let (manifest, plan) = plan(vec![data(1, 0, 0, 10), SKIP, data(1, 0, 10, 10), SKIP, data(1, 0, 20, 10)]);
        let deferred: Vec<u64> = plan.deferred.iter().map(|piece| piece.places[0]).collect();
        assert_eq!(deferred, [manifest.size - BLOCK, 0]);
        assert_eq!((plan.runs.len(), plan.written, plan.skipped), (1, 3 * BLOCK, 2 << 22));
    }

    #[test]
    fn neighbours_share_a_request_and_repeats_are_fetched_once() {
        let chunks = vec![
            SKIP,
            data(1, 0, 0, 100),
            data(1, 0, 100, 100),
            data(1, 0, 0, 100),
            data(1, 0, 200 + MAX_GAP, 100),
            data(1, 0, 300 + 2 * MAX_GAP + 1, 9),
            data(1, 1, 0, 5),
            SKIP,
        ];
        let (_, plan) = plan(chunks);
        let runs: Vec<_> = plan.runs.iter().map(|run| (run.pack, run.offset, run.length, run.pieces.len())).collect();
        assert_eq!(runs, [(0, 0, 300 + MAX_GAP, 3), (0, 301 + 2 * MAX_GAP, 9, 1), (1, 0, 5, 1)]);
        assert_eq!(plan.runs[0].pieces[0].places, [1 << 22, (1 << 22) + 2 * BLOCK]);
    }

    fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
        let one = prop_oneof![
            (1_u32..64, 0_u32..3, 0_u64..40_000_000, 1_u32..1_000_000)
                .prop_map(|(blocks, pack, offset, length)| data(blocks, pack, offset, length)),
            (1_u32..300).prop_map(|blocks| Chunk { blocks, content: Content::Zero }),
            (1_u32..300).prop_map(|blocks| Chunk { blocks, content: Content::Skip }),
        ];
        prop::collection::vec(one, 1..60)
    }

    proptest! {
        /// Every byte of data is written exactly once, from the frame that the map names; every request holds its frames.
        #[test]
        fn every_chunk_is_planned_once(chunks in chunks()) {
            let mut expected: Vec<(u64, u64, Frame)> = Vec::new();
            let mut at = 0;
            for chunk in &chunks {
                if let Content::Data { frame, .. } = chunk.content {
                    expected.push((at, chunk.length(), frame));
                }
                at += chunk.length();
            }
            let (_, plan) = plan(chunks);
            let mut got = Vec::new();
            for run in &plan.runs {
                prop_assert!(run.length <= MAX_RUN.max(u64::from(run.pieces[0].frame.length)));
                for piece in &run.pieces {
                    prop_assert!(piece.frame.offset >= run.offset);
                    prop_assert!(piece.frame.offset + u64::from(piece.frame.length) <= run.offset + run.length);
                }
            }
            for piece in plan.runs.iter().flat_map(|run| &run.pieces).chain(&plan.deferred) {
                got.extend(piece.places.iter().map(|place| (*place, piece.length, piece.frame)));
            }
            got.sort_by_key(|(place, ..)| *place);
            prop_assert_eq!(got, expected);
            prop_assert!(plan.written + plan.skipped == at);
        }

        /// With anything found anywhere, every extent is kept, copied, zeroed, fetched or deferred, exactly once.
        #[test]
        fn with_what_the_disk_holds_nothing_is_left_out(chunks in chunks(), present in prop::collection::vec(any::<(bool, bool)>(), 60), seed in 0_u64..1_000_000) {
            let packs = vec![Blob { digest: Digest::of(b"p"), length: 1 << 30 }; 3];
            let map = ChunkMap { packs, chunks, ..ChunkMap::default() };
            let manifest = manifest(map.length(), &serde_json::json!([]));
            let composed = Composed::new(&manifest, &[map]).unwrap();
            let in_place: Vec<bool> = composed.extents.iter().zip(&present).map(|(_, (here, _))| *here).collect();
            let seen = composed.extents.iter().zip(&present).filter_map(|(extent, (_, seen))| match extent.content {
                Content::Data { digest, .. } if *seen => Some((digest, seed * BLOCK)),
                _ => None,
            }).collect();
            let found = Found::Some(Chunks { in_place: in_place.clone(), seen });
            let size = manifest.size + (8 << 20);
            let plan = Plan::new(&manifest, &composed, &found, size).unwrap();
            let mut places: Vec<(u64, u64)> = plan.zeros.clone();
            places.extend(plan.copies.iter().map(|copy| (copy.to, copy.length)));
            for piece in plan.runs.iter().flat_map(|run| &run.pieces).chain(&plan.deferred) {
                places.extend(piece.places.iter().map(|place| (*place, piece.length)));
            }
            for copy in &plan.copies {
                prop_assert!(cleared(size).iter().all(|(start, end)| copy.from >= *end || copy.from + copy.length <= *start));
            }
            for (extent, here) in composed.extents.iter().zip(&in_place) {
                if extent.content == Content::Skip { continue; }
                let cleared = cleared(size).iter().any(|(start, end)| extent.offset < *end && *start < extent.offset + extent.length);
                if *here && !cleared && !is_deferred(&manifest, extent) { places.push((extent.offset, extent.length)); }
            }
            places.sort_unstable();
            prop_assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "nothing twice");
            prop_assert_eq!(places.iter().map(|(_, length)| length).sum::<u64>(), manifest.size - plan.skipped);
            prop_assert_eq!(plan.written + plan.kept + plan.skipped, manifest.size);
        }
    }
}
