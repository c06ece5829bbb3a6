//! `livery medium`: the stages of the agent's boot medium in their order.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result, manifest::Role};
use livery_profile::{Profile, Role as ProfileRole};

use crate::{
    gpt,
    lock::RootName,
    plan, profiles,
    publish::keys::Keys,
    replace::replace,
    secure_boot::{keygen, signer::Signer, variables::Variable},
    stages::{
        disk::{self, Content, Piece, derive},
        esp::{self, Contents},
        medium::{self, SECURE_BOOT, Site},
        modules, roots,
        uki::{self, Parts},
        workshop::{Setup, Workshop},
    },
};

/// What the agent's medium shall know that its profile does not say.
#[derive(Debug, Default)]
pub(crate) struct SiteOptions {
    /// The station's URL.
    pub(crate) station: Option<String>,
    /// File with the authorities of its certificate.
    pub(crate) station_ca: Option<PathBuf>,
    /// File with its job-signing public key.
    pub(crate) job_key: Option<PathBuf>,
    /// The agent's program; by default the one beside this program.
    pub(crate) agent: Option<PathBuf>,
}

/// The files of a boot medium.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Medium {
    /// The UKI: for UEFI HTTP boot and PXE, or to be copied to an ESP.
    pub(crate) uki: PathBuf,
    /// Disk image for a USB stick.
    pub(crate) usb: PathBuf,
    /// Kernel, for a boot loader that starts no UKI.
    pub(crate) kernel: PathBuf,
    /// Initrd, likewise.
    pub(crate) initrd: PathBuf,
    /// The kernel's command line, likewise.
    pub(crate) command_line: String,
}

/// Makes the agent's boot medium.
///
/// # Errors
/// Exit 3 where the profile or the site's facts are incomplete, 5 where packages can't be had.
pub(crate) fn make(
    path: &Path,
    store: Option<&Path>,
    keys: &Path,
    out: &Path,
    options: &SiteOptions,
    setup: &Setup,
    json: bool,
) -> Result<Medium> {
    let profile = profiles::load(path, json)?;
    let (keys, signer) = (Keys::open(keys)?, Signer::open(keys)?);
    let program = match &options.agent {
        Some(path) => path.clone(),
        None => medium::agent_beside_us()?,
    };
    // Before anything is fetched or built: what is wrong with a flag is said at once.
    let site = site(&profile, &keys, &program, options)?;
    made(&setup.open(&profile, store)?, &profile, &site, &signer, out)
}

/// What the medium shall know of its site, from flags and profile.
fn site<'a>(profile: &Profile, keys: &'a Keys, program: &'a Path, options: &SiteOptions) -> Result<Site<'a>> {
    let ProfileRole::Agent(agent) = &profile.role else {
        return Err(Fault::refused(format!("a {} profile does not make a boot medium", profile.kind().as_str()))
            .at(profile.path.display())
            .fix("use a profile of kind = \"agent\""));
    };
    let lacking = |what: &str, flag: &str, key: &str| {
        Fault::refused(format!("the medium needs {what}"))
            .at(profile.path.display())
            .fix(format!("give {flag}, or write `agent.{key}` in the profile"))
    };
    let station = match &options.station {
        Some(text) => livery_profile::read_station(text)?,
        None => agent.station.clone().ok_or_else(|| lacking("its station's address", "--station URL", "station"))?,
    };
    let authorities = match &options.station_ca {
        Some(path) => livery_profile::read_authorities(path)?,
        None => agent.station_ca.clone(),
    };
    if authorities.is_empty() {
        return Err(lacking("the certificate of its station's authority", "--station-ca FILE", "station-ca"));
    }
    let job_key = match &options.job_key {
        Some(path) => livery_profile::read_job_key(path)?,
        None => agent.job_key.ok_or_else(|| lacking("the public key that signs its jobs", "--job-key FILE", "job-key"))?,
    };
    let configuration = format!(
        "# Written by `livery medium`.\nstation = {:?}\nca = \"/etc/livery/station-ca.pem\"\njob_key = \"{job_key}\"\ntrust = \"/etc/livery/root.json\"\nsecure_boot = \"{SECURE_BOOT}\"\nafter = {:?}\n",
        station.as_str().trim_end_matches('/'),
        agent.after.as_str(),
    );
    Ok(Site {
        agent: program,
        configuration,
        station_ca: authorities.iter().map(|authority| authority.pem.as_str()).collect(),
        root_json: keys.root_json(),
        secure_boot: Variable::ALL
            .map(|variable| (variable.name(), keys.folder().join(keygen::PUBLIC)))
            .into_iter()
            .map(|(name, folder)| {
                let path = folder.join(format!("{name}.auth"));
                let unreadable = |error| Fault::usage("a Secure Boot variable can't be read").at(path.display()).cause(error);
                Ok((format!("{name}.auth"), fs::read(&path).map_err(unreadable)?))
            })
            .collect::<Result<_>>()?,
    })
}

fn made(workshop: &Workshop, profile: &Profile, site: &Site<'_>, signer: &Signer, out: &Path) -> Result<Medium> {
    let (root, boot) = roots::both(workshop, profile)?;
    let system = medium::make(workshop, profile, &boot, &root, site)?;
    let version = modules::kernel_version(&boot.path)?;
    let kernel = boot.path.join("boot").join(format!("vmlinuz-{version}"));
    let command_line = uki::command_line(profile, &["systemd.firstboot=no".to_owned()]);
    let parts = Parts {
        kernel: &kernel,
        version: &version,
        initrd: &system.initrd,
        microcode: None,
        anchors: None,
        command_line: &command_line,
        os_release: &system.os_release,
    };
    let tools = roots::key(workshop, profile, RootName::Tools)?.digest();
    let key = uki::key(profile, [boot.digest, system.digest, tools], &command_line, None)?;
    let uki = uki::make(workshop, profile, &parts, &key)?;
    let key = uki::signed_key(key.digest(), Some(signer.digest()))?;
    let uki = uki::sign(workshop, &uki, signer, &key)?;
    let seed = plan::seed(profile);
    let key = esp::key(profile, [key.digest(), tools], derive(seed, "esp"), Contents::Medium)?;
    let esp = esp::make(workshop, profile, &uki, derive(seed, "esp"), Contents::Medium, &key)?;
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
    // Whole or not at all: a line may be booting from them.
    for (from, to) in [(&uki, &medium.uki), (&kernel, &medium.kernel), (&system.initrd, &medium.initrd)] {
        fs::File::open(from).and_then(|mut from| replace(to, &mut from)).map_err(|error| failed(to, error))?;
    }
    std::io::Seek::rewind(&mut disk.file)
        .and_then(|()| replace(&medium.usb, &mut disk.file))
        .map_err(|error| failed(&medium.usb, error))?;
    Ok(medium)
}
