//! Software that may not be passed on to everybody, and the stores that may hold it.
//!
//! An image says in its signed manifest what is restricted in it. A store says by a file, `RESTRICTED`, that images with such
//! software may lie in it. The file is no part of what is signed or copied: it is a statement about a place and about who can read
//! there, so a copy of the store elsewhere is not marked until somebody marks it there.

use std::{fs, path::Path};

use livery_contract::{Fault, Result};

use super::blobs::write_atomically;

/// The file that marks a store.
pub(crate) const MARK: &str = "RESTRICTED";
const TEXT: &str = "This store may hold images with software that may not be redistributed: only people whom its licence covers\n\
    may read it. `livery store allow --restricted` made this file; without it, the store takes no more such images.\n";

/// Marks a store, or the folder that is to become one.
///
/// # Errors
/// Exit 5 where it can't be written.
pub(crate) fn allow(store: &Path) -> Result<()> {
    write_atomically(&store.join(MARK), TEXT.as_bytes())
}

/// Whether a store may hold restricted software.
pub(crate) fn is_allowed(store: &Path) -> bool {
    fs::symlink_metadata(store.join(MARK)).is_ok_and(|mark| mark.is_file())
}

/// Refuses an image with restricted software where the store is not marked.
///
/// # Errors
/// Exit 3, naming the software.
pub(crate) fn check(store: &Path, restricted: &[String]) -> Result<()> {
    if restricted.is_empty() || is_allowed(store) {
        return Ok(());
    }
    Err(Fault::refused(format!("the image has software that may not be redistributed: {}", restricted.join("; ")))
        .at(store.display())
        .fix(format!(
            "if only people whom its licence covers can read the store: livery store allow {} --restricted",
            store.display()
        )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_store_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let restricted = ["icaclient 1 (EULA)".to_owned()];
        check(&store, &[]).unwrap();
        let fault = check(&store, &restricted).unwrap_err();
        assert_eq!(fault.exit().code(), 3);
        assert!(
            fault.render().contains("icaclient 1 (EULA)") && fault.render().contains("livery store allow"),
            "{}",
            fault.render()
        );
        assert!(!store.exists(), "asking makes nothing");
        // A folder of that name, or a link to somewhere, is no mark.
        fs::create_dir_all(store.join(MARK)).unwrap();
        check(&store, &restricted).unwrap_err();
        fs::remove_dir(store.join(MARK)).unwrap();
        allow(&store).unwrap();
        check(&store, &restricted).unwrap();
    }
}
