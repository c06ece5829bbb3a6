//! Trust first: nothing is written before the signatures say what.
//!
//! In: a store, the trusted root, the reference, and with a job the manifest's digest. Out: a [`Trusted`] image. Fails with
//! exit 4 where anything does not hold, 5 where the store cannot be read.

use livery_contract::{Digest, Fault, Reference, Result, compose::Composed, manifest::Manifest};
use livery_store::{Access, Location, Store};

use super::source::Source;

/// An image that the signatures vouch for. Can only be made by [`Trusted::open`].
#[derive(Clone, Debug)]
pub(crate) struct Trusted<S = Store> {
    source: S,
    manifest: Manifest,
    digest: Digest,
    composed: Composed,
}

impl Trusted<Store> {
    /// Opens the store, checks it from the root on, and loads the image. `expected` is the digest of its manifest that a
    /// job names: the station says which image, the store proves what it is.
    ///
    /// # Errors
    /// Exit 3 where the store has no such image, 4 where it is not trusted, 5 where it can't be read.
    pub(crate) async fn open(
        location: &Location,
        root: &[u8],
        access: Access,
        reference: &Reference,
        expected: Option<&Digest>,
    ) -> Result<Self> {
        Self::of(Store::open(location, root, access).await?, reference, expected).await
    }

    /// The same, of a store that is open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn of(store: Store, reference: &Reference, expected: Option<&Digest>) -> Result<Self> {
        let image = store.image(reference).await?;
        if let Some(expected) = expected
            && image.digest != *expected
        {
            return Err(Fault::untrusted(format!(
                "the job names the manifest {expected}, the store's {reference} is {}",
                image.digest
            ))
            .at(store.location())
            .fix("the store has changed since the station imported the order: import it again"));
        }
        Ok(Self { source: store, manifest: image.manifest, digest: image.digest, composed: image.composed })
    }
}

impl<S: Source> Trusted<S> {
    #[cfg(test)]
    pub(crate) fn for_test(source: S, manifest: Manifest, composed: Composed) -> Self {
        let digest = Digest::of(&manifest.to_bytes());
        Self { source, manifest, digest, composed }
    }

    /// A range of its disk by itself, counted from its own beginning.
    ///
    /// # Errors
    /// Exit 4 where a chunk lies in it only in part.
    pub(crate) fn part(&self, offset: u64, length: u64) -> Result<Self> {
        let composed = self.composed.part(offset, length)?;
        Ok(Self { source: self.source.clone(), manifest: self.manifest.clone(), digest: self.digest, composed })
    }

    /// Where its packs are.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// What was signed.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the disk shall hold.
    pub(crate) fn composed(&self) -> &Composed {
        &self.composed
    }
}
