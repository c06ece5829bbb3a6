//! Where things are kept: what is measured in `target/bench` (made once), results in `out/bench`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

/// A folder of the cache, made where absent.
///
/// # Errors
/// Where it can't be made.
pub fn cache(name: &str) -> Result<PathBuf> {
    folder(&Path::new("target/bench").join(name))
}

/// Keeps a result as `out/bench/NAME.json`; returns where.
///
/// # Errors
/// Where it can't be written.
pub fn keep(name: &str, result: &impl Serialize) -> Result<PathBuf> {
    let path = folder(Path::new("out/bench"))?.join(format!("{name}.json"));
    write_json(&path, result)?;
    Ok(path)
}

/// Writes JSON.
///
/// # Errors
/// Where it can't be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let broken = |error: std::io::Error| Fault::refused("a result can't be kept").cause(error).at(path.display());
    let text = serde_json::to_string_pretty(value).map_err(|error| broken(error.into()))?;
    fs::write(path, text + "\n").map_err(broken)
}

/// Looks whether this many bytes more fit into a folder, and a tenth.
///
/// # Errors
/// Exit 3 where they don't.
pub fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let room = statvfs(folder).map_err(|error| Fault::refused("no such folder").cause(error).at(folder.display()))?;
    let free = room.blocks_available() * room.fragment_size();
    let needed = bytes + bytes / 10;
    if free < needed {
        return Err(Fault::refused(format!("{} MiB are free, {} MiB are needed", free >> 20, needed >> 20))
            .at(folder.display())
            .fix("make room, or measure a smaller image"));
    }
    Ok(())
}

/// A folder inside the repository, made where absent; its absolute path.
fn folder(inside: &Path) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(inside);
    let broken = |error| Fault::refused("a folder can't be made").cause(error).at(path.display());
    fs::create_dir_all(&path).map_err(broken)?;
    path.canonicalize().map_err(broken)
}
