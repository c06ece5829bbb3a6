//! What ties the disk's content to this machine: the personal layer's root hash sealed to its TPM, the encrypted data partition made.
//!
//! In: a [`Finished`] disk that stays in this machine. Out: the same, with what was bound in its record. Nothing is bound where the
//! machine has no TPM 2.0, or the image does not ask. By systemd's own tools, as on the medium; their results are written with this
//! program's own reads and writes, so that they are read back like all the rest. Fails with exit 6 where TPM or disk fail.

mod credential;
mod data;
mod escrow;
mod tool;

use std::path::Path;

use livery_contract::{Result, manifest::Manifest, record::Bound};

use crate::{finish::Finished, target::Target};

/// Where the kernel says what kind of TPM there is.
const TPM: &str = "/sys/class/tpm/tpm0/tpm_version_major";

/// Whether this machine has a TPM that can seal.
pub fn has_tpm() -> bool {
    std::fs::read_to_string(Path::new(TPM)).is_ok_and(|version| version.trim() == "2")
}

/// Whether there is anything to bind, and something to bind it to.
fn wanted(target: &Target, manifest: &Manifest) -> bool {
    (manifest.identity.is_some() || manifest.data.is_some()) && target.stays() && has_tpm()
}

/// Whether this system has what [`bind`] needs for this image: asked before the first byte is written.
///
/// # Errors
/// Exit 3 where a tool is absent.
pub fn ready(target: &Target, manifest: &Manifest) -> Result<()> {
    if !wanted(target, manifest) {
        return Ok(());
    }
    let data = manifest.data.as_ref().map(|_| [data::FORMAT, data::ENROL]);
    [credential::SEAL].iter().chain(data.iter().flatten()).try_for_each(|tool| tool.is_there())
}

/// Binds what the image wants bound. Blocking; not for an async task.
///
/// # Errors
/// Exit 6 where the TPM does not seal or the disk does not keep what it is given.
pub fn bind(mut finished: Finished, manifest: &Manifest) -> Result<Finished> {
    if !wanted(finished.target(), manifest) {
        return Ok(finished);
    }
    let mut bound = Bound { identity: None, recovery: None };
    let device = finished.target().device();
    let mut changes = Vec::new();
    if let Some(identity) = &manifest.identity {
        let patch = credential::sealed(identity)?;
        patch.apply(device)?;
        changes.push(patch);
        bound.identity = Some(identity.root_hash);
    }
    if let Some(data) = &manifest.data {
        let made = data::make(data, manifest)?;
        made.header.apply(device)?;
        changes.push(made.header);
        bound.recovery = Some(made.recovery);
    }
    device.flush()?;
    let changes = changes.iter().map(|patch| patch.read_back(device)).collect::<Result<Vec<_>>>()?;
    finished.bound(bound, changes);
    Ok(finished)
}
