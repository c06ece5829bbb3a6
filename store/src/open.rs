//! The opened store: manifests, images, blobs, all vouched for by the signatures.

use std::sync::Arc;

use bytes::Bytes;
use livery_contract::{
    Digest, Fault, Reference, Result,
    chunkmap::{self, ChunkMap},
    compose::Composed,
    digest::Blob,
    manifest::{self, Manifest},
};
use tough::{ExpirationEnforcement, IntoVec as _, TargetName, schema::Target};

use crate::{
    fetch::{Access, Fetcher},
    location::{Location, blob_path},
    trust,
};

/// A store whose metadata was checked when it was opened.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: Location,
    fetcher: Fetcher,
    repository: tough::Repository,
}

/// All that is needed to write one image.
#[derive(Clone, Debug)]
pub struct Image {
    /// What was signed.
    pub manifest: Manifest,
    /// Digest of the manifest's bytes.
    pub digest: Digest,
    /// The chunk map of each layer.
    pub maps: Vec<ChunkMap>,
    /// The layers laid over one another.
    pub composed: Composed,
}

impl Store {
    /// Opens a store, checking its metadata from the trusted `root_json` on.
    ///
    /// # Errors
    /// Exit 4 where signature, expiry, rollback or length does not hold; 5 where the store can't be read.
    pub async fn open(location: &Location, root_json: &[u8], access: Access) -> Result<Self> {
        Self::open_with(location, root_json, access, ExpirationEnforcement::Safe).await
    }

    /// Opens a store whose signatures may have expired: only for the one who is about to sign it afresh.
    ///
    /// # Errors
    /// As [`open`](Self::open), expiry excepted.
    pub async fn open_to_sign(location: &Location, root_json: &[u8]) -> Result<Self> {
        Self::open_with(location, root_json, Access::default(), ExpirationEnforcement::Unsafe).await
    }

    async fn open_with(location: &Location, root_json: &[u8], access: Access, expiry: ExpirationEnforcement) -> Result<Self> {
        let fetcher = Fetcher::new(location, &access)?;
        let repository = trust::load(location, &fetcher, root_json, expiry).await?;
        Ok(Self(Arc::new(Inner { location: location.clone(), fetcher, repository })))
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// The checked TUF repository underneath, for those who publish.
    pub fn repository(&self) -> &tough::Repository {
        &self.0.repository
    }

    /// Every image in the store and the digest of its manifest, sorted.
    pub fn references(&self) -> Vec<(Reference, Digest)> {
        let mut all: Vec<_> = self
            .0
            .repository
            .all_targets()
            .filter_map(|(name, target)| Some((Reference::from_target(name.raw())?, digest_of(target)?)))
            .collect();
        all.sort();
        all
    }

    /// A manifest and its digest. A personal one is held against its master's: the key that signs personal images may sign nothing else.
    ///
    /// # Errors
    /// Exit 3 where the store has no such image, 4 where its bytes are not what was signed or it is more than its master and a personal
    /// layer, 5 where it can't be read.
    pub async fn manifest(&self, reference: &Reference) -> Result<(Manifest, Digest)> {
        let (manifest, digest) = self.signed(reference).await?;
        if reference.order.is_some() {
            let (master, of_master) = self.signed(&reference.master()).await?;
            manifest.check_master(&master, &of_master).map_err(|fault| {
                fault
                    .at(self.location())
                    .fix("make the personal image anew; if it was made so, its key has been misused: change it")
            })?;
        }
        Ok((manifest, digest))
    }

    /// A manifest as its role has signed it.
    async fn signed(&self, reference: &Reference) -> Result<(Manifest, Digest)> {
        let location = &self.0.location;
        let name = TargetName::new(reference.target()).map_err(|error| trust::fault(error, location))?;
        let absent = || {
            Fault::refused(format!("the store has no image {reference}"))
                .at(location)
                .fix(format!("`livery list --store {location}` shows what it has"))
        };
        let target = self.0.repository.targets().signed.find_target(&name, false).map_err(|_| absent())?;
        if target.length > manifest::MAX_BYTES {
            return Err(Fault::untrusted(format!("the manifest of {reference} has {} bytes", target.length)).at(location));
        }
        let stream =
            self.0.repository.read_target(&name).await.map_err(|error| trust::fault(error, location))?.ok_or_else(absent)?;
        let bytes = stream.into_vec().await.map_err(|error| trust::fault(error, location))?;
        let manifest =
            Manifest::parse(&bytes).map_err(|fault| fault.at(location.place(&format!("targets/*.{}", reference.target()))))?;
        if manifest.reference() != *reference {
            return Err(Fault::untrusted(format!("the manifest of {reference} says it is {}", manifest.reference())).at(location));
        }
        Ok((manifest, Digest::of(&bytes)))
    }

    /// A manifest with its chunk maps, composed.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest), and exit 4 where a chunk map is not what the manifest names.
    pub async fn image(&self, reference: &Reference) -> Result<Image> {
        let (manifest, digest) = self.manifest(reference).await?;
        let mut maps = Vec::with_capacity(manifest.layers.len());
        for layer in &manifest.layers {
            let bytes = self.blob(&layer.chunk_map, chunkmap::MAX_BYTES).await?;
            maps.push(ChunkMap::decode(&bytes).map_err(|fault| fault.at(self.place(&layer.chunk_map.digest)))?);
        }
        let composed = Composed::new(&manifest, &maps)?;
        Ok(Image { manifest, digest, maps, composed })
    }

    /// A whole blob of at most `limit` bytes, checked by its digest.
    ///
    /// # Errors
    /// Exit 4 where length or digest differ, 5 where it can't be read.
    pub async fn blob(&self, blob: &Blob, limit: u64) -> Result<Bytes> {
        let place = self.place(&blob.digest);
        if blob.length > limit {
            return Err(Fault::untrusted(format!("a blob of {} bytes is over the limit of {limit}", blob.length)).at(place));
        }
        let bytes =
            self.0.fetcher.whole(&blob_path(&blob.digest), blob.length).await.map_err(|missing| missing.into_fault(&place))?;
        if Digest::of(&bytes) != blob.digest {
            return Err(Fault::untrusted(format!("{} bytes do not match their digest", bytes.len()))
                .at(place)
                .fix("the store's copy is damaged or forged: copy that blob again from a good store"));
        }
        Ok(bytes)
    }

    /// Exactly `length` bytes of a blob from `offset`. **Not verified**: the digest of each chunk does that.
    ///
    /// # Errors
    /// Exit 5 where they can't be had.
    pub async fn range(&self, blob: &Blob, offset: u64, length: u64) -> Result<Bytes> {
        if offset.checked_add(length).is_none_or(|end| end > blob.length) {
            return Err(
                Fault::internal(format!("bytes {offset}+{length} of a blob of {}", blob.length)).at(self.place(&blob.digest))
            );
        }
        self.0.fetcher.range(&blob_path(&blob.digest), offset, length).await
    }

    /// Path or URL of a blob, for error texts.
    pub fn place(&self, digest: &Digest) -> String {
        self.0.location.place(&blob_path(digest))
    }
}

fn digest_of(target: &Target) -> Option<Digest> {
    Some(Digest::from_bytes(target.hashes.sha256.as_ref().try_into().ok()?))
}
