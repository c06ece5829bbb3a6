//! What an image is made of, as an SBOM: SPDX 2.3, as JSON.
//!
//! SPDX and not CycloneDX: it is an ISO standard (ISO/IEC 5962) that auditors ask for by name, has licences as expressions and
//! files as first-class things, and says of which source package a Debian package was built.
//!
//! In: the roots that the packages were installed into, the finished root file system and the initrd. Out: each package that has
//! files in the image, and each file that is of no package. Fails only where these can't be read.
//!
//! ```text
//! dpkg's own records ──┐
//! lock (digests) ──────┼─> Materials ─> SPDX document, with the image's name and version
//! files of the image ──┘
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`dpkg`] | which packages a root has, and which files are whose |
//! | [`copyright`] | Debian's copyright files: licences as SPDX expressions |
//! | [`licence`] | Debian's short names of licences to SPDX's |
//! | [`spdx`] | the document |

pub(crate) mod copyright;
pub(crate) mod dpkg;
pub(crate) mod licence;
pub(crate) mod spdx;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use livery_contract::{Digest, Fault, Reference, Result, manifest::MAX_SBOM};
use livery_store::Store;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use self::{
    copyright::Licensing,
    dpkg::{Installed, Records},
};
use super::volume::{Entry, Kind, Volume};
use crate::lock::Package as Locked;

/// Raised when the same inputs give another document.
pub(crate) const VERSION: u32 = 2;
/// What a root has of its boot packages: kernel modules, and the firmware that they load.
const DRIVERS: [&str; 2] = ["/usr/lib/modules/", "/usr/lib/firmware/"];
/// The most bytes of a file that is listed by its digests.
const MAX_FILE: u64 = 4 << 30;

/// Where in the image something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Where {
    /// In the root file system.
    Root,
    /// In the kernel or its initrd.
    Boot,
}

/// A Debian package that has files in the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    /// Its name, version and architecture (Debian Policy 5.6).
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    /// The source package that it was built from, and that one's version.
    pub(crate) source: String,
    pub(crate) source_version: String,
    /// Digest of the .deb.
    pub(crate) sha256: Digest,
    /// Suite and component that it came from; empty where it is not the archive's.
    pub(crate) origin: String,
    /// Where its files are.
    pub(crate) within: BTreeSet<Where>,
    /// Its licence, as an SPDX expression; `None` where its copyright file does not say it in the form that machines read.
    pub(crate) licence: Option<String>,
}

/// A file that is of no package: made when the image was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuiltFile {
    /// Its path, from the top of where it lies.
    pub(crate) path: String,
    /// Where that is.
    pub(crate) within: Where,
    /// Digests of its content.
    pub(crate) sha256: Digest,
    /// In hexadecimal: SPDX 2.3 demands it of each file (section 8.4).
    pub(crate) sha1: String,
}

/// What an image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Materials {
    /// Packages, in order of name.
    pub(crate) packages: Vec<Package>,
    /// Files of no package, in order of place and path.
    pub(crate) files: Vec<BuiltFile>,
    /// Texts of licences that have no identifier of SPDX's: `LicenseRef-…` to text.
    pub(crate) licences: BTreeMap<String, String>,
}

/// A root that packages were installed into, and what of it is in the image.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// The root's folder in the cache.
    pub(crate) root: &'a Path,
    /// The packages that were locked for it.
    pub(crate) locked: Vec<&'a Locked>,
}

/// Lists what an image is made of: `device` is installed into the root, `boot` into kernel, initrd and the root's drivers. `early` are
/// those of its files that stand in front of the initrd.
///
/// # Errors
/// Exit 1 where a root's records can't be read, otherwise as [`Bytes::read`](super::volume::Bytes::read).
pub(crate) fn list(device: &Part, boot: &Part, root: &Volume, initrd: &Volume, early: &[String]) -> Result<Materials> {
    let records = [Records::read(device.root)?, Records::read(boot.root)?];
    let there = [paths(root), paths(initrd)];
    // Which files of the image each root's packages account for: kernel, drivers and firmware come from the boot root.
    let device_files = records[0].owners(&there[0]);
    let of_drivers = |path: &str| DRIVERS.iter().any(|folder| path.starts_with(folder));
    let driver_files = records[1].owners(&there[0]).into_iter().filter(|(path, _)| of_drivers(path));
    let driver_files: BTreeMap<&str, usize> = driver_files.collect();
    let initrd_files = records[1].owners(&there[1]);

    let mut within: BTreeMap<(usize, usize), BTreeSet<Where>> = BTreeMap::new();
    let mut note = |part: usize, package: usize, place: Where| {
        within.entry((part, package)).or_default().insert(place);
    };
    device_files.values().for_each(|package| note(0, *package, Where::Root));
    driver_files.values().for_each(|package| note(1, *package, Where::Root));
    initrd_files.values().for_each(|package| note(1, *package, Where::Boot));
    records[1].owners(&early.iter().map(String::as_str).collect()).values().for_each(|package| note(1, *package, Where::Boot));
    records[1].kernels().for_each(|package| note(1, package, Where::Boot));

    let mut licensing = Licensing::default();
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for ((part, package), within) in within {
        let installed = &records[part].packages[package];
        let locked = &[device, boot][part].locked;
        let locked = locked.iter().find(|locked| locked.name == installed.name);
        let locked = locked.ok_or_else(|| Fault::internal(format!("{} is installed but not locked", installed.name)))?;
        let licence = licence_of(&records, part, installed, &mut licensing)?;
        let listed = packages.entry(installed.name.clone()).or_insert_with(|| Package {
            name: installed.name.clone(),
            version: installed.version.clone(),
            architecture: installed.architecture.clone(),
            source: installed.source.clone(),
            source_version: installed.source_version.clone(),
            sha256: locked.sha256,
            origin: locked.origin.clone(),
            within: BTreeSet::new(),
            licence: None,
        });
        listed.within.extend(within);
        listed.licence = listed.licence.take().or(licence);
    }
    let built = |volume: &Volume, place, owned: &dyn Fn(&str) -> bool| built_files(volume, place, owned);
    let mut files = built(root, Where::Root, &|path| device_files.contains_key(path) || driver_files.contains_key(path))?;
    files.extend(built(initrd, Where::Boot, &|path| initrd_files.contains_key(path))?);
    Ok(Materials { packages: packages.into_values().collect(), files, licences: licensing.texts })
}

/// What a package's copyright file says; where it has none of its own, that of another package from the same source.
fn licence_of(records: &[Records; 2], part: usize, package: &Installed, licensing: &mut Licensing) -> Result<Option<String>> {
    let same_source = |one: &&Installed| (&one.source, &one.source_version) == (&package.source, &package.source_version);
    let candidates = [package].into_iter().chain(records[part].packages.iter().filter(same_source));
    for candidate in candidates {
        if let Some(text) = records[part].copyright(&candidate.name)? {
            return Ok(licensing.of(&text));
        }
    }
    Ok(None)
}

/// The regular files and links of a volume.
fn paths(volume: &Volume) -> HashSet<&str> {
    let files = volume.tree.iter().filter(|(_, entry)| matches!(entry.kind, Kind::File | Kind::Link));
    files.map(|(path, _)| path.as_str()).collect()
}

/// The regular files that no package owns, with their digests.
fn built_files(volume: &Volume, within: Where, owned: &dyn Fn(&str) -> bool) -> Result<Vec<BuiltFile>> {
    let built: Vec<(&String, &Entry)> =
        volume.tree.iter().filter(|(path, entry)| entry.kind == Kind::File && entry.size <= MAX_FILE && !owned(path)).collect();
    built
        .into_par_iter()
        .map(|(path, entry)| {
            let (mut sha256, mut sha1, mut at) = (livery_contract::digest::Hasher::default(), Sha1::new(), 0);
            let mut buffer = vec![0; 1 << 20];
            loop {
                let read = volume.read(entry, at, &mut buffer)?;
                if read == 0 {
                    break;
                }
                sha256.update(&buffer[..read]);
                sha1.update(&buffer[..read]);
                at += read as u64;
            }
            Ok(BuiltFile { path: path.clone(), within, sha256: sha256.finish(), sha1: hex(&sha1.finalize()) })
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An image's SBOM out of a store, checked by its digest.
///
/// # Errors
/// Exit 3 where the image has none, 4 where it is not what was signed, 5 where it can't be read.
pub(crate) async fn fetch(store: &Store, reference: &Reference) -> Result<Vec<u8>> {
    let (manifest, _) = store.manifest(reference).await?;
    match manifest.sbom {
        Some(sbom) => Ok(store.blob(&sbom, MAX_SBOM).await?.to_vec()),
        None => Err(Fault::refused(format!("{reference} has no SBOM"))
            .at(store.location())
            .fix("it was imported, or an earlier Livery built it; images that `livery build` makes now have one")),
    }
}

#[cfg(test)]
mod tests;
