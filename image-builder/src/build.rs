//! `livery build` and `livery medium`: the stages in their order, independent ones at the same time.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use livery_contract::{
    Digest, Fault, Result, Version,
    manifest::{Accepts, BootEntry, Role},
};
use uuid::Uuid;

use crate::{
    image::{
        erofs, gpt,
        master::{self, Master, Published},
    },
    profile::{self, Profile, Role as ProfileRole},
    publish::keys::Keys,
    secure_boot::signer::Signer,
    stages::{
        disk::{self, Content, Piece, derive},
        esp, initrd,
        medium::{self, Site},
        roots::{self, Root},
        system::{self, Uuids},
        uki::{self, Parts},
        workshop::Workshop,
    },
};

/// The namespace of image seeds (RFC 9562, version 5).
const SEEDS: Uuid = Uuid::from_u128(0x6c69_7665_7279_5f69_6d61_6765_5f73_6565);

/// What the roots need, in parallel: they share nothing but the network.
fn roots_for(workshop: &Workshop, profile: &Profile) -> Result<(Root, Root)> {
    thread::scope(|scope| {
        let device = scope.spawn(|| roots::device(workshop, profile));
        let boot = roots::boot(workshop, profile)?;
        roots::tools(workshop, profile)?;
        let device = device.join().map_err(|_| Fault::internal("a stage stopped"))??;
        Ok((device, boot))
    })
}

/// The version that a profile names, or the first digits of what its image is made from.
fn version(profile: &Profile, inputs: &Digest) -> Result<Version> {
    match &profile.version {
        Some(version) => Ok(version.clone()),
        None => inputs.short().parse(),
    }
}

/// Builds a terminal's master into the store.
///
/// # Errors
/// Exit 2 where keys are missing, 3 where the profile can't be built, 4 where the store is signed by other keys, 5 where
/// packages can't be had.
pub async fn build(path: &Path, store: &Path, keys: &Path, workshop: Workshop, json: bool) -> Result<Published> {
    let profile = profile::load(path).map_err(|diagnostics| diagnostics.print(json))?;
    Keys::open(keys)?; // both before minutes of work
    let signer = Signer::open(keys)?;
    let progress = workshop.progress.clone();
    let folder = store.to_owned();
    let (disk, master, level) = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&folder)
            .map_err(|error| Fault::source("the store's folder can't be made").at(folder.display()).cause(error))?;
        assemble(&workshop, &profile, &signer)
    })
    .await
    .map_err(|error| Fault::internal("a stage stopped").cause(error))??;
    master::publish(&disk, master, store, keys, level, &progress).await
}

/// Everything up to the disk image.
fn assemble(workshop: &Workshop, profile: &Profile, signer: &Signer) -> Result<(fs::File, Master, i32)> {
    let ProfileRole::Terminal { desk, kiosk } = &profile.role else {
        return Err(Fault::refused(format!("a {} can't be built by this command", profile.kind().as_str()))
            .at(profile.path.display())
            .fix(match profile.role {
                ProfileRole::Agent(_) => "make the agent's medium with `livery medium --profile`",
                _ => "a laptop's profile can be checked so far; building one comes with its desktop and its data partition",
            }));
    };
    let seed = Uuid::new_v5(&SEEDS, profile.name.as_str().as_bytes());
    let uuids = Uuids { root: derive(seed, "root"), verity: derive(seed, "root-verity"), identity: derive(seed, "identity") };
    let (root, boot) = roots_for(workshop, profile)?;
    let (system, initrd) = thread::scope(|scope| {
        let initrd = scope.spawn(|| initrd::make(workshop, profile, &boot));
        let system = system::terminal(workshop, profile, desk, kiosk, &boot, &root, uuids)?;
        Ok::<_, Fault>((system, initrd.join().map_err(|_| Fault::internal("a stage stopped"))??))
    })?;
    let own = [
        "root=/dev/mapper/root ro rootfstype=erofs".to_owned(),
        format!("roothash={}", system.root_hash),
        format!("systemd.verity_root_data=PARTUUID={}", uuids.root),
        format!("systemd.verity_root_hash=PARTUUID={}", uuids.verity),
        "systemd.volatile=overlay systemd.getty_auto=no systemd.firstboot=no".to_owned(),
    ];
    let command_line = uki::command_line(profile, &own);
    let parts = Parts {
        kernel: &initrd.kernel,
        version: &initrd.version,
        initrd: &initrd.initrd,
        command_line: &command_line,
        os_release: &system.os_release,
    };
    let uki = uki::make(workshop, profile, &parts, &(initrd.digest, system.digest))?;
    let uki = uki::sign(workshop, &uki, signer)?;
    let esp = esp::make(workshop, profile, &uki.path, derive(seed, "esp"))?;
    let pieces = [
        Piece { role: Role::Esp, type_guid: gpt::ESP, guid: derive(seed, "esp"), content: Content::File(esp) },
        Piece {
            role: Role::Identity,
            type_guid: gpt::LINUX,
            guid: uuids.identity,
            content: Content::Bytes(nobody(profile, desk, derive(seed, "identity-fs"))?, profile.image.identity_size),
        },
        Piece { role: Role::Root, type_guid: gpt::ROOT, guid: uuids.root, content: Content::File(system.root) },
        Piece { role: Role::RootVerity, type_guid: gpt::ROOT_VERITY, guid: uuids.verity, content: Content::File(system.verity) },
    ];
    let step = workshop.progress.stage("disk");
    let scratch = workshop.cache.scratch()?;
    let disk = disk::assemble(scratch.path(), derive(seed, "disk"), &pieces)?;
    step.done();
    let version = version(profile, &Digest::of(&[system.digest, uki.digest].map(|digest| *digest.as_bytes()).concat()))?;
    let master = Master {
        boot: Some(BootEntry { label: format!("{} {version}", profile.name), partition: 1, loader: esp::FALLBACK.into() }),
        name: profile.name.clone(),
        version,
        created: profile.image.epoch,
        size: disk.size,
        sector_size: 512,
        converts_to_4096: profile.image.any_sectors,
        grow: profile.image.grow.then(|| disk.partitions.last().map(|last| last.number)).flatten(),
        partitions: disk.partitions,
        minimum_disk: profile.image.minimum_disk,
        accepts: Some(Accepts { locales: desk.locale.available.clone() }),
    };
    Ok((disk.file, master, profile.image.compression_level))
}

/// The personal layer of a master that is nobody's yet: the profile's keyboard, so that it can be tried.
fn nobody(profile: &Profile, desk: &profile::Desk, uuid: Uuid) -> Result<Vec<u8>> {
    let files = crate::image::identity::keyboard(&desk.locale.keyboard);
    erofs::make(&files, uuid, profile.image.epoch.as_second())
}

/// What the agent's medium shall know that its profile does not say.
#[derive(Debug, Default)]
pub struct SiteOptions {
    /// The station's URL.
    pub station: Option<String>,
    /// File with the authorities of its certificate.
    pub station_ca: Option<PathBuf>,
    /// File with its job-signing public key.
    pub job_key: Option<PathBuf>,
    /// The agent's program; by default the one beside this program.
    pub agent: Option<PathBuf>,
}

/// The files of a boot medium.
#[derive(Debug, serde::Serialize)]
pub struct Medium {
    /// The UKI: for UEFI HTTP boot, or to be copied to an ESP.
    pub uki: PathBuf,
    /// Disk image for a USB stick.
    pub usb: PathBuf,
    /// Kernel, for PXE.
    pub kernel: PathBuf,
    /// Initrd, for PXE.
    pub initrd: PathBuf,
    /// The kernel's command line, for PXE.
    pub command_line: String,
}

/// Makes the agent's boot medium.
///
/// # Errors
/// Exit 3 where the profile or the site's facts are incomplete, 5 where packages can't be had.
pub async fn medium(path: &Path, keys: &Path, out: &Path, options: SiteOptions, workshop: Workshop, json: bool) -> Result<Medium> {
    let profile = profile::load(path).map_err(|diagnostics| diagnostics.print(json))?;
    let (keys, signer) = (Keys::open(keys)?, Signer::open(keys)?);
    let out = out.to_owned();
    tokio::task::spawn_blocking(move || make_medium(&workshop, &profile, (&keys, &signer), &out, &options))
        .await
        .map_err(|error| Fault::internal("a stage stopped").cause(error))?
}

fn make_medium(
    workshop: &Workshop,
    profile: &Profile,
    (keys, signer): (&Keys, &Signer),
    out: &Path,
    options: &SiteOptions,
) -> Result<Medium> {
    let ProfileRole::Agent(agent) = &profile.role else {
        return Err(Fault::refused(format!("a {}'s profile makes no boot medium", profile.kind().as_str()))
            .at(profile.path.display())
            .fix("give a profile of kind = \"agent\""));
    };
    let lacking = |what: &str, flag: &str, key: &str| {
        Fault::refused(format!("the medium must know {what}"))
            .at(profile.path.display())
            .fix(format!("give {flag}, or write `agent.{key}` in the profile"))
    };
    let station = match &options.station {
        Some(text) => profile::read_station(text)?,
        None => agent.station.clone().ok_or_else(|| lacking("where its station is", "--station URL", "station"))?,
    };
    let authorities = match &options.station_ca {
        Some(path) => profile::read_authorities(path)?,
        None => agent.station_ca.clone(),
    };
    if authorities.is_empty() {
        return Err(lacking("who vouches for its station", "--station-ca FILE", "station-ca"));
    }
    let job_key = match &options.job_key {
        Some(path) => profile::read_job_key(path)?,
        None => agent.job_key.ok_or_else(|| lacking("whose jobs to do", "--job-key FILE", "job-key"))?,
    };
    let configuration = format!(
        "# Written by `livery medium`.\nstation = {:?}\nca = \"/etc/livery/station-ca.pem\"\njob_key = \"{job_key}\"\ntrust = \"/etc/livery/root.json\"\nafter = {:?}\n",
        station.as_str().trim_end_matches('/'),
        agent.after.as_str(),
    );
    let program = match &options.agent {
        Some(path) => path.clone(),
        None => medium::agent_beside_us()?,
    };
    let site = Site {
        agent: &program,
        configuration,
        station_ca: authorities.iter().map(|authority| authority.pem.as_str()).collect(),
        root_json: keys.root_json(),
    };
    let (root, boot) = roots_for(workshop, profile)?;
    let system = medium::make(workshop, profile, &boot, &root, &site)?;
    let version = crate::stages::modules::kernel_version(&boot.path)?;
    let kernel = boot.path.join("boot").join(format!("vmlinuz-{version}"));
    let command_line = uki::command_line(profile, &["systemd.getty_auto=no systemd.firstboot=no".to_owned()]);
    let parts = Parts {
        kernel: &kernel,
        version: &version,
        initrd: &system.initrd,
        command_line: &command_line,
        os_release: &system.os_release,
    };
    let uki = uki::make(workshop, profile, &parts, &(boot.digest, system.digest))?;
    let uki = uki::sign(workshop, &uki, signer)?.path;
    let seed = Uuid::new_v5(&SEEDS, profile.name.as_str().as_bytes());
    let esp = esp::make(workshop, profile, &uki, derive(seed, "esp"))?;
    let scratch = workshop.cache.scratch()?;
    let piece = Piece { role: Role::Esp, type_guid: gpt::ESP, guid: derive(seed, "esp"), content: Content::File(esp) };
    let mut disk = disk::assemble(scratch.path(), derive(seed, "disk"), &[piece])?;

    let failed = |path: &Path, error: std::io::Error| Fault::refused("the medium can't be written").at(path.display()).cause(error);
    fs::create_dir_all(out).map_err(|error| failed(out, error))?;
    let medium = Medium {
        uki: out.join("agent.efi"),
        usb: out.join("agent-usb.img"),
        kernel: out.join("vmlinuz"),
        initrd: out.join("initrd.img"),
        command_line,
    };
    for (from, to) in [(&uki, &medium.uki), (&kernel, &medium.kernel), (&system.initrd, &medium.initrd)] {
        fs::copy(from, to).map_err(|error| failed(to, error))?;
    }
    let mut usb = fs::File::create(&medium.usb).map_err(|error| failed(&medium.usb, error))?;
    std::io::Seek::rewind(&mut disk.file)
        .and_then(|()| std::io::copy(&mut disk.file, &mut usb))
        .map_err(|error| failed(&medium.usb, error))?;
    Ok(medium)
}
