//! The image's root file system, mounted as on the device: read-only, with a layer above it that is gone with the test. In: the
//! site's store. Out: a folder. Fails where the host can't mount erofs or overlayfs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::{
    programs::Program,
    site::{Allow, Site},
};

/// Partition type "root, x86-64" (UAPI.2).
const ROOT: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";

/// A root for one test.
#[derive(Debug)]
pub struct Root {
    /// What only this test sees.
    pub upper: PathBuf,
    /// All of it.
    pub path: PathBuf,
}

impl Root {
    /// Mounts the root of a disk's image below `folder`.
    ///
    /// # Errors
    /// Where there is none, or it can't be mounted.
    pub fn mount(disk: &Path, folder: &Path) -> Result<Self> {
        let (offset, length) = partition(disk)?;
        let place = |name: &str| folder.join(name);
        mount(&["-t", "tmpfs", "-o", "mode=0755", "tmpfs"], folder)?;
        for name in ["image", "upper", "work", "root"] {
            fs::create_dir(place(name)).map_err(|error| broken(&place(name), error))?;
        }
        let options = format!("ro,loop,offset={offset},sizelimit={length}");
        mount(&["-t", "erofs", "-o", &options, &disk.display().to_string()], &place("image"))?;
        let [lower, upper, work] = ["image", "upper", "work"].map(|name| place(name).display().to_string());
        mount(&["-t", "overlay", "-o", &format!("lowerdir={lower},upperdir={upper},workdir={work}"), "overlay"], &place("root"))?;
        Ok(Self { upper: place("upper"), path: place("root") })
    }

    /// Writes a file of the test's own, before the root is started.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let full = self.path.join(path);
        let written = full.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&full, text));
        written.map_err(|error| broken(&full, error))
    }

    /// Every file that was written above the image, by path.
    ///
    /// # Errors
    /// Where the layer can't be read.
    pub fn written(&self) -> Result<Vec<PathBuf>> {
        let mut folders = vec![self.upper.clone()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| broken(&folder, error))? {
                let entry = entry.map_err(|error| broken(&folder, error))?;
                let kind = entry.file_type().map_err(|error| broken(&folder, error))?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.push(entry.path().strip_prefix(&self.upper).unwrap_or(&entry.path()).to_owned());
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

/// The disk that the agent wrote, as in the factory; the image is built, and the disk written again, where that is not done.
///
/// # Errors
/// Where a program fails.
pub async fn disk(site: &Site, allow: Allow) -> Result<PathBuf> {
    let reference = site.build_for_a_virtual_screen(allow).await?;
    let [disk, stamp, lock] = ["img", "reference", "img-lock"].map(|kind| site.folder.join(format!("{}.{kind}", allow.name())));
    let lock = File::create(lock).map_err(|error| broken(&disk, error))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| broken(&disk, error))?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == reference.to_string()) {
        return Ok(disk);
    }
    let made = File::create(&disk).and_then(|file| file.set_len(4 << 30));
    made.map_err(|error| broken(&disk, error))?;
    let [reference, from, trust, to] =
        [reference.to_string(), site.store().display().to_string(), site.trust().display().to_string(), disk.display().to_string()];
    let arguments = ["write", &reference, "--from", &from, "--trust", &trust, "--disk", &to];
    Program::Agent.run_within(arguments, Duration::from_secs(300)).await?.good()?;
    fs::write(&stamp, reference).map_err(|error| broken(&stamp, error))?;
    Ok(disk)
}

/// Where the root partition of a disk begins, and its length, in bytes.
///
/// # Errors
/// Where there is none.
pub fn partition(disk: &Path) -> Result<(u64, u64)> {
    let table = gpt::GptConfig::new().writable(false).open(disk).map_err(|error| broken(disk, error))?;
    let sector = *table.logical_block_size();
    let root = table.partitions().values().find(|partition| partition.part_type_guid.guid.to_string().eq_ignore_ascii_case(ROOT));
    let root = root.ok_or_else(|| Fault::refused("the image has no root partition").at(disk.display()))?;
    let range = root.bytes_start(sector).and_then(|start| Ok((start, root.bytes_len(sector)?)));
    range.map_err(|error| broken(disk, error))
}

fn mount(arguments: &[&str], to: &Path) -> Result<()> {
    let output = Command::new("mount").args(arguments).arg(to).output().map_err(|error| broken(to, error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::internal(format!("mount {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())).at(to.display()))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::internal("the terminal's root can't be laid out").at(path.display()).cause(error)
}
