//! Trusted image and claimed disk in, record out: the steps in the only order that their types allow.
//!
//! ```text
//! Trusted + Target ── survey ──> Found ── write ──> Written ── read_back ──> Verified ── finish ──> Finished ── record ──> Record
//! ```
//!
//! A disk that holds the whole image already is not written; it is read back all the same.

use livery_contract::{Result, inventory::System, job::Job, record::Record};

use crate::{
    fetch::Source,
    finish, record,
    survey::{self, Found},
    target::Target,
    trust::Trusted,
    verify, write,
    write::Work,
};

/// Writes, reads back, finishes. Blocking; not for an async task.
///
/// # Errors
/// The first fault of any step; then the disk does not boot, unless finishing failed on a disk that was verified.
pub fn flash<S: Source>(
    trusted: &Trusted<S>,
    target: Target,
    system: System,
    job: Option<&Job>,
    boot_entry: bool,
    work: &Work,
) -> Result<Record> {
    let verified = match survey::survey(trusted, &target, work)? {
        Found::Whole => verify::already_there(target, trusted, work)?,
        found => verify::read_back(write::write(trusted, target, &found, work)?, trusted, work)?,
    };
    let finished = finish::finish(verified, trusted.manifest(), boot_entry, &work.progress)?;
    Ok(record::record(finished, trusted, system, job))
}

#[cfg(test)]
mod tests;
