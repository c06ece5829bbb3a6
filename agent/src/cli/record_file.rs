//! `--record`: the record in a file.

use std::{io::Write as _, path::Path};

use livery_contract::{Fault, Result};
use serde::Serialize;

/// Said before the disk is touched, not after an hour.
pub(super) fn check_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() { Ok(()) } else { Err(Fault::usage("the folder for the record does not exist").at(folder.display())) }
}

/// In whole or not at all.
pub(super) fn save(path: &Path, record: &impl Serialize) -> Result<()> {
    let fail = |error: std::io::Error| {
        Fault::internal("the disk is written and verified, but its record could not be saved").at(path.display()).cause(error)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    serde_json::to_writer_pretty(&mut file, record).map_err(|error| fail(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_is_saved_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        save(&path, &serde_json::json!({ "a": 1 })).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}\n");
        assert_eq!(check_folder(&folder.path().join("none/record.json")).unwrap_err().exit().code(), 2);
    }
}
