//! A repository of just the locked packages, in a folder, for apt: then there is nothing to choose, and nothing else to be had.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use livery_contract::{Digest, Fault, Result};
use rayon::prelude::*;

use super::{
    debs::Debs,
    file::{Package, Release},
};
use crate::sandbox;

/// Makes it in `folder`, with links to the .debs, every one checked.
///
/// # Errors
/// Exit 4 where a .deb is not what was locked, 5 where one is not here.
pub(crate) fn make(folder: &Path, packages: &[&Package], debs: &Debs, release: &Release) -> Result<()> {
    let failed = |error: std::io::Error| Fault::internal("a repository can't be made").at(folder.display()).cause(error);
    fs::create_dir_all(folder).map_err(failed)?;
    let paths = debs.checked(packages)?;
    let stanzas: Vec<String> = packages
        .par_iter()
        .zip(&paths)
        .map(|(package, path)| {
            symlink(path, folder.join(package.file_name())).map_err(failed)?;
            let control = control(package, path)?;
            let Package { size, sha256, .. } = package;
            Ok(format!("{control}\nFilename: ./{}\nSize: {size}\nSHA256: {sha256}\n", package.file_name()))
        })
        .collect::<Result<_>>()?;
    let index = stanzas.join("\n");
    // mmdebstrap takes a suite's essential packages from the archive of that name.
    let release = format!(
        "Suite: {suite}\nCodename: {suite}\nArchitectures: {architecture}\nDate: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n {digest} {length} Packages\n",
        suite = release.suite,
        architecture = release.architecture,
        digest = Digest::of(index.as_bytes()),
        length = index.len(),
    );
    fs::write(folder.join("Packages"), index).and_then(|()| fs::write(folder.join("Release"), release)).map_err(failed)
}

/// What the .deb says of itself; it must be what the lock says.
fn control(package: &Package, path: &Path) -> Result<String> {
    let mut command = Command::new("dpkg-deb");
    sandbox::clean_environment(&mut command);
    command.arg("--field").arg(path);
    let control = sandbox::run(command, "dpkg-deb", Fault::untrusted)?;
    let control = String::from_utf8_lossy(&control).trim().to_owned();
    let says = |name: &str| control.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().trim();
    for (name, locked) in [("Package", &package.name), ("Version", &package.version), ("Architecture", &package.architecture)] {
        if says(name) != locked {
            return Err(Fault::untrusted(format!("the lockfile has {name} {locked}, but the .deb itself says {}", says(name)))
                .at(path.display())
                .fix("write the lockfile again: livery lock"));
        }
    }
    Ok(control)
}
