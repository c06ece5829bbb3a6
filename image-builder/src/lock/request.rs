//! Which packages a profile asks for, root by root.

use super::file::{Release, Request, RootName};
use crate::profile::{Debian, Profile};

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

/// What a profile asks for, one request a root.
pub fn requests(profile: &Profile) -> Vec<Request> {
    let request = |name, recommends, mut packages: Vec<String>| {
        packages.sort_unstable();
        Request { name, recommends, packages }
    };
    vec![
        request(RootName::Tools, false, TOOLS.map(str::to_owned).to_vec()),
        request(RootName::Boot, false, profile.packages.boot.clone()),
        request(RootName::Device, profile.packages.recommends, profile.packages.install.clone()),
    ]
}

impl From<&Debian> for Release {
    fn from(debian: &Debian) -> Self {
        Self { suite: debian.suite.clone(), architecture: debian.architecture.clone(), components: debian.components.clone() }
    }
}
