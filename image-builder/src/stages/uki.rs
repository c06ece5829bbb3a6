//! Kernel, initrd and command line as one EFI program (a UKI, UAPI Group Specification), by ukify with systemd's stub; and
//! signed, so that none of them can be another one where Secure Boot is on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result};
use serde::Serialize;

use super::{cache::Key, workshop::Workshop};
use crate::{
    profile::Profile,
    secure_boot::{authenticode, signer::Signer},
};

const VERSION: u32 = 1;
const SIGNED_VERSION: u32 = 1;

/// What goes into a UKI.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// Its version.
    pub version: &'a str,
    /// The initrd.
    pub initrd: &'a Path,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// `os-release` of the system.
    pub os_release: &'a Path,
}

/// Makes the UKI; `inputs` is what the parts were made from.
///
/// # Errors
/// Exit 1 where ukify fails.
pub fn make(workshop: &Workshop, profile: &Profile, parts: &Parts, inputs: &impl Serialize) -> Result<PathBuf> {
    let key = Key::new("uki", VERSION, &(inputs, parts.command_line, parts.version))?;
    let path = workshop.stage(&key, |result| {
        // The sandbox sees one folder.
        let scratch = workshop.cache.scratch()?;
        for (from, name) in [(parts.kernel, "vmlinuz"), (parts.initrd, "initrd"), (parts.os_release, "os-release")] {
            fs::copy(from, scratch.path().join(name))
                .map_err(|error| Fault::internal("a part of the UKI can't be read").at(from.display()).cause(error))?;
        }
        workshop.tools(profile)?.bind(scratch.path(), "/mnt").bind(result, "/srv").run(
            "ukify",
            [
                "build",
                "--linux",
                "/mnt/vmlinuz",
                "--initrd",
                "/mnt/initrd",
                "--cmdline",
                parts.command_line,
                "--os-release",
                "@/mnt/os-release",
                "--uname",
                parts.version,
                "--output",
                "/srv/uki.efi",
            ],
        )?;
        Ok(())
    })?;
    Ok(path.join("uki.efi"))
}

/// A UKI that firmware with Secure Boot starts.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The UKI.
    pub path: PathBuf,
    /// Digest of all that it was made from.
    pub digest: Digest,
}

/// Signs a UKI. The result is public, and in the cache; the private key is used here and goes nowhere.
///
/// # Errors
/// Exit 1 where what ukify made is no EFI program, or a file can't be read or written.
pub fn sign(workshop: &Workshop, uki: &Path, signer: &Signer) -> Result<Signed> {
    let failed = |path: &Path, error| Fault::internal("signing the UKI failed").at(path.display()).cause(error);
    let image = fs::read(uki).map_err(|error| failed(uki, error))?;
    let key = Key::new("uki-signed", SIGNED_VERSION, &(Digest::of(&image), signer.digest()))?;
    let path = workshop.stage(&key, |result| {
        let signed = authenticode::sign(&image, signer).map_err(|fault| fault.at(uki.display()))?;
        let path = result.join("uki.efi");
        fs::write(&path, signed).map_err(|error| failed(&path, error))
    })?;
    Ok(Signed { path: path.join("uki.efi"), digest: key.digest() })
}

/// The command line of a system whose consoles and further arguments the profile names.
pub fn command_line(profile: &Profile, own: &[String]) -> String {
    let consoles = profile.boot.consoles.iter().map(|console| format!("console={console}"));
    own.iter().cloned().chain(consoles).chain(profile.boot.kernel_arguments.iter().cloned()).collect::<Vec<_>>().join(" ")
}
