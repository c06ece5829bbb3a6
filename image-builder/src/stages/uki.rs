//! Kernel, initrd and command line as one EFI program (a UKI, UAPI Group Specification), by ukify with systemd's stub.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};
use serde::Serialize;

use super::{cache::Key, workshop::Workshop};
use crate::profile::Profile;

const VERSION: u32 = 1;

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

/// The command line of a system whose consoles and further arguments the profile names.
pub fn command_line(profile: &Profile, own: &[String]) -> String {
    let consoles = profile.boot.consoles.iter().map(|console| format!("console={console}"));
    own.iter().cloned().chain(consoles).chain(profile.boot.kernel_arguments.iter().cloned()).collect::<Vec<_>>().join(" ")
}
