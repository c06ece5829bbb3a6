//! Judges a record from outside: by the bytes that the disk holds, and nothing that the agent says.

use std::path::Path;

use livery_contract::{Fault, Result, record::Record};

use crate::raw_disk::digest;

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Sections whose SHA-256 is the record's.
    pub sections: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// Ranges that the record says were changed after, each with the SHA-256 that it gives.
    pub changes: usize,
}

/// Compares a disk, or a file that stands for one, with its record: sections lie in order over the image, to its end; each has the
/// digest that the record gives, but for what the record itself lists as changed after; and those have theirs.
///
/// # Errors
/// The first difference.
pub fn compare(record: &Record, disk: &Path) -> Result<Compared> {
    let differs = |what: String| Fault::device(what).at(disk.display());
    let mut compared = Compared { sections: 0, bytes: 0, changes: record.changed_after.len() };
    let mut end = 0;
    for section in &record.sections {
        // What partitions keep free for a later image is in no section.
        if section.offset < end {
            return Err(differs(format!("the record's section {} begins at {}, before {end}", section.name, section.offset)));
        }
        end = section.offset + section.length;
        let changed = record
            .changed_after
            .iter()
            .any(|change| change.offset < end && section.offset < change.offset.saturating_add(change.length));
        if !changed {
            let found = digest(disk, section.offset, section.length)?;
            if found != section.sha256 {
                return Err(differs(format!("section {} is {found}, the record says {}", section.name, section.sha256)));
            }
            compared.sections += 1;
            compared.bytes += section.length;
        }
    }
    if end != record.size || compared.sections == 0 {
        return Err(differs(format!("the record's sections cover {end} bytes of {}", record.size)));
    }
    for change in &record.changed_after {
        let found = digest(disk, change.offset, change.length)?;
        if found != change.sha256 {
            return Err(differs(format!("{} at {} is {found}, the record says {}", change.reason, change.offset, change.sha256)));
        }
    }
    Ok(compared)
}
