//! The personal layer on a device's disk, as somebody with a screwdriver gets at it.

use std::{fs, os::unix::fs::FileExt as _, path::Path};

use livery_contract::{Fault, Reference, Result, manifest::Role};

use crate::{programs::Program, site::Site};

/// Where the identity partition of an image lies, and what a disk has there.
///
/// # Errors
/// Where the image is not in the store, or the disk can't be read.
pub async fn read(disk: &Path, image: &Reference, site: &Site) -> Result<(u64, Vec<u8>)> {
    let (offset, length) = site.place(image, Role::Identity).await?;
    let broken = |error| Fault::internal("the disk can't be read").cause(error).at(disk.display());
    let length = usize::try_from(length).map_err(|_| Fault::internal("a partition is endless"))?;
    let mut bytes = vec![0; length];
    fs::File::open(disk).and_then(|file| file.read_exact_at(&mut bytes, offset)).map_err(broken)?;
    Ok((offset, bytes))
}

/// Puts these bytes onto a disk.
///
/// # Errors
/// Where it can't be written.
pub fn put(disk: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
    let broken = |error| Fault::internal("the disk can't be written").cause(error).at(disk.display());
    fs::File::options().write(true).open(disk).and_then(|file| file.write_all_at(bytes, offset)).map_err(broken)
}

/// `livery export`: an image as a raw disk.
///
/// # Errors
/// Where it fails.
pub async fn export(site: &Site, image: &Reference, to: &Path) -> Result<()> {
    let (image, store, to) = (image.to_string(), site.store().display().to_string(), to.display().to_string());
    Program::Livery.run(["export", &image, "--store", &store, "--format", "raw", &to]).await?.good().map(drop)
}
