//! Debian roots by mmdebstrap: the tools root, the boot root, the device's root. Of exactly the packages that the lock names.
//!
//! mmdebstrap sees a repository of just these, and no network. With `SOURCE_DATE_EPOCH` the same packages give the same bytes.
//! What the host leaves in (`/etc/hostname`, `/etc/resolv.conf`) is taken out again by [`super::trim`].
//!
//! What was added to a lock is installed by a second run into a copy of the root as it was before that, which lies in the cache
//! where it was ever made ([`crate::lock::added`]).

mod again;
mod files;
mod patterns;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use deb822_fast::borrowed::{BorrowedParagraph, parse_borrowed};
use livery_contract::{Digest, Fault, Result};
use livery_profile::Profile;
use serde::Serialize;

use self::{
    files::{failed, write},
    patterns::Patterns,
};
use super::{answers, settings, workshop::Workshop};
use crate::{
    cache::Key,
    lock::{Package, RootName},
    sandbox::{self, Sandbox},
};

/// Raised when the same packages are put together otherwise.
const VERSION: u32 = 3;

/// Never unpacked: the tools need none of it, nor do the roots that nobody looks into.
const NEVER: [&str; 6] = [
    "/usr/share/bug/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// Always unpacked where the image is made from: the SBOM says what licences these state. No image has them: they are trimmed.
const COPYRIGHT: &str = "/usr/share/doc/*/copyright";

/// A root in the cache. Nobody may change it there.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Digest of all that it was made from.
    pub(crate) digest: Digest,
}

/// Which packages of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Those that it was locked with at first.
    First,
    /// Those that were added since, too.
    All,
}

/// What a root is made from.
#[derive(Serialize)]
struct Inputs<'a> {
    suite: &'a str,
    architecture: &'a str,
    /// Name and digest of each .deb.
    packages: BTreeMap<&'a str, Digest>,
    /// Those that are installed after the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<&'a str>,
    exclude: Vec<&'a str>,
    include: Vec<&'a str>,
    /// Answers to questions of packages' installers, as `debconf-set-selections` reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<String>,
    epoch: i64,
}

impl<'a> Inputs<'a> {
    fn of(root: RootName, extent: Extent, workshop: &'a Workshop, profile: &'a Profile) -> Self {
        let patterns = |patterns: &'a [String]| patterns.iter().map(String::as_str).collect::<Vec<_>>();
        let (exclude, include) = match root {
            RootName::Device => {
                let mut include = patterns(&profile.packages.include_paths);
                include.push(COPYRIGHT);
                (patterns(&profile.packages.exclude_paths), include)
            }
            RootName::Boot => (NEVER.to_vec(), vec![COPYRIGHT]),
            RootName::Tools => (NEVER.to_vec(), Vec::new()),
        };
        let packages = packages(workshop, root, extent);
        Self {
            suite: &profile.debian.suite,
            architecture: &profile.debian.architecture,
            packages: packages.into_iter().map(|package| (package.name.as_str(), package.sha256)).collect(),
            added: if extent == Extent::All { workshop.supply.added(root) } else { Vec::new() },
            exclude,
            include,
            answers: if root == RootName::Device { answers::citrix(profile) } else { Vec::new() },
            epoch: profile.image.epoch.as_second(),
        }
    }

    fn key(&self, root: RootName) -> Result<Key> {
        let stage = match root {
            RootName::Tools => "tools",
            RootName::Boot => "boot-root",
            RootName::Device => "root",
        };
        Key::new(stage, VERSION, self)
    }
}

fn packages(workshop: &Workshop, root: RootName, extent: Extent) -> Vec<&Package> {
    let mut packages = workshop.supply.packages(root);
    if extent == Extent::First {
        let added: BTreeSet<&str> = workshop.supply.added(root).into_iter().collect();
        packages.retain(|package| !added.contains(package.name.as_str()));
    }
    packages
}

/// The key of a root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn key(workshop: &Workshop, profile: &Profile, root: RootName) -> Result<Key> {
    Inputs::of(root, Extent::All, workshop, profile).key(root)
}

/// Brings the .debs of the roots that are not in the cache: all that building needs the network for.
///
/// # Errors
/// Exit 5 where packages can't be had.
pub(crate) fn supply(workshop: &Workshop, profile: &Profile) -> Result<()> {
    let mut lacking = Vec::new();
    for root in RootName::ALL {
        if !workshop.cache.has(&key(workshop, profile, root)?) {
            lacking.push(root);
        }
    }
    workshop.supply.bring(&lacking, profile, &workshop.cache, &workshop.progress)
}

/// The device's root and the boot root, made in parallel: they share nothing but the .debs.
///
/// # Errors
/// As [`make`].
pub(crate) fn both(workshop: &Workshop, profile: &Profile) -> Result<(Root, Root)> {
    supply(workshop, profile)?;
    thread::scope(|scope| {
        let device = scope.spawn(|| make(workshop, profile, RootName::Device));
        let boot = make(workshop, profile, RootName::Boot)?;
        make(workshop, profile, RootName::Tools)?;
        let device = device.join().map_err(|_| Fault::internal("a stage stopped"))??;
        Ok((device, boot))
    })
}

/// A root: the tools', the one that kernel and initrd are made from, or the device's as its packages make it.
///
/// # Errors
/// Exit 4 where a .deb is not what was locked, 5 where one is not here, 1 where mmdebstrap fails.
pub(crate) fn make(workshop: &Workshop, profile: &Profile, root: RootName) -> Result<Root> {
    if workshop.supply.added(root).is_empty() || workshop.cache.has(&key(workshop, profile, root)?) {
        return stage(workshop, profile, root, Extent::All, None);
    }
    let first = stage(workshop, profile, root, Extent::First, None)?;
    stage(workshop, profile, root, Extent::All, Some(&first))
}

/// A sandbox over the tools root.
///
/// # Errors
/// As [`make`].
pub(crate) fn tools(workshop: &Workshop, profile: &Profile) -> Result<Sandbox> {
    Ok(Sandbox::new(&make(workshop, profile, RootName::Tools)?.path, profile.image.epoch.as_second()))
}

/// A root of these packages, in a copy of another or from nothing.
fn stage(workshop: &Workshop, profile: &Profile, root: RootName, extent: Extent, over: Option<&Root>) -> Result<Root> {
    let inputs = Inputs::of(root, extent, workshop, profile);
    let key = inputs.key(root)?;
    let path = workshop.stage(&key, |folder| {
        let scratch = workshop.cache.scratch()?;
        let archive = scratch.path().join("archive");
        let packages = packages(workshop, root, extent);
        workshop.supply.archive(&archive, &packages)?;
        match over {
            None => debootstrap(&inputs, &archive, scratch.path(), folder, true)?,
            Some(over) => {
                copy(&over.path, folder)?;
                let aside = again::make_room(folder, scratch.path())?;
                debootstrap(&inputs, &archive, scratch.path(), folder, false)?;
                aside.put_back()?;
            }
        }
        without_devices(folder)?;
        settings::clamp_times(folder, inputs.epoch)?;
        just_these(folder, &packages)
    })?;
    Ok(Root { path, digest: key.digest() })
}

/// mmdebstrap in `root`, which is empty or a root already.
fn debootstrap(inputs: &Inputs, archive: &Path, scratch: &Path, root: &Path, is_empty: bool) -> Result<()> {
    // It ends when we do, also where only we were asked to; what it mounts goes with its namespace, however it ends. In a network
    // namespace of its own no package's script reaches out; in a UTS namespace none learns the host's name.
    let mut command = Command::new("setpriv");
    sandbox::clean_environment(&mut command);
    command.args(["--pdeathsig", "TERM", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc"]);
    command.args(["--propagation", "private", "--", "sh", "-c", r#"hostname livery && exec "$@""#, "sh", "mmdebstrap"]);
    // INITRD=No keeps the kernel's package from making an initrd that nobody uses; dracut is run by a stage of its own.
    command.env("SOURCE_DATE_EPOCH", inputs.epoch.to_string()).env("INITRD", "No").env("TMPDIR", scratch);
    command.args(["--mode=root", "--variant=essential", "--format=directory"]);
    command.arg(format!("--architectures={}", inputs.architecture));
    let names: Vec<&str> = inputs.packages.keys().copied().collect();
    command.arg(format!("--include={}", names.join(",")));
    let patterns = Patterns { exclude: &inputs.exclude, include: &inputs.include };
    patterns.configure(&mut command, scratch)?;
    if is_empty {
        patterns.remove(&mut command, scratch)?;
    } else {
        command.arg("--skip=check/empty");
    }
    if !inputs.answers.is_empty() {
        // Once debconf is there, and before the packages are that ask.
        let path = write(scratch, "answers", &(inputs.answers.join("\n") + "\n"))?;
        command.env("ANSWERS", &path).arg(r#"--essential-hook=chroot "$1" debconf-set-selections < "$ANSWERS""#);
    }
    // Whoever pulls the plug builds again: the root becomes one only when it is whole.
    command.arg("--dpkgopt=force-unsafe-io");
    // As another user apt would own folders, where we are root and where we only look like root alike.
    command.args([r#"--aptopt=APT::Sandbox::User """#, r#"--aptopt=Acquire::Languages "none""#]);
    command.arg(inputs.suite).arg(root).arg(format!("deb [trusted=yes] copy:{} ./", archive.display()));
    sandbox::run(command, "mmdebstrap", Fault::internal).map(drop)
}

/// Copies a root from the cache: sharing blocks where the file system can.
///
/// # Errors
/// Exit 1 where it can't be copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(from.join(".")).arg(to);
    sandbox::run(copy, "copying the root", Fault::internal).map(drop)
}

/// A root has no device nodes: they are devtmpfs's to make.
fn without_devices(root: &Path) -> Result<()> {
    let folder = root.join("dev");
    fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder)).map_err(|error| failed(&folder, error))
}

/// Whether the packages in a root are those that were locked, no more and no less, in their versions.
fn just_these(root: &Path, locked: &[&Package]) -> Result<()> {
    let path = root.join("var/lib/dpkg/status");
    let status = fs::read_to_string(&path)
        .map_err(|error| Fault::internal("the root's packages can't be read").at(path.display()).cause(error))?;
    let packages = parse_borrowed(&status)
        .map_err(|error| Fault::internal("the root's packages can't be read").at(path.display()).cause(error))?;
    let field = |package: &BorrowedParagraph<'_>, name| package.get_single(name).unwrap_or_default().to_owned();
    let installed: BTreeSet<(String, String)> =
        packages.iter().map(|package| (field(package, "Package"), field(package, "Version"))).collect();
    let locked: BTreeSet<(String, String)> = locked.iter().map(|package| (package.name.clone(), package.version.clone())).collect();
    match installed.symmetric_difference(&locked).next() {
        None => Ok(()),
        Some((name, version)) => {
            Err(Fault::internal(format!("the root's packages differ from the lockfile: {name} {version} differs"))
                .at(path.display()))
        }
    }
}
