//! Trusted image and claimed disk in, record out: the steps in the only order that their types allow.
//!
//! ```text
//! Trusted + Target ── survey ──> Found ── write ──> Written ── read_back ──> Verified ── finish, bind ──> Finished ── record ──> Record
//! ```
//!
//! A disk that holds the whole image already is not written; it is read back all the same.

use livery_contract::{Result, inventory::System, job::Job, record::Record};

use crate::{
    finish::{bind, finished},
    image::{source::Source, trust::Trusted},
    report::record,
    target::claim::Target,
    verify::verified,
    work::Work,
    write::{found::Found, survey, written},
};

/// What is done since the disk stays in this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stays {
    /// Put an entry into the firmware's boot menu.
    pub boot_entry: bool,
    /// Bind the content to this machine's TPM, where it has one.
    pub bind: bool,
}

/// Writes, reads back, finishes, binds. Blocking; not for an async task.
///
/// # Errors
/// The first fault of any step; then the disk does not boot, unless finishing failed on a disk that was verified.
pub(crate) fn flash<S: Source>(
    trusted: &Trusted<S>,
    target: Target,
    system: System,
    job: Option<&Job>,
    stays: Stays,
    work: &Work,
) -> Result<Record> {
    if stays.bind {
        bind::ready(&target, trusted.manifest())?;
    }
    let verified = match survey::survey(trusted, &target, work)? {
        Found::Whole => verified::already_there(target, trusted, work)?,
        found => verified::read_back(written::write(trusted, target, &found, work)?, trusted, work)?,
    };
    let finished = finished::finish(verified, trusted.manifest(), stays.boot_entry, &work.progress)?;
    let finished = if stays.bind { bind::bind(finished, trusted.manifest())? } else { finished };
    Ok(record::record(finished, trusted, system, job))
}

#[cfg(test)]
mod tests;
