//! What all cases stand on, made once: keys, the two images, a store with both, the store as it was before the second.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result, chunkmap::ChunkMap, digest::Blob, manifest::Manifest};

use super::{
    agent::{self, Order},
    image::{self, SIZE, Version},
    rng::Rng,
};
use crate::{programs::Program, raw_disk};

/// What is written.
pub const NEW: &str = "faults@2";
/// What the device had.
pub const OLD: &str = "faults@1";

/// See the module.
pub struct Ground {
    folder: PathBuf,
    trust: PathBuf,
    /// What the new image's manifest names.
    pub new: Blobs,
    /// What the old one's does.
    pub old: Blobs,
}

/// The blobs of one image.
#[derive(Clone, Debug)]
pub struct Blobs {
    /// Its packs, in the map's order.
    pub packs: Vec<Blob>,
    /// Its chunk map.
    pub map: Blob,
    /// Its manifest, below `targets/`.
    pub manifest: PathBuf,
    /// The frames in its packs: pack, offset, length.
    pub frames: Vec<(usize, u64, u64)>,
}

/// What a disk held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Zeros.
    Blank,
    /// Another system, which boots.
    Foreign,
    /// The old image, written by Livery.
    Old,
    /// Parts of the new image and no table: what a broken run leaves.
    Half,
}

/// A disk to be written.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A file that stands for it.
    pub path: PathBuf,
    /// What it held.
    pub before: Before,
    /// Its bytes.
    pub size: u64,
}

impl Ground {
    /// Makes all of it in this folder, which must be empty.
    ///
    /// # Errors
    /// Where a program fails or the folder can't be written.
    pub async fn make(folder: &Path) -> Result<Self> {
        let at = |name: &str| folder.join(name);
        let text = |name: &str| folder.join(name).display().to_string();
        Program::Livery.run(["keygen", "--out", &text("keys")]).await?.good()?;
        for (version, file, number) in [(Version::Old, "old.raw", "1"), (Version::New, "new.raw", "2")] {
            image::make(&at(file), version)?;
            let arguments = ["import", &text(file), "--name", "faults", "--version", number, "--store", &text("store"), "--keys"];
            let mut arguments = arguments.map(str::to_owned).to_vec();
            arguments.push(text("keys"));
            Program::Livery.run(arguments).await?.good()?;
            if version == Version::Old {
                copy_tree(&at("store"), &at("store-before"), Links::None)?;
            }
        }
        raw_disk::make(&at("foreign.raw"), SIZE / (1 << 20), 0xdead)?;
        let (new, old) = (Blobs::read(&at("store"), NEW)?, Blobs::read(&at("store"), OLD)?);
        let ground = Self { folder: folder.to_owned(), trust: at("keys/root.json"), new, old };
        // The old image on a larger disk, as an earlier run finished it: its backup table at the disk's end.
        for (name, more) in LARGER {
            let path = at(name);
            fs::copy(at("foreign.raw"), &path)
                .and_then(|_| File::options().write(true).open(&path)?.set_len(SIZE + more))
                .map_err(|error| broken(&path, error))?;
            let ended = agent::run(&ground.order("write", OLD, &ground.store().display().to_string(), &path)).await?;
            if ended.code != 0 {
                return Err(Fault::internal(format!("the old image can't be written: {}", ended.stderr)));
            }
        }
        Ok(ground)
    }

    /// A file or folder of it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The healthy store.
    pub fn store(&self) -> PathBuf {
        self.at("store")
    }

    /// The raw image of a reference.
    pub fn image(&self, reference: &str) -> PathBuf {
        self.at(if reference == OLD { "old.raw" } else { "new.raw" })
    }

    /// A run of the agent.
    pub fn order<'a>(&'a self, verb: &'static str, reference: &'a str, from: &'a str, disk: &'a Path) -> Order<'a> {
        Order { verb, reference, from, trust: &self.trust, disk, under: Vec::new() }
    }

    /// A disk with some content from before, of the image's size or larger.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn subject(&self, path: PathBuf, rng: &mut Rng) -> Result<Subject> {
        let before = rng.any([Before::Blank, Before::Foreign, Before::Foreign, Before::Old, Before::Old, Before::Half]);
        self.subject_with(path, before, rng)
    }

    /// The same, with this content.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn subject_with(&self, path: PathBuf, before: Before, rng: &mut Rng) -> Result<Subject> {
        let (name, more) = rng.any([("old.raw", 0), LARGER[0], LARGER[1]]);
        let size = SIZE + more;
        let fail = |error| broken(&path, error);
        match before {
            Before::Blank => drop(File::create(&path).map_err(fail)?),
            Before::Foreign => drop(fs::copy(self.at("foreign.raw"), &path).map_err(fail)?),
            Before::Old => drop(fs::copy(self.at(name), &path).map_err(fail)?),
            Before::Half => drop(fs::copy(self.at("new.raw"), &path).map_err(fail)?),
        }
        let file = File::options().write(true).open(&path).map_err(fail)?;
        file.set_len(size).map_err(fail)?;
        if before == Before::Half {
            for (start, length) in [(0, image::FIRST), (size - image::FIRST, image::FIRST)] {
                file.write_all_at(&vec![0; usize::try_from(length).unwrap_or(0)], start).map_err(fail)?;
            }
            for _ in 0..rng.within(1, 12) {
                let start = rng.within(image::FIRST, size - (4 << 20)) / 4096 * 4096;
                let length = usize::try_from(rng.within(1, 512)).unwrap_or(1) * 4096;
                file.write_all_at(&rng.bytes(length), start).map_err(fail)?;
            }
        }
        Ok(Subject { path, before, size })
    }
}

/// Disks that are larger than the image: by less than what is cleared at a disk's end, and by more.
const LARGER: [(&str, u64); 2] = [("old-512k.raw", 512 << 10), ("old-3m.raw", (3 << 20) + 4096)];

impl Blobs {
    fn read(store: &Path, reference: &str) -> Result<Self> {
        let fail = |error| broken(store, error);
        let name = format!("{reference}.json");
        let found = walk(store)?.into_iter().find(|path| {
            path.strip_prefix(store).is_ok_and(|path| path.starts_with("targets")) && path.to_string_lossy().ends_with(&name)
        });
        let manifest = found.ok_or_else(|| Fault::internal(format!("no manifest of {reference}")))?;
        let parsed = Manifest::parse(&fs::read(&manifest).map_err(fail)?)?;
        let layer = parsed.layers.first().ok_or_else(|| Fault::internal("an image without layers"))?;
        let map = ChunkMap::decode(&fs::read(store.join(blob_path(&layer.chunk_map))).map_err(fail)?)?;
        let mut frames: Vec<(usize, u64, u64)> = map
            .chunks
            .iter()
            .filter_map(|chunk| match chunk.content {
                livery_contract::chunkmap::Content::Data { frame, .. } => {
                    Some((frame.pack as usize, frame.offset, u64::from(frame.length)))
                }
                _ => None,
            })
            .collect();
        frames.sort_unstable();
        frames.dedup();
        let manifest = manifest.strip_prefix(store).map(Path::to_owned).unwrap_or(manifest);
        Ok(Self { packs: map.packs, map: layer.chunk_map, manifest, frames })
    }
}

/// A blob's path in a store.
pub fn blob_path(blob: &Blob) -> PathBuf {
    let digest = blob.digest.to_string();
    Path::new("blobs/sha256").join(&digest[..2]).join(digest)
}

/// All files below a folder.
///
/// # Errors
/// Where it can't be read.
pub fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| broken(&folder, error))?.flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// How a folder's files are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Really.
    None,
    /// As hard links, which whoever changes a file must break.
    Hard,
}

/// Copies a folder.
///
/// # Errors
/// Where it can't be written.
pub fn copy_tree(from: &Path, to: &Path, links: Links) -> Result<()> {
    for file in walk(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        let made = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| match links {
            Links::Hard => fs::hard_link(&file, &target),
            Links::None => fs::copy(&file, &target).map(drop),
        });
        made.map_err(|error| broken(&target, error))?;
    }
    Ok(())
}

/// A file's fault.
pub fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("a file of the test can't be used").cause(error).at(path.display())
}
