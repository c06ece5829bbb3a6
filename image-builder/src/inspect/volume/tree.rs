//! Files as an image holds them: what each is, and where its content lies.

use std::{collections::BTreeMap, fmt};

use livery_contract::Result;

use super::bytes::Bytes;

/// The most files of one file system.
pub(crate) const MAX_FILES: usize = 2_000_000;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Device node, FIFO or socket.
    Special,
}

impl Kind {
    /// From `st_mode`.
    pub(crate) fn of_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Folder,
            0o120_000 => Self::Link,
            _ => Self::Special,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "symbolic link",
            Self::Special => "special file",
        })
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Permissions, with the setuid, setgid and sticky bits: 12 bits.
    pub(crate) mode: u32,
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Bytes; of a regular file.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) time: i64,
    /// Where a symbolic link points.
    pub(crate) target: Option<String>,
    /// Extended attributes: capabilities are `security.capability`.
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
    /// Where the content lies, run after run: offset and length, together `size`.
    pub(crate) runs: Vec<(u64, u64)>,
}

/// The attribute that holds a file's capabilities (capabilities(7)).
pub(crate) const CAPABILITY: &str = "security.capability";

/// Files by path; each begins with `/`, the top itself is `/`.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// A file system: its files, and the bytes that they lie in.
pub(crate) struct Volume {
    /// The files.
    pub(crate) tree: Tree,
    /// What their runs are offsets into.
    pub(crate) bytes: Box<dyn Bytes>,
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("files", &self.tree.len()).finish_non_exhaustive()
    }
}

impl Volume {
    /// Fills `buffer` from a file's byte `from` on, as far as the file goes; gives how much that was.
    ///
    /// # Errors
    /// As [`Bytes::read`].
    pub(crate) fn read(&self, entry: &Entry, from: u64, buffer: &mut [u8]) -> Result<usize> {
        let (mut at, mut filled) = (0, 0);
        for (offset, length) in &entry.runs {
            let end = at + length;
            let want = from + filled as u64;
            if filled < buffer.len() && want >= at && want < end {
                let room = buffer.len() - filled;
                let step = usize::try_from(end - want).unwrap_or(usize::MAX).min(room);
                self.bytes.read(offset + (want - at), &mut buffer[filled..filled + step])?;
                filled += step;
            }
            at = end;
        }
        Ok(filled)
    }

    /// A whole file, at most `limit` bytes of it.
    ///
    /// # Errors
    /// As [`Bytes::read`].
    pub(crate) fn content(&self, entry: &Entry, limit: usize) -> Result<Vec<u8>> {
        let mut content = vec![0; usize::try_from(entry.size).unwrap_or(usize::MAX).min(limit)];
        let filled = self.read(entry, 0, &mut content)?;
        content.truncate(filled);
        Ok(content)
    }

    /// Whether two files hold the same; what lies in the same chunk of both is not read.
    ///
    /// # Errors
    /// As [`Bytes::read`].
    pub(crate) fn same(&self, entry: &Entry, other: &Self, theirs: &Entry) -> Result<bool> {
        if entry.size != theirs.size {
            return Ok(false);
        }
        const STEP: u64 = 4 << 20;
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < entry.size {
            let known = self.known(entry, at).zip(other.known(theirs, at));
            if let Some(((a, left), (b, left_there))) = known
                && a == b
            {
                at += left.min(left_there);
                continue;
            }
            // Up to where they may be known to be the same again.
            let mut step = 0;
            while step < STEP && at + step < entry.size {
                match self.known(entry, at + step).zip(other.known(theirs, at + step)) {
                    Some(((a, _), (b, _))) if a == b => break,
                    Some(((_, left), (_, left_there))) => step += left.min(left_there),
                    None => step = STEP,
                }
            }
            let length = usize::try_from(step.min(STEP).min(entry.size - at)).unwrap_or(0);
            one.resize(length, 0);
            two.resize(length, 0);
            let filled = (self.read(entry, at, &mut one)?, other.read(theirs, at, &mut two)?);
            if filled != (length, length) || one != two {
                return Ok(false);
            }
            at += length as u64;
        }
        Ok(true)
    }

    /// The chunk and the place in it of a file's byte, and how many bytes from there lie in it.
    fn known(&self, entry: &Entry, at: u64) -> Option<((Option<livery_contract::Digest>, u64), u64)> {
        let mut from = 0;
        for (offset, length) in &entry.runs {
            if at < from + length {
                let known = self.bytes.known(offset + (at - from))?;
                return Some(((known.chunk, known.within), known.left.min(from + length - at)));
            }
            from += length;
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use livery_contract::Digest;

    use super::{super::bytes::Known, *};

    pub(crate) fn file(runs: Vec<(u64, u64)>) -> Entry {
        Entry {
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: runs.iter().map(|(_, length)| length).sum(),
            time: 0,
            target: None,
            attributes: BTreeMap::new(),
            runs,
        }
    }

    /// Chunks of 8 bytes; those that are told apart by their digest alone cannot be read.
    struct Chunked(Vec<u8>, Vec<Option<Digest>>);

    impl Bytes for Chunked {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
            for at in offset..offset + buffer.len() as u64 {
                assert!(self.1[usize::try_from(at / 8).unwrap()] != Some(Digest::of(b"shared")), "a shared chunk was read");
            }
            self.0.read(offset, buffer)
        }

        fn known(&self, offset: u64) -> Option<Known> {
            let chunk = self.1[usize::try_from(offset / 8).unwrap()];
            Some(Known { chunk, within: if chunk.is_none() { 0 } else { offset % 8 }, left: 8 - offset % 8 })
        }
    }

    #[test]
    fn runs_are_read_in_order_and_shared_chunks_not_at_all() {
        let volume = Volume { tree: Tree::new(), bytes: Box::new(b"0123456789abcdef".to_vec()) };
        let entry = file(vec![(10, 3), (0, 2)]);
        let mut buffer = [0; 8];
        assert_eq!(volume.read(&entry, 1, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"bc01");
        assert_eq!(volume.content(&entry, 4).unwrap(), b"abc0");

        let shared = Some(Digest::of(b"shared"));
        let one = |bytes: &[u8], middle: &[u8]| Volume {
            tree: Tree::new(),
            bytes: Box::new(Chunked(bytes.to_vec(), vec![Some(Digest::of(&bytes[..8])), shared, Some(Digest::of(middle)), None])),
        };
        let a = one(b"aaaaaaaaSSSSSSSSccccccccdddddddd", b"1");
        let b = one(b"aaaaaaaaSSSSSSSScccccccddddddddd", b"2");
        let all = file(vec![(0, 32)]);
        assert!(!a.same(&all, &b, &all).unwrap());
        let most = file(vec![(0, 23)]);
        assert!(a.same(&most, &b, &most).unwrap());
        assert!(!a.same(&most, &b, &all).unwrap());
    }
}
