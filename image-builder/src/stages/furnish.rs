//! Files into a root: written, linked, laid over it from `files/`.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use include_dir::{Dir, DirEntry};
use livery_contract::{Fault, Result};

/// Where programs lie, within `files/`.
const RUN: [&str; 2] = ["usr/lib/livery/", "usr/lib/NetworkManager/dispatcher.d/"];

/// A root being furnished.
#[derive(Debug)]
pub(crate) struct Furnish<'a> {
    /// Where its files lie.
    pub(crate) root: &'a Path,
}

impl<'a> Furnish<'a> {
    /// Writes below `root`.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// Writes a file, mode 0644.
    ///
    /// # Errors
    /// Exit 1 where it can't be written.
    pub(crate) fn file(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        self.file_with_mode(path, text, 0o644)
    }

    /// Writes a file of JSON for people, too.
    ///
    /// # Errors
    /// Exit 1 where it can't be written.
    pub(crate) fn json(&self, path: &str, value: &serde_json::Value) -> Result<()> {
        self.file(path, format!("{value:#}\n"))
    }

    /// Writes a file with a mode of its own.
    ///
    /// # Errors
    /// Exit 1 where it can't be written.
    pub(crate) fn file_with_mode(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let full = self.fresh(path)?;
        fs::write(&full, text)
            .and_then(|()| fs::set_permissions(&full, fs::Permissions::from_mode(mode)))
            .map_err(|error| failed(&full, error))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// Exit 1 where it can't be made.
    pub(crate) fn link(&self, path: &str, target: &str) -> Result<()> {
        let full = self.fresh(path)?;
        symlink(target, &full).map_err(|error| failed(&full, error))
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// Exit 1 where it can't be made.
    pub(crate) fn folder(&self, path: &str) -> Result<()> {
        let full = self.root.join(path);
        fs::create_dir_all(&full).map_err(|error| failed(&full, error))
    }

    /// Lays a folder of `files/` over the root. What lies in one of [`RUN`] is run, the rest is read.
    ///
    /// # Errors
    /// Exit 1 where something can't be written.
    pub(crate) fn lay(&self, files: &Dir) -> Result<()> {
        for entry in files.entries() {
            match entry {
                DirEntry::Dir(folder) => self.lay(folder)?,
                DirEntry::File(file) => {
                    let path = file.path().to_string_lossy();
                    let mode = if RUN.iter().any(|folder| path.starts_with(folder)) { 0o755 } else { 0o644 };
                    self.file_with_mode(&path, file.contents(), mode)?;
                }
            }
        }
        Ok(())
    }

    /// The path of something new: its folder is made, what was there (a link too) is gone.
    fn fresh(&self, path: &str) -> Result<std::path::PathBuf> {
        let full = self.root.join(path);
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        match fs::remove_file(&full) {
            Ok(()) => Ok(full),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(full),
            Err(error) => Err(failed(&full, error)),
        }
    }
}

fn failed(path: &Path, error: io::Error) -> Fault {
    Fault::internal("a setting can't be written").at(path.display()).cause(error)
}
