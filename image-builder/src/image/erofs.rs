//! A small read-only file system made of a list of files: the personal layer.
//!
//! EROFS as the kernel reads it (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h), and of it only what a handful
//! of small files needs: 4 KiB blocks, compact inodes, uncompressed data in whole blocks, no extended attributes. The big
//! root is made by `mkfs.erofs`; this exists since 5,000 personal layers are made in seconds, without a tool being started
//! for each, and since the same files must give the same bytes.

use std::collections::BTreeMap;

use livery_contract::{Fault, Result, manifest::BLOCK};
use uuid::Uuid;

const BLOCK_BYTES: usize = 4096;
const _: () = assert!(BLOCK == BLOCK_BYTES as u64);
const MAGIC: u32 = 0xE0F5_E1E2;
const SUPERBLOCK: usize = 1024;
const INODE: usize = 32;
const DIRENT: usize = 12;

/// A file or symbolic link to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A regular file, mode 0644, root's.
    File(Vec<u8>),
    /// The same, mode 0600: not for everyone on the device.
    Private(Vec<u8>),
    /// A symbolic link.
    Link(String),
}

/// Makes the file system. `files` are paths without a leading slash; folders (0755, root's) come by themselves.
///
/// # Errors
/// Exit 1 where a path is malformed or is both file and folder, or where something is too large for this small form.
pub(crate) fn make(files: &BTreeMap<String, Node>, uuid: Uuid, epoch_seconds: i64) -> Result<Vec<u8>> {
    let mut tree = Tree { inodes: vec![Inode::folder(0)] };
    for (path, node) in files {
        tree.insert(path, node)?;
    }
    tree.write(uuid, epoch_seconds)
}

struct Inode {
    parent: usize,
    content: Content,
}

enum Content {
    Folder(BTreeMap<String, usize>),
    File(u16, Vec<u8>),
    Link(String),
}

impl Inode {
    fn folder(parent: usize) -> Self {
        Self { parent, content: Content::Folder(BTreeMap::new()) }
    }
}

struct Tree {
    inodes: Vec<Inode>,
}

impl Tree {
    fn insert(&mut self, path: &str, node: &Node) -> Result<()> {
        let bad = |what: &str| Fault::internal(format!("{path:?} {what}"));
        let mut at = 0;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part == "." || part == ".." || part.len() > 255 {
                return Err(bad("is not a path of a personal layer"));
            }
            let next = self.inodes.len();
            let Content::Folder(entries) = &mut self.inodes[at].content else { return Err(bad("goes through a file")) };
            if parts.peek().is_some() {
                let index = *entries.entry(part.to_owned()).or_insert(next);
                if index == next {
                    self.inodes.push(Inode::folder(at));
                }
                at = index;
            } else {
                if entries.insert(part.to_owned(), next).is_some() {
                    return Err(bad("stands twice"));
                }
                let content = match node {
                    Node::File(bytes) => Content::File(0o644, bytes.clone()),
                    Node::Private(bytes) => Content::File(0o600, bytes.clone()),
                    Node::Link(target) => Content::Link(target.clone()),
                };
                self.inodes.push(Inode { parent: at, content });
            }
        }
        Ok(())
    }

    fn write(&self, uuid: Uuid, epoch_seconds: i64) -> Result<Vec<u8>> {
        // Inodes begin right behind the superblock's 128 bytes; an inode's number is its distance from byte 0 in 32s.
        let first_nid = (SUPERBLOCK + 128) / INODE;
        let nid = |index: usize| first_nid + index;
        let meta_blocks = (nid(self.inodes.len()) * INODE).div_ceil(BLOCK_BYTES);
        let mut out = vec![0; meta_blocks * BLOCK_BYTES];
        for (index, inode) in self.inodes.iter().enumerate() {
            let (mode, links, data) = match &inode.content {
                Content::Folder(entries) => {
                    let folders =
                        entries.values().filter(|index| matches!(self.inodes[**index].content, Content::Folder(_))).count();
                    (0o040_755, 2 + folders, self.folder(index, inode.parent, entries, nid)?)
                }
                Content::File(mode, bytes) => (0o100_000 | mode, 1, bytes.clone()),
                Content::Link(target) => (0o120_777, 1, target.clone().into_bytes()),
            };
            let block = number(out.len() / BLOCK_BYTES)?;
            let mut entry = [0; INODE];
            // i_format 0: compact inode, data in whole blocks (EROFS_INODE_FLAT_PLAIN).
            entry[4..6].copy_from_slice(&u16::to_le_bytes(mode));
            entry[6..8].copy_from_slice(&u16::try_from(links).map_err(|_| Fault::internal("too many folders"))?.to_le_bytes());
            entry[8..12].copy_from_slice(&number(data.len())?.to_le_bytes());
            entry[16..20].copy_from_slice(&block.to_le_bytes());
            entry[20..24].copy_from_slice(&number(index + 1)?.to_le_bytes());
            out[nid(index) * INODE..][..INODE].copy_from_slice(&entry);
            out.extend_from_slice(&data);
            out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        let blocks = number(out.len() / BLOCK_BYTES)?;
        let superblock = &mut out[SUPERBLOCK..SUPERBLOCK + 128];
        superblock[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        superblock[12] = 12; // block size: 2^12
        superblock[14..16].copy_from_slice(&u16::try_from(first_nid).map_err(|_| Fault::internal("root inode"))?.to_le_bytes());
        superblock[16..24].copy_from_slice(&(self.inodes.len() as u64).to_le_bytes());
        superblock[24..32].copy_from_slice(&epoch_seconds.to_le_bytes());
        superblock[36..40].copy_from_slice(&blocks.to_le_bytes());
        superblock[48..64].copy_from_slice(uuid.as_bytes());
        Ok(out)
    }

    /// A folder's data: entries sorted by name as bytes, then the names. It must fit into one block.
    fn folder(
        &self,
        index: usize,
        parent: usize,
        entries: &BTreeMap<String, usize>,
        nid: impl Fn(usize) -> usize,
    ) -> Result<Vec<u8>> {
        let mut all: Vec<(&str, usize)> = entries.iter().map(|(name, index)| (name.as_str(), *index)).collect();
        all.extend([(".", index), ("..", parent)]);
        all.sort_by_key(|(name, _)| name.as_bytes());
        let mut out = vec![0; all.len() * DIRENT];
        for (position, (name, index)) in all.iter().enumerate() {
            let kind: u8 = match self.inodes[*index].content {
                Content::File(..) => 1,
                Content::Folder(_) => 2,
                Content::Link(_) => 7,
            };
            let name_offset = u16::try_from(out.len()).map_err(|_| Fault::internal("a folder is too large"))?;
            let entry = &mut out[position * DIRENT..][..DIRENT];
            entry[0..8].copy_from_slice(&(nid(*index) as u64).to_le_bytes());
            entry[8..10].copy_from_slice(&name_offset.to_le_bytes());
            entry[10] = kind;
            out.extend_from_slice(name.as_bytes());
        }
        if out.len() > BLOCK_BYTES { Err(Fault::internal("a folder of a personal layer has too many files")) } else { Ok(out) }
    }
}

fn number(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Fault::internal("a personal layer is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes_and_bad_paths_are_refused() {
        let files = BTreeMap::from([
            ("etc/hostname".to_owned(), Node::File(b"wt-0001\n".to_vec())),
            ("etc/localtime".to_owned(), Node::Link("../usr/share/zoneinfo/Europe/Paris".into())),
        ]);
        let image = make(&files, Uuid::nil(), 1).unwrap();
        assert_eq!(image, make(&files, Uuid::nil(), 1).unwrap());
        assert!(image.len().is_multiple_of(BLOCK_BYTES));
        assert_eq!(image[SUPERBLOCK..SUPERBLOCK + 4], MAGIC.to_le_bytes());
        for bad in ["", "/etc", "a//b", "../x", "etc/hostname/x"] {
            let mut files = files.clone();
            files.insert(bad.into(), Node::File(Vec::new()));
            assert!(make(&files, Uuid::nil(), 1).is_err(), "{bad}");
        }
    }
}
