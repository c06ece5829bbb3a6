//! The two images that the cases write: a small system of real files from this host, and the same after an update.
//!
//! GPT, an ESP, a root. The root holds files of `/usr` in whole blocks of 4 KiB, with holes between; the update puts new
//! files in, leaves some out and changes some, so that most of the rest moves. What is compared is bytes, never files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};
use livery_contract::{Fault, Result};

use super::rng::Rng;

/// Bytes of an image.
pub const SIZE: u64 = 48 << 20;
/// Where the first partition begins.
pub const FIRST: u64 = 1 << 20;
/// Where the root begins.
const ROOT: u64 = 5 << 20;
/// Bytes of data in the root.
const DATA: u64 = 26 << 20;
const BLOCK: u64 = 4096;
/// Files of which a root is made; of larger ones only this much.
const LARGEST: u64 = 2 << 20;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What the device had.
    Old,
    /// What it shall have.
    New,
}

/// Makes one.
///
/// # Errors
/// Where it can't be written, or this host has too few files.
pub fn make(path: &Path, version: Version) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| Fault::internal(format!("an image can't be made: {error}")).at(path.display());
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).map_err(|error| broken(&error))?;
    file.set_len(SIZE).map_err(|error| broken(&error))?;
    let sectors = u32::try_from(SIZE / 512 - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut file).map_err(|error| broken(&error))?;
    let mut disk = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(file, None)
        .map_err(|error| broken(&error))?;
    disk.update_partitions(BTreeMap::new()).map_err(|error| broken(&error))?;
    disk.add_partition("esp", ROOT - FIRST, partition_types::EFI, 0, Some(2048)).map_err(|error| broken(&error))?;
    let rest = SIZE - ROOT - FIRST;
    disk.add_partition("root", rest, partition_types::LINUX_FS, 0, Some(2048)).map_err(|error| broken(&error))?;
    let file = disk.write().map_err(|error| broken(&error))?;

    let put = |bytes: &[u8], at: u64| file.write_all_at(bytes, at).map_err(|error| broken(&error));
    let mut rng = Rng::of(0x1ea5, if version == Version::New { 1 } else { 0 });
    put(&rng.bytes(900_000), FIRST)?;
    let (mut at, mut index) = (ROOT, 0_u64);
    for source in sources()? {
        let mut bytes = fs::read(&source).map_err(|error| broken(&error))?;
        bytes.truncate(usize::try_from(LARGEST).unwrap_or(usize::MAX));
        index += 1;
        if version == Version::New {
            match index % 37 {
                // One new, one gone, one changed in its middle and longer.
                5 => at = block(&rng.bytes(300_000), at, &put)?,
                11 => continue,
                23 => {
                    let middle = bytes.len() / 2;
                    bytes.splice(middle..middle, rng.bytes(9000));
                }
                _ => {}
            }
        }
        at = block(&bytes, at, &put)?;
        // A hole of up to 1 MiB now and then.
        if index.is_multiple_of(9) {
            at += index % 256 * BLOCK;
        }
        if at > ROOT + DATA {
            return file.sync_all().map_err(|error| broken(&error));
        }
    }
    Err(Fault::refused("this host has too few files below /usr to make an image of"))
}

fn block(bytes: &[u8], at: u64, put: &impl Fn(&[u8], u64) -> Result<()>) -> Result<u64> {
    put(bytes, at)?;
    Ok(at + (bytes.len() as u64).next_multiple_of(BLOCK))
}

/// Files of this host, in an order that stays.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut total = 0;
    for folder in ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/share/perl5", "/usr/share/doc"] {
        let Ok(list) = fs::read_dir(folder) else { continue };
        let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_file() && metadata.len() > 0 && File::open(&path).is_ok() {
                total += metadata.len().min(LARGEST);
                found.push(path);
            }
            if total > 2 * DATA {
                return Ok(found);
            }
        }
    }
    Ok(found)
}
