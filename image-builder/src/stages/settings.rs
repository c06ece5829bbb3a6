//! The profile's settings as files: what is the same for all lies in `files/` as it will lie on the device, what depends
//! on the profile is written here.

use std::{fs, io, path::Path};

use include_dir::{Dir, include_dir};
use livery_contract::{Fault, Result};
use livery_profile::{Authority, Desk, Locale, Profile, Role};
use uuid::Uuid;

use super::{data, furnish::Furnish};
use crate::sandbox::Sandbox;

/// On every system that we make.
pub(crate) static COMMON: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/common");
/// On every employee's device.
pub(crate) static DEVICE: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/device");
/// Units of [`DEVICE`].
pub(crate) const DEVICE_UNITS: [&str; 1] = ["livery-display-driver.service"];
/// On a thin terminal.
pub(crate) static TERMINAL: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/terminal");
/// On a laptop.
pub(crate) static LAPTOP: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/laptop");
/// On a device with Citrix's client.
pub(crate) static CITRIX: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/citrix");
/// On a device that tells the station what took effect.
pub(crate) static CONFIRM: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/confirm");
/// On a device that gets newer images.
pub(crate) static UPDATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/updates");
/// On a device and in its initrd: how the root is found, and what is done where it is not.
pub(crate) static ROOT: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/root");
/// On the agent's medium.
pub(crate) static AGENT: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/agent");
/// In a device's initrd.
pub(crate) static INITRD: Dir = include_dir!("$CARGO_MANIFEST_DIR/files/initrd");

/// Where the personal layer is mounted.
pub(super) const IDENTITY: &str = "/usr/lib/livery/identity";

/// Units that do nothing good on a system whose root cannot be written and whose software never changes in place; those for who develops
/// on it; and those that load what is loaded by itself where it is needed. Each that starts a program costs every start of a device.
const MASKED: [&str; 28] = [
    "console-getty.service",
    "dev-hugepages.mount",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty@tty1.service",
    "ldconfig.service",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "run-lock.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-initctl.socket",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-pcrlock-make-policy.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-rfkill.socket",
    "systemd-udev-load-credentials.service",
    "systemd-update-done.service",
];

/// Generators of systemd's for what no device has: each is a program that is run before any unit.
const GENERATORS: [&str; 10] = [
    "systemd-getty-generator",
    // It would mount the EFI system partition, writable, whenever logind is asked for boot entries: by every start of Firefox.
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-import-generator",
    "systemd-integritysetup-generator",
    "systemd-rc-local-generator",
    "systemd-run-generator",
    "systemd-ssh-generator",
    "systemd-system-update-generator",
    "systemd-sysv-generator",
];

/// Started over D-Bus by who needs it: NetworkManager, where there is a radio.
const ON_DEMAND: &str = "etc/systemd/system/multi-user.target.wants/wpa_supplicant.service";

/// What every system gets: network by DHCP, systemd's resolver, a machine id that is made on the machine.
///
/// # Errors
/// Exit 1 where something can't be written.
pub(crate) fn common(furnish: &Furnish, profile: &Profile) -> Result<()> {
    furnish.lay(&COMMON)?;
    furnish.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    furnish.file("etc/machine-id", "")?;
    if !profile.time.servers.is_empty() {
        furnish
            .file("usr/lib/systemd/timesyncd.conf.d/50-livery.conf", format!("[Time]\nNTP={}\n", profile.time.servers.join(" ")))?;
    }
    Ok(())
}

/// What every employee's device gets besides: the personal layer over `/etc`, locale, authorities; where the data partition of this
/// LUKS UUID is mounted, and whether what the employee does is kept there ([`persist`](super::persist)).
///
/// # Errors
/// Exit 1 where something can't be written.
pub(crate) fn desk(furnish: &Furnish, desk: &Desk, data: Option<(&str, Uuid)>, keeps: bool) -> Result<()> {
    furnish.lay(&DEVICE)?;
    furnish.lay(&ROOT)?;
    // Empty where no personal layer was applied: then it changes nothing.
    furnish.folder(&format!("{}/etc", &IDENTITY[1..]))?;
    furnish.folder("etc/livery")?;
    let data = data.map(|(mount, luks)| data::furnish(furnish, furnish.root, mount, luks, keeps)).transpose()?;
    furnish.file("etc/fstab", data.unwrap_or_default())?;
    locale(furnish, &desk.locale)?;
    authorities(furnish, &desk.authorities)
}

fn locale(furnish: &Furnish, locale: &Locale) -> Result<()> {
    furnish.file("etc/locale.conf", format!("LANG={}\n", locale.default))?;
    // Debian's own place for the same setting; PAM reads it.
    furnish.link("etc/default/locale", "../locale.conf")?;
    furnish.link("etc/localtime", &format!("../usr/share/zoneinfo/{}", locale.timezone))
}

/// The organisation's authorities in the system's store: as `update-ca-certificates` would, but without its scripts.
fn authorities(furnish: &Furnish, authorities: &[Authority]) -> Result<()> {
    const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
    let path = furnish.root.join(BUNDLE);
    let mut bundle = fs::read_to_string(&path).map_err(|error| {
        Fault::refused("the image has no bundle of certificates")
            .at(path.display())
            .cause(error)
            .fix("add ca-certificates to `packages.install`")
    })?;
    for authority in authorities {
        furnish.file(&certificate_path(authority)[1..], &authority.pem)?;
        bundle.push_str(&authority.pem);
    }
    furnish.file(BUNDLE, bundle)
}

/// Where the authorities lie who may vouch for one server: those that a profile names for it, written at `path`; else the system's.
///
/// # Errors
/// Exit 1 where they can't be written.
pub(crate) fn vouchers<'a>(furnish: &Furnish, authorities: &[Authority], path: &'a str) -> Result<&'a str> {
    if authorities.is_empty() {
        return Ok("/etc/ssl/certs/ca-certificates.crt");
    }
    let all: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
    furnish.file(&path[1..], all)?;
    Ok(path)
}

/// The units that draw a device's desk.
pub(crate) const fn screen(role: &Role) -> &'static [&'static str] {
    match role {
        Role::Terminal { .. } => &["livery-kiosk.service", "livery-browser.service"],
        Role::Laptop { .. } | Role::Agent(_) => &["lightdm.service"],
    }
}

/// Where an authority's certificate lies on the device.
pub(crate) fn certificate_path(authority: &Authority) -> String {
    format!("/usr/local/share/ca-certificates/{}.crt", authority.name)
}

/// Generates the locales with the boot root's localedef, so that no device needs it. One after the other: it links what one has in
/// common with those that are there.
///
/// # Errors
/// Exit 1 where one can't be generated.
pub(crate) fn generate_locales(furnish: &Furnish, locales: &[String], boot_root: &Sandbox) -> Result<()> {
    furnish.folder("usr/lib/locale")?;
    for locale in locales {
        let (name, _) = locale.split_once('.').unwrap_or((locale, ""));
        let path = format!("/work/usr/lib/locale/{name}.utf8");
        boot_root.clone().bind(furnish.root, "/work").run("localedef", ["--no-archive", "-i", name, "-f", "UTF-8", &path])?;
    }
    Ok(())
}

/// Users and enabled units, by systemd's own tools.
///
/// # Errors
/// Exit 1 where a tool fails.
pub(crate) fn units(root: &Path, boot_root: &Sandbox, enabled: &[&str], target: &str) -> Result<()> {
    let tools = boot_root.clone().bind(root, "/work");
    tools.run("systemd-sysusers", ["--root=/work"])?;
    // Timers and consoles that packages enabled by themselves.
    for folder in ["timers.target.wants", "getty.target.wants"] {
        let path = root.join("etc/systemd/system").join(folder);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| failed(&path, error))?;
        }
    }
    tools.run("systemctl", ["--root=/work", "enable"].iter().chain(enabled))?;
    let on_demand = root.join(ON_DEMAND);
    if on_demand.is_symlink() {
        fs::remove_file(&on_demand).map_err(|error| failed(&on_demand, error))?;
    }
    let furnish = Furnish::new(root);
    for unit in MASKED {
        furnish.link(&format!("etc/systemd/system/{unit}"), "/dev/null")?;
    }
    for generator in GENERATORS {
        furnish.link(&format!("etc/systemd/system-generators/{generator}"), "/dev/null")?;
    }
    // As old as /usr (ConditionNeedsUpdate= in systemd.unit(5)): nothing is left for a device to do that was not done here.
    for place in ["etc/.updated", "var/.updated"] {
        furnish.file(place, "")?;
    }
    furnish.link("etc/systemd/system/default.target", &format!("/usr/lib/systemd/system/{target}"))?;
    for backup in ["passwd-", "group-", "shadow-", "gshadow-"] {
        match fs::remove_file(root.join("etc").join(backup)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&root.join("etc").join(backup), error)),
            _ => {}
        }
    }
    Ok(())
}

/// No file is younger than the image: what stages wrote just now gets the image's time.
///
/// # Errors
/// Exit 1 where it can't be set.
pub(crate) fn clamp_times(root: &Path, epoch: i64) -> Result<()> {
    let mut find = std::process::Command::new("find");
    find.arg(root).args([
        "-newermt",
        &format!("@{epoch}"),
        "-exec",
        "touch",
        "--no-dereference",
        "--date",
        &format!("@{epoch}"),
        "{}",
        "+",
    ]);
    crate::sandbox::run(find, "setting the files' times", Fault::internal).map(drop)
}

fn failed(path: &Path, error: io::Error) -> Fault {
    Fault::internal("a setting can't be written").at(path.display()).cause(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_replace_links_and_programs_can_run() {
        let root = tempfile::tempdir().unwrap();
        let furnish = Furnish::new(root.path());
        furnish.link("etc/resolv.conf", "/nowhere").unwrap();
        furnish.file("etc/resolv.conf", "x").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("etc/resolv.conf")).unwrap(), "x");
        furnish.lay(&TERMINAL).unwrap();
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("usr/lib/livery/link"), 0o755);
        assert_eq!(mode("usr/lib/NetworkManager/dispatcher.d/50-livery-portal"), 0o755);
        assert_eq!(mode("usr/lib/sysusers.d/livery-kiosk.conf"), 0o644);
    }
}
