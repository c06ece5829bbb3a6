//! What is inside the finished image: looked through for what no image may have, and listed for its SBOM.
//!
//! Both read the very file system that devices get. Their results are kept by that one's key: where nothing has changed, nothing is
//! looked at again. Which findings the profile excepts is asked of each build anew.

use std::{collections::HashSet, fs, path::Path};

use livery_contract::{Digest, Fault, Result};
use livery_profile::Profile;
use serde::{Serialize, de::DeserializeOwned};

use super::{microcode, roots::Root, workshop::Workshop};
use crate::{
    cache::Key,
    inspect::{
        sbom::{self, Materials, Part, dpkg::Records},
        scan::{self, Finding},
        volume::{Bytes as _, Entry, Volume, bytes::OnDisk, cpio, erofs, folder},
    },
    lock::{Package, RootName},
};

/// Where results lie in their place in the cache.
const FINDINGS: &str = "findings.json";
const LIST: &str = "inside.json";
/// The most bytes of an initrd.
const MAX_INITRD: u64 = 512 << 20;

/// The scan's key, from those of root file system and initrd.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn scan_key(workshop: &Workshop, system: Digest, initrd: Digest) -> Result<Key> {
    Key::new("scan", scan::VERSION, &(system, initrd, origins(workshop, &[RootName::Device, RootName::Boot])))
}

/// Looks through a root file system that was made from `device`, and an initrd that was made from `boot`. What is in the initrd has
/// `/initrd` before its path.
///
/// # Errors
/// Exit 1 where they can't be read.
pub(crate) fn scan(
    workshop: &Workshop,
    [device, boot]: [&Root; 2],
    system: &Path,
    initrd: &Path,
    key: &Key,
) -> Result<Vec<Finding>> {
    let path = workshop.stage(key, |result| {
        let mut findings = look(workshop, (device, RootName::Device), &open(system)?)?;
        let in_initrd = look(workshop, (boot, RootName::Boot), &open_initrd(initrd)?)?;
        findings.extend(in_initrd.into_iter().map(|finding| Finding { path: format!("/initrd{}", finding.path), ..finding }));
        write(&result.join(FINDINGS), &findings)
    })?;
    read(&path.join(FINDINGS))
}

/// What is in it and not public anyway.
fn look(workshop: &Workshop, (root, name): (&Root, RootName), volume: &Volume) -> Result<Vec<Finding>> {
    let mut findings = scan::scan(volume)?;
    let in_doubt: HashSet<&str> =
        findings.iter().filter(|finding| finding.is_content()).map(|finding| finding.path.as_str()).collect();
    if in_doubt.is_empty() {
        return Ok(findings);
    }
    let public = public(&root.path, &workshop.supply.packages(name), volume, &in_doubt)?;
    findings.retain(|finding| !(finding.is_content() && public.contains(&finding.path)));
    Ok(findings)
}

/// Which of these files are just as a package of Debian's public archive brings them: what they hold is no secret. Keys that a
/// package's script makes are in no package's list, and what we have changed is not the same any more.
fn public(root: &Path, locked: &[&Package], volume: &Volume, paths: &HashSet<&str>) -> Result<HashSet<String>> {
    let records = Records::read(root)?;
    let mut public = HashSet::new();
    for (path, owner) in records.owners(paths) {
        let name = &records.packages[owner].name;
        let archive = locked.iter().any(|package| package.name == *name && !package.origin.is_empty());
        if let (true, Some(entry)) = (archive, volume.tree.get(path))
            && is_same(volume, entry, &root.join(path.trim_start_matches('/')))?
        {
            public.insert(path.to_owned());
        }
    }
    Ok(public)
}

fn is_same(volume: &Volume, entry: &Entry, file: &Path) -> Result<bool> {
    if !fs::symlink_metadata(file).is_ok_and(|about| about.is_file() && about.len() == entry.size) {
        return Ok(false);
    }
    let file = OnDisk::open(file)?;
    let (mut one, mut other, mut at) = (vec![0; 1 << 20], vec![0; 1 << 20], 0);
    loop {
        let read = volume.read(entry, at, &mut one)?;
        if read == 0 {
            return Ok(at == entry.size);
        }
        file.read(at, &mut other[..read])?;
        if one[..read] != other[..read] {
            return Ok(false);
        }
        at += read as u64;
    }
}

/// Where the packages of some roots came from: the roots' keys have their digests, and not this.
fn origins<'a>(workshop: &'a Workshop, roots: &[RootName]) -> Vec<[&'a str; 2]> {
    let packages = roots.iter().flat_map(|root| workshop.supply.packages(*root));
    packages.map(|package| [package.name.as_str(), package.origin.as_str()]).collect()
}

/// Looks through a tree that is to become an initrd; keeps what it finds in the stage's result.
///
/// # Errors
/// Exit 1 where it can't be read.
pub(crate) fn scan_tree(workshop: &Workshop, device: &Root, tree: &Path, result: &Path) -> Result<()> {
    write(&result.join(FINDINGS), &look(workshop, (device, RootName::Device), &folder::read(tree)?)?)
}

/// What was kept there.
///
/// # Errors
/// Exit 1 where it can't be read.
pub(crate) fn tree_findings(result: &Path) -> Result<Vec<Finding>> {
    read(&result.join(FINDINGS))
}

/// What a scan has found, where one was made.
///
/// # Errors
/// Exit 1 where its result can't be read.
pub(crate) fn scanned(workshop: &Workshop, key: &Key) -> Result<Option<Vec<Finding>>> {
    if workshop.cache.has(key) { read(&workshop.cache.path(key).join(FINDINGS)).map(Some) } else { Ok(None) }
}

/// What the list follows from.
#[derive(Serialize)]
struct Inputs<'a> {
    /// The document says which Livery wrote it.
    livery: &'a str,
    system: Digest,
    initrd: Digest,
    roots: [Digest; 2],
    origins: Vec<[&'a str; 2]>,
}

/// The list's key, from those of root file system, initrd, device's root and boot root.
///
/// # Errors
/// Exit 1 where the inputs do not encode.
pub(crate) fn sbom_key(workshop: &Workshop, system: Digest, initrd: Digest, roots: [Digest; 2]) -> Result<Key> {
    let origins = origins(workshop, &[RootName::Device, RootName::Boot]);
    Key::new("sbom", sbom::VERSION, &Inputs { livery: env!("CARGO_PKG_VERSION"), system, initrd, roots, origins })
}

/// Lists what the image is made of.
///
/// # Errors
/// Exit 1 where it can't be read.
pub(crate) fn sbom(
    workshop: &Workshop,
    profile: &Profile,
    [device, boot]: [&Root; 2],
    [system, initrd]: [&Path; 2],
    key: &Key,
) -> Result<Materials> {
    let path = workshop.stage(key, |result| {
        let early = microcode::files(&boot.path, &profile.hardware)?;
        let device = Part { root: &device.path, locked: workshop.supply.packages(RootName::Device) };
        let boot = Part { root: &boot.path, locked: workshop.supply.packages(RootName::Boot) };
        write(&result.join(LIST), &sbom::list(&device, &boot, &open(system)?, &open_initrd(initrd)?, &early)?)
    })?;
    read(&path.join(LIST))
}

fn open(root: &Path) -> Result<Volume> {
    let broken = || Fault::internal("the root file system can't be inspected").at(root.display());
    erofs::read(Box::new(OnDisk::open(root)?)).map_err(|fault| broken().cause(fault))?.ok_or_else(broken)
}

fn open_initrd(initrd: &Path) -> Result<Volume> {
    let broken = || Fault::internal("the initrd can't be inspected").at(initrd.display());
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
        Fault::internal("a stage's result can't be read")
            .at(path.display())
            .cause(error)
            .fix("remove it from the cache, then build again")
    };
    let bytes = fs::read(path).map_err(|error| broken(error.into()))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use livery_contract::Digest;

    use super::*;

    fn package(name: &str, origin: &str) -> Package {
        Package {
            name: name.into(),
            version: "1".into(),
            architecture: "amd64".into(),
            size: 1,
            sha256: Digest::of(b""),
            supplied: false,
            origin: origin.into(),
            path: String::new(),
            roots: vec![RootName::Device],
        }
    }

    #[test]
    fn only_what_the_archive_brought_and_nobody_changed_is_public() {
        let folder = tempfile::tempdir().unwrap();
        let (root, image) = (folder.path().join("root"), folder.path().join("image"));
        let info = root.join("var/lib/dpkg/info");
        for folder in [&info, &root.join("usr"), &image.join("usr")] {
            fs::create_dir_all(folder).unwrap();
        }
        let stanza = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n");
        fs::write(info.with_file_name("status"), stanza("lib") + &stanza("own")).unwrap();
        fs::write(info.join("lib.list"), "/usr/same\n/usr/changed\n/usr/shorter\n/usr/link\n").unwrap();
        fs::write(info.join("own.list"), "/usr/supplied\n").unwrap();
        let files = [
            ("same", "key", "key"),
            ("changed", "key", "kex"),
            ("shorter", "keyy", "key"),
            ("made", "key", "key"),
            ("supplied", "key", "key"),
        ];
        for (name, before, now) in files {
            fs::write(root.join("usr").join(name), before).unwrap();
            fs::write(image.join("usr").join(name), now).unwrap();
        }
        symlink("same", root.join("usr/link")).unwrap();
        fs::write(image.join("usr/link"), "key").unwrap();
        let (lib, own) = (package("lib", "trixie/main"), package("own", ""));
        let volume = folder::read(&image).unwrap();
        let paths = ["/usr/same", "/usr/changed", "/usr/shorter", "/usr/made", "/usr/supplied", "/usr/link"].into();
        assert_eq!(public(&root, &[&lib, &own], &volume, &paths).unwrap(), ["/usr/same".to_owned()].into());
    }
}
