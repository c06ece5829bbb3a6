//! What a job's device must prove later: stored with the job, so that it does not matter when the store moves on.

use livery_contract::{
    Digest,
    manifest::{Manifest, SectionRange},
};
use serde::{Deserialize, Serialize};

/// A section that the record must have read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpectedSection {
    /// Its name.
    pub(crate) name: String,
    /// First byte.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) length: u64,
}

impl From<SectionRange> for ExpectedSection {
    fn from(section: SectionRange) -> Self {
        Self { name: section.name, offset: section.offset, length: section.length }
    }
}

/// The root hashes that a device in use must have mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpectedRoots {
    /// dm-verity root hash of the root file system.
    pub(crate) image: Option<Digest>,
    /// The same of the personal layer.
    pub(crate) layer: Option<Digest>,
}

impl ExpectedRoots {
    /// Of a personal image.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self { image: manifest.root_hash, layer: manifest.identity.map(|identity| identity.root_hash) }
    }
}
