//! What an image says of itself and of its store: `/usr/lib/livery/updates.json`, under dm-verity like all of the root.

use std::path::{Path, PathBuf};

use livery_contract::{Fault, Reference, Result};
use serde::Deserialize;
use uuid::Uuid;

use crate::config;

pub(crate) const PLACE: &str = "/usr/lib/livery/updates.json";
/// The store's trusted root, from the signed initrd.
pub(crate) const TRUST: &str = "/run/livery/root.json";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What runs.
    pub image: Reference,
    pub store: String,
    /// PEM file of who may vouch for its server.
    pub authorities: PathBuf,
    /// GUID of the EFI system partition.
    pub esp: Uuid,
    pub slots: [Slot; 2],
    /// systemd units that must be active before a newer image is committed.
    pub units: Vec<String>,
}

/// The partitions of a slot, by their GUIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    pub root: Uuid,
    pub verity: Uuid,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Exit 2 where they are not there or not of this form.
    pub(crate) fn read(place: &Path) -> Result<Self> {
        let bytes = config::file(place).map_err(|fault| {
            fault.fix("this only works on devices whose profile has `updates.store`; write other devices again at the line")
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Fault::usage("the image's settings do not parse").at(place.display()).cause(error))
    }
}
