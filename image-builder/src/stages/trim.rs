//! What a device never uses, taken out after the packages' own scripts have run (they need some of it).

use std::{fs, io, path::Path};

use livery_contract::{Fault, Result};

/// From every root: the package manager's state, caches, documentation, what only building needs.
const EVERY: &[&str] = &[
    "boot",
    "etc/apt",
    "etc/cron.daily",
    "etc/dpkg",
    "etc/init.d",
    "etc/kernel",
    "etc/logrotate.d",
    "etc/rc0.d",
    "etc/rc1.d",
    "etc/rc2.d",
    "etc/rc3.d",
    "etc/rc4.d",
    "etc/rc5.d",
    "etc/rc6.d",
    "etc/rcS.d",
    // A key that would be the same on every device: what needs one makes its own there.
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "usr/include",
    "usr/lib/apt",
    "usr/lib/dpkg",
    "usr/lib/udev/hwdb.d",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/common-licenses",
    "usr/share/debconf",
    "usr/share/dict",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/fish",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/share/gettext",
    "usr/share/info",
    "usr/share/initramfs-tools",
    "usr/share/lintian",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/perl",
    "usr/share/perl5",
    "usr/share/pkgconfig",
    "usr/share/zsh",
    "usr/bin/perl",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/src",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log",
];

/// From a terminal: what reports crashes of a browser to its makers.
const TERMINAL: &[&str] = &[
    "usr/lib/firefox-esr/crashhelper",
    "usr/lib/firefox-esr/crashreporter",
    "usr/lib/firefox-esr/minidump-analyzer",
    "usr/lib/firefox-esr/pingsender",
];

/// From the agent's system, which lies in memory and comes over the network: all that it never runs.
const AGENT: &[&str] = &[
    "usr/bin/apt",
    "usr/bin/apt-get",
    "usr/bin/apt-cache",
    "usr/bin/bootctl",
    "usr/bin/dpkg",
    "usr/bin/dpkg-deb",
    "usr/bin/dpkg-query",
    "usr/bin/gpgv",
    "usr/bin/localedef",
    "usr/bin/openssl",
    "usr/bin/systemd-analyze",
    "usr/bin/systemd-dissect",
    "usr/bin/systemd-nspawn",
    "usr/bin/systemd-repart",
    "usr/lib/locale",
    "usr/lib/ssl/misc",
    "usr/lib/systemd/catalog",
    "usr/lib/systemd/user",
    "usr/lib/udev/hwdb.bin",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/base-files",
    "usr/share/base-passwd",
    "usr/share/ca-certificates",
    "usr/share/i18n",
    "usr/share/keyrings",
    "usr/share/locale",
    "usr/share/mime",
    "usr/share/pam-configs",
    "usr/share/polkit-1",
    "usr/share/zoneinfo",
    "var/cache",
];

/// Libraries that only the programs in [`AGENT`] use, by the beginning of their names.
const AGENT_LIBRARIES: &[&str] = &["libapt-", "libdb-5", "libgprofng", "libsqlite3", "libstdc++"];

/// Takes out what no device uses.
///
/// # Errors
/// Exit 1 where something can't be removed.
pub(crate) fn device(root: &Path) -> Result<()> {
    remove_all(root, EVERY)?;
    remove_all(root, TERMINAL)?;
    tidy(root)
}

/// Takes out what the agent never uses.
///
/// # Errors
/// Exit 1 where something can't be removed.
pub(crate) fn agent(root: &Path) -> Result<()> {
    remove_all(root, EVERY)?;
    remove_all(root, AGENT)?;
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    for entry in fs::read_dir(&libraries).map_err(|error| failed(&libraries, error))? {
        let entry = entry.map_err(|error| failed(&libraries, error))?;
        if AGENT_LIBRARIES.iter().any(|prefix| entry.file_name().to_string_lossy().starts_with(prefix)) {
            fs::remove_file(entry.path()).map_err(|error| failed(&entry.path(), error))?;
        }
    }
    tidy(root)
}

/// Files that the host or the packages' scripts leave and that would differ or be wrong on a device: host name, hosts,
/// resolver, machine id, backups of the user database.
fn tidy(root: &Path) -> Result<()> {
    remove_all(root, &["etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/vconsole.conf", "etc/machine-id", "etc/fstab"])?;
    remove_all(root, &["etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-"])?;
    // services and packages expect these folders
    for folder in ["boot", "var/log", "var/cache"] {
        let path = root.join(folder);
        fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

fn remove_all(root: &Path, paths: &[&str]) -> Result<()> {
    for path in paths {
        let path = root.join(path);
        let removed = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: io::Error) -> Fault {
    Fault::internal("an unneeded file can't be removed").at(path.display()).cause(error)
}
