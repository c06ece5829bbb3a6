//! The EFI System Partition: FAT32 with one UKI on the fallback path, made without mounting.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result};
use serde::Serialize;
use uuid::Uuid;

use super::{cache::Key, workshop::Workshop};
use crate::profile::Profile;

const VERSION: u32 = 3;
/// Where firmware looks on a disk that it has no entry for (UEFI 2.10, section 3.5.1.1).
pub const FALLBACK: &str = r"\EFI\BOOT\BOOTX64.EFI";
const MIB: u64 = 1 << 20;
/// FAT32 has at least 65,525 clusters (FAT specification 1.03, section 3.5): with clusters of 4096 bytes, 256 MiB and a bit.
const LEAST_FOR_4096: u64 = 264 * MIB;

#[derive(Serialize)]
struct Inputs {
    uki: Digest,
    tools: Digest,
    any_sectors: bool,
    guid: Uuid,
    epoch: i64,
}

/// The key, from those of UKI and tools root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub fn key(profile: &Profile, [uki, tools]: [Digest; 2], guid: Uuid) -> Result<Key> {
    let (any_sectors, epoch) = (profile.image.any_sectors, profile.image.epoch.as_second());
    Key::new("esp", VERSION, &Inputs { uki, tools, any_sectors, guid, epoch })
}

/// Makes the partition's content: as small as its UKI, in steps of 32 MiB so that an update fits into the same place,
/// and never under FAT32's own minimum.
///
/// # Errors
/// Exit 1 where a tool fails.
pub fn make(workshop: &Workshop, profile: &Profile, uki: &Path, guid: Uuid, key: &Key) -> Result<PathBuf> {
    let failed = |error| Fault::internal("the UKI can't be read").at(uki.display()).cause(error);
    let any = profile.image.any_sectors;
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(key, |result| {
        let bytes = fs::read(uki).map_err(failed)?;
        let size = (bytes.len() as u64 + 8 * MIB).next_multiple_of(32 * MIB).max(if any { LEAST_FOR_4096 } else { 64 * MIB });
        let scratch = workshop.cache.scratch()?;
        let folder = scratch.path().join("EFI/BOOT");
        fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("BOOTX64.EFI"), &bytes)).map_err(failed)?;
        super::settings::clamp_times(scratch.path(), epoch)?;
        let image = result.join("esp.img");
        fs::File::create(&image)
            .and_then(|file| file.set_len(size))
            .map_err(|error| Fault::internal("a file can't be made").at(image.display()).cause(error))?;
        let tools = workshop.tools(profile)?.bind(scratch.path(), "/mnt").bind(result, "/srv");
        let (volume, _, _, _) = guid.as_fields();
        // Clusters, tables and reserved area on bounds of 4096 bytes: then the agent can convert it.
        let layout: &[&str] = if any { &["-s8", "-R64"] } else { &[] };
        let volume = format!("{volume:08x}");
        let common = ["-F32", "-i", &volume, "--invariant", "-n", "ESP", "/srv/esp.img"];
        tools.run("mkfs.vfat", layout.iter().copied().chain(common))?;
        tools.run("mcopy", ["-spQm", "-i", "/srv/esp.img", "/mnt/EFI", "::"])?;
        Ok(())
    })?;
    Ok(path.join("esp.img"))
}
