//! The image's root file system, mounted as on the device: read-only, the employee's layer over it, and above both one that is gone with
//! the test. In: the site's store. Out: a folder. Fails where the host can't mount erofs or overlayfs.

use std::{
    fs::{self, File},
    io::{Cursor, Read as _, Seek as _, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Reference, Result, manifest::Role};

use crate::{programs::Program, site::Site, turn};

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
    /// Mounts the root of a disk's image, and its personal layer, below `folder`.
    ///
    /// # Errors
    /// Where there is none, or it can't be mounted.
    pub fn mount(disk: &Path, folder: &Path) -> Result<Self> {
        let (image, layer) = (partition(disk)?, layer(disk)?);
        let place = |name: &str| folder.join(name);
        mount(&["-t", "tmpfs", "-o", "mode=0755", "tmpfs"], folder)?;
        for name in ["image", "layer", "upper", "work", "root"] {
            fs::create_dir(place(name)).map_err(|error| broken(&place(name), error))?;
        }
        for ((offset, length), name) in [(image, "image"), (layer, "layer")] {
            let options = format!("ro,loop,offset={offset},sizelimit={length}");
            mount(&["-t", "erofs", "-o", &options, &disk.display().to_string()], &place(name))?;
        }
        let [image, layer, upper, work] = ["image", "layer", "upper", "work"].map(|name| place(name).display().to_string());
        let options = format!("lowerdir={layer}:{image},upperdir={upper},workdir={work}");
        mount(&["-t", "overlay", "-o", &options, "overlay"], &place("root"))?;
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

    /// The same, for root alone.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write_private(&self, path: &str, text: &str) -> Result<()> {
        self.write_with_mode(path, text, 0o600)
    }

    /// The same, to be run by all.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write_program(&self, path: &str, text: &str) -> Result<()> {
        self.write_with_mode(path, text, 0o755)
    }

    fn write_with_mode(&self, path: &str, text: &str, mode: u32) -> Result<()> {
        self.write(path, text)?;
        let full = self.path.join(path);
        fs::set_permissions(&full, fs::Permissions::from_mode(mode)).map_err(|error| broken(&full, error))
    }

    /// A unit that is not started here.
    ///
    /// # Errors
    /// Where it can't be masked.
    pub fn mask(&self, unit: &str) -> Result<()> {
        let full = self.path.join("etc/systemd/system").join(unit);
        std::os::unix::fs::symlink("/dev/null", &full).map_err(|error| broken(&full, error))
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

/// The disk of this name and so many bytes that the agent wrote, as in the factory; written again where it has another image.
///
/// # Errors
/// Where a program fails.
pub async fn disk(site: &Site, name: &str, bytes: u64, image: &Reference) -> Result<PathBuf> {
    let [disk, stamp, lock] = ["img", "reference", "img-lock"].map(|kind| site.folder.join(format!("{name}.{kind}")));
    let _lock = turn::of(&lock).await?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == image.to_string()) {
        return Ok(disk);
    }
    // What it had, it has no more from here on.
    let _ = fs::remove_file(&stamp);
    let made = File::create(&disk).and_then(|file| file.set_len(bytes));
    made.map_err(|error| broken(&disk, error))?;
    let [image, from, trust, to] =
        [image.to_string(), site.store().display().to_string(), site.trust().display().to_string(), disk.display().to_string()];
    let arguments = ["write", &image, "--from", &from, "--trust", &trust, "--disk", &to];
    Program::Agent.run_within(arguments, Duration::from_secs(300)).await?.good()?;
    fs::write(&stamp, image).map_err(|error| broken(&stamp, error))?;
    Ok(disk)
}

/// Where the root partition of a disk begins, and its length, in bytes.
///
/// # Errors
/// Where there is none.
pub fn partition(disk: &Path) -> Result<(u64, u64)> {
    let table = gpt::GptConfig::new().writable(false).open(disk).map_err(|error| broken(disk, error))?;
    place(&table, is_root).map_err(|error| error.at(disk.display()))
}

/// The same of the personal layer's file system: its partition is a disk of its own.
fn layer(disk: &Path) -> Result<(u64, u64)> {
    let table = gpt::GptConfig::new().writable(false).open(disk).map_err(|error| broken(disk, error))?;
    let (begin, length) = place(&table, |partition| partition.name == Role::Identity.as_str())?;
    let mut bytes = Vec::new();
    let read = File::open(disk).and_then(|mut file| {
        file.seek(SeekFrom::Start(begin))?;
        file.take(length).read_to_end(&mut bytes)
    });
    read.map_err(|error| broken(disk, error))?;
    let inner = gpt::GptConfig::new().writable(false).open_from_device(Cursor::new(bytes)).map_err(|error| broken(disk, error))?;
    let (offset, length) = place(&inner, is_root).map_err(|error| error.at(disk.display()))?;
    Ok((begin + offset, length))
}

fn is_root(partition: &gpt::partition::Partition) -> bool {
    partition.part_type_guid.guid.to_string().eq_ignore_ascii_case(ROOT)
}

/// Where one of a table's partitions begins, and its length, in bytes.
fn place<D: gpt::DiskDevice>(table: &gpt::GptDisk<D>, which: impl Fn(&gpt::partition::Partition) -> bool) -> Result<(u64, u64)> {
    let sector = *table.logical_block_size();
    let found = table.partitions().values().find(|partition| which(partition));
    let found = found.ok_or_else(|| Fault::refused("the image has no such partition"))?;
    let range = found.bytes_start(sector).and_then(|start| Ok((start, found.bytes_len(sector)?)));
    range.map_err(|error| Fault::internal("a partition's place is none").cause(error))
}

/// Runs `mount`.
///
/// # Errors
/// Where the kernel refuses.
pub fn mount(arguments: &[&str], to: &Path) -> Result<()> {
    let output = Command::new("mount").args(arguments).arg(to).output().map_err(|error| broken(to, error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::internal(format!("mount {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())).at(to.display()))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::internal("the image's root can't be laid out").at(path.display()).cause(error)
}
