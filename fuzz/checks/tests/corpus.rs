//! The committed seeds through the checks of the fuzz targets, and inputs as large as each format allows.
//!
//! A seed's name says what must become of it: `good-…` is taken, `bad-…` is refused; `found-…`, which a fuzzer found,
//! only has to break no rule. Any allocation over [`LIMIT`] fails the test. C code (zstd) allocates beside this counter;
//! the fuzz targets see that too.
#![allow(clippy::unwrap_used)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use livery_contract::{chunkmap, envelope, manifest, wire::MAX_BODY};
use livery_fuzz_checks as checks;

/// The most bytes that one allocation may have, whatever is read.
const LIMIT: usize = 96 << 20;

/// The system's allocator, which remembers the largest request.
struct Counting(AtomicUsize);

#[global_allocator]
static ALLOCATOR: Counting = Counting(AtomicUsize::new(0));

// SAFETY: every call goes on to `System` unchanged, whose promises these are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn nothing_large_was_allocated(after: &str) {
    let largest = ALLOCATOR.0.load(Ordering::Relaxed);
    assert!(largest <= LIMIT, "{after}: an allocation of {largest} bytes");
}

/// Runs all seeds of a target.
fn seeds(target: &str, check: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target);
    let (mut good, mut bad) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        println!("{target}/{name}"); // shown with a panic inside the check
        let taken = check(&fs::read(&path).unwrap());
        match name.split('-').next() {
            Some("good") => good += usize::from(taken),
            Some("bad") => bad += usize::from(!taken),
            Some("found") => continue,
            _ => panic!("{name}: a seed's name begins with good-, bad- or found-"),
        }
        assert_eq!(taken, name.starts_with("good-"), "{name}");
        nothing_large_was_allocated(&name);
    }
    assert!(good > 0 && bad > 0, "{good} good and {bad} bad seeds in {}", folder.display());
}

#[test]
fn seeds_of_manifests() {
    seeds("manifest", checks::manifest::check);
}

#[test]
fn seeds_of_chunk_maps() {
    seeds("chunk_map", checks::chunk_map::check);
}

#[test]
fn seeds_of_layers() {
    seeds("compose", checks::compose::check);
}

#[test]
fn seeds_of_packs() {
    seeds("pack", checks::pack::check);
}

#[test]
fn seeds_of_jobs() {
    seeds("job", checks::job::check);
}

#[test]
fn seeds_of_lockfiles() {
    seeds("lockfile", checks::lockfile::check);
}

#[test]
fn seeds_of_profiles() {
    seeds("profile", checks::profile::check);
}

#[test]
fn seeds_of_rosters() {
    seeds("roster", checks::roster::check);
}

#[test]
fn seeds_of_messages() {
    seeds("wire", checks::wire::check);
}

/// `before`, then as many `item` as fit into `most` bytes with `after`.
fn filled(before: &str, item: &str, after: &str, most: usize) -> Vec<u8> {
    let items = (most - before.len() - after.len()) / item.len();
    [before, &item.repeat(items), after].concat().into_bytes()
}

#[test]
fn the_largest_inputs_allocate_little() {
    let limit = usize::try_from(chunkmap::MAX_BYTES).unwrap();
    // Runs are the smallest entries, and so grow most in memory.
    let mut map = b"LVRYMAP3".to_vec();
    let runs = u32::try_from((limit - 28) / 8).unwrap();
    map.extend_from_slice(&(u64::from(runs) * manifest::BLOCK).to_le_bytes());
    map.extend_from_slice(&0_u32.to_le_bytes());
    map.extend_from_slice(&runs.to_le_bytes());
    map.extend_from_slice(&0_u32.to_le_bytes());
    for _ in 0..runs {
        map.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    }
    assert!(map.len() <= limit && map.len() + 8 > limit);
    ALLOCATOR.0.store(0, Ordering::Relaxed); // the map itself is our own
    let _ = chunkmap::ChunkMap::decode(&map);
    nothing_large_was_allocated("a chunk map");
    drop(map);

    let largest = usize::try_from(manifest::MAX_BYTES).unwrap();
    for item in ["\"\",", "{},", "[],", "0,"] {
        let locales = filled(r#"{"schema":1,"accepts":{"locales":["#, item, r#"""]}}"#, largest);
        assert!(manifest::Manifest::parse(&locales).is_err());
        nothing_large_was_allocated("a manifest");
        for field in [r#"{"state":"waiting","x":["#, r#"{"system":{},"nics":["#, r#"{"payload":["#] {
            let input = filled(field, item, "0]}", MAX_BODY);
            checks::wire::check(&input);
            checks::job::check(&input);
            nothing_large_was_allocated("a message");
        }
    }
    let payload = envelope::MAX_PAYLOAD;
    let disk = filled(r#"{"name":"","path":"","held_by":["#, "\"\",", r#"""]}"#, payload);
    checks::wire::check(&disk);
    nothing_large_was_allocated("a disk");
}
