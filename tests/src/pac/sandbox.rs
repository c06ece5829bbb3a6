//! A browser of this machine, in a root where its policies are a device's: `/etc` holds nothing else of theirs.

use std::{ffi::OsStr, path::Path};

use tokio::process::Command;

/// What programs with a window need of this machine's `/etc`.
const ETC: [&str; 8] = ["fonts", "passwd", "group", "ssl", "ld.so.cache", "alternatives", "chromium.d", "mime.types"];

/// The command for a program, with this text as the file at `policies`; `folder` is its own, writable.
pub fn with_policies(program: &str, policies: &str, text: &Path, folder: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]);
    command.args(["--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin", "--symlink", "usr/lib", "/lib"]);
    command.args(["--symlink", "usr/lib64", "/lib64", "--dir", "/etc", "--die-with-parent", "--unshare-pid"]);
    for name in ETC {
        let path = format!("/etc/{name}");
        command.args(["--ro-bind-try", &path, &path]);
    }
    let folders: [&OsStr; 3] = ["--bind".as_ref(), folder.as_os_str(), "/home".as_ref()];
    command.args(folders);
    command.args(["--ro-bind".as_ref(), text.as_os_str(), OsStr::new(policies)]);
    command.args(["--setenv", "HOME", "/home", "--chdir", "/home", "--", program]);
    command.kill_on_drop(true);
    command
}
