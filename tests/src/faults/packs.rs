//! Faults of a store in a folder: files flipped, cut, exchanged, put back from before, taken away.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Result, digest::Blob};

use super::{
    agent,
    catalogue::Kind,
    ground::{Links, NEW, blob_path, broken, copy_tree, walk},
    scene::{Run, Scene},
};

/// A harm to one file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Cut,
    Gone,
    Grow,
    Empty,
    Exchange,
}

/// Runs the agent on a store with one thing wrong.
///
/// # Errors
/// Where the case can't be made.
pub async fn run(scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
    let (subject, before) = scene.subject()?;
    let store = scene.folder.join("store");
    copy_tree(&scene.ground.store(), &store, Links::Hard)?;
    let ground = scene.ground;
    let pack = |scene: &mut Scene<'_>| scene.rng.pick(&ground.new.packs).map(blob_path).unwrap_or_default();
    match kind {
        Kind::PackFlip => {
            let pack = pack(scene);
            harm(scene, &store, &pack, Harm::Flip, Path::new(""))?;
        }
        Kind::PackCut => {
            let pack = pack(scene);
            harm(scene, &store, &pack, Harm::Cut, Path::new(""))?;
        }
        Kind::PackGone => {
            let pack = pack(scene);
            harm(scene, &store, &pack, Harm::Gone, Path::new(""))?;
        }
        Kind::PackSwap => swap(scene, &store)?,
        Kind::PackReplay => {
            let (pack, old) = (pack(scene), old_pack(scene));
            harm(scene, &store, &pack, Harm::Exchange, &old)?;
        }
        Kind::MapHarm => {
            let (map, other) = (blob_path(&ground.new.map), blob_path(&ground.old.map));
            let how = any(scene);
            harm(scene, &store, &map, how, &other)?;
        }
        Kind::ManifestHarm => {
            let (manifest, other) = (ground.new.manifest.clone(), ground.old.manifest.clone());
            let how = any(scene);
            harm(scene, &store, &manifest, how, &other)?;
        }
        Kind::MetadataReplay => replay(scene, &store)?,
        _ => metadata(scene, &store)?,
    }
    let from = store.display().to_string();
    let ended = agent::run(&ground.order("write", NEW, &from, &subject.path)).await?;
    Ok(Run::new(subject, before, ended))
}

fn any(scene: &mut Scene<'_>) -> Harm {
    scene.rng.any([Harm::Flip, Harm::Flip, Harm::Cut, Harm::Gone, Harm::Grow, Harm::Empty, Harm::Exchange])
}

fn old_pack(scene: &mut Scene<'_>) -> PathBuf {
    // One that the new image does not share.
    let only: Vec<Blob> = scene.ground.old.packs.iter().filter(|pack| !scene.ground.new.packs.contains(pack)).copied().collect();
    let list = if only.is_empty() { &scene.ground.old.packs } else { &only };
    scene.rng.pick(list).map(blob_path).unwrap_or_default()
}

/// Two packs exchanged; where there is one only, or by chance, two frames of one.
fn swap(scene: &mut Scene<'_>, store: &Path) -> Result<()> {
    let packs = &scene.ground.new.packs;
    if packs.len() > 1 && scene.rng.once_in(2) {
        let first = scene.rng.below(packs.len() as u64);
        let second = (first + scene.rng.within(1, packs.len() as u64)) % packs.len() as u64;
        let path = |index| usize::try_from(index).ok().and_then(|index| packs.get(index)).map(blob_path).unwrap_or_default();
        let (first, second) = (path(first), path(second));
        let (left, right) = (read(&store.join(&first))?, read(&store.join(&second))?);
        replace(&store.join(&first), &right)?;
        replace(&store.join(&second), &left)?;
        scene.note(format!("{} and {} exchanged", first.display(), second.display()));
        return Ok(());
    }
    let Some((pack, one, length)) = scene.rng.pick(&scene.ground.new.frames).copied() else { return Ok(()) };
    let beside: Vec<u64> = scene.ground.new.frames.iter().filter(|frame| frame.0 == pack).map(|frame| frame.1).collect();
    let (Some(other), Some(blob)) = (scene.rng.pick(&beside).copied(), packs.get(pack)) else { return Ok(()) };
    let path = store.join(blob_path(blob));
    let mut bytes = read(&path)?;
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let count = index(length).min(bytes.len().saturating_sub(index(other)));
    let piece = bytes[index(one)..index(one) + count].to_vec();
    bytes.copy_within(index(other)..index(other) + count, index(one));
    if index(one).abs_diff(index(other)) >= count {
        bytes[index(other)..index(other) + count].copy_from_slice(&piece);
    }
    scene.note(format!("{}: {count} bytes at {one} and {other} exchanged", path.display()));
    replace(&path, &bytes)
}

/// Some or all of the signed metadata as it was before the new image came.
fn replay(scene: &mut Scene<'_>, store: &Path) -> Result<()> {
    let before = scene.ground.at("store-before/metadata");
    let old = walk(&before)?;
    let all = scene.rng.once_in(3);
    let only = scene.rng.pick(&old).cloned();
    for path in old {
        if all || Some(&path) == only.as_ref() || path.ends_with("timestamp.json") && scene.rng.once_in(2) {
            let name = path.strip_prefix(&before).unwrap_or(&path).to_owned();
            replace(&store.join("metadata").join(&name), &read(&path)?)?;
            scene.note(format!("{} put back from before", name.display()));
        }
    }
    // An old file under a newer name, too: the name is not what is signed.
    if scene.rng.once_in(3) {
        let names = walk(&store.join("metadata"))?;
        let (from, to) = (scene.rng.pick(&names).cloned(), scene.rng.pick(&names).cloned());
        if let (Some(from), Some(to)) = (from, to) {
            replace(&to, &read(&from)?)?;
            scene.note(format!("{} as {}", from.display(), to.display()));
        }
    }
    Ok(())
}

fn metadata(scene: &mut Scene<'_>, store: &Path) -> Result<()> {
    let files = walk(&store.join("metadata"))?;
    let Some(path) = scene.rng.pick(&files).cloned() else { return Ok(()) };
    let name = path.strip_prefix(store).unwrap_or(&path).to_owned();
    let how = scene.rng.any([Harm::Flip, Harm::Flip, Harm::Flip, Harm::Cut, Harm::Gone, Harm::Empty]);
    harm(scene, store, &name, how, Path::new(""))
}

fn harm(scene: &mut Scene<'_>, store: &Path, name: &Path, harm: Harm, other: &Path) -> Result<()> {
    let path = store.join(name);
    let mut bytes = read(&path)?;
    let length = bytes.len() as u64;
    let index = |at: u64| usize::try_from(at).unwrap_or(0);
    match harm {
        Harm::Flip => {
            for _ in 0..scene.rng.any([1, 1, 1, 3, 16]) {
                let (at, bit) = (scene.rng.below(length), scene.rng.below(8));
                bytes[index(at)] ^= 1 << bit;
                scene.note(format!("{}: bit {bit} of byte {at} turned over", name.display()));
            }
        }
        Harm::Cut => {
            let end = scene.rng.below(length);
            bytes.truncate(index(end));
            scene.note(format!("{}: cut to {end} of {length} bytes", name.display()));
        }
        Harm::Gone => {
            scene.note(format!("{}: gone", name.display()));
            return fs::remove_file(&path).map_err(|error| broken(&path, error));
        }
        Harm::Grow => {
            let count = index(scene.rng.within(1, 5000));
            bytes.extend(scene.rng.bytes(count));
            scene.note(format!("{}: {count} bytes longer", name.display()));
        }
        Harm::Empty => {
            bytes.clear();
            scene.note(format!("{}: empty", name.display()));
        }
        Harm::Exchange => {
            bytes = read(&store.join(other))?;
            scene.note(format!("{}: {} in its place", name.display(), other.display()));
        }
    }
    replace(&path, &bytes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| broken(path, error))
}

/// A new file in place of the link, so that the healthy store keeps its own.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).map_err(|error| broken(path, error))
}
