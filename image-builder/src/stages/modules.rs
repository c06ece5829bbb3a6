//! The kernel modules that hardware needs, with all that they need.
//!
//! A request is a module's name, a folder below `kernel/` (`drivers/net/ethernet/intel/`), or either with `-` before it to
//! leave it out. The closure follows `modules.dep` and soft dependencies. Modules are stored uncompressed: erofs and zstd
//! compress them better together, and booting does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use livery_contract::{Fault, Result};
use livery_profile::{Hardware, Profile};

use crate::sandbox::{self, Sandbox};

/// What every system needs. `libcrc32c` asks the crypto API for crc32c when erofs is mounted: that is an alias, no
/// dependency, so the closure does not find it, and mounting fails with "unknown filesystem type 'erofs'".
const CORE: &[&str] = &["crc32c_generic", "crc32c_intel", "libcrc32c", "sha256_ssse3", "autofs4", "erofs", "overlay", "loop"];

/// To find and read the disk, whatever it hangs on.
const STORAGE: &[&str] = &[
    "dm_verity",
    "dm_mod",
    "nvme",
    "ahci",
    "ata_piix",
    "sd_mod",
    "vmd",
    "xhci_pci",
    "xhci_hcd",
    "ehci_pci",
    "usb_storage",
    "uas",
    "sdhci_pci",
    "sdhci_acpi",
    "mmc_block",
    "usbhid",
    "hid_generic",
];

/// An encrypted partition, and cryptsetup's own use of the kernel's ciphers.
const CRYPT: &[&str] = &["dm_crypt", "algif_skcipher", "algif_hash", "xts", "aesni_intel", "ext4", "crc32c_generic"];

/// EFI variables and the ESP.
const FIRMWARE: &[&str] = &["efivarfs", "efi_pstore", "vfat", "fat", "nls_ascii", "nls_cp437", "nls_iso8859_1", "nls_utf8"];

/// Wired networks, on board and by USB adapter.
const NETWORK: &[&str] = &[
    "drivers/net/ethernet/intel/",
    "-drivers/net/ethernet/intel/ice/",
    "drivers/net/ethernet/realtek/",
    "drivers/net/ethernet/atheros/",
    "drivers/net/phy/",
    "tg3",
    "bnx2",
    "r8152",
    "ax88179_178a",
    "asix",
    "cdc_ether",
    "cdc_ncm",
    "smsc75xx",
    "smsc95xx",
    "lan78xx",
    "aqc111",
];

/// Screen, sound, input, power: what a desk needs and an initrd does not.
const DESK: &[&str] = &[
    "drivers/gpu/drm/",
    "-drivers/gpu/drm/nouveau/",
    "-drivers/gpu/drm/gma500/",
    "-drivers/gpu/drm/vmwgfx/",
    "drivers/hid/",
    "evdev",
    "psmouse",
    "snd_hda_intel",
    "sound/pci/hda/",
    "sound/usb/",
    "ac",
    "battery",
    "thermal",
    "fan",
    "button",
    "video",
    "coretemp",
    "intel_rapl_common",
    "iTCO_wdt",
    "i2c_i801",
    "cdc_acm",
    "fuse",
    "nf_tables",
    "ip_tables",
    "tpm_tis",
    "tpm_crb",
    "aesni_intel",
    "mei_me",
];

/// Wireless networks of the home, and the ciphers that WPA asks the kernel for by name.
const WIFI: &[&str] = &[
    "drivers/net/wireless/intel/iwlwifi/",
    "drivers/net/wireless/realtek/",
    "drivers/net/wireless/ath/",
    "ccm",
    "cmac",
    "ctr",
    "gcm",
];

/// File systems of sticks, as other systems format them; FAT is there anyway.
const STICKS: &[&str] = &["exfat", "ntfs3"];

/// A laptop's: Bluetooth, camera, sound by a processor of its own, the tunnel and its firewall.
const LAPTOP: &[&str] = &[
    "drivers/bluetooth/",
    "rfcomm",
    "bnep",
    "uvcvideo",
    "sound/soc/sof/intel/",
    "sound/soc/intel/boards/",
    "dummy",
    "wireguard",
    "nft_ct",
    "nft_limit",
    "nft_reject_inet",
];

/// QEMU's disks, and where it hands over credentials.
const QEMU_STORAGE: &[&str] = &["virtio_blk", "virtio_pci", "virtio_scsi", "virtio_rng", "qemu_fw_cfg", "sr_mod"];

/// QEMU's other devices.
const QEMU: &[&str] = &["virtio_net", "virtio_console", "virtio_input", "i8042", "atkbd"];

/// Simulated radios, with which tests join a Wi-Fi.
const QEMU_WIFI: &[&str] = &["mac80211_hwsim"];

/// What the device's initrd holds: enough to find the root.
pub(crate) fn for_initrd(profile: &Profile) -> Vec<&'static str> {
    list(profile, &[CORE, STORAGE], &[QEMU_STORAGE])
}

/// What the running device holds.
pub(crate) fn for_device(profile: &Profile) -> Vec<&'static str> {
    let mut parts = vec![CORE, STORAGE, CRYPT, FIRMWARE, NETWORK, WIFI, DESK];
    if profile.routing().is_some() {
        parts.push(LAPTOP);
    }
    if profile.kiosk().is_none_or(|kiosk| kiosk.usb_storage) {
        parts.push(STICKS);
    }
    list(profile, &parts, &[QEMU_STORAGE, QEMU, QEMU_WIFI])
}

/// What the agent's medium holds.
pub(crate) fn for_agent(profile: &Profile) -> Vec<&'static str> {
    let mut all = list(profile, &[CORE, STORAGE, CRYPT, FIRMWARE, NETWORK], &[QEMU_STORAGE, QEMU]);
    all.extend(["isofs", "tpm_tis", "tpm_crb", "i2c_i801"]);
    all
}

/// The parts, and where the profile names QEMU those that only QEMU needs.
fn list(profile: &Profile, parts: &[&[&'static str]], qemu: &[&[&'static str]]) -> Vec<&'static str> {
    let mut all: Vec<&str> = parts.concat();
    if profile.hardware.contains(&Hardware::Qemu) {
        all.extend(qemu.concat());
    }
    all
}

/// The one kernel of a boot root: its version, as in `/usr/lib/modules/VERSION`.
///
/// # Errors
/// Exit 3 where there is none or more than one.
pub(crate) fn kernel_version(boot_root: &Path) -> Result<String> {
    let folder = boot_root.join("usr/lib/modules");
    let versions: Vec<String> = fs::read_dir(&folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    match versions.as_slice() {
        [one] => Ok(one.clone()),
        other => Err(Fault::refused(format!(
            "the boot packages contain {} kernels, but there must be one: {}",
            other.len(),
            other.join(", ")
        ))
        .fix("name one kernel, such as linux-image-amd64, in `packages.boot`")),
    }
}

/// Copies the closure of `requests` into `to/usr/lib/modules/VERSION` and lets depmod index it.
///
/// # Errors
/// Exit 3 where a request names nothing that the kernel has, exit 1 where a module can't be copied.
pub(crate) fn install(boot_root: &Path, version: &str, requests: &[&str], to: &Path, epoch: i64) -> Result<()> {
    let from = boot_root.join("usr/lib/modules").join(version);
    let index = Index::read(&from)?;
    let chosen = index.closure(requests)?;
    let target = to.join("usr/lib/modules").join(version);
    let failed =
        |path: &Path, error: std::io::Error| Fault::internal("a kernel module can't be copied").at(path.display()).cause(error);
    let mut packed: Vec<PathBuf> = Vec::new();
    for module in &chosen {
        let source = from.join(module);
        let copy = target.join(module);
        let folder = copy.parent().unwrap_or(&target);
        fs::create_dir_all(folder).and_then(|()| fs::copy(&source, &copy).map(drop)).map_err(|error| failed(&source, error))?;
        if copy.extension().is_some_and(|extension| extension == "xz") {
            packed.push(copy);
        }
    }
    for batch in packed.chunks(500) {
        let mut unpack = Command::new("xz");
        unpack.args(["--decompress", "--force"]).args(batch);
        sandbox::run(unpack, "unpacking kernel modules", Fault::internal)?;
    }
    for file in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        fs::copy(from.join(file), target.join(file)).map_err(|error| failed(&from.join(file), error))?;
    }
    Sandbox::new(boot_root, epoch).bind(to, "/work").run("depmod", ["-b", "/work", "-m", "/usr/lib/modules", version])?;
    Ok(())
}

/// Which modules a kernel has and what each needs.
struct Index {
    /// Path below the version's folder, to the paths that it needs.
    needs: BTreeMap<String, Vec<String>>,
    /// Name to path.
    paths: BTreeMap<String, String>,
    /// Name to names that should be there too.
    soft: BTreeMap<String, Vec<String>>,
    built_in: BTreeSet<String>,
}

impl Index {
    fn read(folder: &Path) -> Result<Self> {
        let text = |file: &str| {
            fs::read_to_string(folder.join(file)).map_err(|error| {
                Fault::refused("the kernel's module index can't be read").at(folder.join(file).display()).cause(error)
            })
        };
        Ok(Self::parse(&text("modules.dep")?, &text("modules.softdep")?, &text("modules.builtin")?))
    }

    fn parse(dep: &str, softdep: &str, builtin: &str) -> Self {
        let needs: BTreeMap<String, Vec<String>> = dep
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(module, needs)| (module.trim().to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
            .collect();
        let paths = needs.keys().map(|path| (name_of(path), path.clone())).collect();
        let soft = softdep
            .lines()
            .filter_map(|line| line.strip_prefix("softdep ")?.split_once(' '))
            .map(|(module, words)| {
                let names =
                    words.split_whitespace().filter(|word| !word.ends_with(':')).map(|word| word.replace('-', "_")).collect();
                (module.replace('-', "_"), names)
            })
            .collect();
        Self { needs, paths, soft, built_in: builtin.lines().map(name_of).collect() }
    }

    fn closure(&self, requests: &[&str]) -> Result<BTreeSet<String>> {
        let left_out: Vec<String> =
            requests.iter().filter_map(|request| request.strip_prefix('-')).map(|part| format!("kernel/{part}")).collect();
        let mut chosen = BTreeSet::new();
        let mut missing = Vec::new();
        for request in requests.iter().filter(|request| !request.starts_with('-')) {
            if request.contains('/') {
                let prefix = format!("kernel/{request}");
                let mut any = false;
                for path in self.needs.keys().filter(|path| path.starts_with(&prefix)) {
                    any = true;
                    if !left_out.iter().any(|out| path.starts_with(out)) {
                        chosen.insert(path.clone());
                    }
                }
                if !any {
                    missing.push(*request);
                }
            } else if let Some(path) = self.paths.get(&request.replace('-', "_")) {
                chosen.insert(path.clone());
            } else if !self.built_in.contains(&request.replace('-', "_")) {
                missing.push(*request);
            }
        }
        // Kernels drop and rename modules; a device that boots without one is better than none that can be built.
        if !missing.is_empty() {
            tracing::warn!(modules = missing.join(", "), "the kernel does not have these modules");
        }
        let mut open: Vec<String> = chosen.iter().cloned().collect();
        while let Some(path) = open.pop() {
            let soft = self.soft.get(&name_of(&path)).into_iter().flatten().filter_map(|name| self.paths.get(name));
            for needed in self.needs.get(&path).into_iter().flatten().chain(soft) {
                if chosen.insert(needed.clone()) {
                    open.push(needed.clone());
                }
            }
        }
        if chosen.is_empty() {
            return Err(Fault::refused("the kernel has none of the modules that the hardware needs"));
        }
        Ok(chosen)
    }
}

/// `kernel/fs/erofs/erofs.ko.xz` is called `erofs`; dashes and underscores are the same.
pub(super) fn name_of(path: &str) -> String {
    let file = path.trim().rsplit('/').next().unwrap_or_default();
    file.split(".ko").next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_follows_needs_and_wishes() {
        let index = Index::parse(
            "kernel/fs/erofs/erofs.ko.xz: kernel/lib/libcrc32c.ko.xz\nkernel/lib/libcrc32c.ko.xz:\nkernel/net/a.ko.xz:\nkernel/net/b-c.ko.xz:\nkernel/net/sub/d.ko.xz:\n",
            "# comment\nsoftdep libcrc32c pre: b-c\n",
            "kernel/x/simple-drm.ko\n",
        );
        let got = index.closure(&["erofs", "simpledrm", "simple_drm"]).unwrap();
        assert_eq!(got.iter().map(|path| name_of(path)).collect::<Vec<_>>(), ["erofs", "libcrc32c", "b_c"]);
        let got = index.closure(&["net/", "-net/sub/"]).unwrap();
        assert_eq!(got.iter().map(|path| name_of(path)).collect::<Vec<_>>(), ["a", "b_c"]);
    }
}
