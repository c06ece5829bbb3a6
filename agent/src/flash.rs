//! Trusted image and claimed disk in, record out: the steps in the only order that their types allow.
//!
//! ```text
//! Trusted + Target ── write ──> Written ── read_back ──> Verified ── finish ──> Finished ── record ──> Record
//! ```

use livery_contract::{Result, inventory::System, job::Job, record::Record};

use crate::{fetch::Source, finish, record, target::Target, trust::Trusted, verify, write, write::Work};

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
    let written = write::write(trusted, target, work)?;
    let verified = verify::read_back(written, trusted, work)?;
    let finished = finish::finish(verified, trusted.manifest(), boot_entry, &work.progress)?;
    Ok(record::record(finished, trusted, system, job))
}

#[cfg(test)]
mod tests;
