//! EROFS, read (Linux: Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h): the root as `mkfs.erofs` makes it for us, and
//! the personal layers that [`image::erofs`](crate::image::erofs) makes.
//!
//! Uncompressed ones: with their content in whole blocks or with its end behind the inode, and with extended attributes. What is
//! compressed, in chunks or on several devices is refused, and not guessed at. Nothing that the bytes say makes it read outside of
//! them, for ever, or into more memory than [`MAX_FILES`] files take.

use std::collections::{BTreeMap, HashMap, HashSet};

use livery_contract::{Fault, Result};
use uuid::Uuid;

use super::{
    bytes::{Bytes, take},
    tree::{Entry, Kind, MAX_FILES, Tree, Volume},
};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u32 = 0xE0F5_E1E2;
/// The most bytes of a folder, of a link's target, of all attributes of a file.
const MAX_FOLDER: u64 = 64 << 20;
const MAX_TARGET: u64 = 4096;
const MAX_ATTRIBUTES: usize = 64 << 10;
/// The deepest folder.
const MAX_DEPTH: usize = 200;

/// What the superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Super {
    block: u64,
    meta: u64,
    attributes: u64,
    root: u64,
    /// Identifier of the file system.
    pub(crate) uuid: Uuid,
    /// The time of all files that have none of their own, in seconds since 1970.
    pub(crate) time: i64,
    /// Optional features, as bits.
    pub(crate) features: u32,
    /// Blocks of the file system.
    pub(crate) blocks: u32,
}

impl Super {
    /// Bytes of the file system.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.blocks) * self.block
    }
}

fn bad(what: impl Into<String>) -> Fault {
    Fault::refused(format!("an erofs file system can't be read: {}", what.into()))
}

/// Little-endian numbers at a place in a slice that was checked to be long enough.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The superblock; `None` where these bytes are no erofs at all.
///
/// # Errors
/// Exit 3 where it has a form that is not read here, otherwise as [`Bytes::read`].
pub(crate) fn superblock(bytes: &dyn Bytes) -> Result<Option<Super>> {
    if bytes.length() < SUPERBLOCK + 128 {
        return Ok(None);
    }
    let raw = take(bytes, SUPERBLOCK, 128)?;
    if u32_at(&raw, 0) != MAGIC {
        return Ok(None);
    }
    let incompatible = u32_at(&raw, 80);
    if incompatible != 0 {
        return Err(bad(format!("it is compressed or uses features that are not supported (features {incompatible:#x})")));
    }
    if !(9..=16).contains(&raw[12]) || raw[90] != 0 {
        return Err(bad(format!("blocks of 2^{} bytes", raw[12])));
    }
    let block = 1 << raw[12];
    Ok(Some(Super {
        block,
        meta: u64::from(u32_at(&raw, 40)) * block,
        attributes: u64::from(u32_at(&raw, 44)) * block,
        root: u64::from(u16_at(&raw, 14)),
        uuid: Uuid::from_slice(&raw[48..64]).unwrap_or_default(),
        time: u64_at(&raw, 24).cast_signed(),
        features: u32_at(&raw, 8),
        blocks: u32_at(&raw, 36),
    }))
}

/// Reads all files; `None` where these bytes are no erofs at all.
///
/// # Errors
/// Exit 3 where it is damaged or has a form that is not read here, otherwise as [`Bytes::read`].
pub(crate) fn read(bytes: Box<dyn Bytes>) -> Result<Option<Volume>> {
    let Some(superblock) = superblock(&*bytes)? else { return Ok(None) };
    let mut reader = Reader { bytes: &*bytes, superblock, tree: Tree::new(), shared: HashMap::new(), folders: HashSet::new() };
    reader.all()?;
    let tree = reader.tree;
    Ok(Some(Volume { tree, bytes }))
}

struct Reader<'a> {
    bytes: &'a dyn Bytes,
    superblock: Super,
    tree: Tree,
    /// Attributes that files share, by their number.
    shared: HashMap<u32, (String, Vec<u8>)>,
    folders: HashSet<u64>,
}

impl Reader<'_> {
    fn all(&mut self) -> Result<()> {
        let mut open = vec![(String::new(), self.superblock.root, 0)];
        while let Some((path, nid, depth)) = open.pop() {
            let entry = self.inode(nid).map_err(|fault| fault.at(if path.is_empty() { "/" } else { &path }))?;
            let is_folder = entry.kind == Kind::Folder;
            if path.is_empty() && !is_folder {
                return Err(bad("its root is not a folder"));
            }
            if is_folder {
                // A folder has one parent; one that is reached twice leads around in a circle.
                if !self.folders.insert(nid) || depth > MAX_DEPTH {
                    return Err(bad("its folders form a cycle").at(&path));
                }
                for (name, nid) in self.folder(&entry).map_err(|fault| fault.at(&path))? {
                    open.push((format!("{path}/{name}"), nid, depth + 1));
                }
            }
            if self.tree.len() + open.len() > MAX_FILES {
                return Err(bad(format!("more than {MAX_FILES} files")));
            }
            let path = if path.is_empty() { "/".to_owned() } else { path };
            self.tree.insert(path, entry);
        }
        Ok(())
    }

    fn inode(&mut self, nid: u64) -> Result<Entry> {
        let at = nid
            .checked_mul(32)
            .and_then(|at| at.checked_add(self.superblock.meta))
            .ok_or_else(|| bad("an inode outside of the file system"))?;
        let head = take(self.bytes, at, 32)?;
        let format = u16_at(&head, 0);
        let extended = format & 1 == 1;
        let head = if extended { take(self.bytes, at, 64)? } else { head };
        let (size, uid, gid, time) = if extended {
            (u64_at(&head, 8), u32_at(&head, 24), u32_at(&head, 28), u64_at(&head, 32).cast_signed())
        } else {
            (u64::from(u32_at(&head, 8)), u32::from(u16_at(&head, 24)), u32::from(u16_at(&head, 26)), self.superblock.time)
        };
        let mode = u32::from(u16_at(&head, 4));
        let kind = Kind::of_mode(mode);
        let count = usize::from(u16_at(&head, 2));
        let attributes_length = if count == 0 { 0 } else { 12 + 4 * (count - 1) };
        let behind = at + head.len() as u64;
        let attributes = self.attributes(behind, attributes_length)?;
        let mut entry = Entry { kind, mode: mode & 0o7777, uid, gid, size, time, target: None, attributes, runs: Vec::new() };
        if kind == Kind::Special {
            entry.size = 0;
            return Ok(entry);
        }
        let start = u64::from(u32_at(&head, 16)) * self.superblock.block;
        entry.runs = match (format >> 1) & 7 {
            _ if size == 0 => Vec::new(),
            0 => vec![(start, size)],
            2 => {
                // All but the last block lie together, the last one behind inode and attributes.
                let whole = (size.div_ceil(self.superblock.block) - 1) * self.superblock.block;
                let tail = (behind + attributes_length as u64, size - whole);
                if whole == 0 { vec![tail] } else { vec![(start, whole), tail] }
            }
            layout => return Err(bad(format!("a file in the layout {layout}, compressed or in chunks"))),
        };
        if entry.runs.iter().any(|(offset, length)| offset.checked_add(*length).is_none_or(|end| end > self.bytes.length())) {
            return Err(bad("a file lies beyond its end"));
        }
        if kind == Kind::Link {
            entry.target = Some(String::from_utf8_lossy(&self.content(&entry, MAX_TARGET)?).into_owned());
            (entry.size, entry.runs) = (0, Vec::new());
        }
        Ok(entry)
    }

    fn content(&self, entry: &Entry, most: u64) -> Result<Vec<u8>> {
        if entry.size > most {
            return Err(bad(format!("{} bytes where at most {most} may be", entry.size)));
        }
        let mut content = Vec::new();
        for (offset, length) in &entry.runs {
            content.extend(take(self.bytes, *offset, usize::try_from(*length).unwrap_or(0))?);
        }
        Ok(content)
    }

    /// Names and inode numbers of a folder, block by block: entries first, then their names, each up to the next.
    fn folder(&self, entry: &Entry) -> Result<Vec<(String, u64)>> {
        let content = self.content(entry, MAX_FOLDER)?;
        let mut all = Vec::new();
        for block in content.chunks(usize::try_from(self.superblock.block).unwrap_or(4096)) {
            let broken = || bad("a folder's entries are damaged");
            let first = usize::from(u16_at(block.get(..12).ok_or_else(broken)?, 8));
            if first < 12 || !first.is_multiple_of(12) || first > block.len() {
                return Err(broken());
            }
            for number in 0..first / 12 {
                let raw = &block[number * 12..number * 12 + 12];
                let start = usize::from(u16_at(raw, 8));
                let end = if number + 1 < first / 12 { usize::from(u16_at(block, number * 12 + 20)) } else { block.len() };
                let name = block.get(start..end).ok_or_else(broken)?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name == b"." || name == b".." {
                    continue;
                }
                if name.is_empty() || name.contains(&b'/') {
                    return Err(broken());
                }
                all.push((String::from_utf8_lossy(name).into_owned(), u64_at(raw, 0)));
            }
        }
        Ok(all)
    }

    /// Extended attributes: a header with the numbers of shared ones, then the file's own.
    fn attributes(&mut self, at: u64, length: usize) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        if length == 0 {
            return Ok(all);
        }
        if length > MAX_ATTRIBUTES * 4 {
            return Err(bad("too many attributes"));
        }
        let raw = take(self.bytes, at, length)?;
        let count = usize::from(raw[4]);
        let mut from = 12 + count * 4;
        if from > raw.len() {
            return Err(bad("attributes are damaged"));
        }
        for number in 0..count {
            let (name, value) = self.shared(u32_at(&raw, 12 + number * 4))?;
            all.insert(name, value);
        }
        while raw.len() - from >= 4 {
            let (name, value, used) = attribute(&raw[from..])?;
            all.insert(name, value);
            from = (from + used).next_multiple_of(4).min(raw.len());
        }
        Ok(all)
    }

    fn shared(&mut self, number: u32) -> Result<(String, Vec<u8>)> {
        if let Some(known) = self.shared.get(&number) {
            return Ok(known.clone());
        }
        let at = self.superblock.attributes + u64::from(number) * 4;
        let head = take(self.bytes, at, 4)?;
        let length = 4 + usize::from(head[0]) + usize::from(u16_at(&head, 2));
        let (name, value, _) = attribute(&take(self.bytes, at, length)?)?;
        self.shared.insert(number, (name.clone(), value.clone()));
        Ok((name, value))
    }
}

/// One attribute: name, value, and how many bytes it takes.
fn attribute(raw: &[u8]) -> Result<(String, Vec<u8>, usize)> {
    let (name, value) = (usize::from(raw[0]), usize::from(u16_at(raw, 2)));
    let prefix = match raw[1] {
        1 => "user.",
        2 => "system.posix_acl_access",
        3 => "system.posix_acl_default",
        4 => "trusted.",
        6 => "security.",
        other => return Err(bad(format!("an attribute of kind {other}"))),
    };
    let all = raw.get(4..4 + name + value).ok_or_else(|| bad("attributes are damaged"))?;
    let name_text = String::from_utf8_lossy(&all[..name]);
    Ok((format!("{prefix}{name_text}"), all[name..].to_vec(), 4 + name + value))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, process::Command};

    use super::*;
    use crate::image::erofs::{Node, make};

    fn made() -> Vec<u8> {
        let files = BTreeMap::from([
            ("etc/hostname".to_owned(), Node::File(b"wt-0001\n".to_vec())),
            ("etc/big".to_owned(), Node::File(vec![7; 9000])),
            ("etc/localtime".to_owned(), Node::Link("../usr/share/zoneinfo/Europe/Paris".into())),
        ]);
        make(&files, Uuid::from_u128(5), 1_700_000_000).unwrap()
    }

    #[test]
    fn what_we_make_is_read() {
        let volume = read(Box::new(made())).unwrap().unwrap();
        assert_eq!(volume.tree.keys().collect::<Vec<_>>(), ["/", "/etc", "/etc/big", "/etc/hostname", "/etc/localtime"]);
        let hostname = &volume.tree["/etc/hostname"];
        assert_eq!((hostname.kind, hostname.mode, hostname.time), (Kind::File, 0o644, 1_700_000_000));
        assert_eq!(volume.content(hostname, 100).unwrap(), b"wt-0001\n");
        assert_eq!(volume.content(&volume.tree["/etc/big"], 1 << 20).unwrap(), vec![7; 9000]);
        assert_eq!(volume.tree["/etc/localtime"].target.as_deref(), Some("../usr/share/zoneinfo/Europe/Paris"));
        assert!(read(Box::new(vec![0; 8192])).unwrap().is_none());
        assert!(read(Box::new(Vec::new())).unwrap().is_none());
    }

    /// Every byte of the metadata turned over: an answer or an error, and no panic.
    #[test]
    fn damage_is_an_error_and_no_panic() {
        let good = made();
        let mut refused = 0;
        for at in 1024..good.len().min(3 * 4096) {
            for flip in [0x01, 0x80, 0xff] {
                let mut image = good.clone();
                image[at] ^= flip;
                refused += usize::from(read(Box::new(image)).is_err());
            }
        }
        assert!(refused > 100, "{refused}");
        let mut compressed = good;
        compressed[1024 + 80] = 1;
        assert!(read(Box::new(compressed)).unwrap_err().to_string().contains("compressed"));
    }

    /// What `mkfs.erofs` makes: long folders, ends behind inodes, owners, modes, attributes.
    #[test]
    fn what_mkfs_makes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
        fs::create_dir_all(tree.join("many")).unwrap();
        for number in 0..500 {
            let content = vec![u8::try_from(number % 251).unwrap(); number * 17];
            fs::write(tree.join(format!("many/a-name-that-is-rather-long-{number}")), content).unwrap();
        }
        fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("many", tree.join("link")).unwrap();
        fs::write(tree.join("attributed"), "behind its attributes").unwrap();
        let attribute = Command::new("setfattr").args(["-n", "user.x", "-v", "y"]).arg(tree.join("attributed")).status();
        let mut make = Command::new("mkfs.erofs");
        make.args(["-T1700000000", "--quiet"]).arg(&image).arg(&tree);
        let Ok(done) = make.output() else { return }; // a host without erofs-utils; CI has them
        assert!(done.status.success(), "{done:?}");
        let volume = read(Box::new(fs::read(&image).unwrap())).unwrap().unwrap();
        assert_eq!(volume.tree.len(), 505);
        assert_eq!(volume.content(&volume.tree["/attributed"], 100).unwrap(), b"behind its attributes");
        for number in 0..500 {
            let path = format!("many/a-name-that-is-rather-long-{number}");
            let entry = &volume.tree[&format!("/{path}")];
            assert_eq!(volume.content(entry, 1 << 20).unwrap(), fs::read(tree.join(path)).unwrap());
        }
        assert_eq!(volume.tree["/link"].target.as_deref(), Some("many"));
        if attribute.is_ok_and(|status| status.success()) {
            assert_eq!(volume.tree["/attributed"].attributes["user.x"], b"y");
        }
    }
}
