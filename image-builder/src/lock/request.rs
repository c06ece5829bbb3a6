//! Which packages a profile asks for, root by root.

use livery_profile::{Debian, Profile, Supplied};

use super::file::{Package, Release, Request, RootName};

/// What the image tools come from: the profile's own release, whatever the host runs.
const TOOLS: [&str; 10] = [
    "cpio",
    "cryptsetup-bin",
    "dosfstools",
    "erofs-utils",
    "kmod",
    "mtools",
    "python3-pefile",
    "systemd-boot-efi",
    "systemd-ukify",
    "zstd",
];

/// What a device that gets newer images needs besides: `fsck.vfat`, for the partition that their UKIs come into.
const UPDATED: &str = "dosfstools";

/// What a profile asks for, one request a root.
pub(crate) fn requests(profile: &Profile) -> Vec<Request> {
    let request = |name, recommends, mut packages: Vec<String>| {
        packages.sort_unstable();
        packages.dedup();
        Request { name, recommends, packages, added: Vec::new() }
    };
    let supplied: Vec<String> = profile.packages.supplied.iter().map(|supplied| supplied.package.clone()).collect();
    let updated = profile.desk().and_then(|desk| desk.updates.as_ref()).map(|_| UPDATED.to_owned());
    let device = profile.packages.install.iter().cloned().chain(supplied).chain(updated).collect();
    vec![
        request(RootName::Tools, false, TOOLS.map(str::to_owned).to_vec()),
        request(RootName::Boot, false, profile.packages.boot.clone()),
        request(RootName::Device, profile.packages.recommends, device),
    ]
}

impl From<&Supplied> for Package {
    fn from(supplied: &Supplied) -> Self {
        let Supplied { package, version, architecture, size, sha256, .. } = supplied.clone();
        let (origin, path) = (String::new(), String::new());
        Self { name: package, version, architecture, size, sha256, supplied: true, origin, path, roots: vec![RootName::Device] }
    }
}

/// The packages that IT supplies, as a lock has them.
pub(crate) fn supplied(profile: &Profile) -> Vec<Package> {
    profile.packages.supplied.iter().map(Package::from).collect()
}

impl From<&Debian> for Release {
    fn from(debian: &Debian) -> Self {
        Self { suite: debian.suite.clone(), architecture: debian.architecture.clone(), components: debian.components.clone() }
    }
}
