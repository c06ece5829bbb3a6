//! A station on this machine's loopback, a signed store to serve, and a device to talk to it: everything real but the disk.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::rand::SystemRandom;
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Digest, Reference,
    chunkmap::{Chunk, ChunkMap, Content, Frame, SectionDigest},
    compose::Composed,
    digest::Blob,
    envelope::{Envelope, Payload, PublicKey},
    inventory::{Disk, Firmware, Inventory, Nic, System, Transport},
    job::Job,
    manifest::{BLOCK, Data, Keys, Layer, Manifest, Partition, Personal, Role, SCHEMA, SectionRange},
    record::{self, DeviceKeys, Record, Section, Times, Traffic},
    wire::{Enrol, EnrolAnswer},
};
use livery_station::{
    database::{Database, Open},
    images::catalogue::Catalogue,
    keys::{self, tls},
    orders::roster,
    server::{self, Running},
    station::{Settings, Station},
};
use reqwest::{Certificate, Response, StatusCode};
use tough::{
    TargetName,
    editor::{RepositoryEditor, signed::SignedRole},
    key_source::{KeySource, LocalKeySource},
    schema::{Hashes, KeyHolder, RoleKeys, RoleType, Root, Target},
    sign::{Sign as _, parse_keypair},
};
use uuid::Uuid;

pub const SIZE: u64 = 1 << 22;
/// Where the personal layer lies, and how long it is.
const OWN: u64 = 3 << 20;
const OWN_BLOCKS: u32 = 16;
pub const ROSTER: &str = "order,serial,user,name,hostname,locale,keyboard\n\
    ORD-1,WT-0001,marie.durand,Marie Durand,wt-0001,fr_FR.UTF-8,fr\n\
    ORD-2,WT-0002,jean.petit,Jean Petit,wt-0002,fr_FR.UTF-8,fr\n\
    ORD-3,,an.peeters,An Peeters,wt-0003,nl_BE.UTF-8,be\n";

/// The chunk map of the images of these tests: a table and a system; the rest is zero, but for what devices make themselves.
fn map() -> ChunkMap {
    let data = |blocks: u32, what: &str| {
        let digest = Digest::of(what.as_bytes());
        Chunk { blocks, content: Content::Data { digest, frame: Frame { pack: 0, offset: 0, length: 1, digest } } }
    };
    let (zero, skip) = (|blocks| Chunk { blocks, content: Content::Zero }, |blocks| Chunk { blocks, content: Content::Skip });
    let chunks = vec![data(6, "gpt"), zero(250), data(255, "esp"), skip(1), data(256, "root"), zero(128), skip(64), zero(64)];
    let packs = vec![Blob { digest: Digest::of(b"pack"), length: 4096 }];
    let mut map = ChunkMap { packs, chunks, sections: Vec::new() };
    let layer = Layer { offset: 0, length: SIZE, chunk_map: Blob { digest: Digest::of(b""), length: 0 } };
    let sections = Composed::of_layer(&layer, &map).unwrap().sections(&master_manifest());
    let digest = |section: &SectionRange| Digest::of(format!("{} at {}", section.name, section.offset).as_bytes());
    let section =
        |section: SectionRange| SectionDigest { digest: digest(&section), offset: section.offset, length: section.length };
    map.sections = sections.into_iter().map(section).collect();
    map
}

/// The same of a personal layer, which is another one for each order.
fn own_map(order: &str) -> ChunkMap {
    let digest = Digest::of(order.as_bytes());
    let chunks = vec![Chunk {
        blocks: OWN_BLOCKS,
        content: Content::Data { digest, frame: Frame { pack: 0, offset: 0, length: 1, digest } },
    }];
    let packs = vec![Blob { digest, length: 1 }];
    let sections = vec![SectionDigest {
        offset: 0,
        length: u64::from(OWN_BLOCKS) * BLOCK,
        digest: Digest::of(format!("own {order}").as_bytes()),
    }];
    ChunkMap { packs, chunks, sections }
}

fn blob(map: &ChunkMap) -> Blob {
    let bytes = map.encode();
    Blob { digest: Digest::of(&bytes), length: bytes.len() as u64 }
}

/// A master that asks for a device key and an encrypted data partition.
pub fn master_manifest() -> Manifest {
    let partition = |number, role, offset, length| Partition {
        number,
        role,
        offset,
        length,
        type_guid: Uuid::nil(),
        guid: Uuid::nil(),
        used: None,
        label: String::new(),
    };
    Manifest {
        schema: SCHEMA,
        name: "terminal".parse().unwrap(),
        version: "1".parse().unwrap(),
        personal: None,
        created: Timestamp::UNIX_EPOCH,
        size: SIZE,
        sector_size: 512,
        converts_to_4096: false,
        grow: None,
        partitions: vec![
            partition(1, Role::Esp, 1 << 20, 1 << 20),
            partition(2, Role::Root, 2 << 20, 1 << 20),
            partition(3, Role::Identity, OWN, u64::from(OWN_BLOCKS) * BLOCK),
            Partition { used: Some(0), ..partition(4, Role::Data, (7 << 20) / 2, 1 << 18) },
        ],
        layers: vec![Layer { offset: 0, length: SIZE, chunk_map: Blob { digest: Digest::of(b""), length: 0 } }],
        boot: None,
        minimum_disk: SIZE,
        accepts: None,
        root_hash: Some(Digest::of(b"root")),
        identity: None,
        keys: Some(Keys { room: (2 << 20) - BLOCK, tunnel: false }),
        data: Some(Data { luks_uuid: Uuid::nil(), recovery: "a key".into() }),
        sbom: None,
        personal_file: None,
        uki: None,
        restricted: Vec::new(),
    }
}

/// The master as it lies in the store.
pub fn published() -> Manifest {
    let mut master = master_manifest();
    master.layers[0].chunk_map = blob(&map());
    master
}

/// A personal image's manifest, for the order and host name.
pub fn manifest(order: &str, hostname: &str) -> Manifest {
    personal(&published(), order, hostname)
}

/// A personal image of this master.
pub fn personal(master: &Manifest, order: &str, hostname: &str) -> Manifest {
    let mut personal = master.clone();
    let of = Digest::of(&master.to_bytes());
    personal.personal = Some(Personal { order: order.parse().unwrap(), hostname: hostname.into(), master: of });
    personal.layers.push(Layer { offset: OWN, length: u64::from(OWN_BLOCKS) * BLOCK, chunk_map: blob(&own_map(order)) });
    personal
}

/// What the record of a device with this image says was read back.
pub fn sections(manifest: &Manifest) -> Vec<Section> {
    let order = manifest.personal.as_ref().unwrap().order.to_string();
    Composed::new(manifest, &[map(), own_map(&order)]).unwrap().expected(manifest).unwrap()
}

/// A store with these manifests, signed by a key of its own.
pub struct TestStore {
    pub folder: PathBuf,
    pub root: PathBuf,
    key: PathBuf,
}

impl TestStore {
    pub async fn make(top: &Path) -> Self {
        let store = Self { folder: top.join("store"), root: top.join("root.json"), key: top.join("store.der") };
        for part in ["metadata", "targets", "blobs/sha256"] {
            std::fs::create_dir_all(store.folder.join(part)).unwrap();
        }
        let der = SigningKey::from_bytes(&[42; 32]).to_pkcs8_der().unwrap();
        std::fs::write(&store.key, der.as_bytes()).unwrap();
        let key = parse_keypair(der.as_bytes()).unwrap().tuf_key();
        let id = key.key_id().unwrap();
        let one = NonZeroU64::MIN;
        let mut root = Root {
            spec_version: "1.0.0".into(),
            consistent_snapshot: true,
            version: one,
            expires: Timestamp::now() + SignedDuration::from_hours(48),
            keys: HashMap::from([(id.clone(), key)]),
            roles: HashMap::new(),
            _extra: HashMap::new(),
        };
        for role in [RoleType::Root, RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp] {
            root.roles.insert(role, RoleKeys { keyids: vec![id.clone()], threshold: one, _extra: HashMap::new() });
        }
        let holder = KeyHolder::Root(root.clone());
        let signed = SignedRole::new(root, &holder, &store.keys(), &SystemRandom::new()).await.unwrap();
        std::fs::write(&store.root, signed.buffer()).unwrap();
        store
    }

    fn keys(&self) -> Vec<Box<dyn KeySource>> {
        vec![Box::new(LocalKeySource { path: self.key.clone() })]
    }

    pub async fn publish(&self, version: u64, manifests: &[Manifest]) {
        let mut editor = RepositoryEditor::new(&self.root).await.unwrap();
        self.blob(&map().encode());
        let has = |wanted: &Reference| manifests.iter().any(|manifest| manifest.reference() == *wanted);
        let master = Some(published()).filter(|master| !has(&master.reference()));
        for manifest in manifests.iter().chain(&master) {
            if let Some(personal) = &manifest.personal {
                self.blob(&own_map(personal.order.as_str()).encode());
            }
            let bytes = manifest.to_bytes();
            let digest = Digest::of(&bytes);
            let name = manifest.reference().target();
            std::fs::write(self.folder.join(format!("targets/{digest}.{name}")), &bytes).unwrap();
            let target = Target {
                length: bytes.len() as u64,
                hashes: Hashes { sha256: digest.as_bytes().to_vec().into(), _extra: HashMap::new() },
                custom: HashMap::new(),
                _extra: HashMap::new(),
            };
            editor.add_target(TargetName::new(name).unwrap(), target).unwrap();
        }
        let (version, expires) = (NonZeroU64::new(version).unwrap(), Timestamp::now() + SignedDuration::from_hours(24));
        editor.targets_version(version).unwrap().targets_expires(expires).unwrap();
        editor.snapshot_version(version).snapshot_expires(expires).timestamp_version(version).timestamp_expires(expires);
        editor.sign(&self.keys()).await.unwrap().write(self.folder.join("metadata")).await.unwrap();
    }

    pub fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let text = digest.to_string();
        let folder = self.folder.join("blobs/sha256").join(&text[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&text), bytes).unwrap();
        digest
    }
}

/// A running station with three orders.
pub struct TestLine {
    pub top: tempfile::TempDir,
    pub store: TestStore,
    pub keys: PathBuf,
    pub url: String,
    pub database: String,
    pub station: Arc<Station>,
    pub client: reqwest::Client,
    pub job_key: PublicKey,
    running: Running,
}

pub fn master() -> Reference {
    "terminal@1".parse().unwrap()
}

impl TestLine {
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let top = tempfile::tempdir().unwrap();
        let store = TestStore::make(top.path()).await;
        store.publish(1, &[manifest("ORD-1", "wt-0001"), manifest("ORD-2", "wt-0002"), manifest("ORD-3", "wt-0003")]).await;
        let keys = top.path().join("keys");
        let made = keys::generate(&keys, &["127.0.0.1".into(), "localhost".into()]).unwrap();
        let database = format!("sqlite:{}", top.path().join("station.db").display());
        let opened = Database::open(&database, Open::OrCreate).await.unwrap();
        let catalogue = Catalogue::open(store.folder.to_str().unwrap(), &store.root).await.unwrap();
        let list = top.path().join("roster.csv");
        std::fs::write(&list, ROSTER).unwrap();
        roster::import(&opened, &catalogue, &list, &master()).await.unwrap();
        let key = keys::job_key(&keys).unwrap();
        let station = Arc::new(Station::new(opened, catalogue, key, settings));
        let running =
            server::start(station.clone(), tls::load(&keys).await.unwrap(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let authority = Certificate::from_pem(&std::fs::read(keys.join("ca.pem")).unwrap()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).https_only(true).no_proxy().build().unwrap();
        let url = format!("https://{}", running.address);
        Self { top, store, keys, url, database, station, client, job_key: made.job_key, running }
    }

    pub async fn stop(self) -> (tempfile::TempDir, String, PathBuf) {
        drop(self.client);
        self.running.stop().await.unwrap();
        (self.top, self.database, self.keys)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Vec<u8>) -> Response {
        self.client.post(format!("{}{path}", self.url)).body(body).send().await.unwrap()
    }

    pub async fn line(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/api/v1/line").await.text().await.unwrap()).unwrap()
    }

    pub async fn connection(&self) -> sqlx::pool::PoolConnection<sqlx::Sqlite> {
        self.station.database.connection().await.unwrap()
    }
}

/// What a device sends.
pub fn sealed<P: Payload>(payload: &P, key: &SigningKey) -> Vec<u8> {
    serde_json::to_vec(&Envelope::sign(payload, key)).unwrap()
}

pub struct Device {
    pub key: SigningKey,
    pub serial: String,
}

impl Device {
    pub fn new(seed: u8, serial: &str) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), serial: serial.into() }
    }

    pub fn system(&self) -> System {
        System {
            manufacturer: "Dell Inc.".into(),
            product: "OptiPlex 3000".into(),
            serial: self.serial.clone(),
            uuid: String::new(),
        }
    }

    pub fn disk(&self) -> Disk {
        Disk {
            name: "nvme0n1".into(),
            path: "/dev/nvme0n1".into(),
            model: None,
            serial: Some("S1".into()),
            wwn: None,
            transport: Transport::Nvme,
            size: 8 << 30,
            logical_sector: 512,
            physical_sector: 4096,
            removable: false,
            read_only: false,
            diskseq: Some(3),
            partition_guids: vec![],
            held_by: vec![],
        }
    }

    pub fn enrolment(&self, at: Timestamp) -> Enrol {
        Enrol {
            key: PublicKey::of(&self.key),
            inventory: Inventory {
                system: self.system(),
                firmware: Firmware { uefi: true, secure_boot: Some(true) },
                disks: vec![self.disk()],
                nics: vec![Nic {
                    name: "eno1".into(),
                    mac: format!("02:00:00:00:00:{:02x}", self.key.to_bytes()[0]),
                    driver: None,
                    usb: false,
                }],
            },
            agent: "0.1.0".into(),
            at,
        }
    }

    pub async fn enrol(&self, line: &TestLine) -> EnrolAnswer {
        let response = line.post("/api/v1/enrol", sealed(&self.enrolment(Timestamp::now()), &self.key)).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Enrols, and opens the job as an agent does.
    pub async fn job(&self, line: &TestLine) -> Job {
        match self.enrol(line).await {
            EnrolAnswer::Job { job } => self.takes(&job, line),
            EnrolAnswer::Waiting { reason, .. } => panic!("waits: {reason}"),
        }
    }

    /// Enrols again and again until it gets a job.
    pub async fn job_in_the_end(&self, line: &TestLine) -> Job {
        loop {
            match self.enrol(line).await {
                EnrolAnswer::Job { job } => return self.takes(&job, line),
                EnrolAnswer::Waiting { .. } => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn takes(&self, job: &Envelope, line: &TestLine) -> Job {
        let job: Job = job.open(&line.job_key).unwrap();
        job.check(&self.serial, &PublicKey::of(&self.key), Timestamp::now()).unwrap();
        job
    }

    /// Enrols, and says why it must wait.
    pub async fn waits(&self, line: &TestLine) -> String {
        match self.enrol(line).await {
            EnrolAnswer::Waiting { reason, retry_after } => {
                assert_eq!(retry_after, 5);
                reason
            }
            EnrolAnswer::Job { .. } => panic!("has a job"),
        }
    }

    /// The record of a good write.
    pub fn record(&self, job: &Job) -> Record {
        let now = Timestamp::now();
        let keys = DeviceKeys { device: PublicKey::of(&SigningKey::from_bytes(&[250; 32])), tunnel: None, sealed: false };
        Record {
            schema: record::SCHEMA,
            job: Some(job.id),
            order: Some(job.order.clone()),
            system: self.system(),
            disk: self.disk(),
            image: job.image.clone(),
            manifest: job.manifest,
            size: SIZE,
            sections: sections(&manifest(job.order.as_str(), "x")),
            changed_after: vec![],
            boot_entry: Some("Boot0003".into()),
            bound: None,
            keys: Some(keys),
            traffic: Traffic::default(),
            times: Times { started: now, written: now, verified: now, finished: now },
            agent: "0.1.0".into(),
        }
    }

    pub async fn send(&self, line: &TestLine, record: &Record) -> (StatusCode, String) {
        let response = line.post("/api/v1/records", sealed(record, &self.key)).await;
        (response.status(), response.text().await.unwrap())
    }
}
