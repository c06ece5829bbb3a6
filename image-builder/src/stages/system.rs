//! The root file system: the packages' root, trimmed, with modules, locales and settings; as erofs, with its verity tree.
//!
//! Uncompressed: chunks compress it on the wire, an ordinary change then moves few of them, and reading needs no
//! decompression on a small processor (facts: what an update costs).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Digest, Fault, Result};
use serde::Serialize;
use uuid::Uuid;

use super::{
    cache::Key,
    kiosk, modules,
    roots::Root,
    sandbox::{self, Sandbox},
    settings::{self, Furnish},
    trim,
    workshop::Workshop,
};
use crate::profile::{Desk, Kiosk, Profile};

/// Raised when the same inputs are put together otherwise.
const VERSION: u32 = 1;

/// The UUIDs that lie in the root file system or name its partitions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Uuids {
    /// The root's file system and partition.
    pub root: Uuid,
    /// The verity tree and its partition.
    pub verity: Uuid,
    /// The personal layer's partition.
    pub identity: Uuid,
}

/// The finished root file system.
#[derive(Clone, Debug)]
pub struct System {
    /// erofs image.
    pub root: PathBuf,
    /// dm-verity hash tree.
    pub verity: PathBuf,
    /// dm-verity root hash, hexadecimal.
    pub root_hash: String,
    /// `/usr/lib/os-release`, for the UKI.
    pub os_release: PathBuf,
    /// Digest of all that it was made from.
    pub digest: Digest,
}

/// Makes a terminal's root file system.
///
/// # Errors
/// Exit 1 where a tool fails, 3 where the packages lack something that a terminal needs.
pub fn terminal(
    workshop: &Workshop,
    profile: &Profile,
    desk: &Desk,
    browser: &Kiosk,
    boot: &Root,
    root: &Root,
    uuids: Uuids,
) -> Result<System> {
    // What is embedded in this program counts as an input like the profile.
    let files: Vec<(String, Digest)> =
        [&settings::COMMON, &settings::DEVICE, &settings::TERMINAL].into_iter().flat_map(embedded).collect();
    let requests = modules::for_device(profile);
    let key = Key::new("root-fs", VERSION, &(profile, boot.digest, root.digest, uuids, &requests, &files))?;
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(&key, |result| {
        let scratch = workshop.cache.scratch()?;
        let tree = scratch.path().join("root");
        copy(&root.path, &tree)?;
        trim::device(&tree)?;
        let version = modules::kernel_version(&boot.path)?;
        modules::install(&boot.path, &version, &requests, &tree, epoch)?;
        let furnish = Furnish::new(&tree);
        let boot_root = Sandbox::new(&boot.path, epoch);
        settings::common(&furnish, profile)?;
        settings::desk(&furnish, desk, uuids.identity)?;
        settings::generate_locales(&furnish, &desk.locale.available, &boot_root)?;
        kiosk::furnish(&furnish, desk, browser)?;
        settings::units(&tree, &boot_root, &kiosk::UNITS, "multi-user.target")?;
        settings::clamp_times(&tree, epoch)?;
        let os_release = tree.join("usr/lib/os-release");
        fs::copy(&os_release, result.join("os-release")).map_err(|error| failed(&os_release, error))?;
        pack(workshop, profile, &tree, result, uuids)
    })?;
    let hash = path.join("root-hash");
    let root_hash = fs::read_to_string(&hash).map_err(|error| failed(&hash, error))?.trim().to_owned();
    Ok(System {
        root: path.join("root.erofs"),
        verity: path.join("root.verity"),
        root_hash,
        os_release: path.join("os-release"),
        digest: key.digest(),
    })
}

/// A tree as erofs, and the verity tree over that.
fn pack(workshop: &Workshop, profile: &Profile, tree: &Path, result: &Path, uuids: Uuids) -> Result<()> {
    let epoch = profile.image.epoch.as_second();
    let tools = workshop.tools(profile)?.bind(tree, "/mnt").bind(result, "/srv");
    let (seconds, root, verity) = (epoch.to_string(), uuids.root.to_string(), uuids.verity.to_string());
    tools.run(
        "mkfs.erofs",
        ["-T", &seconds, "--all-time", "-U", &root, "-b4096", "--quiet", "-Enosbcrc", "/srv/root.erofs", "/mnt"],
    )?;
    // A fixed salt: it guards against precomputed trees, which a signed root hash makes pointless.
    let salt = Digest::of(b"livery").to_string();
    let arguments = [
        "format",
        &format!("--salt={salt}"),
        &format!("--uuid={verity}"),
        "--root-hash-file=/srv/root-hash",
        "/srv/root.erofs",
        "/srv/root.verity",
    ];
    tools.run("veritysetup", arguments)?;
    Ok(())
}

/// Copies a root from the cache: sharing blocks where the file system can.
///
/// # Errors
/// Exit 1 where it can't be copied.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(from).arg(to);
    sandbox::run(copy, "copying the root", Fault::internal).map(drop)
}

/// Path and digest of each embedded file.
pub fn embedded(folder: &include_dir::Dir<'_>) -> Vec<(String, Digest)> {
    let mut all: Vec<(String, Digest)> =
        folder.files().map(|file| (file.path().to_string_lossy().into_owned(), Digest::of(file.contents()))).collect();
    all.extend(folder.dirs().flat_map(embedded));
    all.sort();
    all
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("a file of the root can't be read").at(path.display()).cause(error)
}
