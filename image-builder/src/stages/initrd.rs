//! The device's initrd, by dracut in the boot root: systemd, udev, veritysetup, the drivers to find the root, and no shell.

use std::{fs, path::PathBuf};

use livery_contract::{Digest, Fault, Result};
use serde::Serialize;

use super::{
    cache::Key,
    modules,
    roots::Root,
    sandbox::Sandbox,
    settings::{Furnish, INITRD},
    system::embedded,
    workshop::Workshop,
};
use crate::profile::Profile;

const VERSION: u32 = 1;

/// dracut modules: all that systemd needs to find a verity root, nothing that a person would log in to.
const DRACUT: &str = "systemd systemd-initrd systemd-udevd systemd-modules-load systemd-tmpfiles systemd-sysusers systemd-journald systemd-veritysetup dm udev-rules";

/// Kernel and initrd, ready for a UKI.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// The initrd, zstd.
    pub initrd: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// The kernel's version.
    pub version: String,
    /// Digest of all that they were made from.
    pub digest: Digest,
}

#[derive(Serialize)]
struct Inputs<'a> {
    boot_root: Digest,
    modules: &'a [&'a str],
    dracut: &'a str,
    files: Vec<(String, Digest)>,
    epoch: i64,
}

/// The key, from the boot root's.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub fn key(profile: &Profile, boot_root: Digest) -> Result<Key> {
    let (modules, epoch) = (modules::for_initrd(profile), profile.image.epoch.as_second());
    Key::new("initrd", VERSION, &Inputs { boot_root, modules: &modules, dracut: DRACUT, files: embedded(&INITRD), epoch })
}

/// Makes the initrd.
///
/// # Errors
/// Exit 1 where dracut fails, 3 where the boot packages lack the kernel.
pub fn make(workshop: &Workshop, profile: &Profile, boot: &Root) -> Result<Initrd> {
    let requests = modules::for_initrd(profile);
    let epoch = profile.image.epoch.as_second();
    let key = key(profile, boot.digest)?;
    let version = modules::kernel_version(&boot.path)?;
    let path = workshop.stage(&key, |result| {
        let scratch = workshop.cache.scratch()?;
        let tree = scratch.path().join("tree");
        let (drivers, extra, configuration) = (tree.join("drivers"), tree.join("extra"), tree.join("conf.d"));
        for folder in [&drivers, &extra, &configuration] {
            fs::create_dir_all(folder)
                .map_err(|error| Fault::internal("a folder can't be made").at(folder.display()).cause(error))?;
        }
        modules::install(&boot.path, &version, &requests, &drivers, epoch)?;
        Furnish::new(&extra).lay(&INITRD)?;
        let names: Vec<&str> = requests.iter().copied().filter(|name| !name.contains('/') && !name.starts_with('-')).collect();
        let module_folder = format!("/mnt/drivers/usr/lib/modules/{version}");
        Sandbox::new(&boot.path, epoch).bind(&tree, "/mnt").bind(result, "/srv").run(
            "dracut",
            [
                "--force",
                "--no-hostonly",
                "--reproducible",
                "--no-early-microcode",
                "--nofscks",
                "--no-machineid",
                "--conf",
                "/dev/null",
                "--confdir",
                "/mnt/conf.d",
                "--kver",
                &version,
                "--kmoddir",
                &module_folder,
                "--modules",
                DRACUT,
                "--drivers",
                &names.join(" "),
                "--include",
                "/mnt/extra",
                "/",
                "--compress",
                "zstd -19 -T2",
                "/srv/initrd.img",
            ],
        )?;
        Ok(())
    })?;
    let kernel = boot.path.join("boot").join(format!("vmlinuz-{version}"));
    Ok(Initrd { initrd: path.join("initrd.img"), kernel, version, digest: key.digest() })
}
