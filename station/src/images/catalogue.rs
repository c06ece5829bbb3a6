//! The manifests of the store that the station serves, as the TUF signatures vouch for them.
//!
//! IT publishes while the line runs: so each lookup reads `metadata/timestamp.json`, which every publication renews, and
//! opens the store again where it changed, or where [`TRUSTED_FOR`] has passed, since signatures expire.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use livery_contract::{
    Digest, Fault, Reference, Result,
    chunkmap::{self, ChunkMap},
    compose::Composed,
    manifest::{Layer, Manifest},
    record::Section,
};
use livery_store::{Access, Location, Store};
use tokio::sync::Mutex;

/// How long an opened store is believed before its signatures are checked anew.
const TRUSTED_FOR: Duration = Duration::from_secs(60);
/// How many masters' sections are remembered.
const MOST_MASTERS: usize = 8;
/// How many versions of one image are looked through for what a device says it runs.
const MOST_VERSIONS: usize = 32;
/// The most bytes that the store's timestamp metadata may have.
const MAX_TIMESTAMP: u64 = 1 << 20;
/// The most bytes that the trusted root may have.
const MAX_ROOT: u64 = 1 << 20;

/// The store's manifests.
#[derive(Debug)]
pub struct Catalogue {
    folder: PathBuf,
    location: Location,
    root: Vec<u8>,
    shelf: Mutex<Shelf>,
    masters: Mutex<Masters>,
}

/// What records of these masters must say, by the digest of their manifest: an order's image adds only a few sections of its own.
type Masters = HashMap<Digest, Arc<Vec<Section>>>;

/// The store as it was opened.
#[derive(Debug)]
struct Shelf {
    store: Store,
    /// The timestamp metadata read just before.
    state: Vec<u8>,
    opened: Instant,
}

impl Catalogue {
    /// Opens the store in a folder, trusting the root in the file `trust`.
    ///
    /// # Errors
    /// `Usage` for a URL (the station serves the store's files itself) and a root that can't be read, else as [`Store::open`].
    pub async fn open(store: &str, trust: &Path) -> Result<Self> {
        let location: Location = store.parse()?;
        let Location::Folder(folder) = location.clone() else {
            return Err(Fault::usage("the station can only serve a store in a local folder")
                .at(store)
                .fix("copy the store to this machine"));
        };
        let fault = |error: std::io::Error| {
            Fault::usage("the trusted root cannot be read")
                .at(trust.display())
                .fix("use --trust with the root.json that `livery keygen` made")
                .cause(error)
        };
        let meta = std::fs::metadata(trust).map_err(fault)?;
        if meta.len() > MAX_ROOT {
            return Err(Fault::untrusted(format!("the trusted root is {} bytes, over the limit of {MAX_ROOT}", meta.len()))
                .at(trust.display()));
        }
        let root = std::fs::read(trust).map_err(fault)?;
        let shelf = Mutex::new(open(&location, &root, state(&folder)?).await?);
        Ok(Self { folder, location, root, shelf, masters: Mutex::default() })
    }

    /// Folder of the store.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A manifest and its digest.
    ///
    /// # Errors
    /// As [`Store::manifest`]; and as [`Store::open`] where the store does not open any more.
    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<(Manifest, Digest)> {
        self.store().await?.manifest(reference).await
    }

    /// A manifest, its digest, and what the record of a device that holds the image must say: each section with the digest that the
    /// signed chunk maps give.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest); and `Untrusted` where a chunk map does not hold, or is of a release that gave no such digests.
    pub(crate) async fn expected(&self, reference: &Reference) -> Result<(Manifest, Digest, Vec<Section>)> {
        let store = self.store().await?;
        let (manifest, digest) = store.manifest(reference).await?;
        let Some(personal) = &manifest.personal else {
            let sections = self.of_master(&store, &manifest, digest).await?;
            return Ok((manifest, digest, sections.to_vec()));
        };
        let Some((own, layers)) = manifest.layers.split_last() else {
            return Err(Fault::internal("a personal image without layers"));
        };
        let master = Manifest { layers: layers.to_vec(), ..manifest.clone() };
        let of_master = self.of_master(&store, &master, personal.master).await?;
        let of_own = Composed::of_layer(own, &map(&store, own).await?)?.expected(&manifest)?;
        // Chunks and sections end where the room for a personal layer begins and ends.
        let beside =
            |section: &&Section| section.offset + section.length <= own.offset || section.offset >= own.offset + own.length;
        let mut sections: Vec<Section> = of_master.iter().filter(beside).cloned().chain(of_own).collect();
        sections.sort_by_key(|section| section.offset);
        Ok((manifest, digest, sections))
    }

    /// The same of a master, whose manifest has this digest.
    async fn of_master(&self, store: &Store, master: &Manifest, digest: Digest) -> Result<Arc<Vec<Section>>> {
        // One at a time: a line that is switched on in the morning asks two hundred times for the same master.
        let mut masters = self.masters.lock().await;
        if let Some(known) = masters.get(&digest) {
            return Ok(known.clone());
        }
        let mut maps = Vec::with_capacity(master.layers.len());
        for layer in &master.layers {
            maps.push(map(store, layer).await?);
        }
        let sections = Arc::new(Composed::new(master, &maps)?.expected(master)?);
        if masters.len() >= MOST_MASTERS {
            masters.clear();
        }
        masters.insert(digest, sections.clone());
        Ok(sections)
    }

    /// The newer version of an image whose root file system has this dm-verity root hash: what a device that takes newer images by
    /// itself may run. `None` where the store has none; at most [`MOST_VERSIONS`] are looked at, the newest first.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub(crate) async fn newer_with(&self, than: &Reference, root_hash: &Digest) -> Result<Option<Reference>> {
        let store = self.store().await?;
        let mut newer: Vec<Reference> = store.references().into_iter().map(|(reference, _)| reference).collect();
        newer.retain(|one| one.is_newer_master_than(than));
        newer.sort_by(|one, other| other.version.by_age(&one.version));
        for reference in newer.into_iter().take(MOST_VERSIONS) {
            if store.manifest(&reference).await?.0.root_hash.as_ref() == Some(root_hash) {
                return Ok(Some(reference));
            }
        }
        Ok(None)
    }

    /// Whether the store can be vouched for now.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) async fn look(&self) -> Result<()> {
        self.store().await.map(|_| ())
    }

    /// The store as it is now.
    async fn store(&self) -> Result<Store> {
        // One at a time: whoever waits for the lock profits from the look of whoever had it before.
        let mut shelf = self.shelf.lock().await;
        let now = state(&self.folder)?;
        if now != shelf.state || shelf.opened.elapsed() > TRUSTED_FOR {
            *shelf = open(&self.location, &self.root, now).await?;
        }
        Ok(shelf.store.clone())
    }
}

/// A layer's chunk map.
async fn map(store: &Store, layer: &Layer) -> Result<ChunkMap> {
    let bytes = store.blob(&layer.chunk_map, chunkmap::MAX_BYTES).await?;
    ChunkMap::decode(&bytes).map_err(|fault| fault.at(store.place(&layer.chunk_map.digest)))
}

async fn open(location: &Location, root: &[u8], state: Vec<u8>) -> Result<Shelf> {
    Ok(Shelf { store: Store::open(location, root, Access::default()).await?, state, opened: Instant::now() })
}

/// What the store says is its newest state; not verified, only compared.
fn state(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("metadata/timestamp.json");
    let fault = |error: std::io::Error| {
        Fault::source("there is no store here")
            .at(path.display())
            .fix("use the folder that contains metadata/timestamp.json")
            .cause(error)
    };
    let length = std::fs::metadata(&path).map_err(fault)?.len();
    if length > MAX_TIMESTAMP {
        return Err(
            Fault::untrusted(format!("timestamp.json is {length} bytes, over the limit of {MAX_TIMESTAMP}")).at(path.display())
        );
    }
    std::fs::read(&path).map_err(fault)
}
