//! A Debian of the image's release, with mkosi in it: its newest release, the same on every machine, and nothing of this machine's
//! own systemd has to be replaced for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Result};

use super::super::measured::{run, take_down};

/// mkosi, and what it calls for a signed or hashed disk image of Debian.
const PACKAGES: [&str; 20] = [
    "apt-utils",
    "bubblewrap",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "dosfstools",
    "erofs-utils",
    "kmod",
    "mkosi",
    "mmdebstrap",
    "mtools",
    "systemd-boot-efi",
    "systemd-container",
    "systemd-repart",
    "systemd-ukify",
    "udev",
    "uidmap",
    "util-linux",
    "zstd",
];

/// See the module.
pub struct Workbench {
    root: PathBuf,
}

impl Workbench {
    /// In this folder; made where it is not there.
    ///
    /// # Errors
    /// Where mmdebstrap fails.
    pub fn get(folder: &Path) -> Result<Self> {
        let root = folder.join("workbench");
        if !root.exists() {
            eprintln!("a Debian with mkosi in it, once");
            let new = folder.join("workbench.new");
            take_down("rm", &["-rf", &new.display().to_string()]);
            let mut command = Command::new("mmdebstrap");
            command.args(["--mode=root", "--variant=minbase", &format!("--include={}", PACKAGES.join(",")), "trixie"]).arg(&new);
            run(&mut command, Duration::from_secs(1800))?;
            fs::rename(&new, &root).map_err(|error| Fault::refused("no workbench").cause(error).at(root.display()))?;
        }
        Ok(Self { root })
    }

    /// A command in there, without a network, which sees these folders where they lie, and may write into them.
    ///
    /// # Errors
    /// Where a folder can't be made.
    pub fn command(&self, program: &str, folders: &[&Path]) -> Result<Command> {
        let mut command = Command::new("bwrap");
        command.arg("--bind").arg(&self.root).arg("/");
        // mkosi, as root, makes its own sandboxes: it is given what root has.
        command.args([
            "--dev-bind",
            "/dev",
            "/dev",
            "--proc",
            "/proc",
            "--bind",
            "/sys",
            "/sys",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp",
        ]);
        for folder in folders {
            fs::create_dir_all(folder).map_err(|error| Fault::refused("no folder").cause(error).at(folder.display()))?;
            command.arg("--bind").args([folder, folder]);
        }
        command.args(["--cap-add", "ALL", "--unshare-net", "--die-with-parent", "--clearenv"]);
        command.args(["--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "HOME", "/root"]);
        command.args(["--setenv", "LC_ALL", "C.UTF-8", "--", program]);
        Ok(command)
    }
}
