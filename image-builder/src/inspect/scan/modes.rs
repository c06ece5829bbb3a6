//! Permissions: files that anybody may write to, and programs that run with more rights than whoever starts them.

use super::finding::Finding;
use crate::inspect::volume::{Entry, Kind, tree::CAPABILITY};

/// Folders that everybody may write to by the Filesystem Hierarchy Standard and Debian, with the sticky bit.
const SHARED: [&str; 8] =
    ["/tmp", "/var/tmp", "/run/lock", "/var/lock", "/dev/shm", "/run/screen", "/tmp/.X11-unix", "/tmp/.ICE-unix"];

/// Programs of Debian that are meant to be setuid or setgid.
const RAISED: [&str; 33] = [
    "/usr/bin/at",
    "/usr/bin/bsd-write",
    "/usr/bin/chage",
    "/usr/bin/chfn",
    "/usr/bin/chsh",
    "/usr/bin/crontab",
    "/usr/bin/dotlockfile",
    "/usr/bin/expiry",
    "/usr/bin/fusermount",
    "/usr/bin/fusermount3",
    "/usr/bin/gpasswd",
    "/usr/bin/mount",
    "/usr/bin/newgidmap",
    "/usr/bin/newgrp",
    "/usr/bin/newuidmap",
    "/usr/bin/ntfs-3g",
    "/usr/bin/passwd",
    "/usr/bin/pkexec",
    "/usr/bin/plocate",
    "/usr/bin/ssh-agent",
    "/usr/bin/su",
    "/usr/bin/sudo",
    "/usr/bin/umount",
    "/usr/bin/wall",
    "/usr/bin/write",
    "/usr/lib/dbus-1.0/dbus-daemon-launch-helper",
    "/usr/lib/openssh/ssh-keysign",
    "/usr/lib/polkit-1/polkit-agent-helper-1",
    "/usr/lib/x86_64-linux-gnu/utempter/utempter",
    "/usr/lib/xorg/Xorg.wrap",
    "/usr/sbin/mount.cifs",
    "/usr/sbin/mount.nfs",
    "/usr/sbin/unix_chkpwd",
];

/// Programs of Debian that are meant to have capabilities.
const CAPABLE: [&str; 7] = [
    "/usr/bin/dumpcap",
    "/usr/bin/fping",
    "/usr/bin/mtr-packet",
    "/usr/bin/newgidmap",
    "/usr/bin/newuidmap",
    "/usr/bin/ping",
    "/usr/lib/x86_64-linux-gnu/gstreamer1.0/gstreamer-1.0/gst-ptp-helper",
];

/// What is wrong with a file's permissions.
pub(crate) fn look(path: &str, entry: &Entry) -> Option<Finding> {
    let Entry { kind, mode, uid, gid, .. } = *entry;
    let shown = format!("mode {mode:04o}, of user {uid} and group {gid}");
    if matches!(kind, Kind::File | Kind::Folder) && mode & 0o002 != 0 {
        let sticky = kind == Kind::Folder && mode & 0o1000 != 0;
        if !sticky {
            return Some(Finding::new(
                path,
                "world-writable",
                format!("{kind} that everybody may write to ({shown})"),
                "any program on the device can change it, and with it what other users run or read",
                "supply it with a mode without write permission for others, or a folder with the sticky bit (1777)",
            ));
        }
        if !SHARED.contains(&path) {
            return Some(Finding::new(
                path,
                "shared-folder",
                format!("folder that everybody may put files into ({shown})"),
                "outside of /tmp and similar folders, nobody expects files that anyone could have made",
                "remove write permission for others, or add an exception with its reason to `scan.allow`",
            ));
        }
    }
    if kind == Kind::File && mode & 0o6000 != 0 && !RAISED.contains(&path) {
        let what = if mode & 0o4000 != 0 { "setuid" } else { "setgid" };
        return Some(Finding::new(
            path,
            "setuid",
            format!("{what} program that is not among Debian's own ({shown})"),
            "whoever starts it gets the rights of its owner or group: a flaw in it is a way to root",
            "remove the bit (chmod ug-s), or add an exception to `scan.allow` with the reason why it is needed",
        ));
    }
    if kind == Kind::File && entry.attributes.contains_key(CAPABILITY) && !CAPABLE.contains(&path) {
        return Some(Finding::new(
            path,
            "capabilities",
            "program with capabilities that is not among Debian's own",
            "whoever starts it gets some of root's rights",
            "remove them (setcap -r), or add an exception to `scan.allow` with the reason why they are needed",
        ));
    }
    None
}
