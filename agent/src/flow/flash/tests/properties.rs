//! Any chunk map of any image, on a disk with any content, of sectors of 512 and of 4096 bytes: the kernel makes the disks
//! (loop devices) and refuses each request that does not fit their sectors.

use std::process::Command;

use serde_json::json;
use uuid::Uuid;

use super::*;

/// How a chunk is cut: its blocks, what it holds, and from which noise.
type Cut = (u32, u8, u64);

/// A loop device over a file, taken away when dropped.
struct Loop(String);

impl Loop {
    fn attach(file: &Path, sector: u32) -> Self {
        let arguments = ["--find", "--show", "--direct-io=on", "--sector-size", &sector.to_string()];
        let output = Command::new("losetup").args(arguments).arg(file).output().unwrap();
        assert!(output.status.success(), "run the tests as root: {output:?}");
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// Blocks that do not compress; the same for the same seed.
fn noise(seed: u64, blocks: u32) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..blocks as usize * 512).flat_map(|_| next()).collect()
}

/// An image of chunks that are cut so, and no partition table.
fn any_image(cuts: &[Cut]) -> Vec<u8> {
    cuts.iter()
        .flat_map(|(blocks, kind, seed)| match kind {
            0 => vec![0; *blocks as usize * 4096],
            // Noise and zeros by turns, so that a run of zeros begins and ends within a chunk.
            1 => {
                noise(*seed, *blocks).into_iter().enumerate().map(|(at, byte)| if at / 4096 % 2 == 0 { byte } else { 0 }).collect()
            }
            _ => noise(*seed, *blocks),
        })
        .collect()
}

/// The image cut so, over and over; where `skips`, a chunk of the last kind is one whose content does not matter.
fn cut_so(image: &[u8], cuts: &[Cut], skips: bool) -> (ChunkMap, Vec<u8>) {
    let (mut map, mut pack, mut at) = (ChunkMap::default(), vec![0xff; 100], 0);
    for (blocks, kind, seed) in cuts.iter().cycle() {
        let bytes = &image[at..image.len().min(at + *blocks as usize * 4096)];
        at += bytes.len();
        let content = if skips && *kind == 3 && at > 1 << 20 {
            Content::Skip
        } else if bytes.iter().all(|byte| *byte == 0) {
            Content::Zero
        } else {
            let frame = zstd::bulk::compress(bytes, 1).unwrap();
            let offset = pack.len() as u64;
            pack.extend_from_slice(&frame);
            pack.resize(pack.len() + usize::try_from(*seed).unwrap() * 1000, 0xff);
            Content::Data {
                digest: Digest::of(bytes),
                frame: Frame { pack: 0, offset, length: u32::try_from(frame.len()).unwrap(), digest: Digest::of(&frame) },
            }
        };
        map.chunks.push(Chunk { blocks: u32::try_from(bytes.len() / 4096).unwrap(), content });
        if at == image.len() {
            break;
        }
    }
    map.packs.push(Blob { digest: Digest::of(&pack), length: pack.len() as u64 });
    (map, pack)
}

/// What is trusted, for a disk of this sector size: an image made for it, or with a table for 512 that is converted.
fn trusted_for(sector: u32, image: &[u8], table: bool, (mut map, pack): (ChunkMap, Vec<u8>)) -> Trusted<Memory> {
    let guid = Uuid::from_u128(2);
    let root = json!({"number": 2, "role": "root", "offset": 3 << 20, "length": 4 << 20,
        "type_guid": guid, "guid": guid, "label": "root"});
    let partitions = if table { json!([root]) } else { json!([]) };
    let mut manifest = crate::image::sample::manifest(image.len() as u64, &partitions);
    manifest.sector_size = if table { 512 } else { sector };
    manifest.converts_to_4096 = table;
    map.sections = sections(&manifest, image, &map);
    let composed = Composed::new(&manifest, &[map]).unwrap();
    let source = Memory { pack: Arc::new(pack), requests: Arc::default(), spoil: Arc::new(|_, _| None) };
    Trusted::for_test(source, manifest, composed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunk_map_on_any_disk_of_any_sectors(
        cuts in prop::collection::vec((1_u32..60, 0_u8..4, 0_u64..6), 1..40),
        pieces in prop::collection::vec((0_usize..2000, 0_usize..2000, 1_usize..300), 0..12),
        more in 0_usize..70,
        large_sectors in any::<bool>(),
        table in any::<bool>(),
        skips in any::<bool>(),
    ) {
        let sector = if large_sectors { 4096 } else { 512 };
        let image = if table { disk_image() } else { any_image(&cuts) };
        // With a table, its backup needs room behind the image once it counts in larger sectors.
        let size = image.len() + more * 4096;
        let trusted = trusted_for(sector, &image, table, cut_so(&image, &cuts, skips));
        let mut old = noise(99, u32::try_from(size / 4096).unwrap());
        for (from, to, blocks) in pieces {
            let (from, to) = (from * 4096 % image.len(), to * 4096 % size);
            let length = (blocks * 4096).min(image.len() - from).min(size - to);
            old[to..to + length].copy_from_slice(&image[from..from + length]);
        }
        let file = old_disk(0);
        fs::write(file.path(), &old).unwrap();
        file.as_file().sync_all().unwrap();

        let runtime = Runtime::new().unwrap();
        let disk = Loop::attach(file.path(), sector);
        let path = Path::new(&disk.0);
        let record = write_to(path, &trusted, &work(&runtime)).unwrap();
        prop_assert_eq!(record.disk.logical_sector, sector);
        let target = Target::for_reading(path, Needs::from(trusted.manifest())).unwrap();
        let comparison = compare(&target, &trusted, &work(&runtime)).unwrap();
        prop_assert_eq!(&comparison.sections, &record.sections);
        prop_assert_eq!(&comparison.changed_after, &record.changed_after);
        drop((target, disk));

        let after = fs::read(file.path()).unwrap();
        let range = |offset: u64, length: u64| usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        let mut wanted = image.clone();
        for extent in trusted.composed().extents.iter().filter(|extent| extent.content == Content::Skip) {
            let range = range(extent.offset, extent.length);
            wanted[range.clone()].copy_from_slice(&after[range]);
        }
        // What was made to fit the disk is in the record, and only a table may be.
        prop_assert!(table || record.changed_after.is_empty(), "{:?}", record.changed_after);
        for change in &record.changed_after {
            let range = range(change.offset, change.length);
            prop_assert_eq!(change.sha256, Digest::of(&after[range.clone()]));
            prop_assert!(range.end <= 1 << 20 || range.start >= size - (1 << 20), "{:?}", change);
            if let Some(part) = wanted.get_mut(range.start..range.end.min(image.len())) {
                part.copy_from_slice(&after[range.start..range.end.min(image.len())]);
            }
        }
        prop_assert!(after[..image.len()] == wanted[..]);
        let traffic = record.traffic;
        prop_assert_eq!(traffic.kept + traffic.written + traffic.skipped, image.len() as u64);
    }
}
