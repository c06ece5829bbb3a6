//! `livery import`: any raw disk image as a master, signed and written by the same means as one that we built.

use std::{fs::File, os::unix::fs::FileTypeExt as _, path::Path};

use jiff::Timestamp;
use livery_contract::{
    Fault, Name, Result, Version,
    manifest::{BootEntry, MAX_IMAGE, Role},
};

use super::{
    gpt,
    master::{self, Master, Published},
};
use crate::progress::Progress;

/// zstd's level for imported images: near the best ratio for the time.
const LEVEL: i32 = 6;

/// What the image itself does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Whether the last partition grows to the disk's end.
    pub grow: bool,
    /// Whether the agent may convert table and FAT to sectors of 4096 bytes.
    pub any_sectors: bool,
}

/// Takes `raw` into the store as `name@version`.
///
/// # Errors
/// Exit 3 where `raw` is no raw disk image, otherwise as [`master::publish`].
pub async fn import(
    raw: &Path,
    (name, version): (Name, Version),
    choices: Choices,
    store: &Path,
    keys: &Path,
    progress: &Progress,
) -> Result<Published> {
    let refused = |what: String| Fault::refused(what).at(raw.display());
    let file = File::open(raw).map_err(|error| refused("the disk image can't be opened".into()).cause(error))?;
    let metadata = file.metadata().map_err(|error| refused("the disk image can't be read".into()).cause(error))?;
    if !metadata.is_file() {
        let hint = if metadata.file_type().is_block_device() {
            "copy the disk into a file first"
        } else {
            "give the path of a raw disk image"
        };
        return Err(refused("not a regular file".into()).fix(hint));
    }
    let size = metadata.len();
    if size == 0 || !size.is_multiple_of(512) || size > MAX_IMAGE {
        return Err(refused(format!("{size} bytes are no raw disk image (a positive multiple of 512, at most {MAX_IMAGE})"))
            .fix("convert qcow2, VHD or VMDK first: qemu-img convert -O raw IN OUT"));
    }
    // The image's time: importing the same file again gives the same manifest.
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let created = Timestamp::from_second(modified.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let table = gpt::read(&file, size);
    if table.is_none() {
        tracing::warn!(image = %raw.display(), "no partition table that can be used: the image is taken as one section, without a boot entry");
    }
    let (sector_size, partitions) = table.map_or((512, Vec::new()), |table| (table.sector_size, table.partitions));
    let boot = partitions.iter().find(|partition| partition.role == Role::Esp).map(|esp| BootEntry {
        label: format!("{name} {version}"),
        partition: esp.number,
        // The fallback path (UEFI 2.10, section 3.5.1.1): what every bootable image has, whatever else it brings.
        loader: r"\EFI\BOOT\BOOTX64.EFI".into(),
    });
    if (choices.grow || choices.any_sectors) && partitions.is_empty() {
        return Err(refused("there is no partition table that could be made to fit a disk".into())
            .fix("leave out --grow and --any-sectors, or import an image with a GPT"));
    }
    let master = Master {
        name,
        version,
        created,
        size,
        sector_size,
        converts_to_4096: choices.any_sectors && sector_size == 512,
        grow: choices.grow.then(|| partitions.last().map(|last| last.number)).flatten(),
        partitions,
        boot,
        minimum_disk: size,
        accepts: None,
        restricted: Vec::new(),
    };
    master::publish(&file, master, store, keys, LEVEL, progress).await
}
