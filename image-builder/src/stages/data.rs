//! The device's encrypted data partition: what the root file system says of it.
//!
//! The agent makes the partition on the device; its file system is made when it is first opened. A device that has none, since its image
//! was written without a TPM, goes on without; one that does not open asks for the recovery key, and the desk waits for that.

use std::path::Path;

use livery_contract::{Fault, Result};
use uuid::Uuid;

use super::{disk::derive, furnish::Furnish, persist};

/// Bytes of the partition in the image; on the device it grows to the disk's end. The LUKS2 header takes 16 MiB of it.
pub(crate) const LEAST: u64 = 64 << 20;
/// How long a disk may take to show the partition, before the device goes on without.
const PATIENCE: &str = "20s";
/// The same where nobody can sign in without it: systemd's own.
const LONG_PATIENCE: &str = "90s";
/// What opens it: file in the root, and package.
const NEEDED: [(&str, &str); 6] = [
    ("usr/lib/systemd/systemd-cryptsetup", "systemd-cryptsetup"),
    ("usr/lib/x86_64-linux-gnu/libtss2-esys.so.0", "libtss2-esys-3.0.2-0t64"),
    ("usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0", "libtss2-tcti-device0t64"),
    ("usr/lib/udev/rules.d/55-dm.rules", "dmsetup"),
    ("usr/lib/systemd/systemd-makefs", "systemd"),
    ("usr/sbin/mkfs.ext4", "e2fsprogs"),
];

/// UUID of the LUKS2 header, from the image's seed.
pub(crate) fn luks_uuid(seed: Uuid) -> Uuid {
    derive(seed, "data-luks")
}

/// Lines for `/etc/fstab` and the file `/etc/crypttab`. A device that `keeps` what its employee does has folders of it all over the root.
///
/// # Errors
/// Exit 3 where the packages lack what opens it.
pub(crate) fn furnish(furnish: &Furnish, root: &Path, mount: &str, luks: Uuid, keeps: bool) -> Result<String> {
    if let Some((file, package)) = NEEDED.iter().find(|(file, _)| !root.join(file).exists()) {
        return Err(Fault::refused(format!("the packages do not contain {file}, which a data partition needs"))
            .fix(format!("add {package} to `packages.install`, or set `image.data = \"none\"`")));
    }
    // systemd's name of the mount unit (systemd.unit(5)): the paths that a profile may choose have one part.
    let unit = format!("{}.mount", mount.trim_start_matches('/'));
    for service in ["systemd-user-sessions", "livery-kiosk"] {
        let text = format!("# A locked data partition asks before the desk covers the console.\n[Unit]\nAfter={unit}\n");
        furnish.file(&format!("usr/lib/systemd/system/{service}.service.d/50-livery-data.conf"), text)?;
    }
    // Not `x-systemd.makefs`: that waits for the device, which systemd's udev rules hold back while nothing is on it. This one makes a
    // file system only where there is nothing at all.
    furnish.file(
        "usr/lib/systemd/system/systemd-cryptsetup@data.service.d/50-livery-data.conf",
        "[Service]\nExecStartPost=/usr/lib/systemd/systemd-makefs ext4 /dev/mapper/data\n",
    )?;
    furnish.file(
        "etc/crypttab",
        format!(
            "data UUID={luks} none luks,tpm2-device=auto,nofail,x-systemd.device-timeout={}\n",
            if keeps { LONG_PATIENCE } else { PATIENCE }
        ),
    )?;
    if keeps {
        // Where it is not opened nothing could be kept: the sign-in page says so.
        furnish.link(
            "etc/systemd/system/graphical.target.wants/livery-no-data.service",
            "/usr/lib/systemd/system/livery-no-data.service",
        )?;
    }
    // Where it is not opened it is not waited for.
    let partition =
        format!("/dev/mapper/data {mount} ext4 nofail,nodev,nosuid,x-systemd.requires=systemd-cryptsetup@data.service 0 2\n");
    Ok(if keeps { partition + &persist::fstab(mount) } else { partition })
}
