//! Disk images like those of real systems, in every form that a contestant reads: made once, kept in `target/bench`.
//!
//! A partition table, an ESP, a root partition; data in runs of 64 KiB to 32 MiB as files lie in a used file system, free
//! space between them as holes. The raw image itself is not kept: its zstd form brings it back where it is needed.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use gpt::partition_types;
use livery_contract::{Digest, Fault, Reference, Result};
use serde::{Deserialize, Serialize};

use super::{
    extents::{Finder, Found, SHEET, Survey},
    interrupt,
    material::Material,
    measured::{shell, tool},
    place,
    shelf::Shelf,
};
use crate::{programs::Program, raw_disk};

const MIB: u64 = 1 << 20;
/// Preparing the largest form of the largest image.
const LONG: std::time::Duration = std::time::Duration::from_secs(3600);
/// Raised when the same sizes give other images.
const VERSION: u32 = 2;

/// Which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// 256 MiB, 96 MiB of it data: to see that all works
    Tiny,
    /// 2.7 GB, 1 GB of it data
    Small,
    /// 16 GB, 8 GB of it data
    Large,
}

impl Size {
    /// Bytes in all, a multiple of 4 MiB, and bytes of data.
    pub const fn bytes(self) -> (u64, u64) {
        match self {
            Self::Tiny => (256 * MIB, 96 * MIB),
            Self::Small => (2576 * MIB, 1_000_000_000),
            Self::Large => (15_260 * MIB, 8_000_000_000),
        }
    }

    /// Its name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// What is known of an image; kept beside it, last, so that it is complete where this is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    version: u32,
    material: Reference,
    size: u64,
    extents: Vec<(u64, u64)>,
    found: Found,
    /// Digest of the `livery` that imported it: another one may pack otherwise.
    importer: Option<Digest>,
    reference: Option<Reference>,
}

/// An image in all its forms.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
    about: About,
    /// The store that it was imported to.
    pub shelf: Shelf,
    /// What it is called there.
    pub reference: Reference,
}

impl Image {
    /// Finds it, or makes it of the site's master.
    ///
    /// # Errors
    /// Where there is no room, or a tool fails.
    pub fn get(which: Size, master: &Reference, material: impl FnOnce() -> Result<Material>) -> Result<Self> {
        let folder = place::cache(&format!("images/{}", which.name()))?;
        let mut about = match known(&folder, master) {
            Some(about) => about,
            None => make(&folder, which, master, &material()?)?,
        };
        let importer = raw_disk::digest_all(&Program::Livery.path()?)?;
        if about.importer != Some(importer) {
            eprintln!("importing the {} image", which.name());
            let _ = fs::remove_dir_all(folder.join("shelf"));
            let raw = Raw::restore(&folder, about.size)?;
            about.reference = Some(Shelf::open(&folder.join("shelf"))?.import(&raw.0, which.name(), "1")?);
            about.importer = Some(importer);
            place::write_json(&folder.join("about.json"), &about)?;
        }
        let Some(reference) = about.reference.clone() else { return Err(Fault::internal("imported without a name")) };
        Ok(Self { shelf: Shelf::open(&folder.join("shelf"))?, folder, about, reference })
    }

    /// One that lies ready in a folder, such as a copy in a virtual device.
    ///
    /// # Errors
    /// Where it is not complete.
    pub fn at(folder: &Path) -> Result<Self> {
        let path = folder.join("about.json");
        let broken = |error: std::io::Error| Fault::refused("no prepared image").cause(error).at(path.display());
        let about: About = serde_json::from_slice(&fs::read(&path).map_err(broken)?).map_err(|error| broken(error.into()))?;
        let Some(reference) = about.reference.clone() else { return Err(Fault::refused("a prepared image without a store")) };
        Ok(Self { shelf: Shelf::at(&folder.join("shelf")), folder: folder.to_owned(), about, reference })
    }

    /// Where all of its forms lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.about.size
    }

    /// Offset and length of each run of blocks that are not all zeros.
    pub fn extents(&self) -> &[(u64, u64)] {
        &self.about.extents
    }

    /// Bytes of those.
    pub fn data(&self) -> u64 {
        self.about.extents.iter().map(|(_, length)| length).sum()
    }

    /// What a disk with this image on it holds.
    pub fn found(&self) -> Found {
        self.about.found
    }

    /// The whole image compressed by zstd.
    pub fn zst(&self) -> PathBuf {
        self.folder.join("image.raw.zst")
    }

    /// The whole image compressed by gzip; made when first asked for.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn gz(&self) -> Result<PathBuf> {
        let path = self.folder.join("image.raw.gz");
        if !path.exists() {
            eprintln!("compressing it by gzip, once");
            shell("zstd -dcq \"$1\" | gzip > \"$2.part\"; mv \"$2.part\" \"$2\"", &[&text(&self.zst()), &text(&path)], LONG)?;
        }
        Ok(path)
    }

    /// Its block map, for bmaptool.
    pub fn bmap(&self) -> PathBuf {
        self.folder.join("image.bmap")
    }

    /// casync's blob index.
    pub fn index(&self) -> PathBuf {
        self.folder.join("image.caibx")
    }

    /// casync's store.
    pub fn chunks(&self) -> PathBuf {
        self.folder.join("image.castr")
    }
}

/// The raw image while it is needed.
struct Raw(PathBuf);

impl Raw {
    fn new(folder: &Path) -> Self {
        let raw = Self(folder.join("image.raw"));
        let _ = fs::remove_file(&raw.0);
        raw
    }

    /// From its zstd form, zeros as holes.
    fn restore(folder: &Path, size: u64) -> Result<Self> {
        place::check_room(folder, size)?;
        let raw = Self::new(folder);
        shell("zstd -dqf --sparse \"$1.zst\" -o \"$1\"", &[&text(&raw.0)], LONG)?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn known(folder: &Path, master: &Reference) -> Option<About> {
    let about: About = serde_json::from_slice(&fs::read(folder.join("about.json")).ok()?).ok()?;
    (about.version == VERSION && about.material == *master).then_some(about)
}

fn make(folder: &Path, which: Size, master: &Reference, material: &Material) -> Result<About> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| Fault::refused("no folder for an image").cause(error).at(folder.display()))?;
    let (size, data) = which.bytes();
    // The raw image with its data, three compressed forms, and what zstd restores for the import.
    place::check_room(folder, data * 3)?;
    eprintln!("making the {} image: {} MiB, {} MiB of it data", which.name(), size / MIB, data / MIB);
    let raw = Raw::new(folder);
    fill(&raw.0, size, data, material)?;
    let (extents, found) = survey(&raw.0, size)?;
    let at = |name: &str| text(&folder.join(name));
    eprintln!("compressing it by zstd");
    tool("zstd", ["-q", "-3", "-T0", &at("image.raw"), "-o", &at("image.raw.zst")])?;
    eprintln!("mapping it for bmaptool, chunking it for casync");
    tool("bmaptool", ["create", "--output", &at("image.bmap"), &at("image.raw")])?;
    tool(
        "casync",
        ["make", "--compression=zstd", &format!("--store={}", at("image.castr")), &at("image.caibx"), &at("image.raw")],
    )?;
    let about = About { version: VERSION, material: master.clone(), size, extents, found, importer: None, reference: None };
    place::write_json(&folder.join("about.json"), &about)?;
    Ok(about)
}

/// Partition table and content.
fn fill(path: &Path, size: u64, data: u64, material: &Material) -> Result<()> {
    let broken = |error| Fault::refused("an image can't be written").cause(error).at(path.display());
    let esp = (size / 32).min(64 * MIB) / MIB * MIB;
    let root = size - 2 * MIB - esp;
    let parts = [("esp", esp, partition_types::EFI), ("root", root, partition_types::LINUX_ROOT_X64)];
    let file = raw_disk::partitioned(path, size, &parts)?;
    let (mut at, end) = (MIB, size - MIB);
    let holes = end - MIB - data;
    let (mut position, mut dice) = (0, 0x2545_f491_4f6c_dd1d_u64);
    let mut buffer = vec![0; 32 << 20];
    while position < data && at < end {
        interrupt::check()?;
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        // 64 KiB times a power of two: many small runs, most of the bytes in large ones.
        let length = ((64 << 10) << (dice % 10)).min(data - position).min(end - at).next_multiple_of(4096);
        let count = usize::try_from(length).unwrap_or(buffer.len()).min(buffer.len());
        material.read(position, &mut buffer[..count])?;
        file.write_all_at(&buffer[..count], at).map_err(broken)?;
        position += length;
        at += length;
        // In proportion, so that data and holes end together.
        let hole = u64::try_from(u128::from(holes) * u128::from(position) / u128::from(data)).unwrap_or(0);
        at = at.max(MIB + position + hole / 4096 * 4096);
    }
    file.sync_all().map_err(broken)
}

fn survey(path: &Path, size: u64) -> Result<(Vec<(u64, u64)>, Found)> {
    let broken = |error| Fault::refused("an image can't be read").cause(error).at(path.display());
    let file = File::open(path).map_err(broken)?;
    let pass = |each: &mut dyn FnMut(&[u8])| {
        let (mut sheet, mut at) = (vec![0; SHEET], 0);
        while at < size {
            interrupt::check()?;
            let length = SHEET.min(usize::try_from(size - at).unwrap_or(SHEET));
            file.read_exact_at(&mut sheet[..length], at).map_err(broken)?;
            each(&sheet[..length]);
            at += length as u64;
        }
        Ok::<_, Fault>(())
    };
    let mut finder = Finder::default();
    pass(&mut |bytes| finder.add(bytes))?;
    let extents = finder.finish();
    let mut survey = Survey::of(&extents);
    pass(&mut |bytes| survey.add(bytes))?;
    let found = survey.finish();
    Ok((extents, found))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
