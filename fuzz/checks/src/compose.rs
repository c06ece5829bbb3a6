//! Layers laid over one another. The input is a recipe, since hardly any random manifest fits to random maps: every byte
//! string gives an image of some layers, which are composed by the contract, and painted block by block here.
//!
//! ```text
//! layer: u8 number of chunks | u8 first block (none for the first layer, which begins at 0)
//! chunk: u8, the upper two bits its kind (0 zero, 1 skip, else data), the lower six its blocks, less one
//! ```

use livery_contract::{
    Digest,
    chunkmap::{Chunk, ChunkMap, Content, Frame},
    compose::Composed,
    digest::Blob,
    manifest::{BLOCK, Layer, Manifest},
};

/// More would only repeat.
const MAX_LAYERS: usize = 6;

/// Checks one input; whether its layers can be composed.
///
/// # Panics
/// Where the extents are not what painting gives, or a chunk is cut that could not be checked any more.
pub fn check(input: &[u8]) -> bool {
    let mut input = input.iter().copied();
    let (mut layers, mut maps) = (Vec::new(), Vec::new());
    while maps.len() < MAX_LAYERS {
        let Some((layer, map)) = layer(&mut input, maps.len()) else { break };
        layers.push(layer);
        maps.push(map);
    }
    let Some(manifest) = manifest(layers) else { return false };

    let painted = paint(&manifest, &maps);
    let composed = match Composed::new(&manifest, &maps) {
        Ok(composed) => composed,
        Err(fault) => {
            assert!(painted.is_none(), "refused, though nothing is cut: {fault}");
            return false;
        }
    };
    let painted = painted.unwrap_or_else(|| panic!("taken, though a data chunk is cut"));

    let mut at = 0;
    for extent in &composed.extents {
        assert!(extent.offset == at && extent.length > 0, "extents lie end to end");
        at += extent.length;
        for block in extent.offset / BLOCK..at / BLOCK {
            let expected = usize::try_from(block).ok().and_then(|block| painted.get(block));
            assert!(expected.is_some_and(|dot| dot.shows(extent.content, &composed.packs, &maps)), "block {block} is another");
        }
    }
    assert_eq!(at, manifest.size, "extents cover the disk");
    true
}

fn layer(input: &mut impl Iterator<Item = u8>, index: usize) -> Option<(Layer, ChunkMap)> {
    let chunks = input.next()?;
    let first = if index == 0 { 0 } else { input.next()? };
    // A pack of its own for each layer: by that a chunk of one is told from a chunk of another.
    let pack = Blob { digest: Digest::of(&index.to_le_bytes()), length: 256 };
    let mut map = ChunkMap { packs: vec![pack], ..ChunkMap::default() };
    for (byte, number) in input.take(usize::from(chunks)).zip(0_u8..) {
        let content = match byte >> 6 {
            0 => Content::Zero,
            1 => Content::Skip,
            _ => Content::Data {
                digest: Digest::of(&[number]),
                frame: Frame { pack: 0, offset: u64::from(number), length: 1, digest: Digest::of(b"") },
            },
        };
        map.chunks.push(Chunk { blocks: u32::from(byte & 63) + 1, content });
    }
    let layer =
        Layer { offset: u64::from(first) * BLOCK, length: map.length(), chunk_map: Blob { digest: Digest::of(b""), length: 0 } };
    Some((layer, map))
}

/// A manifest of these layers, if it may have them.
fn manifest(layers: Vec<Layer>) -> Option<Manifest> {
    let size = layers.first()?.length;
    let manifest = Manifest {
        layers,
        size,
        minimum_disk: size,
        ..serde_json::from_str(
            r#"{"schema": 1, "name": "fuzz", "version": "1", "created": "2026-11-24T00:00:00Z", "size": 0,
                "sector_size": 512, "partitions": [], "layers": [], "minimum_disk": 0}"#,
        )
        .unwrap_or_else(|error| panic!("the manifest to begin with: {error}"))
    };
    manifest.check().is_ok().then_some(manifest)
}

/// What a block of the disk shall hold: a chunk of a layer.
#[derive(Clone, Copy, PartialEq)]
struct Dot {
    layer: usize,
    chunk: usize,
    content: Content,
}

impl Dot {
    fn shows(&self, content: Content, packs: &[Blob], maps: &[ChunkMap]) -> bool {
        match (self.content, content) {
            (Content::Zero, Content::Zero) | (Content::Skip, Content::Skip) => true,
            (Content::Data { digest, frame }, Content::Data { digest: got, frame: at }) => {
                digest == got
                    && (frame.offset, frame.length) == (at.offset, at.length)
                    && packs.get(at.pack as usize) == maps[self.layer].packs.first()
            }
            _ => false,
        }
    }
}

/// One dot a block, later layers over earlier ones; nothing where a layer leaves a part of a data chunk below.
fn paint(manifest: &Manifest, maps: &[ChunkMap]) -> Option<Vec<Dot>> {
    let mut disk: Vec<Dot> = Vec::new();
    for (index, (layer, map)) in manifest.layers.iter().zip(maps).enumerate() {
        let first = usize::try_from(layer.offset / BLOCK).ok()?;
        let dots: Vec<Dot> = map
            .chunks
            .iter()
            .enumerate()
            .flat_map(|(number, chunk)| {
                let dot = Dot { layer: index, chunk: number, content: chunk.content };
                std::iter::repeat_n(dot, chunk.blocks as usize)
            })
            .collect();
        let end = first + dots.len();
        for bound in [first, end] {
            let cut = bound > 0
                && bound < disk.len()
                && disk[bound - 1] == disk[bound]
                && matches!(disk[bound].content, Content::Data { .. });
            if cut {
                return None;
            }
        }
        let end = end.min(disk.len());
        disk.splice(first.min(end)..end, dots);
    }
    Some(disk)
}
