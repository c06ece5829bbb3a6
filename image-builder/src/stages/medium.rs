//! The agent's system, whole in an initrd: it needs no disk of its own, so that the one it writes is the only one in play.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use livery_contract::{Digest, Fault, Result};
use livery_profile::Profile;

use super::{
    firmware,
    furnish::Furnish,
    inspect, modules,
    roots::{self, Root},
    settings::{self, AGENT, COMMON},
    system::embedded,
    trim,
    workshop::Workshop,
};
use crate::{cache::Key, inspect::scan::verdict, lock::RootName, sandbox::Sandbox};

const VERSION: u32 = 4;
/// Where the agent finds what a firmware without keys is given.
pub(crate) const SECURE_BOOT: &str = "/etc/livery/secure-boot";
/// zstd's level: the medium is fetched by every device, made once.
const LEVEL: &str = "-15";

/// What the agent must know of its site.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    /// The `livery-agent` program.
    pub(crate) agent: &'a Path,
    /// `/etc/livery/agent.toml`.
    pub(crate) configuration: String,
    /// Authorities of the station's certificate, PEM.
    pub(crate) station_ca: String,
    /// The store's trusted root.
    pub(crate) root_json: &'a [u8],
    /// What a firmware in Secure Boot's setup mode is given: files by name.
    pub(crate) secure_boot: Vec<(String, Vec<u8>)>,
}

/// The agent's system.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) initrd: PathBuf,
    /// `os-release`, for the UKI.
    pub(crate) os_release: PathBuf,
    /// Digest of all that it was made from.
    pub(crate) digest: Digest,
}

/// Makes the agent's system.
///
/// # Errors
/// Exit 1 where a tool fails, 3 where the agent does not run in it.
pub(crate) fn make(workshop: &Workshop, profile: &Profile, boot: &Root, root: &Root, site: &Site) -> Result<System> {
    let agent = fs::read(site.agent).map_err(|error| {
        Fault::usage("the agent's program can't be read")
            .at(site.agent.display())
            .cause(error)
            .fix("build it (`cargo build --release`), or give its path with --agent")
    })?;
    let requests = modules::for_agent(profile);
    let files: Vec<(String, Digest)> = [&COMMON, &AGENT].into_iter().flat_map(embedded).collect();
    let tools = roots::key(workshop, profile, RootName::Tools)?.digest();
    let key = Key::new(
        "agent-initrd",
        VERSION,
        &(
            profile,
            tools,
            boot.digest,
            root.digest,
            &requests,
            &files,
            Digest::of(&agent),
            &site.configuration,
            &site.station_ca,
            Digest::of(site.root_json),
            site.secure_boot.iter().map(|(_, bytes)| Digest::of(bytes)).collect::<Vec<_>>(),
        ),
    )?;
    let epoch = profile.image.epoch.as_second();
    let path = workshop.stage(&key, |result| {
        let scratch = workshop.cache.scratch()?;
        let tree = scratch.path().join("root");
        roots::copy(&root.path, &tree)?;
        trim::agent(&tree)?;
        let version = modules::kernel_version(&boot.path)?;
        modules::install(&boot.path, &version, &requests, &tree, epoch)?;
        firmware::install(&boot.path, &tree, epoch)?;
        let furnish = Furnish::new(&tree);
        settings::common(&furnish, profile)?;
        furnish.lay(&AGENT)?;
        furnish.file_with_mode("usr/bin/livery-agent", &agent, 0o755)?;
        furnish.file("etc/livery/agent.toml", &site.configuration)?;
        furnish.file("etc/livery/station-ca.pem", &site.station_ca)?;
        furnish.file("etc/livery/root.json", site.root_json)?;
        for (name, bytes) in &site.secure_boot {
            furnish.file(&format!("{}/{name}", &SECURE_BOOT[1..]), bytes)?;
        }
        // The kernel starts /init; without initrd-release, systemd takes this for the final system and stays in it.
        furnish.link("init", "usr/lib/systemd/systemd")?;
        let enabled = ["systemd-networkd.service", "systemd-resolved.service"];
        settings::units(&tree, &Sandbox::new(&boot.path, epoch), &enabled, "livery-agent.target")?;
        try_agent(&tree, epoch)?;
        settings::clamp_times(&tree, epoch)?;
        inspect::scan_tree(workshop, root, &tree, result)?;
        let os_release = tree.join("usr/lib/os-release");
        fs::copy(&os_release, result.join("os-release"))
            .map_err(|error| Fault::internal("a file can't be copied").at(os_release.display()).cause(error))?;
        let script = format!("{} | zstd {LEVEL} -T2 --quiet --force -o /srv/initrd.img", archive("/mnt"));
        let tools = roots::tools(workshop, profile)?.bind(&tree, "/mnt").bind(result, "/srv");
        tools.run("bash", ["-o", "pipefail", "-c", &script]).map(drop)
    })?;
    verdict::judge(&inspect::tree_findings(&path)?, &profile.scan, "the agent's system", &workshop.progress)?;
    Ok(System { initrd: path.join("initrd.img"), os_release: path.join("os-release"), digest: key.digest() })
}

/// The agent must run with this system's libraries, not only with the builder's.
fn try_agent(tree: &Path, epoch: i64) -> Result<()> {
    Sandbox::new(tree, epoch).run("/usr/bin/livery-agent", ["--version"]).map(drop).map_err(|fault| {
        Fault::refused("the agent does not run on its medium")
            .cause(fault)
            .fix("build it on Debian 12 or 13: it must not need a newer C library than the medium's release has")
    })
}

/// The tools' command that writes a folder as a cpio archive (newc, sorted, root's) to its output.
pub(crate) fn archive(folder: &str) -> String {
    format!(
        "cd {folder} && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --reproducible --quiet --owner=0:0"
    )
}

/// The path of the `livery-agent` that was built beside this program.
///
/// # Errors
/// Exit 2 where it is not there.
pub(crate) fn agent_beside_us() -> Result<PathBuf> {
    let us = std::env::current_exe().map_err(|error| Fault::internal("this program can't find its own path").cause(error))?;
    let agent = us.with_file_name("livery-agent");
    let runs = Command::new(&agent).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        Ok(agent)
    } else {
        Err(Fault::usage("there is no livery-agent in this program's folder")
            .at(agent.display())
            .fix("build it (`cargo build --release`), or give its path with --agent"))
    }
}
