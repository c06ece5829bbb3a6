//! A tree in a folder of this machine, as it will lie in an initrd: owners and permissions, without extended attributes, which an
//! initrd cannot hold.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use super::{
    bytes::{Bytes, cut_short},
    tree::{Entry, Kind, MAX_FILES, Tree, Volume},
};

/// Reads what files there are; their content is read when it is asked for.
///
/// # Errors
/// Exit 3 where the folder can't be read.
pub(crate) fn read(top: &Path) -> Result<Volume> {
    let failed = |path: &Path, error: io::Error| Fault::refused("a folder can't be read").at(path.display()).cause(error);
    let (mut tree, mut files) = (Tree::new(), Files { files: Vec::new(), length: 0 });
    let mut open = vec![("/".to_owned(), top.to_owned())];
    while let Some((path, here)) = open.pop() {
        let about = fs::symlink_metadata(&here).map_err(|error| failed(&here, error))?;
        let kind = Kind::of_mode(about.mode());
        let size = if kind == Kind::File { about.len() } else { 0 };
        let target = match kind {
            Kind::Link => Some(fs::read_link(&here).map_err(|error| failed(&here, error))?.to_string_lossy().into_owned()),
            _ => None,
        };
        if kind == Kind::Folder {
            for found in fs::read_dir(&here).map_err(|error| failed(&here, error))? {
                let found = found.map_err(|error| failed(&here, error))?;
                let name = found.file_name();
                open.push((format!("{}/{}", path.trim_end_matches('/'), name.to_string_lossy()), found.path()));
            }
        }
        let entry = Entry {
            kind,
            mode: about.mode() & 0o7777,
            uid: about.uid(),
            gid: about.gid(),
            size,
            time: about.mtime(),
            target,
            attributes: BTreeMap::new(),
            runs: if size == 0 { Vec::new() } else { vec![(files.length, size)] },
        };
        if size > 0 {
            files.files.push((files.length, here));
            files.length += size;
        }
        tree.insert(path, entry);
        if tree.len() > MAX_FILES {
            return Err(Fault::refused("the folder has too many files").at(top.display()));
        }
    }
    Ok(Volume { tree, bytes: Box::new(files) })
}

/// The files' bytes, laid end to end: where each begins, and its path.
struct Files {
    files: Vec<(u64, PathBuf)>,
    length: u64,
}

impl Bytes for Files {
    fn length(&self) -> u64 {
        self.length
    }

    /// From one file at a time, as an entry's run is.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let index = self.files.partition_point(|(start, _)| *start <= offset).checked_sub(1);
        let (start, path) = index.and_then(|index| self.files.get(index)).ok_or_else(|| cut_short(offset, 0))?;
        File::open(path)
            .and_then(|file| file.read_exact_at(buffer, offset - start))
            .map_err(|error| Fault::refused("a file can't be read").at(path.display()).cause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/a"), "first").unwrap();
        fs::write(folder.path().join("etc/b"), "second").unwrap();
        std::os::unix::fs::symlink("etc/a", folder.path().join("link")).unwrap();
        let volume = read(folder.path()).unwrap();
        assert_eq!(volume.tree.keys().collect::<Vec<_>>(), ["/", "/etc", "/etc/a", "/etc/b", "/link"]);
        assert_eq!(volume.content(&volume.tree["/etc/b"], 100).unwrap(), b"second");
        assert_eq!(volume.content(&volume.tree["/etc/a"], 3).unwrap(), b"fir");
        assert_eq!(volume.tree["/link"].target.as_deref(), Some("etc/a"));
    }
}
