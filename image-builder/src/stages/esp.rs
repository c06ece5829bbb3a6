//! The EFI System Partition: FAT32 with one UKI on the fallback path, made without mounting.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result, manifest::BLOCK};
use livery_profile::{Desk, Profile};
use serde::Serialize;
use uuid::Uuid;

use super::{furnish::Furnish, roots, workshop::Workshop};
use crate::cache::Key;

const VERSION: u32 = 7;
/// Where firmware looks on a disk that it has no entry for (UEFI 2.10, section 3.5.1.1).
pub(crate) const FALLBACK: &str = r"\EFI\BOOT\BOOTX64.EFI";
/// A file where systemd's stub looks for credentials (systemd-stub(7)): its content is made on the device, and put there by the
/// agent, without it having to know FAT.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    /// For what binds the personal layer to the device's TPM.
    Identity,
    /// For the private keys of the device.
    Keys,
}

impl Room {
    const ALL: [Self; 2] = [Self::Identity, Self::Keys];

    const fn path(self) -> &'static str {
        match self {
            Self::Identity => "loader/credentials/livery.identity.cred",
            Self::Keys => "loader/credentials/livery.device.cred",
        }
    }

    /// What the file holds until then: white space, which is nothing in Base64, of a kind of its own.
    const fn filling(self) -> u8 {
        match self {
            Self::Identity => b'\n',
            Self::Keys => b' ',
        }
    }
}

/// What the partition has room for besides its UKI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contents {
    /// Nothing: the agent's medium.
    Medium,
    /// Credentials: an employee's device.
    Device,
    /// Credentials, and a second UKI, as a newer one is written beside the one in use. UKIs grow over a device's years, and its partition
    /// does not: both may be larger than this one by half, and a bit.
    Updated,
}

impl Contents {
    /// Of an employee's device.
    pub(crate) fn of(desk: &Desk) -> Self {
        if desk.updates.is_some() { Self::Updated } else { Self::Device }
    }

    /// Room for UKIs, in quarters of the first one.
    const fn quarters(self) -> u64 {
        match self {
            Self::Medium | Self::Device => 4,
            Self::Updated => 13,
        }
    }
}

/// Bytes of such a file. Longer than one block by two, so that a whole block of the disk lies in it wherever its first cluster is.
const ROOM: usize = 3 * 4096;
const MIB: u64 = 1 << 20;
/// FAT32 has at least 65,525 clusters (FAT specification 1.03, section 3.5): with clusters of 4096 bytes, 256 MiB and a bit.
const LEAST_FOR_4096: u64 = 264 * MIB;

#[derive(Serialize)]
struct Inputs {
    uki: Digest,
    tools: Digest,
    any_sectors: bool,
    contents: Contents,
    guid: Uuid,
    epoch: i64,
}

/// The key, from those of UKI and tools root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn key(profile: &Profile, [uki, tools]: [Digest; 2], guid: Uuid, contents: Contents) -> Result<Key> {
    let (any_sectors, epoch) = (profile.image.any_sectors, profile.image.epoch.as_second());
    Key::new("esp", VERSION, &Inputs { uki, tools, any_sectors, contents, guid, epoch })
}

/// Makes the partition's content: as small as its UKI, in steps of 32 MiB so that an update fits into the same place,
/// and never under FAT32's own minimum.
///
/// # Errors
/// Exit 1 where a tool fails.
pub(crate) fn make(
    workshop: &Workshop,
    profile: &Profile,
    uki: &Path,
    guid: Uuid,
    contents: Contents,
    key: &Key,
) -> Result<PathBuf> {
    let failed = |error| Fault::internal("the UKI can't be read").at(uki.display()).cause(error);
    let any = profile.image.any_sectors;
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(key, |result| {
        let bytes = fs::read(uki).map_err(failed)?;
        let ukis = bytes.len() as u64 * contents.quarters() / 4;
        let size = (ukis + 8 * MIB).next_multiple_of(32 * MIB).max(if any { LEAST_FOR_4096 } else { 64 * MIB });
        let scratch = workshop.cache.scratch()?;
        let folder = scratch.path().join("EFI/BOOT");
        fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("BOOTX64.EFI"), &bytes)).map_err(failed)?;
        if contents != Contents::Medium {
            for room in Room::ALL {
                Furnish::new(scratch.path()).file(room.path(), [room.filling(); ROOM])?;
            }
        }
        super::settings::clamp_times(scratch.path(), epoch)?;
        let image = result.join("esp.img");
        fs::File::create(&image)
            .and_then(|file| file.set_len(size))
            .map_err(|error| Fault::internal("a file can't be made").at(image.display()).cause(error))?;
        let tools = roots::tools(workshop, profile)?.bind(scratch.path(), "/mnt").bind(result, "/srv");
        let (volume, _, _, _) = guid.as_fields();
        // Clusters, tables and reserved area on bounds of 4096 bytes: then the agent can convert it.
        let layout: &[&str] = if any { &["-s8", "-R64"] } else { &[] };
        let volume = format!("{volume:08x}");
        let common = ["-F32", "-i", &volume, "--invariant", "-n", "ESP", "/srv/esp.img"];
        tools.run("mkfs.vfat", layout.iter().copied().chain(common))?;
        // One after the other: each file's clusters then follow one another.
        let folders: &[&str] = if contents == Contents::Medium { &["/mnt/EFI"] } else { &["/mnt/EFI", "/mnt/loader"] };
        for folder in folders {
            tools.run("mcopy", ["-spQm", "-i", "/srv/esp.img", folder, "::"])?;
        }
        Ok(())
    })?;
    Ok(path.join("esp.img"))
}

/// The block of an ESP that takes a credential: its offset in the partition.
///
/// # Errors
/// Exit 1 where the file is not in one piece, which a fresh FAT makes it.
pub(crate) fn block(esp: &Path, room: Room) -> Result<u64> {
    let failed = |what: &str| Fault::internal(format!("the ESP's {} {what}", room.path())).at(esp.display());
    let bytes = fs::read(esp).map_err(|error| failed("can't be read").cause(error))?;
    let mut found = None;
    let mut run = 0;
    for (at, byte) in (0_u64..).zip(&bytes) {
        run = if *byte == room.filling() { run + 1 } else { 0 };
        if run == ROOM {
            let start = at + 1 - ROOM as u64;
            if found.replace(start.next_multiple_of(BLOCK)).is_some() {
                return Err(failed("is there twice"));
            }
        }
    }
    found.ok_or_else(|| failed("is not in one piece"))
}

/// Where the UKI lies in an ESP: its first byte in the partition.
///
/// # Errors
/// Exit 1 where the file is not in one piece, which a fresh FAT makes it.
pub(crate) fn place_of(esp: &Path, uki: &[u8]) -> Result<u64> {
    let bytes = fs::read(esp).map_err(|error| Fault::internal("the ESP can't be read").at(esp.display()).cause(error))?;
    // Files begin on sectors.
    (0_u64..)
        .zip(bytes.chunks(512).enumerate())
        .find(|(_, (sector, first))| {
            uki.starts_with(&first[..first.len().min(uki.len())]) && bytes[sector * 512..].starts_with(uki)
        })
        .map(|(sector, _)| sector * 512)
        .ok_or_else(|| Fault::internal("the ESP's UKI is not in one piece").at(esp.display()))
}
