//! The device with many disks, from outside: the agent's own medium as `livery medium` makes it (its kernel, drivers, udev
//! and agent), started by real firmware, with the cases' init, tools and store laid over its first file system. The kernel
//! unpacks archives one after the other (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use gpt::partition_types;
use livery_contract::{Fault, Reference, Result};

use super::cases::{DISK, FOLDER, IMAGE, Outcome, Plan, SLOTS, TELLS, TOLD, Told};
use crate::{
    faults::{
        ground::{broken, walk},
        initramfs::{Archive, entries, unpacked},
    },
    programs::{Program, built},
    qemu::{Direct, Disk, Machine},
    raw_disk,
    site::Site,
};

/// Drivers that the medium does not have, in the order in which they are loaded: it need not assemble mirrors.
pub const DRIVERS: [&str; 2] = ["md-mod", "raid1"];
/// Tools that it does not have, and the packages that bring them.
const TOOLS: [&str; 3] = ["lvm", "mdadm", "dmsetup"];
const PACKAGES: &str = "--include=lvm2,mdadm,dmsetup";
/// The medium's release, so that they fit its kernel.
const SUITE: &str = "trixie";
/// Raised when the tools are put together otherwise.
const VERSION: u32 = 1;
/// The most that the device may take on KVM from one case to the next.
const LIMIT: Duration = Duration::from_secs(60);

/// A device whose cases are over.
#[derive(Debug)]
pub struct Over {
    /// What came of each start of the agent.
    pub outcomes: Vec<Outcome>,
    /// Cases that could not be made.
    pub broken: Vec<String>,
    /// The image as it was imported.
    pub image: PathBuf,
    /// The files of the disks, in the order of [`SLOTS`].
    pub disks: Vec<PathBuf>,
    /// Time from power-on to the last case's end.
    pub took: Duration,
}

/// Makes the device in `folder`, which is empty, and runs all cases.
///
/// # Errors
/// Where it can't be made, or does not come to its end.
pub async fn run(site: &Site, folder: &Path) -> Result<Over> {
    let image = folder.join("image.raw");
    let plan = import(folder, &image).await?;
    let medium = site.folder.join("medium");
    let tools = tools(&site.cache().with_file_name(format!("right-disk-tools-{VERSION}")))?;
    let initrd = folder.join("initrd");
    overlay(&initrd, &medium, site, &tools, folder, &plan)?;

    let mut machine = Machine::new("disks", folder)?;
    machine.memory = 1536;
    machine.network = false;
    machine.direct = Some(Direct {
        kernel: medium.join("vmlinuz"),
        initrd,
        // The kernel's own words would come in between the lines of the cases.
        command_line: format!("console=ttyS0 loglevel=0 panic=-1 rdinit={FOLDER}/init"),
    });
    let mut disks = Vec::new();
    for (index, slot) in SLOTS.iter().enumerate() {
        let path = folder.join(format!("{index:02}-{}.raw", slot.serial));
        if slot.stale {
            fs::copy(&image, &path).map_err(|error| broken(&path, error))?;
            File::options().write(true).open(&path).and_then(|file| file.set_len(DISK)).map_err(|error| broken(&path, error))?;
        } else {
            raw_disk::used(&path, slot.size)?;
        }
        let disk = Disk::new(&path, slot.bus).serial(slot.serial).sector(slot.sector);
        machine.disks.push(if slot.locked { disk.locked() } else { disk });
        disks.push(path);
    }

    let mut guest = machine.start().await?;
    let most = LIMIT * guest.accel().patience();
    let (mut outcomes, mut cannot) = (Vec::new(), Vec::new());
    loop {
        let line = guest.wait_for("the next case", TOLD, most).await?;
        let told = line.split_once(TELLS).and_then(|(_, told)| told.split_once(TOLD)).map_or("", |(told, _)| told);
        match serde_json::from_str(told) {
            Ok(Told::Outcome(outcome)) => outcomes.push(*outcome),
            Ok(Told::Broken(what)) => cannot.push(what),
            Ok(Told::End) => break,
            Err(error) => cannot.push(format!("{error}: {told}")),
        }
    }
    let took = guest.elapsed();
    // It switches itself off, and what QEMU holds of the disks is on them.
    guest.wait_exit(most).await?;
    Ok(Over { outcomes, broken: cannot, image, disks, took })
}

/// Keys, an image, and a store that holds it.
async fn import(folder: &Path, image: &Path) -> Result<Plan> {
    let at = |name: &str| folder.join(name).display().to_string();
    let partitions = [("esp", 1 << 20, partition_types::EFI), ("system", 3 << 20, partition_types::LINUX_FS)];
    let file = raw_disk::partitioned(image, IMAGE, &partitions)?;
    // Something that is neither zero nor the same everywhere.
    let content: Vec<u8> = (0..4_u64 << 17).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).collect();
    file.write_all_at(&content, 1 << 20).map_err(|error| broken(image, error))?;
    Program::Livery.run(["keygen", "--out", &at("keys")]).await?.good()?;
    let raw = image.display().to_string();
    let arguments = ["import", &raw, "--name", "disks", "--version", "1", "--store", &at("store"), "--keys", &at("keys")];
    Program::Livery.run(arguments).await?.good()?;
    let reference: Reference = "disks@1".parse()?;
    let missing = || Fault::internal("the store has no manifest").at(at("store"));
    // TUF's consistent snapshots: the file's name begins with its digest.
    let names = walk(&folder.join("store/targets"))?;
    let digest = names.iter().find_map(|path| path.file_name()?.to_str()?.strip_suffix(".disks@1.json")?.parse().ok());
    Ok(Plan { image: reference, manifest: digest.ok_or_else(missing)? })
}

/// Fetches the tools and what they are linked with, once: unpacked, not installed, so that this host stays as it is.
fn tools(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        return Ok(folder.to_owned());
    }
    let (tree, making) = (folder.with_extension("tree"), folder.with_extension("part"));
    for old in [&tree, &making] {
        let _ = fs::remove_dir_all(old);
    }
    let mut fetch = Command::new("mmdebstrap");
    fetch.args(["--quiet", "--variant=extract", "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Retries \"5\""]);
    output(fetch.args([PACKAGES, SUITE]).arg(&tree))?;
    fs::create_dir_all(&making).map_err(|error| broken(&making, error))?;
    let (loader, libraries) = (tree.join("usr/lib64/ld-linux-x86-64.so.2"), tree.join("usr/lib/x86_64-linux-gnu"));
    let copy = |from: &Path, name: &str| fs::copy(from, making.join(name)).map(drop).map_err(|error| broken(from, error));
    copy(&loader, "ld.so")?;
    for tool in TOOLS {
        let program = tree.join("usr/sbin").join(tool);
        copy(&program, tool)?;
        let listed = output(Command::new(&loader).arg("--library-path").arg(&libraries).arg("--list").arg(&program))?;
        // NAME => PATH (ADDRESS)
        for path in listed.split_whitespace().map(Path::new).filter(|path| path.starts_with(&libraries)) {
            copy(path, &path.file_name().unwrap_or_default().to_string_lossy())?;
        }
    }
    let _ = fs::remove_dir_all(&tree);
    fs::rename(&making, folder).map_err(|error| broken(folder, error))?;
    Ok(folder.to_owned())
}

/// The medium's first file system with the cases over it.
fn overlay(to: &Path, medium: &Path, site: &Site, tools: &Path, folder: &Path, plan: &Plan) -> Result<()> {
    let read = |path: &Path| fs::read(path).map_err(|error| broken(path, error));
    let mut archive = Archive::default();
    archive.file(&format!("{FOLDER}/init"), &read(&built("disks-init")?)?, 0o755);
    let plan = serde_json::to_vec(plan).map_err(|error| Fault::internal("a plan does not encode").cause(error))?;
    archive.file(&format!("{FOLDER}/plan.json"), &plan, 0o644);
    archive.file(&format!("{FOLDER}/root.json"), &read(&folder.join("keys/root.json"))?, 0o644);
    for (from, name) in [(folder.join("store"), "store"), (tools.to_owned(), "tools")] {
        for file in walk(&from)? {
            let name = Path::new(FOLDER).join(name).join(file.strip_prefix(&from).unwrap_or(&file));
            archive.file(&name.display().to_string(), &read(&file)?, 0o755);
        }
    }
    for (name, driver) in drivers(medium, site)? {
        archive.file(&format!("{FOLDER}/{name}.ko"), &driver, 0o644);
    }
    let mut bytes = read(&medium.join("initrd.img"))?;
    // Archives begin on bounds of four bytes.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(archive.end());
    fs::write(to, bytes).map_err(|error| broken(to, error))
}

/// The kernel's drivers that the medium leaves out, from the system that the builder has taken its kernel from.
fn drivers(medium: &Path, site: &Site) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let archive = unpacked(medium)?;
    let version = entries(&archive).find_map(|(name, _)| name.strip_suffix("/modules.dep")?.rsplit('/').next());
    let version = version.ok_or_else(|| Fault::refused("the medium has no drivers").at(medium.display()))?;
    let cache = site.cache();
    let systems = fs::read_dir(&cache).map_err(|error| broken(&cache, error))?.flatten();
    let folder = systems
        .map(|entry| entry.path().join("usr/lib/modules").join(version).join("kernel/drivers/md"))
        .find(|folder| folder.exists())
        .ok_or_else(|| Fault::refused(format!("no drivers of Linux {version}")).at(cache.display()))?;
    DRIVERS
        .into_iter()
        .map(|name| {
            let path = folder.join(format!("{name}.ko.xz"));
            let output = Command::new("xz").args(["--decompress", "--stdout"]).arg(&path).output();
            match output {
                Ok(output) if output.status.success() => Ok((name, output.stdout)),
                Ok(output) => Err(Fault::internal(String::from_utf8_lossy(&output.stderr).into_owned()).at(path.display())),
                Err(error) => Err(broken(&path, error)),
            }
        })
        .collect()
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let fail = |what: String| Fault::internal(format!("{}: {what}", name.display()));
    match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(fail(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => Err(fail("it does not start".into()).cause(error)),
    }
}
