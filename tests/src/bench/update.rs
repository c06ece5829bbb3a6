//! Two masters, an ordinary change apart: both built by `livery build`, the second from packages of which one has a new
//! program, one a library that was patched and is 9 kB longer, and one five lines more in a file below `/etc`.
//!
//! There is no such set of packages at a mirror; so the second is built with a cache of its own, in which the root that the
//! packages made has been changed. Everything after that is what happens to every update: file system, verity tree, root
//! hash, signed kernel, ESP.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use livery_contract::{
    Digest, Fault, Reference, Result,
    chunkmap::{ChunkMap, Content},
    manifest::Manifest,
};
use serde::{Deserialize, Serialize};

use super::{measured::shell, place, shelf::Shelf};
use crate::{programs::Program, raw_disk, site::Site};

const MIB: usize = 1 << 20;
/// Bytes that the library gets more.
const LONGER: usize = 9000;
/// Raised when the change becomes another one.
const VERSION: u32 = 1;
/// Copying a gigabyte.
const LONG: std::time::Duration = std::time::Duration::from_secs(600);

/// A file that the update brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its path in the root.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// What became of it.
    pub what: String,
}

/// Both masters, in one store.
#[derive(Clone, Debug)]
pub struct Update {
    /// The store.
    pub shelf: Shelf,
    /// As devices have it.
    pub old: Reference,
    /// As they shall have it.
    pub new: Reference,
    /// The files that differ.
    pub changed: Vec<Changed>,
}

/// What a partition has that the old master has nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fresh {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of these, as on the disk.
    pub bytes: u64,
    /// Bytes of these, as fetched.
    pub compressed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    version: u32,
    builder: Digest,
    master: Reference,
    old: Reference,
    new: Reference,
    changed: Vec<Changed>,
}

impl Update {
    /// Finds both, or builds them. `master` is the site's own.
    ///
    /// # Errors
    /// Where they can't be built.
    pub fn get(site: &Site, master: &Reference) -> Result<Self> {
        let folder = place::cache("update")?;
        let builder = raw_disk::digest_all(&Program::Livery.path()?)?;
        let path = folder.join("about.json");
        let known: Option<About> = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let about = match known {
            Some(about) if about.version == VERSION && about.builder == builder && about.master == *master => about,
            _ => {
                let about = build(site, master, &folder, builder)?;
                place::write_json(&path, &about)?;
                about
            }
        };
        Ok(Self { shelf: Shelf::open(&folder.join("shelf"))?, old: about.old, new: about.new, changed: about.changed })
    }

    /// Bytes of the files that differ.
    pub fn changed_bytes(&self) -> u64 {
        self.changed.iter().map(|file| file.bytes).sum()
    }

    /// By partition (or `gpt`): chunks of the new master that the old one has nowhere.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn fresh(&self) -> Result<BTreeMap<String, Fresh>> {
        let (old, new) = (self.shelf.manifest(&self.old)?.0, self.shelf.manifest(&self.new)?.0);
        let (old_maps, new_maps) = (self.shelf.maps(&old)?, self.shelf.maps(&new)?);
        let mut known = BTreeSet::new();
        for (_, content) in chunks(&old, &old_maps) {
            if let Content::Data { digest, .. } = content.1 {
                known.insert(digest);
            }
        }
        let mut fresh: BTreeMap<String, Fresh> = BTreeMap::new();
        for (offset, (length, content)) in chunks(&new, &new_maps) {
            let Content::Data { digest, frame } = content else { continue };
            let part = new.partitions.iter().find(|part| (part.offset..part.offset + part.length).contains(&offset));
            let of = fresh.entry(part.map_or("gpt", |part| part.role.as_str()).to_owned()).or_default();
            if known.insert(digest) {
                of.chunks += 1;
                of.bytes += length;
                of.compressed += u64::from(frame.length);
            }
        }
        Ok(fresh)
    }
}

/// Offset, length and content of each chunk.
fn chunks(manifest: &Manifest, maps: &[ChunkMap]) -> Vec<(u64, (u64, Content))> {
    let mut all = Vec::new();
    for (layer, map) in manifest.layers.iter().zip(maps) {
        let mut at = layer.offset;
        for chunk in &map.chunks {
            all.push((at, (chunk.length(), chunk.content)));
            at += chunk.length();
        }
    }
    all
}

fn build(site: &Site, master: &Reference, folder: &Path, builder: Digest) -> Result<About> {
    let broken = |path: &Path, error| Fault::refused("the update can't be made").cause(error).at(path.display());
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
    place::check_room(folder, 6 << 30)?;
    let shelf = Shelf::open(&folder.join("shelf"))?;
    eprintln!("building the old master");
    let old = shelf.build(&site.profile(), &site.cache())?;
    // Roots and what does not depend on them; the rest is made anew.
    let cache = folder.join("cache");
    fs::create_dir_all(&cache).map_err(|error| broken(&cache, error))?;
    let line = "shopt -s nullglob; for stage in \"$1\"/{root,boot-root,tools,initrd}-*; do \
        case \"$stage\" in */root-fs-*) ;; *) cp --archive --reflink=auto \"$stage\" \"$2\" ;; esac; done";
    shell(line, &[&site.cache().display().to_string(), &cache.display().to_string()], LONG)?;
    let mut changed = Vec::new();
    for entry in fs::read_dir(&cache).map_err(|error| broken(&cache, error))? {
        let root = entry.map_err(|error| broken(&cache, error))?.path();
        // Where several profiles were built with that cache: every root with a browser is changed in the same way.
        if root.join(BROWSER).is_file() && root.file_name().is_some_and(|name| name.to_string_lossy().starts_with("root-")) {
            changed = change(&root)?;
        }
    }
    if changed.is_empty() {
        return Err(Fault::refused("the cache has no terminal's root").at(site.cache().display()).fix("livery build it first"));
    }
    let profile = folder.join("update.toml");
    let text = format!("schema = 1\nextends = \"{}\"\nversion = \"update\"\n", site.profile().display());
    fs::write(&profile, text).map_err(|error| broken(&profile, error))?;
    eprintln!("building the new master");
    let new = shelf.build(&profile, &cache)?;
    let _ = fs::remove_dir_all(&cache);
    Ok(About { version: VERSION, builder, master: master.clone(), old, new, changed })
}

/// A large program library, from which the new bytes are made.
const BROWSER: &str = "usr/lib/firefox-esr/libxul.so";

/// Changes a root.
fn change(root: &Path) -> Result<Vec<Changed>> {
    let broken = |path: &Path, error| Fault::refused("a root can't be changed").cause(error).at(path.display());
    let browser = root.join(BROWSER);
    // Machine code like any other, and nowhere else in the image.
    let fresh = |offset: u64, count: usize| {
        let mut bytes = vec![0; count];
        File::open(&browser).and_then(|file| file.read_exact_at(&mut bytes, offset)).map_err(|error| broken(&browser, error))?;
        bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
        Ok::<_, Fault>(bytes)
    };
    let mut changed = Vec::new();
    let mut note = |path: PathBuf, bytes: usize, what: &str| changed.push(Changed { path, bytes: bytes as u64, what: what.into() });

    let program = PathBuf::from("usr/bin/livery-bench-program");
    let bytes = fresh(32 << 20, 3 * MIB)?;
    fs::write(root.join(&program), &bytes).map_err(|error| broken(&root.join(&program), error))?;
    shell("chmod 0755 \"$1\"", &[&root.join(&program).display().to_string()], LONG)?;
    note(program, bytes.len(), "a new program");

    let library = library(root)?;
    let path = root.join(&library);
    let mut bytes = fs::read(&path).map_err(|error| broken(&path, error))?;
    // As a fix does: it grows somewhere in the middle, and what refers to what has moved changes all over.
    let middle = bytes.len() / 3;
    bytes.splice(middle..middle, fresh(64 << 20, LONGER)?);
    bytes.iter_mut().skip(4096).step_by(4 << 10).for_each(|byte| *byte ^= 0xff);
    fs::write(&path, &bytes).map_err(|error| broken(&path, error))?;
    note(library, bytes.len(), "a library, patched and 9 kB longer");

    let services = PathBuf::from("etc/services");
    let path = root.join(&services);
    let mut file = File::options().append(true).open(&path).map_err(|error| broken(&path, error))?;
    for port in 0..5 {
        writeln!(file, "livery-bench-{port}\t{}/tcp", 7000 + port).map_err(|error| broken(&path, error))?;
    }
    let length = file.metadata().map_err(|error| broken(&path, error))?.len();
    note(services, usize::try_from(length).unwrap_or(usize::MAX), "five lines more");
    Ok(changed)
}

/// The system library whose size is nearest to 2 MiB.
fn library(root: &Path) -> Result<PathBuf> {
    let folder = root.join("usr/lib/x86_64-linux-gnu");
    let broken = |error| Fault::refused("a root has no libraries").cause(error).at(folder.display());
    let mut best: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(&folder).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let metadata = entry.metadata().map_err(broken)?; // of the link itself, where it is one
        let distance = metadata.len().abs_diff(2 * MIB as u64);
        let name = entry.file_name();
        if metadata.is_file() && name.to_string_lossy().contains(".so") && best.as_ref().is_none_or(|(old, _)| distance < *old) {
            best = Some((distance, Path::new("usr/lib/x86_64-linux-gnu").join(name)));
        }
    }
    best.map(|(_, path)| path).ok_or_else(|| Fault::refused("a root has no libraries").at(folder.display()))
}
