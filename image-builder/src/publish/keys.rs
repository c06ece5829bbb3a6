//! The private keys of the store's TUF roles, and the public `root.json` that everyone else trusts. Beside them lie the keys
//! of Secure Boot ([`secure_boot::keygen`](crate::secure_boot::keygen)) and of the devices' own ([`personal::keys`]).
//!
//! One Ed25519 key a role, as PKCS#8 PEM, readable by its owner only. Whoever makes personal images needs `personal`,
//! `snapshot` and `timestamp`; masters need `targets` as well; `root` belongs in a safe.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    num::NonZeroU64,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::rand::SystemRandom;
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use livery_contract::{Fault, Result};
use tough::{
    editor::signed::SignedRole,
    key_source::KeySource,
    schema::{
        KeyHolder, RoleKeys, RoleType, Root,
        decoded::{Decoded, Hex},
        key::Key,
    },
    sign::{Sign, parse_keypair},
};

use crate::{personal, secure_boot::keygen};

/// A role that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Names the others' keys.
    Root,
    /// Signs masters.
    Targets,
    /// Signs personal images; delegated by [`Role::Targets`].
    Personal,
    /// Signs which metadata belong together.
    Snapshot,
    /// Signs which snapshot is the newest.
    Timestamp,
}

impl Role {
    pub(crate) const ALL: [Self; 5] = [Self::Root, Self::Targets, Self::Personal, Self::Snapshot, Self::Timestamp];

    /// As in file names.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Personal => "personal",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }
}

/// The folder that `livery keygen` made.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    folder: PathBuf,
    root_json: Vec<u8>,
}

impl Keys {
    /// Opens the folder: reads the public root; private keys are read when they sign.
    ///
    /// # Errors
    /// Exit 2 where there is no `root.json` in it.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("root.json");
        let root_json = fs::read(&path).map_err(|error| {
            Fault::usage("the key folder has no root.json")
                .at(path.display())
                .cause(error)
                .fix("create the keys first: `livery keygen --out DIR`")
        })?;
        Ok(Self { folder: folder.to_owned(), root_json })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The public root.
    pub(crate) fn root_json(&self) -> &[u8] {
        &self.root_json
    }

    /// The private key of a role.
    pub(crate) fn source(&self, role: Role) -> Vec<Box<dyn KeySource>> {
        vec![Box::new(PemFile(self.path(role)))]
    }

    /// The public key of a role, and its TUF key id.
    pub(crate) fn public(&self, role: Role) -> Result<(Decoded<Hex>, Key)> {
        public(&read(&self.path(role))?)
    }

    fn path(&self, role: Role) -> PathBuf {
        self.folder.join(format!("{}.pem", role.as_str()))
    }
}

/// The first of the store's files that is there already.
fn there(folder: &Path) -> Option<PathBuf> {
    let names = Role::ALL.map(|role| format!("{}.pem", role.as_str())).into_iter().chain(["root.json".into()]);
    names.map(|name| folder.join(name)).find(|path| path.exists())
}

/// What [`generate`] has made; the rest was there already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// The keys that sign a store.
    pub(crate) store: bool,
    /// The keys of Secure Boot.
    pub(crate) secure_boot: bool,
    /// The keys of what is each device's own.
    pub(crate) devices: bool,
}

/// Makes the keys of all roles and the signed root, the keys of Secure Boot, and those of what is each device's own. A folder
/// that has some of the three and nothing of the others gets those.
///
/// # Errors
/// Exit 3 where all are there already: keys are never overwritten.
pub(crate) async fn generate(folder: &Path) -> Result<Made> {
    let make = Made {
        store: there(folder).is_none(),
        secure_boot: keygen::there(folder).is_none(),
        devices: personal::keys::there(folder).is_none(),
    };
    if let (Some(path), false) = (there(folder), make.secure_boot || make.devices) {
        return Err(Fault::refused(
            "this folder has keys of every kind already, and keys are never overwritten: devices would no longer trust what these signed",
        )
        .at(path.display())
        .fix("keep using these keys; get a file that is missing from your safe, as a new one would not belong to the others"));
    }
    fs::create_dir_all(folder).map_err(|error| Fault::refused("making the folder failed").at(folder.display()).cause(error))?;
    if make.store {
        generate_store(folder).await?;
    }
    if make.secure_boot {
        keygen::generate(folder)?;
    }
    if make.devices {
        personal::keys::generate(folder)?;
    }
    Ok(make)
}

async fn generate_store(folder: &Path) -> Result<()> {
    let failed = |what: &str, error: std::io::Error| Fault::refused(format!("{what} failed")).at(folder.display()).cause(error);
    let mut publics = HashMap::new();
    for role in Role::ALL {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| Fault::internal("the system did not provide random bytes"))?;
        let key = SigningKey::from_bytes(&seed);
        let pem =
            key.to_pkcs8_pem(LineEnding::LF).map_err(|error| Fault::internal("a key does not encode").cause(error.to_string()))?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(format!("{}.pem", role.as_str())))
            .map_err(|error| failed("writing a key", error))?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed("writing a key", error))?;
        publics.insert(role.as_str(), public(&key)?);
    }
    let one = NonZeroU64::MIN;
    let mut root = Root {
        spec_version: "1.0.0".into(),
        consistent_snapshot: true,
        version: one,
        expires: years_from_now(10)?,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for (role, kind) in [
        (Role::Root, RoleType::Root),
        (Role::Targets, RoleType::Targets),
        (Role::Snapshot, RoleType::Snapshot),
        (Role::Timestamp, RoleType::Timestamp),
    ] {
        let (id, key) = publics[role.as_str()].clone();
        root.keys.insert(id.clone(), key);
        root.roles.insert(kind, RoleKeys { keyids: vec![id], threshold: one, _extra: HashMap::new() });
    }
    let holder = KeyHolder::Root(root.clone());
    let source: Vec<Box<dyn KeySource>> = vec![Box::new(PemFile(folder.join("root.pem")))];
    let signed = SignedRole::new(root, &holder, &source, &SystemRandom::new())
        .await
        .map_err(|error| Fault::internal("the root does not sign").cause(error))?;
    super::blobs::write_atomically(&folder.join("root.json"), signed.buffer())
}

/// So many years from now.
pub(crate) fn years_from_now(years: i64) -> Result<Timestamp> {
    let later = Timestamp::now().to_zoned(TimeZone::UTC).checked_add(years.years());
    later.map(|later| later.timestamp()).map_err(|error| Fault::internal("a date does not fit").cause(error))
}

/// A PKCS#8 PEM file as a key source; `tough`'s own reads Ed25519 as DER only.
#[derive(Debug)]
struct PemFile(PathBuf);

#[async_trait::async_trait]
impl KeySource for PemFile {
    async fn as_sign(&self) -> std::result::Result<Box<dyn Sign>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(signer(&read(&self.0)?)?))
    }

    async fn write(&self, _: &str, _: &str) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("only `livery keygen` writes keys".into())
    }
}

fn read(path: &Path) -> Result<SigningKey> {
    let pem = fs::read_to_string(path).map_err(|error| {
        Fault::usage("a private key can't be read")
            .at(path.display())
            .cause(error)
            .fix("give the folder that `livery keygen` made with --keys")
    })?;
    SigningKey::from_pkcs8_pem(&pem)
        .map_err(|error| Fault::usage("not an Ed25519 private key in PKCS#8 PEM").at(path.display()).cause(error.to_string()))
}

fn signer(key: &SigningKey) -> Result<impl Sign + use<>> {
    let der = key.to_pkcs8_der().map_err(|error| Fault::internal("a key does not encode").cause(error.to_string()))?;
    parse_keypair(der.as_bytes()).map_err(|error| Fault::internal("a key does not sign").cause(error))
}

fn public(key: &SigningKey) -> Result<(Decoded<Hex>, Key)> {
    let key = signer(key)?.tuf_key();
    let id = key.key_id().map_err(|error| Fault::internal("a key has no id").cause(error))?;
    Ok((id, key))
}
