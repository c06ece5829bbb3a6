//! `livery import`: any raw disk image as a master, signed and written by the same means as one that we built.

use std::{fs::File, os::unix::fs::FileTypeExt as _, path::Path};

use jiff::Timestamp;
use livery_contract::{
    Fault, Name, Result, Version,
    manifest::{Accepts, BootEntry, MAX_IMAGE, Role},
};
use livery_profile::PersonalPlace;

use super::{
    master::{self, Master, Published},
    reserve,
};
use crate::{gpt, profiles, progress::Progress, publish::restricted};

/// zstd's level for imported images: near the best ratio for the time.
const LEVEL: i32 = 6;

/// What the image itself does not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    /// Whether the last partition grows to the disk's end.
    pub(crate) grow: bool,
    /// Whether the agent may convert table and FAT to sectors of 4096 bytes.
    pub(crate) any_sectors: bool,
    /// What is in it that may not be passed on to everybody.
    pub(crate) restricted: Vec<String>,
    /// Where the personal layer goes.
    pub(crate) personal: Option<PersonalPlace>,
}

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Flags {
    /// `--name`
    pub(crate) name: Option<Name>,
    /// `--version`
    pub(crate) version: Option<Version>,
    /// `--grow`
    pub(crate) grow: bool,
    /// `--any-sectors`
    pub(crate) any_sectors: bool,
}

/// What command line and profile say together; the command line goes first.
///
/// # Errors
/// Exit 2 where nobody says name or version, 3 where the profile is faulty.
pub(crate) fn choices(profile: Option<&Path>, flags: Flags, json: bool) -> Result<((Name, Version), Choices)> {
    let profile = match profile {
        Some(path) => Some(profiles::load_import(path, json)?),
        None => None,
    };
    let name = flags.name.or_else(|| profile.as_ref().map(|profile| profile.name.clone()));
    let version = flags.version.or_else(|| profile.as_ref()?.version.clone());
    let (Some(name), Some(version)) = (name, version) else {
        return Err(Fault::usage("the image's version is not given").fix("give --version, or write `version` in the profile"));
    };
    let (grow, any_sectors, restricted, personal) = match profile {
        Some(profile) => (profile.grow, profile.any_sectors, profile.restricted, profile.personal),
        None => (false, false, Vec::new(), None),
    };
    let choices = Choices { grow: grow || flags.grow, any_sectors: any_sectors || flags.any_sectors, restricted, personal };
    Ok(((name, version), choices))
}

/// Takes `raw` into the store as `name@version`.
///
/// # Errors
/// Exit 3 where `raw` is no raw disk image, otherwise as [`master::publish`].
pub(crate) async fn import(
    raw: &Path,
    (name, version): (Name, Version),
    choices: Choices,
    store: &Path,
    keys: &Path,
    progress: &Progress,
) -> Result<Published> {
    restricted::check(store, &choices.restricted)?;
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
        return Err(refused(format!("{size} bytes are not a raw disk image (a positive multiple of 512, at most {MAX_IMAGE})"))
            .fix("convert qcow2, VHD or VMDK first: qemu-img convert -O raw IN OUT"));
    }
    // The image's time: importing the same file again gives the same manifest.
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let created = Timestamp::from_second(modified.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let table = gpt::read(&file, size);
    if table.is_none() {
        tracing::warn!(image = %raw.display(), "no usable partition table: importing the image as one section, without a boot entry");
    }
    let (sector_size, partitions) = table.map_or((512, Vec::new()), |table| (table.sector_size, table.partitions));
    let boot = partitions.iter().find(|partition| partition.role == Role::Esp).map(|esp| BootEntry {
        label: format!("{name} {version}"),
        partition: esp.number,
        // The fallback path (UEFI 2.10, section 3.5.1.1): what every bootable image has, whatever else it brings.
        loader: r"\EFI\BOOT\BOOTX64.EFI".into(),
    });
    if (choices.grow || choices.any_sectors) && partitions.is_empty() {
        return Err(refused("there is no partition table that could be adjusted to a disk".into())
            .fix("omit --grow and --any-sectors, or import an image with a GPT"));
    }
    let reserved = match &choices.personal {
        Some(wish) => {
            let step = progress.stage("reserve");
            let reserved = reserve::reserve(&file, raw, &partitions, wish, created)?;
            // What was copied while somebody wrote to it is no image.
            let now = file.metadata().map_err(|error| refused("the disk image can't be read".into()).cause(error))?;
            if (now.len(), now.modified().ok()) != (size, metadata.modified().ok()) {
                return Err(refused("the disk image changed while it was read".into())
                    .fix("stop the program that writes to it, such as a virtual machine, then run the same command again"));
            }
            step.done();
            Some(reserved)
        }
        None => None,
    };
    let disk = reserved.as_ref().map_or(&file, |reserved| &reserved.disk);
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
        root_hash: None,
        identity: None,
        keys: None,
        data: None,
        left: Vec::new(),
        sbom: None,
        accepts: choices.personal.map(|wish| Accepts { locales: wish.locales, accounts: false }),
        uki: None,
        personal_file: reserved.as_ref().map(|reserved| reserved.place.clone()),
        restricted: choices.restricted,
    };
    master::publish(disk, master, store, keys, LEVEL, progress).await
}
