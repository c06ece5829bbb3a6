//! Debian roots by mmdebstrap: the tools root, the boot root, the device's root.
//!
//! apt runs outside, so that no image holds it. With `SOURCE_DATE_EPOCH` the same packages give the same bytes. What the
//! host leaves in (`/etc/hostname`, `/etc/resolv.conf`) is taken out again by [`super::settings`].

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Digest, Fault, Result};
use serde::Serialize;

use super::{cache::Key, sandbox, workshop::Workshop};
use crate::profile::{Debian, Profile};

/// Raised when the same packages are put together otherwise.
const VERSION: u32 = 1;

/// What the image tools come from: the profile's own release, whatever the host runs.
const TOOLS: [&str; 10] = [
    "cpio",
    "cryptsetup-bin",
    "dosfstools",
    "erofs-utils",
    "kmod",
    "mtools",
    "python3-pefile",
    "systemd-boot-efi",
    "systemd-ukify",
    "zstd",
];

/// Never unpacked: the tools need none of it, nor do the roots that nobody looks into.
const NEVER: [&str; 6] = [
    "/usr/share/bug/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// A root in the cache. Nobody may change it there.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its folder.
    pub path: PathBuf,
    /// Digest of all that it was made from.
    pub digest: Digest,
}

#[derive(Serialize)]
struct Inputs<'a> {
    debian: &'a Debian,
    packages: &'a [String],
    recommends: bool,
    exclude: &'a [String],
    include: &'a [String],
    epoch: i64,
}

/// The tools root.
///
/// # Errors
/// Exit 5 where packages can't be had.
pub fn tools(workshop: &Workshop, profile: &Profile) -> Result<Root> {
    let packages = TOOLS.map(str::to_owned);
    let exclude = NEVER.map(str::to_owned);
    let inputs = Inputs {
        debian: &profile.debian,
        packages: &packages,
        recommends: false,
        exclude: &exclude,
        include: &[],
        epoch: epoch(profile),
    };
    make(workshop, "tools", &inputs)
}

/// The boot root: the kernel, its modules and firmware, and dracut. Nothing of it runs on the device but what is copied.
///
/// # Errors
/// Exit 5 where packages can't be had.
pub fn boot(workshop: &Workshop, profile: &Profile) -> Result<Root> {
    let exclude = NEVER.map(str::to_owned);
    let inputs = Inputs {
        debian: &profile.debian,
        packages: &profile.packages.boot,
        recommends: false,
        exclude: &exclude,
        include: &[],
        epoch: epoch(profile),
    };
    make(workshop, "boot-root", &inputs)
}

/// The device's (or the agent's) root, as its packages make it.
///
/// # Errors
/// Exit 5 where packages can't be had.
pub fn device(workshop: &Workshop, profile: &Profile) -> Result<Root> {
    let inputs = Inputs {
        debian: &profile.debian,
        packages: &profile.packages.install,
        recommends: profile.packages.recommends,
        exclude: &profile.packages.exclude_paths,
        include: &profile.packages.include_paths,
        epoch: epoch(profile),
    };
    make(workshop, "root", &inputs)
}

fn epoch(profile: &Profile) -> i64 {
    profile.image.epoch.as_second()
}

fn make(workshop: &Workshop, stage: &'static str, inputs: &Inputs) -> Result<Root> {
    let key = Key::new(stage, VERSION, inputs)?;
    let path = workshop.stage(&key, |folder| {
        let tar = folder.with_extension("tar");
        debootstrap(stage, inputs, &tar)?;
        let mut unpack = Command::new("tar");
        unpack
            .args(["--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--file"])
            .arg(&tar)
            .arg("--directory")
            .arg(folder);
        sandbox::run(unpack, "unpacking the root", Fault::internal)?;
        fs::remove_file(&tar).map_err(|error| Fault::internal("a temporary file can't be removed").at(tar.display()).cause(error))
    })?;
    Ok(Root { path, digest: key.digest() })
}

fn debootstrap(stage: &str, inputs: &Inputs, tar: &Path) -> Result<()> {
    // It ends when we do, also where only we were asked to.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]);
    if nix::unistd::geteuid().is_root() {
        // As root mmdebstrap mounts /proc, /sys and devices; in a mount namespace of its own these go with it, however it ends.
        command.args(["unshare", "--mount", "--propagation", "private"]);
    }
    command.arg("mmdebstrap");
    // INITRD=No keeps the kernel's package from making an initrd that nobody uses; dracut is run by a stage of its own.
    command
        .env("SOURCE_DATE_EPOCH", inputs.epoch.to_string())
        .env("INITRD", "No")
        .env("TMPDIR", tar.parent().unwrap_or(Path::new("/tmp")));
    command.args(["--variant=essential", "--format=tar"]);
    command.arg(format!("--architectures={}", inputs.debian.architecture));
    command.arg(format!("--components={}", inputs.debian.components.join(",")));
    command.arg(format!("--include={}", inputs.packages.join(",")));
    for path in inputs.exclude {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    for path in inputs.include {
        command.arg(format!("--dpkgopt=path-include={path}"));
    }
    for option in [
        format!("APT::Install-Recommends \"{}\"", inputs.recommends),
        "Acquire::Languages \"none\"".into(),
        "Acquire::Retries \"5\"".into(),
    ] {
        command.arg(format!("--aptopt={option}"));
    }
    command.arg(&inputs.debian.suite).arg(tar);
    if let Some(mirrors) = &inputs.debian.mirrors {
        let (suite, components) = (&inputs.debian.suite, inputs.debian.components.join(" "));
        command.arg(format!("deb {} {suite} {components}", mirrors.main));
        command.arg(format!("deb {} {suite}-updates {components}", mirrors.main));
        command.arg(format!("deb {} {suite}-security {components}", mirrors.security));
    }
    sandbox::run(command, &format!("mmdebstrap ({stage})"), Fault::source)
        .map(drop)
        .map_err(|fault| fault.fix("check the network and the mirror; a package's name that apt does not know stands in `packages.install` or `packages.boot`"))
}
