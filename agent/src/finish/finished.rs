//! What the image cannot know: where this disk ends, and what this firmware boots.
//!
//! In: a [`Verified`] disk. Out: a [`Finished`] one: partition table (and, for sectors of 4096 bytes, the ESP's FAT) made
//! to fit the disk, boot entry in place, each change read back. Fails with exit 6.

use jiff::Timestamp;
use livery_contract::{
    Result,
    manifest::Manifest,
    record::{Bound, Change, DeviceKeys, Section, Times, Traffic},
    wire::Phase,
};

use super::place::{fit, put_boot_entry};
use crate::{target::claim::Target, verify::verified::Verified, work::progress::Progress};

/// A disk that is ready to boot.
#[derive(Debug)]
pub(crate) struct Finished {
    target: Target,
    sections: Vec<Section>,
    changed_after: Vec<Change>,
    boot_entry: Option<String>,
    bound: Option<Bound>,
    keys: Option<DeviceKeys>,
    traffic: Traffic,
    times: Times,
}

/// All of a finished disk that goes into its record.
pub(crate) struct Parts {
    pub target: Target,
    pub sections: Vec<Section>,
    pub changed_after: Vec<Change>,
    pub boot_entry: Option<String>,
    pub bound: Option<Bound>,
    pub keys: Option<DeviceKeys>,
    pub traffic: Traffic,
    pub times: Times,
}

impl Finished {
    pub(crate) fn into_parts(self) -> Parts {
        let Self { target, sections, changed_after, boot_entry, bound, keys, traffic, times } = self;
        Parts { target, sections, changed_after, boot_entry, bound, keys, traffic, times }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes in what was tied to this machine, which keys were made, and what changed for both.
    pub(crate) fn bound(&mut self, bound: Option<Bound>, keys: Option<DeviceKeys>, changes: Vec<Change>) {
        (self.bound, self.keys) = (bound, keys);
        self.changed_after.extend(changes);
        self.changed_after.sort_by_key(|change| change.offset);
        self.times.finished = Timestamp::now();
    }
}

/// Makes the table fit, and puts the boot entry in where `boot_entry` says so, the machine was booted through UEFI, and the
/// disk stays in it. Blocking; not for an async task.
///
/// # Errors
/// Exit 4 where the image's partition table is none, 6 where disk or firmware do not take or keep a change.
pub(crate) fn finish(verified: Verified, manifest: &Manifest, boot_entry: bool, progress: &Progress) -> Result<Finished> {
    progress.enter(Phase::Finish, 0);
    let mut changed_after = verified.changed().to_vec();
    changed_after.extend(fit(verified.target(), manifest)?);
    changed_after.sort_by_key(|change| change.offset);
    let boot_entry = put_boot_entry(verified.target(), manifest, boot_entry)?;
    let (target, sections, traffic, (started, written, verified)) = verified.into_parts();
    let times = Times { started, written, verified, finished: Timestamp::now() };
    Ok(Finished { target, sections, changed_after, boot_entry, bound: None, keys: None, traffic, times })
}
