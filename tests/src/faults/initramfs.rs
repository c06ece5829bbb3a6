//! The smallest system that can run the agent: a kernel's initial file system with the agent, its libraries, three drivers,
//! the store, and an `init` that starts it. It boots in seconds where the whole medium takes a minute under emulation.
//!
//! The kernel and its drivers are the medium's own (`livery medium`): archives in the `newc` form of cpio
//! (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Fault, Result};

use super::ground::{broken, walk};
use crate::programs::{Program, built};

/// Drivers, in the order in which they are loaded. What they stand on is built into the kernel.
const DRIVERS: [&str; 4] = ["virtio_blk.ko", "nvme-auth.ko", "nvme-core.ko", "nvme.ko"];
/// The most that the medium's archive may unpack to.
const UNPACKED: usize = 1 << 30;
/// Bytes of an entry's header, all but the magic in hexadecimal.
const HEADER: usize = 110;

/// Writes it: the store at `/store`, the trusted root at `/root.json`.
///
/// # Errors
/// Where a part is missing or it can't be written.
pub fn make(to: &Path, medium: &Path, store: &Path, trust: &Path) -> Result<()> {
    let mut archive = Archive::default();
    let unpacked = unpacked(medium)?;
    for (number, name) in DRIVERS.iter().enumerate() {
        let driver = find(&unpacked, &format!("/{name}"))
            .ok_or_else(|| Fault::refused(format!("the medium has no driver {name}")).at(medium.display()))?;
        archive.file(&format!("modules/{number}-{name}"), driver, 0o644);
    }
    let programs = [("init", built("faults-init")?), ("livery-agent", Program::Agent.path()?)];
    let mut libraries = BTreeSet::new();
    for (name, path) in &programs {
        archive.file(name, &read(path)?, 0o755);
        libraries.extend(libraries_of(path)?);
    }
    for library in libraries {
        archive.file(&library.display().to_string(), &read(&library)?, 0o755);
    }
    archive.file("root.json", &read(trust)?, 0o644);
    for file in walk(store)? {
        let name = Path::new("store").join(file.strip_prefix(store).unwrap_or(&file));
        archive.file(&name.display().to_string(), &read(&file)?, 0o644);
    }
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    fs::write(to, archive.end()).map_err(|error| broken(to, error))
}

/// The medium's archive, unpacked.
///
/// # Errors
/// Where it can't be read.
pub(crate) fn unpacked(medium: &Path) -> Result<Vec<u8>> {
    let initrd = medium.join("initrd.img");
    let packed = fs::read(&initrd).map_err(|error| broken(&initrd, error))?;
    let unpacked = zstd::bulk::decompress(&packed, UNPACKED).or_else(|_| zstd::decode_all(packed.as_slice()));
    unpacked.map_err(|error| broken(&initrd, error))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| broken(path, error))
}

/// What a program is linked with, the loader included.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().map_err(|error| Fault::internal("ldd does not start").cause(error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

/// An archive that is being made.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    pub(crate) fn file(&mut self, name: &str, content: &[u8], mode: u32) {
        let name = name.trim_start_matches('/');
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(name, 0o100_000 | mode, (0, 0), content);
    }

    fn folder(&mut self, name: &str) {
        if !self.folders.insert(name.to_owned()) {
            return;
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(name, 0o040_755, (0, 0), &[]);
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        self.bytes.extend_from_slice(b"070701");
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        for field in [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    /// The whole of it.
    pub(crate) fn end(mut self) -> Vec<u8> {
        // The kernel opens it for init's standard output before anything is mounted.
        self.entry("dev/console", 0o020_600, (5, 1), &[]);
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The content of the entry whose name ends so.
fn find<'a>(archive: &'a [u8], end: &str) -> Option<&'a [u8]> {
    entries(archive).find(|(name, _)| name.ends_with(end)).map(|(_, content)| content)
}

/// Name and content of each entry.
pub(crate) fn entries(archive: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let header = archive.get(at..at + HEADER)?;
        let field = |index: usize| -> Option<usize> {
            let text = std::str::from_utf8(header.get(6 + index * 8..14 + index * 8)?).ok()?;
            usize::from_str_radix(text, 16).ok()
        };
        if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
            return None;
        }
        let (size, name_size) = (field(6)?, field(11)?);
        let name = archive.get(at + HEADER..(at + HEADER).checked_add(name_size.checked_sub(1)?)?)?;
        let content = (at + HEADER + name_size).next_multiple_of(4);
        if name == b"TRAILER!!!" {
            return None;
        }
        at = content.checked_add(size)?.next_multiple_of(4);
        Some((std::str::from_utf8(name).ok()?, archive.get(content..content.checked_add(size)?)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found_again() {
        let mut archive = Archive::default();
        archive.file("/usr/lib/a.so", b"one", 0o755);
        archive.file("store/b", b"twotwo", 0o644);
        archive.entry("TRAILER!!!", 0, (0, 0), &[]);
        assert_eq!(find(&archive.bytes, "/a.so"), Some(b"one".as_slice()));
        assert_eq!(find(&archive.bytes, "store/b"), Some(b"twotwo".as_slice()));
        assert_eq!(find(&archive.bytes, "/c"), None);
        assert_eq!(find(&archive.bytes[..50], "/a.so"), None);
        assert!(archive.folders.contains("usr"));
    }
}
