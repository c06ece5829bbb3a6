//! Folders of .debs, found by digest: `sha256/ab/abcdef….deb`. A store has one (`debs`), so that a locked build needs no network;
//! the cache has another, for builds that are not locked. What IT supplies is taken from where the profile says, and put into neither.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use livery_contract::{Digest, Fault, Result, digest::Hasher};
use livery_profile::Supplied;
use rayon::prelude::*;

use super::{apt::Apt, file::Package};
use crate::progress::Progress;

/// So many are asked of a mirror at once: one connection, and progress that moves.
const BATCH: usize = 24;

#[derive(Clone, Debug)]
pub(crate) struct Debs {
    home: PathBuf,
    also: Option<PathBuf>,
    supplied: HashMap<Digest, PathBuf>,
}

impl Debs {
    /// .debs are put into `home`, and looked for in `also` as well.
    pub(crate) fn new(home: PathBuf, also: Option<PathBuf>) -> Self {
        Self { home, also, supplied: HashMap::new() }
    }

    /// Knows the files that IT supplies.
    #[must_use]
    pub(crate) fn with(mut self, supplied: &[Supplied]) -> Self {
        // Links to them are made elsewhere.
        let path = |supplied: &Supplied| std::path::absolute(&supplied.file).unwrap_or_else(|_| supplied.file.clone());
        self.supplied = supplied.iter().map(|supplied| (supplied.sha256, path(supplied))).collect();
        self
    }

    /// Where the .deb is.
    pub(crate) fn find(&self, package: &Package) -> Option<PathBuf> {
        if package.supplied {
            return self.supplied.get(&package.sha256).filter(|path| is_there(path, package)).cloned();
        }
        [Some(&self.home), self.also.as_ref()]
            .into_iter()
            .flatten()
            .map(|top| place(top, package))
            .find(|path| is_there(path, package))
    }

    /// Those that are neither here nor there.
    pub(crate) fn lacking<'a>(&self, packages: impl IntoIterator<Item = &'a Package>) -> Vec<&'a Package> {
        packages.into_iter().filter(|package| self.find(package).is_none()).collect()
    }

    /// Brings packages home, from the other folder or by `apt`: each is whole, checked and here, or not here at all.
    ///
    /// # Errors
    /// What `apt` answers where it is needed; exit 5 where a package can't be had or can't be written.
    pub(crate) fn bring(&self, packages: &[&Package], apt: impl FnOnce() -> Result<Apt>, progress: &Progress) -> Result<()> {
        let (near, far): (Vec<&Package>, Vec<&Package>) = packages
            .iter()
            .filter(|package| !package.supplied && !is_there(&place(&self.home, package), package))
            .partition(|package| self.find(package).is_some());
        if near.is_empty() && far.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.home).map_err(|error| failed(&self.home, error))?;
        let folder = tempfile::Builder::new().prefix("tmp-").tempdir_in(&self.home).map_err(|error| failed(&self.home, error))?;
        let place = |package: &Package| folder.path().join(package.sha256.to_string());
        for package in near {
            let Some(path) = self.find(package) else { continue };
            let copy = place(package);
            fs::copy(&path, &copy).map_err(|error| failed(&path, error))?;
            self.take(package, &copy)?;
        }
        if far.is_empty() {
            return Ok(());
        }
        let apt = apt()?;
        let mut bar = progress.bytes("packages", far.iter().map(|package| package.size).sum());
        let mut done = 0;
        for batch in far.chunks(BATCH) {
            apt.download(batch, folder.path())?;
            for package in batch {
                self.take(package, &place(package))?;
                done += package.size;
                bar.at(done);
            }
        }
        bar.done();
        Ok(())
    }

    fn take(&self, package: &Package, fetched: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        verify(package, fetched)?;
        let path = place(&self.home, package);
        let folder = path.parent().unwrap_or(&self.home);
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(fetched, fs::Permissions::from_mode(0o644)))
            .and_then(|()| File::open(fetched)?.sync_all())
            .and_then(|()| fs::rename(fetched, &path))
            .map_err(|error| failed(&path, error))
    }

    /// The .debs of these packages, every byte checked.
    ///
    /// # Errors
    /// Exit 4 where one is not what was locked, 5 where one is not here.
    pub(crate) fn checked(&self, packages: &[&Package]) -> Result<Vec<PathBuf>> {
        packages
            .par_iter()
            .map(|package| {
                let path = self.find(package).ok_or_else(|| {
                    Fault::source(format!("{} {} is missing", package.name, package.version))
                        .at(place(&self.home, package).display())
                })?;
                verify(package, &path)?;
                Ok(path)
            })
            .collect()
    }
}

fn place(top: &Path, package: &Package) -> PathBuf {
    let digest = package.sha256.to_string();
    top.join("sha256").join(&digest[..2]).join(format!("{digest}.deb"))
}

fn is_there(path: &Path, package: &Package) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == package.size)
}

/// Whether a file is the .deb that was locked.
fn verify(package: &Package, path: &Path) -> Result<()> {
    let mut file = File::open(path).map_err(|error| failed(path, error))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(|error| failed(path, error))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    if hasher.finish() == package.sha256 {
        return Ok(());
    }
    Err(Fault::untrusted(format!("this is not the locked {} {}", package.name, package.version))
        .at(path.display())
        .fix("remove it, then run the same command again to fetch it again"))
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::source("a package can't be read or stored")
        .at(path.display())
        .cause(error)
        .fix("free some space and check the permissions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{RootName, file::tests::package};

    #[test]
    fn only_what_was_locked_counts() {
        let folder = tempfile::tempdir().unwrap();
        let debs = Debs::new(folder.path().join("home"), Some(folder.path().join("also")));
        let mut package = package("cage", "1", &[RootName::Device]);
        (package.size, package.sha256) = (3, Digest::of(b"deb"));
        assert_eq!(debs.lacking([&package]).len(), 1);
        let path = place(&folder.path().join("also"), &package);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "deb").unwrap();
        assert_eq!(debs.checked(&[&package]).unwrap(), std::slice::from_ref(&path));
        fs::write(&path, "dep").unwrap();
        assert_eq!(debs.checked(&[&package]).unwrap_err().exit().code(), 4);
        fs::write(&path, "de").unwrap();
        assert_eq!(debs.checked(&[&package]).unwrap_err().exit().code(), 5, "half a file is none");
    }
    #[test]
    fn what_is_supplied_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("icaclient.deb");
        fs::write(&file, "deb").unwrap();
        let supplied = Supplied {
            file: file.clone(),
            path: "icaclient.deb".into(),
            sha256: Digest::of(b"deb"),
            size: 3,
            package: "icaclient".into(),
            version: "1".into(),
            architecture: "amd64".into(),
            licence: "EULA".into(),
        };
        let package = Package::from(&supplied);
        let debs = Debs::new(folder.path().join("home"), None).with(&[supplied]);
        assert_eq!(debs.checked(&[&package]).unwrap(), std::slice::from_ref(&file));
        debs.bring(&[&package], || Err(Fault::internal("no network is needed")), &Progress::new(false)).unwrap();
        assert!(!folder.path().join("home").exists(), "it is copied nowhere");
    }
}
