//! What is inside the finished image: looked through for what no image may have, and listed for its SBOM.
//!
//! Both read the very file system that devices get. Their results are kept by that one's key: where nothing has changed, nothing is
//! looked at again. Which findings the profile excepts is asked of each build anew.

use std::{fs, path::Path};

use livery_contract::{Digest, Fault, Result};
use serde::{Serialize, de::DeserializeOwned};

use super::{cache::Key, roots::Root, workshop::Workshop};
use crate::{
    inside::{Volume, bytes::OnDisk, cpio, erofs, folder},
    lock::RootName,
    sbom::{self, Inside, Part},
    scan::{self, Finding},
};

/// Where results lie in their place in the cache.
const FINDINGS: &str = "findings.json";
const LIST: &str = "inside.json";
/// The most bytes of an initrd.
const MAX_INITRD: u64 = 512 << 20;

/// The scan's key, from that of the root file system.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub fn scan_key(system: Digest) -> Result<Key> {
    Key::new("scan", scan::VERSION, &system)
}

/// Looks through a root file system.
///
/// # Errors
/// Exit 1 where it can't be read.
pub fn scan(workshop: &Workshop, root: &Path, key: &Key) -> Result<Vec<Finding>> {
    let path = workshop.stage(key, |result| write(&result.join(FINDINGS), &scan::scan(&open(root)?)?))?;
    read(&path.join(FINDINGS))
}

/// Looks through a tree that is to become an initrd; keeps what it finds in the stage's result.
///
/// # Errors
/// Exit 1 where it can't be read.
pub fn scan_tree(tree: &Path, result: &Path) -> Result<()> {
    write(&result.join(FINDINGS), &scan::scan(&folder::read(tree)?)?)
}

/// What was kept there.
///
/// # Errors
/// Exit 1 where it can't be read.
pub fn tree_findings(result: &Path) -> Result<Vec<Finding>> {
    read(&result.join(FINDINGS))
}

/// What a scan has found, where one was made.
///
/// # Errors
/// Exit 1 where its result can't be read.
pub fn scanned(workshop: &Workshop, key: &Key) -> Result<Option<Vec<Finding>>> {
    if workshop.cache.has(key) { read(&workshop.cache.path(key).join(FINDINGS)).map(Some) } else { Ok(None) }
}

/// What the list follows from; the packages' digests are in the roots' keys, where they came from is not.
#[derive(Serialize)]
struct Inputs<'a> {
    system: Digest,
    initrd: Digest,
    roots: [Digest; 2],
    origins: Vec<[&'a str; 2]>,
}

/// The list's key, from those of root file system, initrd, device's root and boot root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub fn sbom_key(workshop: &Workshop, system: Digest, initrd: Digest, roots: [Digest; 2]) -> Result<Key> {
    let packages = [RootName::Device, RootName::Boot].into_iter().flat_map(|root| workshop.supply.packages(root));
    let origins = packages.map(|package| [package.name.as_str(), package.origin.as_str()]).collect();
    Key::new("sbom", sbom::VERSION, &Inputs { system, initrd, roots, origins })
}

/// Lists what the image is made of.
///
/// # Errors
/// Exit 1 where it can't be read.
pub fn sbom(workshop: &Workshop, [device, boot]: [&Root; 2], system: &Path, initrd: &Path, key: &Key) -> Result<Inside> {
    let path = workshop.stage(key, |result| {
        let device = Part { root: &device.path, locked: workshop.supply.packages(RootName::Device) };
        let boot = Part { root: &boot.path, locked: workshop.supply.packages(RootName::Boot) };
        write(&result.join(LIST), &sbom::list(&device, &boot, &open(system)?, &open_initrd(initrd)?)?)
    })?;
    read(&path.join(LIST))
}

fn open(root: &Path) -> Result<Volume> {
    let broken = || Fault::internal("the root file system can't be looked into").at(root.display());
    erofs::read(Box::new(OnDisk::open(root)?)).map_err(|fault| broken().cause(fault))?.ok_or_else(broken)
}

fn open_initrd(initrd: &Path) -> Result<Volume> {
    let broken = || Fault::internal("the initrd can't be looked into").at(initrd.display());
    let length = fs::metadata(initrd).map_err(|error| broken().cause(error))?.len();
    if length > MAX_INITRD {
        return Err(broken());
    }
    let bytes = fs::read(initrd).map_err(|error| broken().cause(error))?;
    cpio::read(&bytes).map_err(|fault| broken().cause(fault))?.ok_or_else(broken)
}

fn write(path: &Path, result: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(result).map_err(|error| Fault::internal("a stage's result does not encode").cause(error))?;
    fs::write(path, bytes).map_err(|error| Fault::internal("a stage's result can't be written").at(path.display()).cause(error))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
        Fault::internal("a stage's result can't be read").at(path.display()).cause(error).fix("remove it from the cache, then build again")
    };
    let bytes = fs::read(path).map_err(|error| broken(error.into()))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))
}
