//! The firmware that the chosen kernel modules load into their devices, out of the boot packages' `/usr/lib/firmware`.
//!
//! A module names its files itself (`modinfo -F firmware`); what none names stays out, which is most of any firmware package. Two
//! things it does not say. Of a versioned file (`iwlwifi-so-a0-gf-a0-89.ucode`) it names the newest that it can use, and takes the
//! newest older one where that is absent: so do we. And some drivers put names together from what the device answers: [`UNNAMED`].

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use crate::sandbox::Sandbox;

/// Where packages put it.
const FOLDER: &str = "usr/lib/firmware";
/// As the kernel finds it: plain, or compressed.
const SUFFIXES: [&str; 3] = ["", ".xz", ".zst"];
/// Modules that put names together: what those begin with.
const UNNAMED: &[(&str, &[&str])] = &[
    // Bluetooth of Intel's: by hardware and firmware variant, `intel/ibt-0040-0041.sfi`
    ("btintel", &["intel/ibt-"]),
    // Sound processors of Intel's: by platform and by the board's topology.
    ("snd_sof_intel_hda_common", &["intel/sof"]),
    ("snd_sof_intel_hda_generic", &["intel/sof"]),
];

/// Copies what the modules below `to` load; gives the names, relative to the firmware's folder.
///
/// # Errors
/// Exit 1 where modinfo fails or a file can't be copied.
pub(crate) fn install(boot_root: &Path, to: &Path, epoch: i64) -> Result<BTreeSet<String>> {
    let modules = modules(to)?;
    let sandbox = Sandbox::new(boot_root, epoch).bind(to, "/work");
    let mut named = BTreeSet::new();
    for batch in modules.chunks(500) {
        let arguments =
            ["-F", "firmware"].map(PathBuf::from).into_iter().chain(batch.iter().map(|path| Path::new("/work").join(path)));
        let said = sandbox.run("modinfo", arguments)?;
        named.extend(String::from_utf8_lossy(&said).lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));
    }
    let names: BTreeSet<String> = modules.iter().map(|path| super::modules::name_of(&path.to_string_lossy())).collect();
    let prefixes: Vec<&str> =
        UNNAMED.iter().filter(|(module, _)| names.contains(*module)).flat_map(|(_, prefixes)| *prefixes).copied().collect();
    let there = files(&boot_root.join(FOLDER))?;
    let chosen = choose(&there, &named, &prefixes);
    for name in &chosen {
        // Followed: a package's links lead to files that no module may name.
        let (from, copy) = (boot_root.join(FOLDER).join(name), to.join(FOLDER).join(name));
        let folder = copy.parent().unwrap_or(to);
        fs::create_dir_all(folder)
            .and_then(|()| fs::copy(&from, &copy))
            .map_err(|error| Fault::internal("a firmware file can't be copied").at(from.display()).cause(error))?;
    }
    tracing::debug!(named = named.len(), copied = chosen.len(), "firmware");
    Ok(chosen)
}

/// Of what is `there`, what is `named` or begins with one of `prefixes`.
fn choose(there: &BTreeSet<String>, named: &BTreeSet<String>, prefixes: &[&str]) -> BTreeSet<String> {
    let exact = |name: &str| SUFFIXES.iter().map(|suffix| format!("{name}{suffix}")).find(|name| there.contains(name));
    let mut chosen: BTreeSet<String> = named.iter().filter_map(|name| exact(name).or_else(|| older(there, name))).collect();
    chosen.extend(there.iter().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).cloned());
    chosen
}

/// The newest version of a file that is no newer than the named one.
fn older(there: &BTreeSet<String>, name: &str) -> Option<String> {
    let (family, newest, kind) = version(name)?;
    let plain = |name: &str| SUFFIXES.iter().rev().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned();
    there
        .iter()
        .filter_map(|name| {
            let plain = plain(name);
            let (its_family, its_version, its_kind) = version(&plain)?;
            (its_family == family && its_kind == kind && its_version <= newest).then_some((its_version, name))
        })
        .max()
        .map(|(_, name)| name.clone())
}

/// `iwlwifi-cc-a0-77.ucode` in its parts: family, version, kind.
fn version(name: &str) -> Option<(&str, u32, &str)> {
    let (rest, kind) = name.rsplit_once('.')?;
    let (family, digits) = rest.rsplit_once('-')?;
    digits.parse().ok().filter(|_| kind == "ucode").map(|version| (family, version, kind))
}

/// The modules below a tree, relative to it.
fn modules(to: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = files(&to.join("usr/lib/modules"))?
        .into_iter()
        .filter(|name| name.contains(".ko"))
        .map(|name| Path::new("usr/lib/modules").join(name))
        .collect();
    found.sort();
    Ok(found)
}

/// All files below a folder, relative to it; links to files are files. A folder that is absent has none.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let Ok(within) = fs::canonicalize(folder) else { return Ok(found) };
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let path = folder.join(&below);
        let failed = |error| Fault::internal("a folder can't be listed").at(path.display()).cause(error);
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = below.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(name),
                // A link that leads nowhere, to a folder, or out of here to a file of this host's, is none that a device could load.
                Ok(_) if fs::canonicalize(entry.path()).is_ok_and(|file| file.is_file() && file.starts_with(&within)) => {
                    found.insert(name.to_string_lossy().into_owned());
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn named_ones_older_ones_and_those_put_together() {
        let there = set(&[
            "iwlwifi-cc-a0-59.ucode",
            "iwlwifi-cc-a0-72.ucode.zst",
            "iwlwifi-cc-a0-100.ucode",
            "iwlwifi-cc-a0-fast-70.ucode",
            "iwlwifi-so-a0-gf-a0.pnvm",
            "rtl_nic/rtl8168h-2.fw.xz",
            "rtl_nic/rtl8168g-2.fw",
            "intel/ibt-0040-0041.sfi",
            "nvidia/large.bin",
        ]);
        let named = set(&["iwlwifi-cc-a0-77.ucode", "iwlwifi-so-a0-gf-a0.pnvm", "rtl_nic/rtl8168h-2.fw", "rtl_nic/rtl8168g-3.fw"]);
        assert_eq!(
            choose(&there, &named, &["intel/ibt-"]),
            set(&["iwlwifi-cc-a0-72.ucode.zst", "iwlwifi-so-a0-gf-a0.pnvm", "rtl_nic/rtl8168h-2.fw.xz", "intel/ibt-0040-0041.sfi"])
        );
        assert_eq!(choose(&there, &named, &[]).len(), 3);
    }

    #[test]
    fn links_are_followed_and_an_absent_folder_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(files(&folder.path().join("none")).unwrap(), set(&[]));
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/x"), "1").unwrap();
        std::os::unix::fs::symlink("a/x", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("gone", folder.path().join("broken")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("host")).unwrap();
        assert_eq!(files(folder.path()).unwrap(), set(&["a/x", "link"]));
    }
}
