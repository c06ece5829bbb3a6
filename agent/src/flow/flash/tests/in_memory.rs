//! An image in memory: its disk, its chunk maps, and a source of its packs that fails as it is told to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backon::ExponentialBuilder;
use bytes::Bytes;
use livery_contract::{
    Digest, Fault, Result,
    chunkmap::{Chunk, ChunkMap, Content, Frame, SectionDigest},
    compose::Composed,
    cut,
    digest::Blob,
    manifest::{BLOCK, Manifest},
};
use serde_json::json;
use uuid::Uuid;

use crate::image::{source::Source, trust::Trusted};

/// Its bytes.
pub(super) const IMAGE: u64 = 8 << 20;

/// What a request is answered with instead of the truth.
type Spoil = dyn Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync;

/// Packs in memory; `spoil` is asked at each request, with its number.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) pack: Arc<Vec<u8>>,
    pub(super) requests: Arc<AtomicUsize>,
    pub(super) spoil: Arc<Spoil>,
}

impl Source for Memory {
    async fn range(&self, _: &Blob, offset: u64, length: u64) -> Result<Bytes> {
        let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset + length).unwrap());
        let mut bytes = self.pack[from..to].to_vec();
        match (self.spoil)(self.requests.fetch_add(1, Ordering::SeqCst), &mut bytes) {
            Some(fault) => Err(fault),
            None => Ok(bytes.into()),
        }
    }

    fn place(&self, _: &Blob) -> String {
        "memory/pack".into()
    }

    fn retries(&self) -> ExponentialBuilder {
        ExponentialBuilder::new().with_factor(1.0).with_min_delay(Duration::from_millis(1)).with_max_times(2)
    }

    fn in_flight(&self) -> usize {
        // With those that wait for a writer fewer than the image has: some are asked for only when the disk is touched.
        2
    }
}

/// A disk image with a real GPT, a repeated chunk, zeros, and a skipped run.
pub(super) fn disk_image() -> Vec<u8> {
    use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};
    let size = usize::try_from(IMAGE).unwrap();
    let mut device = std::io::Cursor::new(vec![0; size]);
    ProtectiveMBR::with_lb_size(u32::try_from(size / 512 - 1).unwrap()).overwrite_lba0(&mut device).unwrap();
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut disk = config.create_from_device(device, None).unwrap();
    disk.add_partition_at("esp", 1, 2048, 4096, partition_types::EFI, 0).unwrap();
    disk.add_partition_at("root", 2, 6144, 8192, partition_types::LINUX_FS, 0).unwrap();
    let mut image = disk.write().unwrap().into_inner();
    // Bytes that do not compress (xorshift64), so that frames are as long as chunks.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for bytes in image[1 << 20..6 << 20].as_chunks_mut::<8>().0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *bytes = state.to_le_bytes();
    }
    image.copy_within(1 << 20..(1 << 20) + (64 << 10), 5 << 20);
    image
}

pub(super) fn chunk_map(image: &[u8]) -> (ChunkMap, Vec<u8>) {
    let (mut map, mut pack) = (ChunkMap::default(), Vec::new());
    let mut known: HashMap<Digest, Frame> = HashMap::new();
    for (index, bytes) in image.chunks(64 << 10).enumerate() {
        let content = if index == 100 {
            Content::Skip
        } else if bytes.iter().all(|byte| *byte == 0) {
            Content::Zero
        } else {
            let digest = Digest::of(bytes);
            let frame = *known.entry(digest).or_insert_with(|| {
                // A gap now and then, so that there are several requests.
                if index % 16 == 0 {
                    pack.resize(pack.len() + (128 << 10), 0xff);
                }
                let frame = zstd::bulk::compress(bytes, 1).unwrap();
                let offset = pack.len() as u64;
                pack.extend_from_slice(&frame);
                Frame { pack: 0, offset, length: u32::try_from(frame.len()).unwrap(), digest: Digest::of(&frame) }
            });
            Content::Data { digest, frame }
        };
        map.chunks.push(Chunk { blocks: u32::try_from(bytes.len() as u64 / BLOCK).unwrap(), content });
    }
    map.packs.push(Blob { digest: Digest::of(&pack), length: pack.len() as u64 });
    map.sections = sections(&manifest(), image, &map);
    (map, pack)
}

/// As the builder cuts: by content.
pub(super) fn cut_by_content(image: &[u8]) -> (ChunkMap, Vec<u8>) {
    let (mut map, mut pack, mut at) = (ChunkMap::default(), Vec::new(), 0);
    for part in [&image[..1 << 20], &image[1 << 20..]] {
        for run in cut::cut(part) {
            let length = run.blocks as usize * 4096;
            let content = if run.zero {
                Content::Zero
            } else {
                let bytes = &image[at..at + length];
                let frame = zstd::bulk::compress(bytes, 1).unwrap();
                let offset = pack.len() as u64;
                pack.extend_from_slice(&frame);
                let frame = Frame { pack: 0, offset, length: u32::try_from(frame.len()).unwrap(), digest: Digest::of(&frame) };
                Content::Data { digest: Digest::of(bytes), frame }
            };
            map.chunks.push(Chunk { blocks: run.blocks, content });
            at += length;
        }
    }
    map.packs.push(Blob { digest: Digest::of(&pack), length: pack.len() as u64 });
    map.sections = sections(&manifest(), image, &map);
    (map, pack)
}

/// As the builder does: the digest of each section of a record.
pub(super) fn sections(manifest: &Manifest, image: &[u8], map: &ChunkMap) -> Vec<SectionDigest> {
    let composed = Composed::new(manifest, std::slice::from_ref(map)).unwrap();
    let bytes = |offset: u64, length: u64| &image[usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap()];
    let digest = |(offset, length)| SectionDigest { offset, length, digest: Digest::of(bytes(offset, length)) };
    composed.sections(manifest).iter().map(|section| digest((section.offset, section.length))).collect()
}

fn manifest() -> Manifest {
    let partition = |number: u32, role, offset: u64, length: u64| {
        let guid = Uuid::from_u128(u128::from(number));
        json!({
            "number": number, "role": role, "offset": offset, "length": length,
            "type_guid": guid, "guid": guid, "label": role,
        })
    };
    let partitions = json!([partition(1, "esp", 1 << 20, 2 << 20), partition(2, "root", 3 << 20, 4 << 20)]);
    crate::image::sample::manifest(IMAGE, &partitions)
}

pub(super) fn trusted(spoil: impl Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync + 'static) -> (Vec<u8>, Trusted<Memory>) {
    let image = disk_image();
    let (map, pack) = chunk_map(&image);
    let trusted = trust((map, pack), spoil);
    (image, trusted)
}

pub(super) fn trust(
    (map, pack): (ChunkMap, Vec<u8>),
    spoil: impl Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync + 'static,
) -> Trusted<Memory> {
    let manifest = manifest();
    let composed = Composed::new(&manifest, &[map]).unwrap();
    let source = Memory { pack: Arc::new(pack), requests: Arc::default(), spoil: Arc::new(spoil) };
    Trusted::for_test(source, manifest, composed)
}
