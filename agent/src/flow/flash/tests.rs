//! The whole write path on a file, from packs in memory that fail as they are told to.
#![allow(clippy::unwrap_used)]

mod properties;

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backon::ExponentialBuilder;
use bytes::Bytes;
use livery_contract::{
    Digest, Fault,
    chunkmap::{Chunk, ChunkMap, Content, Frame, SectionDigest},
    compose::Composed,
    cut,
    digest::Blob,
    manifest::{BLOCK, Manifest},
};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::{Handle, Runtime};
use uuid::Uuid;

use super::*;
use crate::{
    target::choose::Needs,
    verify::compare::{BackupGpt, compare},
    work::{progress::Progress, stop::Stop},
};

const IMAGE: u64 = 8 << 20;
const DISK: u64 = 12 << 20;

/// What a request is answered with instead of the truth.
type Spoil = dyn Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync;

/// Packs in memory; `spoil` is asked at each request, with its number.
#[derive(Clone)]
struct Memory {
    pack: Arc<Vec<u8>>,
    requests: Arc<AtomicUsize>,
    spoil: Arc<Spoil>,
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
fn disk_image() -> Vec<u8> {
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

fn chunk_map(image: &[u8]) -> (ChunkMap, Vec<u8>) {
    let (mut map, mut pack) = (ChunkMap::default(), Vec::new());
    let mut known: std::collections::HashMap<Digest, Frame> = std::collections::HashMap::new();
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
                Frame { pack: 0, offset, length: u32::try_from(frame.len()).unwrap() }
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
fn cut_by_content(image: &[u8]) -> (ChunkMap, Vec<u8>) {
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
                let frame = Frame { pack: 0, offset, length: u32::try_from(frame.len()).unwrap() };
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
fn sections(manifest: &Manifest, image: &[u8], map: &ChunkMap) -> Vec<SectionDigest> {
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

fn trusted(spoil: impl Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync + 'static) -> (Vec<u8>, Trusted<Memory>) {
    let image = disk_image();
    let (map, pack) = chunk_map(&image);
    let trusted = trust((map, pack), spoil);
    (image, trusted)
}

fn trust(
    (map, pack): (ChunkMap, Vec<u8>),
    spoil: impl Fn(usize, &mut Vec<u8>) -> Option<Fault> + Send + Sync + 'static,
) -> Trusted<Memory> {
    let manifest = manifest();
    let composed = Composed::new(&manifest, &[map]).unwrap();
    let source = Memory { pack: Arc::new(pack), requests: Arc::default(), spoil: Arc::new(spoil) };
    Trusted::for_test(source, manifest, composed)
}

/// A disk that is anything but blank.
fn old_disk(size: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), vec![0xa5; usize::try_from(size).unwrap()]).unwrap();
    file
}

fn work(runtime: &Runtime) -> Work {
    Work { handle: Handle::clone(runtime.handle()), progress: Progress::default(), stop: Stop::default() }
}

fn write_to(path: &Path, trusted: &Trusted<Memory>, work: &Work) -> Result<Record> {
    let target = Target::by_hand(path, Needs::from(trusted.manifest()), false)?;
    flash(trusted, target, System::default(), None, Stays { boot_entry: true, bind: false }, work)
}

/// Whether the old partition table is gone.
fn is_touched(path: &Path) -> bool {
    first_mib(path).iter().all(|byte| *byte == 0)
}

fn first_mib(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()[..1 << 20].to_vec()
}

fn does_not_boot(path: &Path) {
    assert!(is_touched(path), "no partition table after a fault");
    let disk = fs::read(path).unwrap();
    assert!(!disk.windows(8).any(|window| window == b"EFI PART"), "and no backup of one from which firmware restores it");
}

#[test]
fn a_disk_that_was_not_blank_holds_exactly_the_image_and_the_record_says_so() {
    let runtime = Runtime::new().unwrap();
    let (image, trusted) = trusted(|_, _| None);
    for size in [DISK, IMAGE] {
        let disk = old_disk(size);
        let record = write_to(disk.path(), &trusted, &work(&runtime)).unwrap();
        let after = fs::read(disk.path()).unwrap();
        let skip = 100 * (64 << 10)..101 * (64 << 10);
        let changed = record.changed_after.first().map_or(0, |change| usize::try_from(change.length).unwrap());
        assert_eq!(changed, if size == DISK { 4096 } else { 0 });
        assert_eq!(after[changed..skip.start], image[changed..skip.start]);
        assert!(after[skip.clone()].iter().all(|byte| *byte == 0xa5), "skipped chunks are left");
        assert_eq!(after[skip.end..image.len()], image[skip.end..]);

        assert_eq!(record.sections.iter().map(|section| section.length).sum::<u64>(), IMAGE);
        assert_eq!(record.traffic.verified, IMAGE);
        assert_eq!(record.traffic.skipped, 64 << 10);
        let cut = |offset: u64, length: u64| usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        for section in &record.sections {
            let mut bytes = after[cut(section.offset, section.length)].to_vec();
            if section.offset == 0 {
                bytes[..changed].copy_from_slice(&image[..changed]);
            }
            assert_eq!(section.sha256, Digest::of(&bytes), "{}", section.name);
        }
        for change in &record.changed_after {
            assert_eq!(change.sha256, Digest::of(&after[cut(change.offset, change.length)]), "{}", change.reason);
        }

        // Verifying later finds the same, and every single flipped bit.
        let needs = Needs::from(trusted.manifest());
        let target = Target::for_reading(disk.path(), needs).unwrap();
        let comparison = compare(&target, &trusted, &work(&runtime)).unwrap();
        assert_eq!(comparison.sections, record.sections);
        assert_eq!(comparison.changed_after, record.changed_after);
        assert_eq!(comparison.backup_gpt, if size == DISK { BackupGpt::Moved } else { BackupGpt::InPlace });
        let mut places = vec![600, 2048, 3 << 20, (7 << 20) + 5];
        if size == DISK {
            places.push(usize::try_from(DISK).unwrap() - 1000);
        }
        for place in places {
            disk.as_file().write_all_at(&[after[place] ^ 0x10], place as u64).unwrap();
            let fault = compare(&target, &trusted, &work(&runtime)).unwrap_err();
            assert_eq!(fault.exit().code(), 6, "{place}");
            assert!(fault.render().contains("bytes "), "{}", fault.render());
            disk.as_file().write_all_at(&[after[place]], place as u64).unwrap();
        }
    }
}

#[test]
fn a_flipped_byte_in_the_source_is_not_trusted_and_leaves_no_disk_that_boots() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|_, bytes| {
        // Not in the deferred chunks, which compress well.
        if bytes.len() > 10_000 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        None
    });
    let disk = old_disk(DISK);
    let fault = write_to(disk.path(), &trusted, &work(&runtime)).unwrap_err();
    assert_eq!(fault.exit().code(), 4, "{}", fault.render());
    assert!(fault.render().contains("memory/pack, bytes "), "{}", fault.render());
    does_not_boot(disk.path());
}

#[test]
fn damage_on_the_way_is_fetched_again_once() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|request, bytes| {
        if request == 3 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        None
    });
    let disk = old_disk(DISK);
    write_to(disk.path(), &trusted, &work(&runtime)).unwrap();
}

#[test]
fn damage_in_the_partition_table_is_seen_before_the_disk_is_touched() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|_, bytes| {
        bytes.reverse();
        None
    });
    let disk = old_disk(DISK);
    assert_eq!(write_to(disk.path(), &trusted, &work(&runtime)).unwrap_err().exit().code(), 4);
    assert!(first_mib(disk.path()).iter().all(|byte| *byte == 0xa5), "untouched");
}

#[test]
fn a_source_that_fails_now_and_then_is_asked_again() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|request, _| matches!(request, 0 | 3 | 4).then(|| Fault::source("reset")));
    let disk = old_disk(DISK);
    write_to(disk.path(), &trusted, &work(&runtime)).unwrap();
}

#[test]
fn a_connection_cut_at_half_is_a_source_fault_and_leaves_no_disk_that_boots() {
    let runtime = Runtime::new().unwrap();
    let disk = old_disk(DISK);
    let path = disk.path().to_owned();
    let (_, trusted) = trusted(move |_, _| is_touched(&path).then(|| Fault::source("cut")));
    assert_eq!(write_to(disk.path(), &trusted, &work(&runtime)).unwrap_err().exit().code(), 5);
    does_not_boot(disk.path());
}

#[test]
fn a_short_answer_is_never_the_whole() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|_, bytes| {
        bytes.pop();
        None
    });
    let disk = old_disk(DISK);
    assert_eq!(write_to(disk.path(), &trusted, &work(&runtime)).unwrap_err().exit().code(), 5);
}

#[test]
fn a_disk_that_loses_a_byte_is_a_device_fault_and_gets_no_partition_table() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|_, _| None);
    for place in [2 << 20, (7 << 20) + (500 << 10)] {
        let disk = old_disk(DISK);
        let work = work(&runtime);
        let target = Target::by_hand(disk.path(), Needs::from(trusted.manifest()), false).unwrap();
        let written = written::write(&trusted, target, &Found::Nothing, &work).unwrap();
        does_not_boot(disk.path());
        disk.as_file().write_all_at(&[0xee], place).unwrap();
        disk.as_file().sync_all().unwrap();
        let fault = verified::read_back(written, &trusted, &work).unwrap_err();
        assert_eq!(fault.exit().code(), 6);
        assert!(fault.render().contains("chunk "), "{}", fault.render());
        does_not_boot(disk.path());
    }
}

#[test]
fn an_image_that_contradicts_itself_is_not_trusted() {
    let runtime = Runtime::new().unwrap();
    let image = disk_image();
    let (mut map, pack) = chunk_map(&image);
    let esp = map.sections.iter_mut().find(|section| section.offset == 1 << 20).unwrap();
    esp.digest = Digest::of(b"another");
    let disk = old_disk(DISK);
    let fault = write_to(disk.path(), &trust((map, pack), |_, _| None), &work(&runtime)).unwrap_err();
    assert_eq!(fault.exit().code(), 4);
    assert!(fault.render().contains("contradicts itself"), "{}", fault.render());
    does_not_boot(disk.path());
}

#[test]
fn an_interruption_leaves_no_disk_that_boots() {
    let runtime = Runtime::new().unwrap();
    let stop = Stop::default();
    let asked = stop.clone();
    let disk = old_disk(DISK);
    let path = disk.path().to_owned();
    let (_, trusted) = trusted(move |_, _| {
        if is_touched(&path) {
            asked.ask();
        }
        None
    });
    let work = Work { stop, ..work(&runtime) };
    let fault = write_to(disk.path(), &trusted, &work).unwrap_err();
    assert!(fault.to_string().contains("interrupted"), "{fault}");
    assert_eq!(fault.exit().code(), 6);
    does_not_boot(disk.path());
}

#[test]
fn a_second_run_mends_the_first() {
    let runtime = Runtime::new().unwrap();
    let disk = old_disk(DISK);
    let path = disk.path().to_owned();
    let (_, broken) = trusted(move |_, _| is_touched(&path).then(|| Fault::source("cut")));
    write_to(disk.path(), &broken, &work(&runtime)).unwrap_err();
    let (_, good) = trusted(|_, _| None);
    let first = write_to(disk.path(), &good, &work(&runtime)).unwrap();
    let second = write_to(disk.path(), &good, &work(&runtime)).unwrap();
    assert_eq!(first.changed_after, second.changed_after);
}

#[test]
fn too_small_is_refused_untouched() {
    let runtime = Runtime::new().unwrap();
    let (_, trusted) = trusted(|_, _| None);
    let disk = old_disk(IMAGE - BLOCK);
    assert_eq!(write_to(disk.path(), &trusted, &work(&runtime)).unwrap_err().exit().code(), 3);
    assert!(fs::read(disk.path()).unwrap().iter().all(|byte| *byte == 0xa5));
}

#[test]
fn the_same_image_again_needs_no_source_and_writes_nothing() {
    let runtime = Runtime::new().unwrap();
    for size in [DISK, IMAGE] {
        let disk = old_disk(size);
        // One image: another would have other GUIDs.
        let (image, good) = trusted(|_, _| None);
        let first = write_to(disk.path(), &good, &work(&runtime)).unwrap();
        let before = fs::read(disk.path()).unwrap();
        let absent = trust(chunk_map(&image), |_, _| Some(Fault::source("nobody there")));
        let again = write_to(disk.path(), &absent, &work(&runtime)).unwrap();
        assert_eq!((again.traffic.fetched, again.traffic.written, again.traffic.verified), (0, 0, IMAGE));
        assert_eq!((&again.sections, &again.changed_after), (&first.sections, &first.changed_after));
        assert!(fs::read(disk.path()).unwrap() == before);
    }
}

#[test]
fn a_damaged_backup_table_is_put_there_again() {
    let runtime = Runtime::new().unwrap();
    let (_, good) = trusted(|_, _| None);
    let disk = old_disk(DISK);
    write_to(disk.path(), &good, &work(&runtime)).unwrap();
    let before = fs::read(disk.path()).unwrap();
    // An entry, and the header in the last sector: both lie beyond the image. And what follows the primary header in its
    // sector, which is made anew with it, so that undoing would hide the damage.
    for at in [DISK - 20 * 512, DISK - 400, 802] {
        disk.as_file().write_all_at(&[0xee], at).unwrap();
        let again = write_to(disk.path(), &good, &work(&runtime)).unwrap();
        assert!(again.traffic.kept > 0, "{:?}", again.traffic);
        assert!(fs::read(disk.path()).unwrap() == before);
    }
}

#[test]
fn a_broken_run_is_resumed_and_not_begun_anew() {
    let runtime = Runtime::new().unwrap();
    let disk = old_disk(DISK);
    let (_, whole) = trusted(|_, _| None);
    let all = write_to(old_disk(DISK).path(), &whole, &work(&runtime)).unwrap().traffic;
    let path = disk.path().to_owned();
    // Some requests more than may be in memory at once, so that some are on the disk.
    let since = AtomicUsize::new(0);
    let (_, broken) =
        trusted(move |_, _| (is_touched(&path) && since.fetch_add(1, Ordering::SeqCst) >= 4).then(|| Fault::source("cut")));
    write_to(disk.path(), &broken, &work(&runtime)).unwrap_err();
    let (image, good) = trusted(|_, _| None);
    let rest = write_to(disk.path(), &good, &work(&runtime)).unwrap().traffic;
    assert!(rest.kept > 0 && rest.fetched < all.fetched, "{rest:?}, {all:?}");
    assert_eq!(rest.kept + rest.written + rest.skipped, IMAGE);
    assert!(fs::read(disk.path()).unwrap()[1 << 20..6 << 20] == image[1 << 20..6 << 20]);
}

#[test]
fn what_lies_elsewhere_is_moved_and_not_fetched() {
    let runtime = Runtime::new().unwrap();
    let image = disk_image();
    for shift in [3 * 4096_i64, -2 * 4096] {
        // The same content, some blocks farther on: as after an update that made an earlier file longer or shorter.
        let mut old = vec![0xa5; usize::try_from(DISK).unwrap()];
        let to = usize::try_from((2_i64 << 20) + shift).unwrap();
        old[to..to + (4 << 20)].copy_from_slice(&image[2 << 20..6 << 20]);
        let disk = old_disk(DISK);
        disk.as_file().write_all_at(&old, 0).unwrap();
        let record = write_to(disk.path(), &trust(cut_by_content(&image), |_, _| None), &work(&runtime)).unwrap();
        assert!(record.traffic.moved > 3 << 20, "{:?}", record.traffic);
        assert!(record.traffic.fetched < 3 << 19, "{:?}", record.traffic);
        let after = fs::read(disk.path()).unwrap();
        assert!(after[4096..image.len()] == image[4096..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever blocks of the image a disk holds, and where: afterwards it holds the image, and the record says so.
    #[test]
    fn any_disk_comes_to_hold_the_image(
        pieces in prop::collection::vec((0_usize..2000, 0_usize..2900, 1_usize..600), 0..30),
        by_content in any::<bool>(),
    ) {
        let runtime = Runtime::new().unwrap();
        let image = disk_image();
        let trusted = trust(if by_content { cut_by_content(&image) } else { chunk_map(&image) }, |_, _| None);
        let mut old = vec![0xa5; usize::try_from(DISK).unwrap()];
        for (from, to, blocks) in pieces {
            let length = (blocks * 4096).min(image.len() - from * 4096).min(old.len() - to * 4096);
            old[to * 4096..to * 4096 + length].copy_from_slice(&image[from * 4096..from * 4096 + length]);
        }
        let disk = old_disk(DISK);
        disk.as_file().write_all_at(&old, 0).unwrap();
        let record = write_to(disk.path(), &trusted, &work(&runtime)).unwrap();
        let after = fs::read(disk.path()).unwrap();
        for extent in &trusted.composed().extents {
            let range = usize::try_from(extent.offset.max(4096)).unwrap()..usize::try_from(extent.offset + extent.length).unwrap();
            prop_assert!(extent.content == Content::Skip || after[range.clone()] == image[range.clone()], "{range:?}");
        }
        let traffic = record.traffic;
        prop_assert_eq!(traffic.kept + traffic.written + traffic.skipped, IMAGE);
    }
}
