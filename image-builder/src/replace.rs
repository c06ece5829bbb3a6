//! A file put in another's place, whole or not at all: who has the old one open reads it to its end, and who is interrupted leaves it.

use std::{
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// The folder of a file; of a bare name, the one that we are in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the file at `path` one of this content, with the permissions of the one that was there, else readable by all. Its folder must
/// exist. It is on the disk when this returns.
///
/// # Errors
/// Where the content can't be read, or the file not be written beside its place or moved there.
pub(crate) fn replace(path: &Path, content: &mut impl Read) -> io::Result<()> {
    let folder = folder_of(path);
    let permissions = match fs::metadata(path) {
        Ok(there) => Permissions::from_mode(there.permissions().mode() & 0o7777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Permissions::from_mode(0o644),
        Err(error) => return Err(error),
    };
    let mut temporary = tempfile::Builder::new().prefix(".livery-").tempfile_in(folder)?;
    io::copy(content, temporary.as_file_mut())?;
    temporary.as_file().set_permissions(permissions)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_has_the_old_file_open_reads_it_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent-usb.img");
        replace(&path, &mut &b"the first"[..]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut open = fs::File::open(&path).unwrap();
        replace(&path, &mut &b"the second"[..]).unwrap();
        let mut old = String::new();
        open.read_to_string(&mut old).unwrap();
        assert_eq!((old.as_str(), fs::read_to_string(&path).unwrap().as_str()), ("the first", "the second"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_content_that_ends_in_an_error_leaves_the_old_file() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("initrd.img");
        fs::write(&path, "whole").unwrap();
        assert!(replace(&path, &mut (&b"half"[..]).chain(Torn)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
