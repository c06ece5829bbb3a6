//! The device's initrd, by dracut in the boot root: systemd, udev, veritysetup, the drivers to find the root, and no shell.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result};
use livery_profile::Profile;
use serde::Serialize;

use super::{
    furnish::Furnish,
    medium::archive,
    microcode, modules,
    roots::Root,
    settings::{INITRD, ROOT, clamp_times},
    system::embedded,
    workshop::Workshop,
};
use crate::{cache::Key, sandbox::Sandbox};

const VERSION: u32 = 6;
/// zstd's level. The highest one takes fifteen times as long, for 1.3 MB less (12 MB) of an image of hundreds.
const LEVEL: &str = "-12";

/// dracut modules: all that systemd needs to find a verity root, nothing that a person would log in to.
const DRACUT: &str = "systemd systemd-initrd systemd-udevd systemd-modules-load systemd-tmpfiles systemd-sysusers systemd-journald systemd-veritysetup dm udev-rules";

/// Programs that check the personal layer ([`super::anchors`]), and the package that each comes from.
const PROGRAMS: [(&str, &str); 3] =
    [("usr/bin/systemd-dissect", "systemd-container"), ("usr/bin/systemd-creds", "systemd"), ("usr/sbin/losetup", "mount")];
/// Libraries that systemd opens where it needs them, so that no program's headers name them: to speak with a TPM.
const LIBRARIES: [&str; 5] =
    ["libtss2-esys.so.0", "libtss2-mu.so.0", "libtss2-rc.so.0", "libtss2-sys.so.1", "libtss2-tcti-device.so.0"];
/// Of systemd, for TPMs; where the package has them.
const UNITS: [&str; 2] = ["usr/lib/systemd/system-generators/systemd-tpm2-generator", "usr/lib/systemd/system/tpm2.target"];

/// Units of dracut's modules that do nothing for finding the root: the kernel's own nodes are there, its settings are made by the device's
/// own system, and what asks for a module through a node has it ([`INITRD`]'s `modules-load.d`).
const MASKED: [&str; 4] = [
    "kmod-static-nodes.service",
    "systemd-sysctl.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
];

/// udev's rules that dracut takes along and that say nothing of a disk, a mapping or a driver: each event would be held against all of them,
/// and the device's own udev does that again.
const MASKED_RULES: [&str; 25] = [
    "60-autosuspend",
    "60-cdrom_id",
    "60-drm",
    "60-evdev",
    "60-fido-id",
    "60-input-id",
    "60-persistent-alsa",
    "60-persistent-input",
    "60-persistent-storage-tape",
    "60-persistent-v4l",
    "60-sensor",
    "60-serial",
    "64-btrfs",
    "70-joystick",
    "70-memory",
    "70-mouse",
    "70-touchpad",
    "70-uaccess",
    "71-seat",
    "73-seat-late",
    "75-net-description",
    "75-probe_mtd",
    "78-sound-card",
    "80-net-setup-link",
    "81-net-dhcp",
];

/// The microcode's archive in the stage's result.
const MICROCODE: &str = "microcode.cpio";

/// Kernel and initrd, ready for a UKI.
#[derive(Clone, Debug)]
pub(crate) struct Initrd {
    /// The initrd, zstd.
    pub(crate) initrd: PathBuf,
    /// The processors' microcode, in an archive of its own; none where the boot packages have none.
    pub(crate) microcode: Option<PathBuf>,
    pub(crate) kernel: PathBuf,
    /// The kernel's version.
    pub(crate) version: String,
}

#[derive(Serialize)]
struct Inputs<'a> {
    boot_root: Digest,
    modules: &'a [&'a str],
    microcode: &'a [&'a str],
    dracut: &'a str,
    install: Vec<&'a str>,
    files: Vec<(String, Digest)>,
    epoch: i64,
}

/// The key, from the boot root's.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn key(profile: &Profile, boot_root: Digest) -> Result<Key> {
    let (modules, epoch) = (modules::for_initrd(profile), profile.image.epoch.as_second());
    let microcode = microcode::of(&profile.hardware);
    let install = PROGRAMS.iter().map(|(file, _)| *file).chain(LIBRARIES).chain(UNITS).collect();
    Key::new(
        "initrd",
        VERSION,
        &Inputs {
            boot_root,
            modules: &modules,
            microcode: &microcode,
            dracut: DRACUT,
            install,
            files: [&INITRD, &ROOT].into_iter().flat_map(embedded).collect(),
            epoch,
        },
    )
}

/// Makes the initrd.
///
/// # Errors
/// Exit 1 where dracut fails, 3 where the boot packages lack the kernel.
pub(crate) fn make(workshop: &Workshop, profile: &Profile, boot: &Root) -> Result<Initrd> {
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
        let furnish = Furnish::new(&extra);
        furnish.lay(&INITRD)?;
        furnish.lay(&ROOT)?;
        for unit in MASKED {
            furnish.link(&format!("etc/systemd/system/{unit}"), "/dev/null")?;
        }
        // As udev(7) has it.
        for rules in MASKED_RULES {
            furnish.link(&format!("etc/udev/rules.d/{rules}.rules"), "/dev/null")?;
        }
        let install = to_install(&boot.path)?;
        let names: Vec<&str> = requests.iter().copied().filter(|name| !name.contains('/') && !name.starts_with('-')).collect();
        let module_folder = format!("/mnt/drivers/usr/lib/modules/{version}");
        let sandbox = Sandbox::new(&boot.path, epoch).bind(&tree, "/mnt").bind(result, "/srv");
        sandbox.run(
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
                "--install",
                &install,
                "--include",
                "/mnt/extra",
                "/",
                "--compress",
                &format!("zstd {LEVEL} -T2"),
                "/srv/initrd.img",
            ],
        )?;
        early(boot, profile, &tree.join("early"), &sandbox)
    })?;
    let microcode = Some(path.join(MICROCODE)).filter(|path| path.exists());
    let kernel = boot.path.join("boot").join(format!("vmlinuz-{version}"));
    Ok(Initrd { initrd: path.join("initrd.img"), microcode, kernel, version })
}

/// Puts the microcode into an archive of its own, by way of a folder that the sandbox sees as `/mnt/early`.
fn early(boot: &Root, profile: &Profile, folder: &Path, sandbox: &Sandbox) -> Result<()> {
    let files = microcode::files(&boot.path, &profile.hardware)?;
    if files.is_empty() {
        return Ok(());
    }
    Furnish::new(folder).file(microcode::PATH, microcode::together(&boot.path, &files)?)?;
    clamp_times(folder, profile.image.epoch.as_second())?;
    sandbox.run("bash", ["-o", "pipefail", "-c", &format!("{} > /srv/{MICROCODE}", archive("/mnt/early"))]).map(drop)
}

/// What dracut's modules do not take along by themselves, as its flag wants it.
fn to_install(boot_root: &Path) -> Result<String> {
    let lacking = |file: &str, package: &str| {
        Fault::refused(format!("the boot packages do not contain {file}, which checks a device's personal layer"))
            .fix(format!("add {package} to `packages.boot`"))
    };
    let libraries = boot_root.join("usr/lib/x86_64-linux-gnu");
    let mut all = Vec::new();
    for (file, package) in PROGRAMS {
        all.push(boot_root.join(file).exists().then(|| format!("/{file}")).ok_or_else(|| lacking(file, package))?);
    }
    for name in LIBRARIES {
        let package = "libtss2-esys-3.0.2-0t64, libtss2-mu-4.0.1-0t64, libtss2-rc0t64 and libtss2-tcti-device0t64";
        let there = libraries.join(name).exists();
        all.push(there.then(|| format!("/usr/lib/x86_64-linux-gnu/{name}")).ok_or_else(|| lacking(name, package))?);
    }
    all.extend(UNITS.iter().filter(|unit| boot_root.join(unit).exists()).map(|unit| format!("/{unit}")));
    Ok(all.join(" "))
}
