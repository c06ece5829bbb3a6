//! Who builds, and what each does in each step.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::ValueEnum;
use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};

use super::{
    super::measured::{Spent, run, take_down},
    packages::{Change, ONE_MORE, Packages},
    workbench::Workbench,
};
use crate::programs::Program;

/// The most that one build may take.
const LONG: Duration = Duration::from_secs(3600);

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Contestant {
    /// This.
    Livery,
    /// mkosi, with its cache of installed packages (Incremental=).
    Mkosi,
    /// mmdebstrap, mkfs.erofs, zstd.
    Hand,
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The first time; only the .debs are here.
    Cold,
    /// Nothing has changed.
    Same,
    /// A setting has changed.
    Setting,
    /// One package more.
    Package,
}

impl Step {
    /// In the order in which they are done.
    pub const ALL: [Self; 4] = [Self::Cold, Self::Same, Self::Setting, Self::Package];

    /// For a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Same => "nothing changed",
            Self::Setting => "a setting changed",
            Self::Package => "one package more",
        }
    }
}

/// What one step took, and what came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Built {
    /// What it took.
    pub spent: Spent,
    /// Bytes of what came to what is shipped, compressed.
    pub bytes: u64,
}

impl Contestant {
    /// For a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Livery => "Livery",
            Self::Mkosi => "mkosi",
            Self::Hand => "by hand",
        }
    }

    /// What comes out.
    pub const fn makes(self) -> &'static str {
        match self {
            Self::Livery => "a disk with dm-verity and a signed UKI, scanned, listed, as signed chunks of zstd level 3",
            Self::Mkosi => "a disk with dm-verity and a UKI without a signature, zstd level 1",
            Self::Hand => "a root file system with kernel and initrd in it, zstd level 1; no disk, nothing signed",
        }
    }
}

/// Where they build.
pub struct Ground<'a> {
    folder: PathBuf,
    packages: &'a Packages,
    repository: PathBuf,
    workbench: &'a Workbench,
}

impl<'a> Ground<'a> {
    /// In this folder, with the repository made.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn new(folder: &Path, packages: &'a Packages, workbench: &'a Workbench) -> Result<Self> {
        let repository = folder.join("repository");
        packages.repository(&repository, workbench)?;
        Ok(Self { folder: folder.join("ground"), packages, repository, workbench })
    }

    /// One step of one contestant; [`Step::Cold`] begins anew.
    ///
    /// # Errors
    /// Where what it runs fails, or nothing comes of it.
    pub fn build(&self, contestant: Contestant, step: Step) -> Result<Built> {
        let folder = self.folder.join(contestant.name().replace(' ', "-"));
        if step == Step::Cold {
            take_down("rm", &["-rf", &folder.display().to_string()]);
        }
        fs::create_dir_all(&folder).map_err(|error| broken(&folder, error))?;
        let built = match contestant {
            Contestant::Livery => self.livery(&folder, step),
            Contestant::Mkosi => self.mkosi(&folder, step),
            Contestant::Hand => self.hand(&folder, step),
        }?;
        // Where an image is there already, Livery adds what is new alone.
        if built.bytes < 50 << 20 && (contestant != Contestant::Livery || step == Step::Cold) {
            return Err(Fault::internal(format!("{} made {} bytes: that is no image", contestant.name(), built.bytes)));
        }
        Ok(built)
    }

    fn livery(&self, folder: &Path, step: Step) -> Result<Built> {
        let change = Change {
            host: matches!(step, Step::Setting | Step::Package).then(|| "gateway-2.assurance.example".to_owned()),
            one_more: step == Step::Package,
        };
        self.packages.set(&change)?;
        let store = folder.join("store");
        if step == Step::Cold {
            // The .debs, which all contestants have at hand.
            fs::create_dir_all(&store).map_err(|error| broken(&store, error))?;
            let debs = self.packages.store.join("debs");
            run(Command::new("cp").arg("--archive").arg("--link").arg(debs).arg(&store), LONG)?;
        }
        // Not measured: it asks the mirror. A new turn begins without the package that the one before has added.
        if matches!(step, Step::Cold | Step::Package) {
            self.packages.lock(&self.packages.profile)?;
        }
        let mut command = Command::new(Program::Livery.path()?);
        command.arg("build").arg(&self.packages.profile).args(["--locked", "--offline", "--store"]).arg(&store);
        command.arg("--keys").arg(self.packages.keys()).arg("--cache").arg(folder.join("cache"));
        let blobs = store.join("blobs");
        let before = if blobs.exists() { bytes_in(&blobs)? } else { 0 };
        let (_, spent) = run(&mut command, LONG)?;
        Ok(Built { spent, bytes: bytes_in(&blobs)? - before })
    }

    fn mkosi(&self, folder: &Path, step: Step) -> Result<Built> {
        let paths = ["conf", "out", "cache", "packages", "tmp"].map(|name| folder.join(name));
        let [conf, out, cache, packages, tmp] = &paths;
        for path in &paths {
            fs::create_dir_all(path).map_err(|error| broken(path, error))?;
        }
        let write = |name: &str, text: String| {
            let path = conf.join(name);
            let parent = path.parent().unwrap_or(conf);
            fs::create_dir_all(parent).and_then(|()| fs::write(&path, text)).map_err(|error| broken(&path, error))
        };
        let (repository, list) = (self.repository.display(), self.packages.device.join("\n    "));
        // One package more as mkosi itself advises for what changes often: installed over the cache, not into it.
        let more = if step == Step::Package { format!("VolatilePackages={ONE_MORE}\n") } else { String::new() };
        write(
            "mkosi.conf",
            format!(
                "[Distribution]\nDistribution=debian\nRelease=trixie\nLocalMirror=file://{repository}\nRepositoryKeyCheck=no\n\n\
                 [Output]\nFormat=disk\nOutput=terminal\nOutputDirectory={}\nCompressOutput=zstd\nCompressLevel=1\n\n\
                 [Build]\nPackageCacheDirectory={}\nCacheDirectory={}\nWorkspaceDirectory={}\nSandboxTrees={repository}:{repository}\n\
                 Incremental=yes\n\n\
                 [Content]\nPackages=\n    {list}\n    linux-image-amd64\n    systemd-boot-efi\n{more}WithRecommends=no\nWithDocs=no\n\
                 KernelModulesExclude=.*\nKernelModulesInclude=default\nKernelModulesInitrdExclude=.*\nKernelModulesInitrdInclude=default\n\
                 Bootable=yes\nBootloader=uki\nCleanPackageMetadata=yes\nSourceDateEpoch=1793491200\n",
                out.display(),
                packages.display(),
                cache.display(),
                tmp.display(),
            ),
        )?;
        let esp = "[Partition]\nType=esp\nFormat=vfat\nCopyFiles=/boot:/\nCopyFiles=/efi:/\nSizeMinBytes=512M\nSizeMaxBytes=512M\n";
        write("mkosi.repart/00-esp.conf", esp.into())?;
        let root = "[Partition]\nType=root\nFormat=erofs\nCopyFiles=/\nExcludeFiles=/boot/\nExcludeFiles=/efi/\nVerity=data\n\
            VerityMatchKey=root\nMinimize=best\n";
        write("mkosi.repart/10-root.conf", root.into())?;
        let verity = "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n";
        write("mkosi.repart/11-verity.conf", verity.into())?;
        let setting = if matches!(step, Step::Cold | Step::Same) { "first" } else { "second" };
        write("mkosi.extra/etc/bench-setting", format!("{setting}\n"))?;
        let mut command = self.workbench.command("mkosi", &[folder, &self.repository])?;
        command.arg("--directory").arg(conf).args(["--force", "build"]);
        let (_, spent) = run(&mut command, LONG)?;
        Ok(Built { spent, bytes: bytes_in(&out.join("terminal.raw.zst"))? })
    }

    /// There is no cache: what has changed is made anew, but for a file that is changed in the folder that is left.
    fn hand(&self, folder: &Path, step: Step) -> Result<Built> {
        let mut names = [self.packages.device.clone(), self.packages.boot.clone()].concat();
        if step == Step::Package {
            names.push(ONE_MORE.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        const SCRIPT: &str = r#"set -e
            cd "$1"
            if [ "$2" = packages ]; then
                rm -rf root
                mmdebstrap --quiet --mode=root --variant=essential --include="$3" trixie root "deb [trusted=yes] copy:$4 trixie main"
            else
                echo second > root/etc/bench-setting
            fi
            rm -f root.erofs root.erofs.zst
            mkfs.erofs --quiet root.erofs root
            zstd -q -T0 -1 root.erofs"#;
        let what = if step == Step::Setting { "setting" } else { "packages" };
        let mut command = self.workbench.command("sh", &[folder, &self.repository])?;
        command.args(["-c", SCRIPT, "sh"]).arg(folder).args([what, &names.join(",")]).arg(&self.repository);
        let (_, spent) = run(&mut command, LONG)?;
        Ok(Built { spent, bytes: bytes_in(&folder.join("root.erofs.zst"))? })
    }
}

/// Bytes of a file, or of all files in a folder.
fn bytes_in(path: &Path) -> Result<u64> {
    let metadata = fs::symlink_metadata(path).map_err(|error| broken(path, error))?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let entries = fs::read_dir(path).map_err(|error| broken(path, error))?;
    entries.map(|entry| entry.map_err(|error| broken(path, error)).and_then(|entry| bytes_in(&entry.path()))).sum()
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("what a build left can't be read").at(path.display()).cause(error)
}
