//! Who signs what a device checks before it believes it: the keys that a build puts into an image, or signs it with.

use std::path::Path;

use livery_contract::Result;
use uuid::Uuid;

use crate::{personal, publish::keys::Keys, secure_boot::signer::Signer, stages::anchors::Anchors};

/// Who signs what a device checks before it believes it.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Signs UKIs.
    pub(crate) secure_boot: Signer,
    /// Signs personal layers.
    pub(crate) identity: Signer,
    /// The public key that recovery keys are encrypted to, PEM.
    pub(crate) recovery: String,
    /// The store's trusted root, `root.json`.
    pub(crate) root_json: String,
}

impl Trust {
    /// Of the folder that `livery keygen` made.
    ///
    /// # Errors
    /// Exit 2 where a key is not there, 3 where it is no pair with its certificate.
    pub(crate) fn open(keys: &Path) -> Result<Self> {
        let (identity, recovery) = (personal::keys::signer(keys)?, personal::keys::recovery(keys)?);
        let root_json = String::from_utf8_lossy(Keys::open(keys)?.root_json()).into_owned();
        Ok(Self { secure_boot: Signer::open(keys)?, identity, recovery, root_json })
    }

    /// What an image with this identity partition has in its initrd.
    pub(crate) fn anchors(&self, identity: Uuid) -> Anchors {
        Anchors::new(identity, &self.identity.certificate_pem(), &self.root_json)
    }
}
