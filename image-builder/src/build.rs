//! `livery build`: the stages of a master in their order, independent ones at the same time.

use std::{fs, path::Path, sync::Arc, thread};

use livery_contract::{
    Digest, Fault, Reference, Result,
    manifest::{Accepts, BLOCK, BootEntry, Data, Identity, Keys as DeviceKeys, Role, Uki},
};
use livery_profile::{Desk, Profile};

use crate::{
    gpt,
    image::{
        erofs,
        master::{self, Master, Published},
    },
    inspect::{
        sbom::spdx,
        scan::{Finding, verdict},
    },
    personal::ddi::{self, Layer},
    plan::{self, Plan, Planned},
    profiles,
    progress::Progress,
    publish::{blobs::write_atomically, keys::Keys, packer::Packed, repository::Publisher, restricted},
    stages::{
        data,
        disk::{self, Content, Piece, derive},
        esp::{self, Contents, Room},
        initrd, inspect, roots, slots, system,
        uki::{self, Parts},
        workshop::{Setup, Workshop},
    },
    trust::Trust,
};

/// In a finished image's place in the cache: its reference and its manifest's digest.
const MANIFEST: &str = "manifest";

/// Builds a master into the store. Where the store has the very image already, nothing is done.
///
/// # Errors
/// Exit 3 where the profile can't be built, 4 where the store is signed by other keys, 5 where packages can't be had.
pub(crate) async fn build(path: &Path, store: &Path, keys: &Path, setup: &Setup, json: bool) -> Result<Published> {
    let profile = profiles::load(path, json)?;
    restricted::check(store, &profile.packages.restrictions())?;
    Keys::open(keys)?; // all keys before minutes of work
    let trust = Trust::open(keys)?;
    fs::create_dir_all(store)
        .map_err(|error| Fault::source("the store's folder can't be made").at(store.display()).cause(error))?;
    let (folder, cloned) = (store.to_owned(), setup.clone());
    let open = tokio::task::spawn_blocking(move || {
        let device = Device::open(profile, Some(&folder), Some(&trust), &cloned)?;
        let nobody = device.nobody(&trust)?;
        Ok::<_, Fault>((device, trust, nobody))
    });
    let (device, trust, nobody) = open.await.map_err(stopped)??;
    let device = Arc::new(device);
    if let Some(published) = device.in_store(store, keys).await? {
        return Ok(published);
    }
    let builder = Arc::clone(&device);
    let (disk, master) = tokio::task::spawn_blocking(move || builder.assemble(&trust, nobody)).await.map_err(stopped)??;
    let published = master::publish(&disk, master, store, keys, device.profile.image.compression_level, &setup.progress).await?;
    device.remember(&published)?;
    if device.desk.updates.is_some() {
        note_newer(&published.reference, &Publisher::open(store, keys).await?, &setup.progress);
    }
    Ok(published)
}

/// A version that is not the newest of its store is one that no device in use takes: `2026.2` comes before `2026.11`.
fn note_newer(built: &Reference, publisher: &Publisher, progress: &Progress) {
    let all = publisher.current().map(|store| store.references()).unwrap_or_default();
    let newer = all.into_iter().map(|(one, _)| one).find(|one| {
        one.order.is_none() && one.name == built.name && !built.version.is_newer_than(&one.version) && one.version != built.version
    });
    if let Some(newer) = newer {
        progress.note(&format!("devices in use will not install {built}: the store has {newer}, which is as new or newer"));
    }
}

fn stopped(error: tokio::task::JoinError) -> Fault {
    Fault::internal("a stage stopped").cause(error)
}

/// What a build of a profile would do, and why.
///
/// # Errors
/// Exit 3 where the profile can't be built, 5 where packages can't be asked for.
pub(crate) fn plan(path: &Path, keys: Option<&Path>, setup: &Setup, json: bool) -> Result<Vec<Planned>> {
    let profile = profiles::load(path, json)?;
    let trust = keys.map(Trust::open).transpose()?;
    let device = Device::open(profile, None, trust.as_ref(), setup)?;
    let mut steps = device.plan.steps(&device.workshop.cache, &device.profile)?;
    if trust.is_none() {
        steps.truncate(device.plan.before_keys().count());
    }
    Ok(steps)
}

/// A terminal or a laptop being built.
#[derive(Debug)]
struct Device {
    workshop: Workshop,
    profile: Profile,
    desk: Desk,
    /// File system of the personal layer of a master that is nobody's yet: the profile's keyboard, so that it can be tried.
    nobody: Vec<u8>,
    plan: Plan,
}

impl Device {
    fn open(profile: Profile, store: Option<&Path>, trust: Option<&Trust>, setup: &Setup) -> Result<Self> {
        let Some(desk) = profile.desk().cloned() else {
            return Err(Fault::refused(format!("a {} can't be built with this command", profile.kind().as_str()))
                .at(profile.path.display())
                .fix("make the agent's medium with `livery medium --profile`"));
        };
        let files = crate::image::identity::keyboard(&desk.locale.keyboard);
        let uuid = derive(plan::seed(&profile), "identity-fs");
        let nobody = erofs::make(&files, uuid, profile.image.epoch.as_second())?;
        let workshop = setup.open(&profile, store)?;
        let plan = Plan::of(&workshop, &profile, &desk, Digest::of(&nobody), trust)?;
        Ok(Self { workshop, profile, desk, nobody, plan })
    }

    /// The personal layer that is nobody's yet, signed.
    fn nobody(&self, trust: &Trust) -> Result<Layer> {
        ddi::make(&self.nobody, self.profile.image.identity_size, derive(self.plan.seed, "identity-image"), &trust.identity)
            .map_err(|fault| fault.at(self.profile.path.display()))
    }

    /// The image, where the store has what these keys once came to.
    ///
    /// What a scan found in it is judged by the profile as it is now: an exception may have gone since.
    async fn in_store(&self, store: &Path, keys: &Path) -> Result<Option<Published>> {
        let cache = &self.workshop.cache;
        let Some(findings) = inspect::scanned(&self.workshop, &self.plan.scan)? else { return Ok(None) };
        self.judge(&findings)?;
        if !cache.has(&self.plan.image) {
            return Ok(None);
        }
        let path = cache.path(&self.plan.image).join(MANIFEST);
        let text =
            fs::read_to_string(&path).map_err(|error| Fault::refused("the cache can't be read").at(path.display()).cause(error))?;
        let (reference, digest) = text.trim().split_once(' ').unwrap_or_default();
        let publisher = Publisher::open(store, keys).await?;
        let (Some(current), Ok(reference)) = (publisher.current(), reference.parse()) else { return Ok(None) };
        if !current.references().iter().any(|(one, held)| *one == reference && held.to_string() == digest) {
            return Ok(None);
        }
        let (manifest, _) = current.manifest(&reference).await?;
        Ok(Some(Published { reference, manifest, packed: Packed::default(), fresh: false }))
    }

    /// Refuses an image with what no image may have.
    fn judge(&self, findings: &[Finding]) -> Result<()> {
        verdict::judge(findings, &self.profile.scan, &format!("the image {}", self.profile.name), &self.workshop.progress)
    }

    /// Notes what the keys came to.
    fn remember(&self, published: &Published) -> Result<()> {
        let cache = &self.workshop.cache;
        let text = format!("{} {}\n", published.reference, Digest::of(&published.manifest.to_bytes()));
        // The same image in another store may have another manifest: its chunks lie elsewhere there.
        let path = cache.get(&self.plan.image, |_| Ok(()))?.join(MANIFEST);
        write_atomically(&path, text.as_bytes())?;
        self.plan.remember(cache, &self.profile)
    }

    /// Everything up to the disk image.
    fn assemble(&self, trust: &Trust, nobody: Layer) -> Result<(fs::File, Master)> {
        let Self { workshop, profile, desk, plan, .. } = self;
        let (root, boot) = roots::both(workshop, profile)?;
        let (system, initrd) = thread::scope(|scope| {
            let initrd = scope.spawn(|| initrd::make(workshop, profile, &boot));
            let tree = system::tree(workshop, profile, desk, &boot, &root, &plan.tree)?;
            let system = system::device(workshop, profile, [&boot, &root], &tree, plan.uuids, &plan.system)?;
            let initrd = initrd.join().map_err(|_| Fault::internal("a stage stopped"))??;
            Ok::<_, Fault>((system, initrd))
        })?;
        let (findings, list) = rayon::join(
            || inspect::scan(workshop, [&root, &boot], &system.root, &initrd.initrd, &plan.scan),
            || inspect::sbom(workshop, profile, [&root, &boot], [&system.root, &initrd.initrd], &plan.sbom),
        );
        // Before anything is signed.
        self.judge(&findings?)?;
        let list = list?;
        let root_hash: Digest = system.root_hash.parse()?;
        let arguments: Vec<String> = [format!("roothash={root_hash}")].into_iter().chain(plan.command_line.clone()).collect();
        let command_line = uki::command_line(profile, &arguments);
        let identity = plan::identity(plan.seed);
        let anchors = trust.anchors(identity);
        let parts = Parts {
            kernel: &initrd.kernel,
            version: &initrd.version,
            initrd: &initrd.initrd,
            microcode: initrd.microcode.as_deref(),
            anchors: Some(&anchors),
            command_line: &command_line,
            os_release: &system.os_release,
        };
        let uki = uki::make(workshop, profile, &parts, &plan.uki)?;
        let esp_guid = derive(plan.seed, "esp");
        let uki = uki::sign(workshop, &uki, &trust.secure_boot, &plan.signed)?;
        let esp = esp::make(workshop, profile, &uki, esp_guid, Contents::of(desk), &plan.esp)?;
        let bytes = fs::read(&uki).map_err(|error| Fault::internal("the UKI can't be read").at(uki.display()).cause(error))?;
        let (place, updates) = (esp::place_of(&esp, &bytes)?, desk.updates.is_some());
        let [binding, room] = [esp::block(&esp, Room::Identity)?, esp::block(&esp, Room::Keys)?];
        let content = Content::Bytes(nobody.bytes, profile.image.identity_size);
        let mut pieces = vec![
            Piece { role: Role::Esp, type_guid: gpt::ESP, guid: esp_guid, content: Content::File(esp) },
            Piece { role: Role::Identity, type_guid: gpt::LINUX, guid: identity, content },
        ];
        pieces.extend(slots::pieces(profile, plan.seed, system.root, system.verity)?);
        if profile.image.data.is_some() {
            let content = Content::Left(data::LEAST);
            pieces.push(Piece { role: Role::Data, type_guid: gpt::LINUX, guid: derive(plan.seed, "data"), content });
        }
        let step = workshop.progress.stage("disk");
        let scratch = workshop.cache.scratch()?;
        let disk = disk::assemble(scratch.path(), derive(plan.seed, "disk"), &pieces)?;
        step.done();
        let data = disk.partitions.iter().find(|partition| partition.role == Role::Data);
        let data = data.map(|_| Data { luks_uuid: plan.uuids.luks, recovery: trust.recovery.clone() });
        let grows = profile.image.grow || data.is_some();
        let version = match &profile.version {
            Some(version) => version.clone(),
            None => plan.image.digest().short().parse()?,
        };
        let [binding, room, place] = [binding, room, place].map(|block| disk.partitions[0].offset + block);
        let uki = Uki { offset: place, length: bytes.len() as u64, digest: Digest::of(&bytes) };
        let reference = Reference { name: profile.name.clone(), version: version.clone(), order: None };
        let subject = spdx::Subject {
            reference: &reference,
            created: profile.image.epoch,
            image: plan.image.digest(),
            suite: &profile.debian.suite,
        };
        let sbom = Some(spdx::document(&list, &subject)?);
        let master = Master {
            // In the firmware's menu; a device that gets updates does not keep the version that it was made with.
            boot: Some(BootEntry {
                label: if updates { profile.name.to_string() } else { format!("{} {version}", profile.name) },
                partition: 1,
                loader: esp::FALLBACK.into(),
            }),
            name: profile.name.clone(),
            version,
            created: profile.image.epoch,
            size: disk.size,
            sector_size: 512,
            converts_to_4096: profile.image.any_sectors,
            grow: grows.then(|| disk.partitions.last().map(|last| last.number)).flatten(),
            partitions: disk.partitions,
            minimum_disk: profile.image.minimum_disk,
            accepts: Some(Accepts { locales: desk.locale.available.clone(), accounts: profile.routing().is_some() }),
            root_hash: Some(root_hash),
            identity: Some(Identity { root_hash: nobody.root_hash, binding }),
            keys: Some(DeviceKeys { room, tunnel: profile.routing().is_some_and(|routing| routing.tunnel.is_some()) }),
            data,
            uki: updates.then_some(uki),
            left: disk.left.into_iter().chain([(binding, BLOCK), (room, BLOCK)]).collect(),
            sbom,
            personal_file: None,
            restricted: profile.packages.restrictions(),
        };
        Ok((disk.file, master))
    }
}
