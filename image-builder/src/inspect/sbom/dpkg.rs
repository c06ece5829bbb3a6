//! dpkg's own records in a root (dpkg(1), deb-control(5)): `status` and the lists of files.

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use deb822_fast::borrowed::{BorrowedParagraph, parse_borrowed};
use livery_contract::{Fault, Result};

/// The most bytes of a copyright file that are read.
const MAX_COPYRIGHT: u64 = 4 << 20;

/// A package as it is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    /// The source package that it was built from.
    pub(crate) source: String,
    /// That one's version.
    pub(crate) source_version: String,
}

/// What dpkg knows of a root.
#[derive(Debug)]
pub(crate) struct Records {
    root: PathBuf,
    /// Packages, in order of name.
    pub(crate) packages: Vec<Installed>,
    /// The paths of each package's files, in the same order.
    files: Vec<Vec<String>>,
}

impl Records {
    /// Reads them.
    ///
    /// # Errors
    /// Exit 1 where they can't be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let folder = root.join("var/lib/dpkg");
        let read = |path: PathBuf| {
            fs::read_to_string(&path)
                .map_err(|error| Fault::internal("the root's packages can't be read").at(path.display()).cause(error))
        };
        let path = folder.join("status");
        let odd = |error| Fault::internal("the root's packages can't be read").at(path.display()).cause(error);
        let mut packages = installed(&read(path.clone())?).map_err(odd)?;
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        let list = |package: &Installed| {
            // With its architecture where several of one name could be there ("Multi-Arch: same").
            let plain = folder.join(format!("info/{}.list", package.name));
            let with = folder.join(format!("info/{}:{}.list", package.name, package.architecture));
            read(if with.exists() { with } else { plain })
        };
        let lists = packages.iter().map(|package| Ok(list(package)?.lines().map(merged_usr).collect()));
        let files = lists.collect::<Result<_>>()?;
        Ok(Self { root: root.to_owned(), packages, files })
    }

    /// Which of these paths are of which package, as an index into [`packages`](Self::packages). Drivers count whether they are
    /// compressed or not: they are unpacked for the image.
    pub(crate) fn owners<'a>(&self, there: &HashSet<&'a str>) -> BTreeMap<&'a str, usize> {
        let mut owners = BTreeMap::new();
        for (package, files) in self.files.iter().enumerate() {
            for file in files {
                let unpacked = file.strip_suffix(".xz").filter(|path| path.ends_with(".ko"));
                for path in [Some(file.as_str()), unpacked].into_iter().flatten() {
                    if let Some(path) = there.get(path) {
                        owners.entry(*path).or_insert(package);
                    }
                }
            }
        }
        owners
    }

    /// The packages that bring a kernel.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = usize> {
        let brings = |files: &Vec<String>| files.iter().any(|path| path.starts_with("/boot/vmlinuz-"));
        self.files.iter().enumerate().filter(move |(_, files)| brings(files)).map(|(index, _)| index)
    }

    /// A package's copyright file, where the root has it.
    ///
    /// # Errors
    /// Exit 1 where it is there and can't be read.
    pub(crate) fn copyright(&self, package: &str) -> Result<Option<String>> {
        let path = self.root.join("usr/share/doc").join(package).join("copyright");
        // A link in it is from the root's top; one that leads out of the root would be another system's file.
        let Ok(real) = fs::canonicalize(&path) else { return Ok(None) };
        let contained = fs::canonicalize(&self.root).is_ok_and(|root| real.starts_with(root));
        let about = fs::metadata(&real).ok().filter(|about| about.is_file() && about.len() <= MAX_COPYRIGHT);
        if !contained || about.is_none() {
            return Ok(None);
        }
        match fs::read(&real) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::internal("a copyright file can't be read").at(path.display()).cause(error)),
        }
    }
}

/// `/lib/x` is `/usr/lib/x` (Debian Policy 9.1.1): some lists still say the former.
fn merged_usr(path: &str) -> String {
    let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if matches!(first, "bin" | "sbin" | "lib" | "lib64") { format!("/usr{path}") } else { path.to_owned() }
}

/// The installed packages of a `status` file.
fn installed(status: &str) -> std::result::Result<Vec<Installed>, deb822_fast::Error> {
    let package = |package: &BorrowedParagraph<'_>| {
        let field = |name: &str| package.get_single(name).filter(|value| !value.is_empty());
        let (name, version) = (field("Package")?, field("Version")?);
        if !field("Status").is_some_and(|status| status.ends_with(" installed")) {
            return None;
        }
        // "Source: NAME (VERSION)", each part only where it differs from the package's own.
        let source = field("Source").unwrap_or(name);
        let (source, source_version) = match source.split_once(" (") {
            Some((source, rest)) => (source, rest.trim_end_matches(')')),
            None => (source, version),
        };
        Some(Installed {
            name: name.into(),
            version: version.into(),
            architecture: field("Architecture").unwrap_or("all").into(),
            source: source.into(),
            source_version: source_version.into(),
        })
    };
    Ok(parse_borrowed(status)?.iter().filter_map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_owners() {
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.41-12\n\n\
                      Package: libgcc-s1\nStatus: install ok installed\nArchitecture: amd64\nSource: gcc-14 (14.2.0-19)\nVersion: 14.2.0-19+b1\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let all = installed(status).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].source.as_str(), all[0].source_version.as_str()), ("glibc", "2.41-12"));
        assert_eq!((all[1].source.as_str(), all[1].source_version.as_str()), ("gcc-14", "14.2.0-19"));
        let files = vec![vec![merged_usr("/lib/a.so")], vec![merged_usr("/usr/lib/modules/6/x.ko.xz"), merged_usr("/bin")]];
        let records = Records { root: "/".into(), packages: all, files };
        let there = HashSet::from(["/usr/lib/a.so", "/usr/lib/modules/6/x.ko", "/usr/lib/other"]);
        assert_eq!(records.owners(&there), BTreeMap::from([("/usr/lib/a.so", 0), ("/usr/lib/modules/6/x.ko", 1)]));
    }
}
