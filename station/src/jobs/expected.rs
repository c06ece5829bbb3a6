//! What a job's device must prove later: stored with the job, so that it does not matter when the store moves on.

use livery_contract::{Digest, manifest::Manifest};
use serde::{Deserialize, Serialize};

/// What the image's manifest asks of a device: when it is written, and when it is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// dm-verity root hash of the root file system.
    pub(crate) image: Option<Digest>,
    /// The same of the personal layer.
    pub(crate) layer: Option<Digest>,
    /// Keys that the agent makes on the device.
    #[serde(default)]
    pub(crate) keys: ExpectedKeys,
    /// Whether the agent makes an encrypted data partition where the device has a TPM.
    #[serde(default)]
    pub(crate) data: bool,
}

/// Keys of the device's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExpectedKeys {
    /// None.
    #[default]
    None,
    /// One to sign with.
    Device,
    /// And one for the tunnel.
    Tunnel,
}

impl Expected {
    /// Of a personal image.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let keys = match manifest.keys {
            None => ExpectedKeys::None,
            Some(keys) if keys.tunnel => ExpectedKeys::Tunnel,
            Some(_) => ExpectedKeys::Device,
        };
        let layer = manifest.identity.map(|identity| identity.root_hash);
        Self { image: manifest.root_hash, layer, keys, data: manifest.data.is_some() }
    }
}
