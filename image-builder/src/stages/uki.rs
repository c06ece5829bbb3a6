//! Kernel, initrd and command line as one EFI program (a UKI, UAPI Group Specification), by ukify with systemd's stub; and
//! signed, so that none of them can be another one where Secure Boot is on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result};
use livery_profile::Profile;
use serde::Serialize;

use super::{anchors::Anchors, medium::archive, roots, settings::clamp_times, workshop::Workshop};
use crate::{
    cache::Key,
    secure_boot::{authenticode, signer::Signer},
};

const VERSION: u32 = 4;
const SIGNED_VERSION: u32 = 1;

/// What goes into a UKI.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) version: &'a str,
    pub(crate) initrd: &'a Path,
    /// The processors' microcode, as an archive that the kernel reads before the initrd.
    pub(crate) microcode: Option<&'a Path>,
    /// What is laid over the initrd, which other images share: this image's trust anchors.
    pub(crate) anchors: Option<&'a Anchors>,
    /// The kernel's command line.
    pub(crate) command_line: &'a str,
    /// `os-release` of the system.
    pub(crate) os_release: &'a Path,
}

#[derive(Serialize)]
struct Inputs<'a> {
    initrd: Digest,
    system: Digest,
    tools: Digest,
    command_line: &'a str,
    anchors: Option<Digest>,
    epoch: i64,
}

/// The key, from those of initrd, system and tools root. The command line is the one without the root's hash: that follows from
/// the system. `anchors` is the digest of what is laid over the initrd.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn key(
    profile: &Profile,
    [initrd, system, tools]: [Digest; 3],
    command_line: &str,
    anchors: Option<Digest>,
) -> Result<Key> {
    Key::new("uki", VERSION, &Inputs { initrd, system, tools, command_line, anchors, epoch: profile.image.epoch.as_second() })
}

/// Makes the UKI.
///
/// # Errors
/// Exit 1 where ukify fails.
pub(crate) fn make(workshop: &Workshop, profile: &Profile, parts: &Parts, key: &Key) -> Result<PathBuf> {
    let path = workshop.stage(key, |result| {
        // The sandbox sees one folder.
        let scratch = workshop.cache.scratch()?;
        let given = [(parts.kernel, "vmlinuz"), (parts.initrd, "initrd"), (parts.os_release, "os-release")];
        for (from, name) in given.into_iter().chain(parts.microcode.map(|from| (from, "microcode"))) {
            fs::copy(from, scratch.path().join(name))
                .map_err(|error| Fault::internal("a part of the UKI can't be read").at(from.display()).cause(error))?;
        }
        let tools = roots::tools(workshop, profile)?.bind(scratch.path(), "/mnt").bind(result, "/srv");
        if let Some(anchors) = parts.anchors {
            let tree = scratch.path().join("tree");
            anchors.lay(&tree)?;
            clamp_times(&tree, profile.image.epoch.as_second())?;
            tools.run("bash", ["-o", "pipefail", "-c", &format!("{} > /mnt/anchors", archive("/mnt/tree"))])?;
        }
        // Several archives are one initrd, later ones over earlier ones (kernel: initramfs-buffer-format.rst).
        let anchors: &[&str] = if parts.anchors.is_some() { &["--initrd", "/mnt/anchors"] } else { &[] };
        let microcode: &[&str] = if parts.microcode.is_some() { &["--microcode", "/mnt/microcode"] } else { &[] };
        let rest = [
            "--cmdline",
            parts.command_line,
            "--os-release",
            "@/mnt/os-release",
            "--uname",
            parts.version,
            "--output",
            "/srv/uki.efi",
        ];
        let first = ["build", "--linux", "/mnt/vmlinuz", "--initrd", "/mnt/initrd"];
        let all: Vec<&str> = first.iter().chain(microcode).chain(anchors).chain(&rest).copied().collect();
        tools.run("ukify", all).map(drop)
    })?;
    Ok(path.join("uki.efi"))
}

#[derive(Serialize)]
struct SignedInputs {
    uki: Digest,
    certificate: Option<Digest>,
}

/// The key of the signed UKI, from the UKI's; the certificate's digest is `None` where only a plan is made.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn signed_key(uki: Digest, certificate: Option<Digest>) -> Result<Key> {
    Key::new("uki-signed", SIGNED_VERSION, &SignedInputs { uki, certificate })
}

/// Signs a UKI, so that firmware with Secure Boot starts it. The result is public, and in the cache; the private key is used here
/// and goes nowhere.
///
/// # Errors
/// Exit 1 where what ukify made is no EFI program, or a file can't be read or written.
pub(crate) fn sign(workshop: &Workshop, uki: &Path, signer: &Signer, key: &Key) -> Result<PathBuf> {
    let failed = |path: &Path, error| Fault::internal("signing the UKI failed").at(path.display()).cause(error);
    let path = workshop.stage(key, |result| {
        let image = fs::read(uki).map_err(|error| failed(uki, error))?;
        let signed = authenticode::sign(&image, signer).map_err(|fault| fault.at(uki.display()))?;
        let path = result.join("uki.efi");
        fs::write(&path, signed).map_err(|error| failed(&path, error))
    })?;
    Ok(path.join("uki.efi"))
}

/// The command line: `ours`, then the consoles and arguments that the profile names.
pub(crate) fn command_line(profile: &Profile, ours: &[String]) -> String {
    let consoles = profile.boot.consoles.iter().map(|console| format!("console={console}"));
    ours.iter().cloned().chain(consoles).chain(profile.boot.kernel_arguments.iter().cloned()).collect::<Vec<_>>().join(" ")
}
