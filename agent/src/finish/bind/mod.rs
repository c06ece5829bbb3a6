//! What ties the disk's content to this machine: the personal layer's root hash sealed to its TPM, the encrypted data partition and the
//! device's own keys made.
//!
//! In: a [`Finished`] disk that stays in this machine. Out: the same, with what was bound and made in its record. Nothing is bound where
//! the machine has no TPM 2.0, or the image does not ask; keys are made all the same. By systemd's own tools, as on the medium; their results are written with this
//! program's own reads and writes, so that they are read back like all the rest. Fails with exit 6 where TPM or disk fail.

mod credential;
mod data;
mod escrow;
mod keys;
mod tool;

use std::path::Path;

use livery_contract::{Result, manifest::Manifest, record::Bound};

use crate::{finish::finished::Finished, fit::patch::Patch, target::claim::Target};

/// Where the kernel says what kind of TPM there is.
const TPM: &str = "/sys/class/tpm/tpm0/tpm_version_major";

/// Whether this machine has a TPM that can seal.
pub(crate) fn has_tpm() -> bool {
    std::fs::read_to_string(Path::new(TPM)).is_ok_and(|version| version.trim() == "2")
}

/// What is to be done for this image on this machine.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Its content tied to the TPM.
    bound: bool,
    /// Keys of the device's own.
    keys: bool,
}

fn wanted(target: &Target, manifest: &Manifest) -> Wanted {
    let stays = target.stays();
    Wanted {
        bound: (manifest.identity.is_some() || manifest.data.is_some()) && stays && has_tpm(),
        keys: manifest.keys.is_some() && stays,
    }
}

/// Whether this system has what [`bind`] needs for this image: asked before the first byte is written.
///
/// # Errors
/// Exit 3 where a tool is absent.
pub(crate) fn ready(target: &Target, manifest: &Manifest) -> Result<()> {
    let wanted = wanted(target, manifest);
    let seal = (wanted.bound || wanted.keys).then_some(credential::SEAL);
    let data = manifest.data.as_ref().filter(|_| wanted.bound).map(|_| [data::FORMAT, data::ENROL]);
    seal.iter().chain(data.iter().flatten()).try_for_each(|tool| tool.is_there())
}

/// Binds what the image wants bound, and makes the keys that it wants made. Blocking; not for an async task.
///
/// # Errors
/// Exit 6 where the TPM does not seal or the disk does not keep what it is given.
pub(crate) fn bind(mut finished: Finished, manifest: &Manifest) -> Result<Finished> {
    let wanted = wanted(finished.target(), manifest);
    if !wanted.bound && !wanted.keys {
        return Ok(finished);
    }
    let device = finished.target().device();
    let mut changes = Vec::new();
    let mut put = |patch: Patch| patch.apply(device).map(|()| changes.push(patch));
    let mut bound = wanted.bound.then_some(Bound { identity: None, recovery: None });
    if let (Some(identity), Some(bound)) = (&manifest.identity, &mut bound) {
        put(credential::sealed(identity)?)?;
        bound.identity = Some(identity.root_hash);
    }
    if let (Some(data), Some(bound)) = (&manifest.data, &mut bound) {
        let made = data::make(data, manifest)?;
        put(made.header)?;
        bound.recovery = Some(made.recovery);
    }
    let mut public = None;
    if let (Some(keys), true) = (&manifest.keys, wanted.keys) {
        let made = keys::make(keys, has_tpm())?;
        put(made.credential)?;
        public = Some(made.public);
    }
    device.flush()?;
    let changes = changes.iter().map(|patch| patch.read_back(device)).collect::<Result<Vec<_>>>()?;
    finished.bound(bound, public, changes);
    Ok(finished)
}
