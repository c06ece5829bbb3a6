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
use livery_profile::{Desk, Profile, Role, Time};
use serde::Serialize;
use uuid::Uuid;

use super::{
    citrix, confirm,
    disk::derive,
    firmware,
    furnish::Furnish,
    kiosk, laptop, modules,
    programs::Program,
    roots::{self, Root},
    settings, trim, updates,
    workshop::Workshop,
};
use crate::{
    cache::Key,
    sandbox::{self, Sandbox},
};

/// Raised when the same inputs are put together otherwise.
const VERSION: u32 = 15;
/// The same, of the tree.
const TREE_VERSION: u32 = 3;
/// The tree in its place in the cache.
const TREE: &str = "root";

/// What root and hash tree are found by: UUIDs that are written in them, other ones in each root that is not the same. So the signed
/// command line finds those that it was made for in whichever slot of a disk they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Of the root's file system.
    pub(crate) root: Uuid,
    /// Of the verity superblock.
    pub(crate) verity: Uuid,
}

impl Marks {
    /// Those of the root file system that this key is of.
    pub(crate) fn of(key: &Key, seed: Uuid) -> Self {
        let mark = |role: &str| derive(seed, &format!("{role} {}", key.digest()));
        Self { root: mark("root"), verity: mark("root-verity") }
    }
}

/// UUIDs that do not change from one version to the next.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Uuids {
    /// What all of them follow from.
    pub(crate) seed: Uuid,
    /// The LUKS2 header of the data partition.
    pub(crate) luks: Uuid,
}

/// The finished root file system.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// erofs image.
    pub(crate) root: PathBuf,
    /// dm-verity hash tree.
    pub(crate) verity: PathBuf,
    /// dm-verity root hash, hexadecimal.
    pub(crate) root_hash: String,
    /// `/usr/lib/os-release`, for the UKI.
    pub(crate) os_release: PathBuf,
}

/// What the tree follows from: the packages' root as a device has it, before any setting of the profile is in it.
#[derive(Serialize)]
struct TreeInputs<'a> {
    modules: &'a [&'a str],
    locales: &'a [String],
    epoch: i64,
    boot_root: Digest,
    root: Digest,
}

/// The tree's key, from those of boot root and root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn tree_key(profile: &Profile, desk: &Desk, [boot_root, root]: [Digest; 2]) -> Result<Key> {
    let (modules, epoch) = (modules::for_device(profile), profile.image.epoch.as_second());
    Key::new("tree", TREE_VERSION, &TreeInputs { modules: &modules, locales: &desk.locale.available, epoch, boot_root, root })
}

/// What a device's root file system follows from. What is embedded in this program counts like the profile.
#[derive(Serialize)]
struct Inputs<'a> {
    role: &'a Role,
    time: &'a Time,
    data: Option<&'a str>,
    epoch: i64,
    uuids: Uuids,
    files: Vec<(String, Digest)>,
    /// `livery-desk`, where it is in the image.
    program: Option<Digest>,
    /// Name and version, as `os-release` has them.
    image: Option<String>,
    /// `livery-agent`, where it is in the image.
    agent: Option<Digest>,
    tools: Digest,
    tree: Digest,
}

/// The root file system's key, from those of tools root and tree.
///
/// # Errors
/// Exit 1 where the inputs do not encode, 2 where a terminal's `livery-desk` is not there.
pub(crate) fn key(profile: &Profile, desk: &Desk, [tools, tree]: [Digest; 2], uuids: Uuids) -> Result<Key> {
    let inputs = Inputs {
        role: &profile.role,
        time: &profile.time,
        data: profile.image.data.as_deref(),
        epoch: profile.image.epoch.as_second(),
        uuids,
        files: [
            &settings::COMMON,
            &settings::DEVICE,
            &settings::ROOT,
            if profile.kiosk().is_some() { &settings::TERMINAL } else { &settings::LAPTOP },
        ]
        .into_iter()
        .chain(desk.citrix.client.as_ref().map(|_| &settings::CITRIX))
        .chain(desk.confirm.as_ref().map(|_| &settings::CONFIRM))
        .chain(desk.updates.as_ref().map(|_| &settings::UPDATES))
        .flat_map(embedded)
        .collect(),
        program: has_program(profile, desk).then(Program::desk).transpose()?.map(Program::digest),
        image: profile.version.as_ref().map(|version| format!("{}@{version}", profile.name)),
        agent: desk.updates.as_ref().map(|_| Program::agent()).transpose()?.map(Program::digest),
        tools,
        tree,
    };
    Key::new("root-fs", VERSION, &inputs)
}

/// Whether `livery-desk` is in the image.
fn has_program(profile: &Profile, desk: &Desk) -> bool {
    profile.kiosk().is_some() || desk.confirm.is_some() || desk.updates.is_some()
}

/// Makes the tree: what no device uses is out, drivers and locales are in.
///
/// # Errors
/// Exit 1 where a tool fails.
pub(crate) fn tree(workshop: &Workshop, profile: &Profile, desk: &Desk, boot: &Root, root: &Root, key: &Key) -> Result<PathBuf> {
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(key, |result| {
        let tree = result.join(TREE);
        roots::copy(&root.path, &tree)?;
        let version = modules::kernel_version(&boot.path)?;
        let sandbox = Sandbox::new(&boot.path, epoch);
        // Neither touches what the other does.
        let (locales, modules) = rayon::join(
            || settings::generate_locales(&Furnish::new(&tree), &desk.locale.available, &sandbox),
            || {
                trim::device(&tree)?;
                modules::install(&boot.path, &version, &modules::for_device(profile), &tree, epoch)?;
                firmware::install(&boot.path, &tree, epoch).map(drop)
            },
        );
        locales.and(modules)?;
        settings::clamp_times(&tree, epoch)
    })?;
    Ok(path.join(TREE))
}

/// Makes a device's root file system: the tree, and the profile's settings in it.
///
/// # Errors
/// Exit 1 where a tool fails, 3 where the packages lack something that the device needs.
pub(crate) fn device(
    workshop: &Workshop,
    profile: &Profile,
    [boot, root]: [&Root; 2],
    base: &Path,
    uuids: Uuids,
    key: &Key,
) -> Result<System> {
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(key, |result| {
        let scratch = workshop.cache.scratch()?;
        let tree = scratch.path().join("root");
        link(base, &tree)?;
        let furnish = Furnish::new(&tree);
        settings::common(&furnish, profile)?;
        let (desk, units, target) = match &profile.role {
            Role::Terminal { desk, .. } => (desk, &kiosk::UNITS[..], "multi-user.target"),
            Role::Laptop { desk, .. } => (desk, &laptop::UNITS[..], "graphical.target"),
            Role::Agent(_) => return Err(Fault::internal("another stage builds the agent's system")),
        };
        settings::desk(
            &furnish,
            desk,
            profile.image.data.as_deref().map(|mount| (mount, uuids.luks)),
            profile.routing().is_some(),
        )?;
        match &profile.role {
            Role::Terminal { kiosk, .. } => {
                kiosk::furnish(&furnish, desk, kiosk, profile.image.data.as_deref(), Program::desk()?)?;
            }
            Role::Laptop { routing, .. } => laptop::furnish(&furnish, &tree, desk, routing)?,
            Role::Agent(_) => {}
        }
        if let Some(client) = &desk.citrix.client {
            citrix::furnish(&tree, desk, client, root, epoch)?;
        }
        let mut units = [units, &settings::DEVICE_UNITS].concat();
        if let Some(confirm) = &desk.confirm {
            let data = profile.image.data.as_deref();
            confirm::furnish(&furnish, &tree, (confirm, desk), &profile.role, data, Program::desk()?)?;
            units.extend(confirm::UNITS.into_iter().filter(|unit| !units.contains(unit)).collect::<Vec<_>>());
        }
        if let Some(updates) = &desk.updates {
            updates::furnish(&furnish, profile, updates, uuids.seed, [Program::agent()?, Program::desk()?])?;
            units.extend(updates::UNITS);
            try_program(Program::agent()?, &tree, epoch)?;
        }
        if has_program(profile, desk) {
            try_program(Program::desk()?, &tree, epoch)?;
        }
        release(&furnish, &tree, profile)?;
        settings::units(&tree, &Sandbox::new(&boot.path, epoch), &units, target)?;
        links_are_untouched(&tree, epoch)?;
        settings::clamp_times(&tree, epoch)?;
        let os_release = tree.join("usr/lib/os-release");
        fs::copy(&os_release, result.join("os-release")).map_err(|error| failed(&os_release, error))?;
        pack(workshop, profile, &tree, result, Marks::of(key, uuids.seed))
    })?;
    let hash = path.join("root-hash");
    let root_hash = fs::read_to_string(&hash).map_err(|error| failed(&hash, error))?.trim().to_owned();
    Ok(System { root: path.join("root.erofs"), verity: path.join("root.verity"), root_hash, os_release: path.join("os-release") })
}

/// Name and version of the image, for whoever asks the running system (os-release(5)); where the profile says a version.
fn release(furnish: &Furnish, tree: &Path, profile: &Profile) -> Result<()> {
    const PLACE: &str = "usr/lib/os-release";
    let Some(version) = &profile.version else { return Ok(()) };
    let path = tree.join(PLACE);
    let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
    furnish.file(PLACE, format!("{text}IMAGE_ID=\"{}\"\nIMAGE_VERSION=\"{version}\"\n", profile.name))
}

/// A program of ours must run with this system's libraries, not only with the builder's.
fn try_program(program: &Program, tree: &Path, epoch: i64) -> Result<()> {
    let path = format!("/usr/bin/{}", program.name());
    Sandbox::new(tree, epoch).read_only().run(&path, ["--version"]).map(drop).map_err(|fault| {
        Fault::refused(format!("{} does not run on the device", program.name()))
            .cause(fault)
            .fix("build it on Debian 12 or 13: it must not need a newer C library than the image's release has")
    })
}

/// A tree as erofs, and the verity tree over that.
fn pack(workshop: &Workshop, profile: &Profile, tree: &Path, result: &Path, marks: Marks) -> Result<()> {
    let epoch = profile.image.epoch.as_second();
    let tools = roots::tools(workshop, profile)?.bind(tree, "/mnt").bind(result, "/srv");
    let (seconds, root, verity) = (epoch.to_string(), marks.root.to_string(), marks.verity.to_string());
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

/// Lays a tree from the cache out again, its files as hard links: in a moment, and without their content. Whoever changes a file
/// there replaces it ([`Furnish`] does, and systemd's tools do).
///
/// # Errors
/// Exit 1 where it can't be laid out.
fn link(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--link"]).arg(from).arg(to);
    sandbox::run(copy, "laying out the tree", Fault::internal).map(drop)
}

/// No file was changed in place: it would have changed in the cache as well. All that lies there has the image's time at most.
fn links_are_untouched(tree: &Path, epoch: i64) -> Result<()> {
    let mut find = Command::new("find");
    find.arg(tree).args(["-type", "f", "-links", "+1", "-newermt", &format!("@{epoch}"), "-print", "-quit"]);
    match sandbox::run(find, "find", Fault::internal)?.as_slice() {
        [] => Ok(()),
        path => Err(Fault::internal("a file of the cache was changed in place")
            .at(String::from_utf8_lossy(path).trim())
            .fix("this is a fault of Livery: please report it; remove the cache, then build again")),
    }
}

/// Path and digest of each embedded file.
pub(crate) fn embedded(folder: &include_dir::Dir<'_>) -> Vec<(String, Digest)> {
    let mut all: Vec<(String, Digest)> =
        folder.files().map(|file| (file.path().to_string_lossy().into_owned(), Digest::of(file.contents()))).collect();
    all.extend(folder.dirs().flat_map(embedded));
    all.sort();
    all
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("a file of the root can't be read").at(path.display()).cause(error)
}
