//! That the station has been told: a file on the device's own data partition, with the digest of what was told and by which key. What
//! has changed since is news, and is told again. A device that keeps nothing has no mark: it tells once each time it is switched on, and
//! the station answers that it knows.

use std::{fs, path::PathBuf};

use ed25519_dalek::SigningKey;
use livery_contract::{Digest, Fault, Result, confirmation::Confirmation, digest::Hasher, envelope::PublicKey};

use super::{mounts::Mounts, settings::Settings};

#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// `None` where nothing is kept.
    place: Option<PathBuf>,
    digest: Digest,
}

impl Mark {
    pub(crate) fn new(settings: &Settings, mounts: &Mounts, told: &Confirmation, key: &SigningKey) -> Self {
        // Only what is encrypted and outlives a start: without a TPM the folder is memory.
        let data = settings.data.as_deref().filter(|data| mounts.mapped(data).is_some());
        Self { place: data.map(|data| PathBuf::from(data).join("livery/confirmed")), digest: digest(told, key) }
    }

    /// Whether the station was told just this.
    pub(crate) fn is_there(&self) -> bool {
        let Some(place) = &self.place else { return false };
        fs::read_to_string(place).is_ok_and(|text| text.trim() == self.digest.to_string())
    }

    /// Leaves it.
    ///
    /// # Errors
    /// Exit 6 where it can't be written; the station will be told again, and knows.
    pub(crate) fn set(&self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let failed =
            |error| Fault::device("the note that the station has been told can't be saved").at(place.display()).cause(error);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let fresh = place.with_extension("new");
        fs::write(&fresh, format!("{}\n", self.digest)).and_then(|()| fs::rename(&fresh, place)).map_err(failed)
    }
}

/// Of what is told, without its time, and of who tells it.
fn digest(told: &Confirmation, key: &SigningKey) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(PublicKey::of(key).to_string().as_bytes());
    hasher.update(serde_json::to_string(&(&told.serial, told.secure_boot, &told.findings)).unwrap_or_default().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;
    use livery_contract::confirmation::{Finding, SCHEMA, What};

    use super::*;

    fn told(found: &str, at: i64) -> Confirmation {
        let at = Timestamp::from_second(at).unwrap();
        let findings = vec![Finding { what: What::Hostname, wanted: None, found: found.into() }];
        Confirmation { schema: SCHEMA, serial: "WT-1".into(), booted: at, at, secure_boot: None, findings, desk: "0".into() }
    }

    #[test]
    fn the_same_word_is_told_once_and_another_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = Some(folder.path().join("livery/confirmed"));
        let mark =
            |word: &Confirmation, key: u8| Mark { place: place.clone(), digest: digest(word, &SigningKey::from_bytes(&[key; 32])) };
        let first = mark(&told("wt-1", 1), 7);
        assert!(!first.is_there());
        first.set().unwrap();
        assert!(first.is_there() && mark(&told("wt-1", 2), 7).is_there());
        assert!(!mark(&told("localhost", 2), 7).is_there(), "something else took effect");
        assert!(!mark(&told("wt-1", 2), 8).is_there(), "written again, with a new key");
        let nowhere = Mark { place: None, ..first };
        nowhere.set().unwrap();
        assert!(!nowhere.is_there());
    }
}
