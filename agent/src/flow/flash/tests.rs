//! The whole write path on a file, from packs in memory that fail as they are told to.
#![allow(clippy::unwrap_used)]

mod in_memory;
mod properties;

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use livery_contract::{
    Digest, Fault,
    chunkmap::{Chunk, ChunkMap, Content, Frame},
    compose::Composed,
    digest::Blob,
    manifest::BLOCK,
};
use proptest::prelude::*;
use tokio::runtime::{Handle, Runtime};

use self::in_memory::{IMAGE, Memory, chunk_map, cut_by_content, disk_image, sections, trust, trusted};
use super::*;
use crate::{
    target::choose::Needs,
    verify::compare::{BackupGpt, compare},
    work::{progress::Progress, stop::Stop},
};

const DISK: u64 = 12 << 20;
/// What the image leaves as it is: one of its chunks.
const SKIPPED: u64 = 64 << 10;

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

        assert_eq!(record.sections.iter().map(|section| section.length).sum::<u64>(), IMAGE - SKIPPED);
        assert_eq!(record.traffic.verified, IMAGE - SKIPPED);
        assert_eq!(record.traffic.skipped, SKIPPED);
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
        assert_eq!((again.traffic.fetched, again.traffic.written, again.traffic.verified), (0, 0, IMAGE - SKIPPED));
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
