//! The terminal's packages, locked once by `livery lock`, and a Debian repository of just these for the others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Result};
use serde::Deserialize;

use super::{super::measured::run, workbench::Workbench};
use crate::{programs::Program, site::Site};

/// The package that comes later.
pub const ONE_MORE: &str = "nano";
/// What mkosi's own initrd asks for besides, and the one that comes later; they are in the repository and not in Livery's image.
const BESIDES: [&str; 20] = [
    "apt",
    "bash",
    "btrfs-progs",
    "cpio",
    "dosfstools",
    "dracut",
    "erofs-utils",
    "kbd",
    "less",
    "libcryptsetup12",
    "libfido2-1",
    "linux-image-amd64",
    "locales",
    "lvm2",
    "p11-kit",
    "systemd-boot-efi",
    "systemd-container",
    "systemd-repart",
    "zstd",
    ONE_MORE,
];
/// Fetching all of them.
const LONG: Duration = Duration::from_secs(1800);

/// See the module.
pub struct Packages {
    /// The profile that Livery builds; its lockfile lies beside it.
    pub profile: PathBuf,
    /// The store with the .debs.
    pub store: PathBuf,
    /// What the device has.
    pub device: Vec<String>,
    /// What kernel and initrd are made from.
    pub boot: Vec<String>,
    site: Site,
}

#[derive(Deserialize)]
struct Lock {
    root: Vec<Root>,
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Root {
    name: String,
    packages: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    sha256: String,
    path: String,
}

impl Packages {
    /// Locks them in this folder.
    ///
    /// # Errors
    /// Where `livery lock` fails.
    pub fn get(site: Site, folder: &Path) -> Result<Self> {
        let (profile, store) = (folder.join("terminal.toml"), folder.join("store"));
        let mut packages = Self { profile, store, device: Vec::new(), boot: Vec::new(), site };
        packages.set(&Change::default())?;
        // What has to be had for the others; with what the terminal's own lock then keeps.
        let all = folder.join("all.toml");
        write(&all, &packages.text(&BESIDES.map(str::to_owned), None))?;
        packages.lock(&all)?;
        fs::copy(all.with_extension("lock"), packages.profile.with_extension("lock")).map_err(|error| broken(&all, error))?;
        packages.lock(&packages.profile.clone())?;
        for root in packages.read(&packages.profile)?.root {
            match root.name.as_str() {
                "device" => packages.device = root.packages,
                "boot" => packages.boot = root.packages,
                _ => {}
            }
        }
        Ok(packages)
    }

    /// Writes the profile anew.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn set(&self, change: &Change) -> Result<()> {
        let more = if change.one_more { vec![ONE_MORE.to_owned()] } else { Vec::new() };
        write(&self.profile, &self.text(&more, change.host.as_deref()))
    }

    /// `livery lock`, with the .debs into the store.
    ///
    /// # Errors
    /// Where it fails.
    pub fn lock(&self, profile: &Path) -> Result<()> {
        let mut command = Command::new(Program::Livery.path()?);
        command.arg("lock").arg(profile).arg("--store").arg(&self.store).arg("--cache").arg(self.site.cache());
        run(&mut command, LONG).map(drop)
    }

    /// The keys that Livery signs with.
    pub fn keys(&self) -> PathBuf {
        self.site.keys()
    }

    /// A repository of all .debs, in `folder`, made by the workbench's apt-ftparchive.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn repository(&self, folder: &Path, workbench: &Workbench) -> Result<()> {
        let pool = folder.join("pool");
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("dists/trixie/main/binary-amd64")).map_err(|error| broken(folder, error))?;
        fs::create_dir_all(&pool).map_err(|error| broken(&pool, error))?;
        for package in self.read(&self.profile.with_file_name("all.toml"))?.package {
            let deb = self.store.join("debs/sha256").join(&package.sha256[..2]).join(format!("{}.deb", package.sha256));
            let name = package.path.rsplit('/').next().unwrap_or(&package.path);
            fs::hard_link(&deb, pool.join(name)).map_err(|error| broken(&deb, error))?;
        }
        let script = "set -e; cd \"$1\"; apt-ftparchive packages pool > dists/trixie/main/binary-amd64/Packages; \
            apt-ftparchive -o APT::FTPArchive::Release::Suite=trixie -o APT::FTPArchive::Release::Codename=trixie \
            -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures=amd64 \
            release dists/trixie > /tmp/Release; cp /tmp/Release dists/trixie/Release";
        let mut command = workbench.command("sh", &[folder])?;
        command.args(["-c", script, "sh"]).arg(folder);
        run(&mut command, LONG).map(drop)
    }

    fn text(&self, more: &[String], host: Option<&str>) -> String {
        let site = self.site.profile();
        let mut text = format!("# Written by scripts/bench build.\nschema = 1\nextends = \"{}\"\n", site.display());
        if !more.is_empty() {
            text.push_str(&format!("\n[packages]\ninstall = {{ add = {more:?} }}\n"));
        }
        if let Some(host) = host {
            text.push_str(&format!("\n[citrix]\nstore-url = \"https://{host}/\"\ngateway-hosts = [\"{host}\"]\n"));
        }
        text
    }

    fn read(&self, profile: &Path) -> Result<Lock> {
        let path = profile.with_extension("lock");
        let text = fs::read_to_string(&path).map_err(|error| broken(&path, error))?;
        toml::from_str(&text).map_err(|error| Fault::internal("a lockfile can't be read").cause(error).at(path.display()))
    }
}

/// In what a profile differs from the terminal's.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Another Gateway.
    pub host: Option<String>,
    /// One package more.
    pub one_more: bool,
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
    }
    fs::write(path, text).map_err(|error| broken(path, error))
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("the benchmark's packages can't be had").at(path.display()).cause(error)
}
