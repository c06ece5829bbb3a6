//! The signed metadata: which manifests the store has, and that this is the newest state of it.

use std::{collections::HashMap, num::NonZeroU64, path::Path};

use aws_lc_rs::rand::SystemRandom;
use jiff::{SignedDuration, Timestamp};
use livery_contract::{Digest, Fault, Reference, Result, digest::Blob, manifest::Manifest, name::PERSONAL_TARGETS};
use livery_store::{Location, Store};
use tough::{
    TargetName,
    editor::signed::SignedRole,
    key_source::KeySource,
    schema::{
        DelegatedRole, DelegatedTargets, Delegations, Hashes, KeyHolder, Metafile, PathPattern, PathSet, Role as TufRole, Root,
        Signed, Snapshot, Target, Targets, Timestamp as TimestampRole,
    },
};

use super::{
    blobs::{Blobs, write_atomically},
    keys::{Keys, Role, years_from_now},
    restricted,
};

const SPECIFICATION: &str = "1.0.0";
const PERSONAL: &str = "personal";

/// How long the newest state may be believed to be the newest. A factory's line must not stop over a holiday; a stolen
/// old store must not serve for ever.
const FRESH: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Manifests are signed for a year, and again by whoever publishes when less than this is left of it.
const RENEW: SignedDuration = SignedDuration::from_hours(24 * 60);

/// A store open for publishing.
#[derive(Debug)]
pub(crate) struct Publisher {
    blobs: Blobs,
    keys: Keys,
    /// `None` for a store that has nothing signed yet.
    current: Option<Store>,
    /// Digest of each manifest that it holds.
    known: HashMap<Reference, Digest>,
    masters: Vec<(TargetName, Target)>,
    personal: Vec<(TargetName, Target)>,
}

impl Publisher {
    /// Opens the store at `folder`, or begins one, and checks what is signed in it against the keys' own root.
    ///
    /// # Errors
    /// Exit 4 where the store is signed by other keys, 5 where it can't be read or written.
    pub(crate) async fn open(folder: &Path, keys: &Path) -> Result<Self> {
        let keys = Keys::open(keys)?;
        let blobs = Blobs::open(folder)?;
        let current = if folder.join("metadata/timestamp.json").exists() {
            let location = Location::Folder(
                std::path::absolute(folder).map_err(|error| Fault::usage("not a path").at(folder.display()).cause(error))?,
            );
            Some(Store::open_to_sign(&location, keys.root_json()).await?)
        } else {
            None
        };
        let known = current.iter().flat_map(Store::references).collect();
        Ok(Self { blobs, keys, current, known, masters: Vec::new(), personal: Vec::new() })
    }

    /// Where blobs go.
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// What the store holds now, as signed; `None` for a new one.
    pub(crate) fn current(&self) -> Option<&Store> {
        self.current.as_ref()
    }

    /// Puts a manifest in. It counts only after [`commit`](Self::commit).
    ///
    /// # Errors
    /// Exit 3 where the store has another image by this name: a version never changes what it means.
    pub(crate) fn add(&mut self, manifest: &Manifest) -> Result<Added> {
        manifest.check()?;
        restricted::check(self.blobs.top(), &manifest.restricted)?;
        let reference = manifest.reference();
        let bytes = manifest.to_bytes();
        let digest = Digest::of(&bytes);
        if let Some(old) = self.known.get(&reference) {
            if *old == digest {
                return Ok(Added { digest, fresh: false });
            }
            // A person's settings may change before the device is made; a master's name is on labels and in records.
            if reference.order.is_none() {
                return Err(Fault::refused(format!(
                    "the store already has another image {reference} (its manifest is {}, this one is {})",
                    old.short(),
                    digest.short()
                ))
                .at(self.blobs.top().display())
                .fix("give the new image another version"));
            }
        }
        let Blob { length, .. } = self.blobs.put_target(&reference.target(), &bytes)?;
        let target = Target {
            length,
            hashes: Hashes { sha256: digest.as_bytes().to_vec().into(), _extra: HashMap::new() },
            custom: HashMap::new(),
            _extra: HashMap::new(),
        };
        let name = TargetName::new(reference.target()).map_err(|error| Fault::internal("a target's name").cause(error))?;
        if reference.order.is_some() {
            self.personal.push((name, target))
        } else {
            self.masters.push((name, target))
        }
        Ok(Added { digest, fresh: true })
    }

    /// Signs and publishes all that was added, at once. Without anything new, signs the newest state afresh.
    ///
    /// # Errors
    /// Exit 2 where a private key is missing, 5 where writing fails; the store is then as it was.
    pub(crate) async fn commit(mut self) -> Result<()> {
        // What the metadata will name is on the disk before the metadata is.
        self.blobs.settle()?;
        let root: Signed<Root> =
            serde_json::from_slice(self.keys.root_json()).map_err(|error| Fault::usage("root.json does not parse").cause(error))?;
        let holder = KeyHolder::Root(root.signed.clone());
        let metadata = self.blobs.top().join("metadata");
        let repository = self.current.as_ref().map(Store::repository);

        // targets: only when masters were added or it ends soon: whoever makes personal images needs no key for masters.
        let (mut meta, delegations) = match repository {
            Some(repository) => (repository.snapshot().signed.meta.clone(), repository.targets().signed.delegations.clone()),
            None => (HashMap::new(), None),
        };
        let mut delegations = match delegations {
            Some(delegations) => delegations,
            None => self.delegations()?,
        };
        let soon = Timestamp::now().checked_add(RENEW).map_err(|error| Fault::internal("a date does not fit").cause(error))?;
        let ends = |expires: Option<Timestamp>| expires.is_none_or(|expires| expires < soon);
        if ends(repository.map(|repository| repository.targets().signed.expires)) || !self.masters.is_empty() {
            let mut targets = match repository {
                Some(repository) => repository.targets().signed.clone(),
                None => Targets::new(SPECIFICATION.into(), NonZeroU64::MIN, Timestamp::UNIX_EPOCH),
            };
            targets.version = next(repository.map(|repository| repository.targets().signed.version));
            targets.expires = years_from_now(1)?;
            targets.targets.extend(self.masters.drain(..));
            targets.delegations = Some(delegations.clone());
            let signed = sign(targets, &holder, self.keys.source(Role::Targets)).await?;
            meta.insert("targets.json".into(), metafile(&signed));
            write(&metadata, &signed)?;
        }
        let role = delegations.roles.iter_mut().find(|role| role.name == PERSONAL);
        let role = role.ok_or_else(|| Fault::untrusted("the store's targets do not delegate to the role `personal`"))?;
        if ends(role.targets.as_ref().map(|targets| targets.signed.expires)) || !self.personal.is_empty() {
            let mut targets = match role.targets.take() {
                Some(signed) => signed.signed,
                None => Targets::new(SPECIFICATION.into(), NonZeroU64::MIN, Timestamp::UNIX_EPOCH),
            };
            targets.version = next(meta.get("personal.json").map(|file| file.version));
            targets.expires = years_from_now(1)?;
            targets.targets.extend(self.personal.drain(..));
            let role = DelegatedTargets { name: PERSONAL.into(), targets };
            let signed = sign(role, &KeyHolder::Delegations(delegations), self.keys.source(Role::Personal)).await?;
            meta.insert("personal.json".into(), metafile(&signed));
            write(&metadata, &signed)?;
        }
        let expires = Timestamp::now().checked_add(FRESH).map_err(|error| Fault::internal("a date does not fit").cause(error))?;
        let mut snapshot =
            Snapshot::new(SPECIFICATION.into(), next(repository.map(|repository| repository.snapshot().signed.version)), expires);
        snapshot.meta = meta;
        let snapshot = sign(snapshot, &holder, self.keys.source(Role::Snapshot)).await?;
        write(&metadata, &snapshot)?;
        let mut timestamp = TimestampRole::new(
            SPECIFICATION.into(),
            next(repository.map(|repository| repository.timestamp().signed.version)),
            expires,
        );
        timestamp.meta.insert("snapshot.json".into(), metafile(&snapshot));
        let timestamp = sign(timestamp, &holder, self.keys.source(Role::Timestamp)).await?;
        write_atomically(&metadata.join("1.root.json"), self.keys.root_json())?;
        write_atomically(&metadata.join("root.json"), self.keys.root_json())?;
        // The one step that makes all the rest count.
        write(&metadata, &timestamp)?;
        Ok(())
    }

    /// The delegation of personal images, for a new store.
    fn delegations(&self) -> Result<Delegations> {
        let (id, key) = self.keys.public(Role::Personal)?;
        let pattern = PathPattern::new(PERSONAL_TARGETS).map_err(|error| Fault::internal("a path pattern").cause(error))?;
        Ok(Delegations {
            keys: HashMap::from([(id.clone(), key)]),
            roles: vec![DelegatedRole {
                name: PERSONAL.into(),
                keyids: vec![id],
                threshold: NonZeroU64::MIN,
                paths: PathSet::Paths(vec![pattern]),
                terminating: true,
                targets: None,
            }],
        })
    }
}

/// What [`Publisher::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// Digest of the manifest.
    pub(crate) digest: Digest,
    /// Whether it was not in the store before.
    pub(crate) fresh: bool,
}

async fn sign<T: TufRole + serde::Serialize>(role: T, holder: &KeyHolder, keys: Vec<Box<dyn KeySource>>) -> Result<SignedRole<T>> {
    SignedRole::new(role, holder, &keys, &SystemRandom::new()).await.map_err(|error| {
        // A missing or foreign key arrives wrapped; ours says where and what to do.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(ours) = inner.downcast_ref::<Fault>() {
                let report = ours.report();
                return Fault::new(report.exit, report.what).at(report.at.unwrap_or_default()).fix(report.fix.unwrap_or_default());
            }
            cause = inner.source();
        }
        Fault::untrusted(format!("the {} role can't be signed with these keys", T::TYPE))
            .cause(error)
            .fix("give the --keys folder whose root.json belongs to this store")
    })
}

fn metafile<T: TufRole>(signed: &SignedRole<T>) -> Metafile {
    Metafile {
        length: Some(*signed.length()),
        hashes: Some(Hashes { sha256: signed.sha256().to_vec().into(), _extra: HashMap::new() }),
        version: signed.signed().signed.version(),
        _extra: HashMap::new(),
    }
}

fn write<T: TufRole + serde::Serialize>(metadata: &Path, signed: &SignedRole<T>) -> Result<()> {
    write_atomically(&metadata.join(signed.signed().signed.filename(true)), signed.buffer())
}

fn next(version: Option<NonZeroU64>) -> NonZeroU64 {
    version.map_or(NonZeroU64::MIN, |version| version.saturating_add(1))
}

/// The reference of every master by this name, newest first as far as names tell.
pub(crate) fn masters_named<'a>(store: &'a Store, name: &'a livery_contract::Name) -> impl Iterator<Item = Reference> + 'a {
    store
        .references()
        .into_iter()
        .rev()
        .map(|(reference, _)| reference)
        .filter(move |reference| reference.order.is_none() && reference.name == *name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::manifest::{Layer, Personal};
    use livery_store::Access;

    use super::*;
    use crate::publish::keys;

    /// Whoever makes personal images has no key for masters, and signs a master's name all the same.
    #[tokio::test]
    async fn the_personal_key_vouches_for_no_master() {
        let folder = tempfile::tempdir().unwrap();
        let (store, at) = (folder.path().join("store"), folder.path().join("keys"));
        keys::generate(&at).await.unwrap();
        let root = std::fs::read(at.join("root.json")).unwrap();
        Publisher::open(&store, &at).await.unwrap().commit().await.unwrap();
        std::fs::remove_file(at.join("targets.pem")).unwrap();
        let publishes = async |name: &str| {
            let mut thief = Publisher::open(&store, &at).await.unwrap();
            let Blob { length, digest } = thief.blobs.put_target(name, b"no manifest at all").unwrap();
            let hashes = Hashes { sha256: digest.as_bytes().to_vec().into(), _extra: HashMap::new() };
            let target = Target { length, hashes, custom: HashMap::new(), _extra: HashMap::new() };
            thief.personal.push((TargetName::new(name).unwrap(), target));
            thief.commit().await.unwrap();
            Store::open(&Location::Folder(store.clone()), &root, Access::default()).await
        };
        // The name that the role may sign is vouched for, and its bytes are read.
        let opened = publishes("terminal@2+ORD-1.json").await.unwrap();
        let read = opened.manifest(&"terminal@2/ORD-1".parse().unwrap()).await.unwrap_err().to_string();
        assert!(!read.contains("has no image"), "{read}");
        // With a name that it may not sign, nothing of the store is believed.
        let refused = publishes("terminal@2.json").await.map(drop).unwrap_err();
        assert_eq!(refused.exit().code(), 4, "{refused}");
    }

    /// Whoever makes personal images signs one whose first layer is another system.
    #[tokio::test]
    async fn the_personal_key_replaces_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (store, at) = (folder.path().join("store"), folder.path().join("keys"));
        keys::generate(&at).await.unwrap();
        let root = std::fs::read(at.join("root.json")).unwrap();
        let master = |chunk_map: &[u8]| {
            let text = serde_json::json!({
                "schema": 1, "name": "terminal", "version": "2", "created": "2026-11-01T00:00:00Z", "size": 1 << 22,
                "sector_size": 512, "minimum_disk": 1 << 22,
                "partitions": [{ "number": 1, "role": "identity", "offset": 1 << 20, "length": 1 << 20, "label": "identity",
                    "type_guid": uuid::Uuid::nil(), "guid": uuid::Uuid::nil() }],
                "layers": [{ "offset": 0, "length": 1 << 22, "chunk_map": { "digest": Digest::of(chunk_map), "length": 9 } }],
            });
            Manifest::parse(text.to_string().as_bytes()).unwrap()
        };
        let good = master(b"the system");
        let mut publisher = Publisher::open(&store, &at).await.unwrap();
        let of = publisher.add(&good).unwrap().digest;
        publisher.commit().await.unwrap();
        std::fs::remove_file(at.join("targets.pem")).unwrap();
        let reads = async |order: &str, from: &Manifest| {
            let mut personal = from.clone();
            personal.personal = Some(Personal { order: order.parse().unwrap(), hostname: "wt-1".into(), master: of });
            let own = Blob { digest: Digest::of(b"own"), length: 3 };
            personal.layers.push(Layer { offset: 1 << 20, length: 1 << 20, chunk_map: own });
            let mut thief = Publisher::open(&store, &at).await.unwrap();
            thief.add(&personal).unwrap();
            thief.commit().await.unwrap();
            let opened = Store::open(&Location::Folder(store.clone()), &root, Access::default()).await.unwrap();
            opened.manifest(&personal.reference()).await
        };
        reads("ORD-1", &good).await.unwrap();
        let refused = reads("ORD-2", &master(b"another system")).await.unwrap_err();
        assert_eq!(refused.exit().code(), 4);
        assert!(refused.to_string().contains("its layers are not those of its master"), "{refused}");
    }
}
