//! Processors' microcode, which the kernel loads before all else, from an archive of its own in front of the initrd (kernel:
//! Documentation/arch/x86/microcode.rst). A device without it has the faults that its firmware's microcode has.
//!
//! In: the boot packages' `/usr/lib/firmware/intel-ucode`, where they have it (Debian's `intel-microcode`), and the profile's hardware.
//! Out: the files of just its processors, as one. Fails where a file there is no microcode.

use std::{fs, path::Path};

use livery_contract::{Fault, Result};
use livery_profile::Hardware;

/// Where packages put it: a file for each processor, called by family, model and stepping.
const FOLDER: &str = "usr/lib/firmware/intel-ucode";
/// Where in the archive the kernel looks for it.
pub(crate) const PATH: &str = "kernel/x86/microcode/GenuineIntel.bin";
/// The most bytes of such a file.
const MOST: u64 = 16 << 20;
/// Bytes of an update's header, whose first word is 1 (Intel SDM, volume 3A, section 11.11.1).
const HEADER: usize = 48;

/// Family and model of the processors of a device, all steppings: what Intel's list of microcode calls them by.
const fn models(hardware: Hardware) -> &'static [&'static str] {
    match hardware {
        // The host's affair.
        Hardware::Qemu => &[],
        // Gemini Lake.
        Hardware::Wyse5070 => &["06-7a"],
        // Whiskey, Comet, Tiger, Alder, Raptor, Meteor, Lunar and Arrow Lake: the 5300 of 2019 to what is sold now.
        Hardware::Latitude5000 => {
            &["06-8e", "06-9e", "06-a6", "06-8c", "06-8d", "06-9a", "06-ba", "06-aa", "06-bd", "06-b5", "06-c5"]
        }
    }
}

/// What a device's hardware may load.
pub(crate) fn of(hardware: &[Hardware]) -> Vec<&'static str> {
    hardware.iter().flat_map(|one| models(*one)).copied().collect()
}

/// The files of a boot root that are for this hardware, by their paths in it; none where it has no microcode.
///
/// # Errors
/// Exit 1 where the folder can't be listed.
pub(crate) fn files(boot_root: &Path, hardware: &[Hardware]) -> Result<Vec<String>> {
    let models = of(hardware);
    let folder = boot_root.join(FOLDER);
    let failed = |error| Fault::internal("the microcode can't be listed").at(folder.display()).cause(error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // What ends otherwise (`.initramfs`) is what Debian keeps from being loaded early.
        let stepping = |model: &&str| name.strip_prefix(*model).and_then(|rest| rest.strip_prefix('-'));
        if models.iter().filter_map(stepping).any(|rest| rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            found.push(format!("/{FOLDER}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}

/// All of them, one after the other: the kernel takes what is its processor's.
///
/// # Errors
/// Exit 1 where one can't be read, 3 where one is no microcode.
pub(crate) fn together(boot_root: &Path, files: &[String]) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for name in files {
        let path = boot_root.join(name.trim_start_matches('/'));
        let failed = |error| Fault::internal("microcode can't be read").at(path.display()).cause(error);
        if fs::metadata(&path).map_err(failed)?.len() > MOST {
            return Err(no_microcode(&path));
        }
        let bytes = fs::read(&path).map_err(failed)?;
        if bytes.len() < HEADER || !bytes.starts_with(&1_u32.to_le_bytes()) {
            return Err(no_microcode(&path));
        }
        all.extend(bytes);
    }
    Ok(all)
}

fn no_microcode(path: &Path) -> Fault {
    Fault::refused("this file is not microcode: a processor would not load it")
        .at(path.display())
        .fix("use another version of intel-microcode (`livery lock`), or remove it from `packages.boot`")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_all_processors_just_the_devices() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(files(root.path(), &[Hardware::Wyse5070]).unwrap(), Vec::<String>::new(), "a profile need not have any");
        let folder = root.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let update = |last: u8| [&[1, 0, 0, 0][..], &[0; HEADER], &[last]].concat();
        for (name, bytes) in [
            ("06-7a-08", update(8)),
            ("06-7a-01", update(1)),
            ("06-4f-01", update(9)),
            ("06-7a-01.initramfs", update(9)),
            ("06-7a", update(9)),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        let found = files(root.path(), &[Hardware::Qemu, Hardware::Wyse5070]).unwrap();
        assert_eq!(found, ["/usr/lib/firmware/intel-ucode/06-7a-01", "/usr/lib/firmware/intel-ucode/06-7a-08"]);
        assert_eq!(together(root.path(), &found).unwrap(), [update(1), update(8)].concat());
        assert_eq!(files(root.path(), &[Hardware::Qemu]).unwrap(), Vec::<String>::new());

        fs::write(folder.join("06-7a-01"), [0; 100]).unwrap();
        let refused = together(root.path(), &found).unwrap_err().render();
        assert!(refused.contains("not microcode") && refused.contains("06-7a-01"), "{refused}");
    }
}
