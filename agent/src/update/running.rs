//! Which slot the system runs from, as the kernel says: the partition that the mapped device `root` holds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{
    Fault, Result,
    manifest::{Partition, Role},
};
use uuid::Uuid;

use super::settings::Settings;

/// dm-verity's device of the root file system, as systemd names it.
const MAPPED: &str = "root";

/// The device nodes of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub root: PathBuf,
    pub verity: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// The one in use.
    pub used: Nodes,
    pub spare: Nodes,
}

impl Running {
    /// Looks; `top` is `/`.
    ///
    /// # Errors
    /// Exit 6 where not just one of the two is in use.
    pub(crate) fn read(top: &Path, settings: &Settings) -> Result<Self> {
        let nodes =
            |slot: &super::settings::Slot| Ok::<_, Fault>(Nodes { root: node(top, slot.root)?, verity: node(top, slot.verity)? });
        let [one, other] = [nodes(&settings.slots[0])?, nodes(&settings.slots[1])?];
        match (holds_root(top, &one.root)?, holds_root(top, &other.root)?) {
            (true, false) => Ok(Self { used: one, spare: other }),
            (false, true) => Ok(Self { used: other, spare: one }),
            _ => Err(Fault::device("the device must use exactly one of its two slots")
                .at(format!("{}, {}", one.root.display(), other.root.display()))
                .fix("run this on the device itself, started from its own disk, with no other disk of the same image plugged in")),
        }
    }
}

/// The EFI system partition and its disk's sector size, for the firmware.
///
/// # Errors
/// Exit 6 where the kernel does not say.
pub(crate) fn esp(top: &Path, guid: Uuid) -> Result<(Partition, u32)> {
    let folder = sysfs(top, &node(top, guid)?)?;
    // In sectors of 512 bytes, whatever the disk's are (sysfs-block).
    let (offset, length) = (number(&folder.join("start"))? * 512, number(&folder.join("size"))? * 512);
    let sector = number(&folder.join("../queue/logical_block_size"))?;
    let narrow = |number: u64| {
        u32::try_from(number).map_err(|_| Fault::device("the kernel reported an implausible value").at(folder.display()))
    };
    let partition = Partition {
        number: narrow(number(&folder.join("partition"))?)?,
        role: Role::Esp,
        offset,
        length,
        used: None,
        type_guid: Uuid::nil(),
        guid,
        label: String::new(),
    };
    Ok((partition, narrow(sector)?.max(512)))
}

fn node(top: &Path, guid: Uuid) -> Result<PathBuf> {
    let link = top.join("dev/disk/by-partuuid").join(guid.to_string());
    fs::canonicalize(&link).map_err(|error| Fault::device("a partition of the image is missing").at(link.display()).cause(error))
}

fn sysfs(top: &Path, node: &Path) -> Result<PathBuf> {
    let link = top.join("sys/class/block").join(node.file_name().unwrap_or_default());
    fs::canonicalize(&link).map_err(|error| Fault::device("the kernel does not know a partition").at(link.display()).cause(error))
}

/// Whether the running root is mapped from this partition.
fn holds_root(top: &Path, node: &Path) -> Result<bool> {
    let folder = sysfs(top, node)?.join("holders");
    let list = fs::read_dir(&folder)
        .map_err(|error| Fault::device("the users of a partition can't be read").at(folder.display()).cause(error))?;
    let named = |holder: fs::DirEntry| fs::read_to_string(holder.path().join("dm/name")).is_ok_and(|name| name.trim() == MAPPED);
    Ok(list.flatten().any(named))
}

fn number(path: &Path) -> Result<u64> {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| Fault::device("the kernel did not report a number").at(path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::update::settings::Slot;

    /// A `/` with a disk of five partitions; the root is mapped from this one.
    fn top(mapped: u32) -> (tempfile::TempDir, Settings) {
        let top = tempfile::tempdir().unwrap();
        let at = |path: &str| top.path().join(path);
        let disk = at("sys/devices/nvme0n1");
        for folder in ["dev/disk/by-partuuid", "sys/class/block", "sys/devices/nvme0n1/queue"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(disk.join("queue/logical_block_size"), "4096\n").unwrap();
        for number in 1..=5 {
            let name = format!("nvme0n1p{number}");
            let folder = disk.join(&name);
            fs::create_dir_all(folder.join("holders")).unwrap();
            for (file, value) in [("partition", u64::from(number)), ("start", 2048 * u64::from(number)), ("size", 2048)] {
                fs::write(folder.join(file), format!("{value}\n")).unwrap();
            }
            if number == mapped {
                fs::create_dir_all(folder.join("holders/dm-0/dm")).unwrap();
                fs::write(folder.join("holders/dm-0/dm/name"), "root\n").unwrap();
            }
            fs::write(at("dev").join(&name), "").unwrap();
            symlink(&folder, at("sys/class/block").join(&name)).unwrap();
            symlink(format!("../../{name}"), at("dev/disk/by-partuuid").join(guid(number).to_string())).unwrap();
        }
        let slot = |root, verity| Slot { root: guid(root), verity: guid(verity) };
        let settings = Settings {
            image: "laptop@1".parse().unwrap(),
            store: "https://store.example/".into(),
            authorities: "ca.pem".into(),
            esp: guid(1),
            slots: [slot(2, 3), slot(4, 5)],
            units: Vec::new(),
        };
        (top, settings)
    }

    fn guid(number: u32) -> Uuid {
        Uuid::from_u128(number.into())
    }

    #[test]
    fn the_kernel_says_which_slot_runs() {
        for (mapped, used) in [(2, "nvme0n1p2"), (4, "nvme0n1p4")] {
            let (top, settings) = top(mapped);
            let running = Running::read(top.path(), &settings).unwrap();
            assert!(running.used.root.ends_with(used) && !running.spare.root.ends_with(used), "{running:?}");
        }
        let (top, settings) = top(3);
        let fault = Running::read(top.path(), &settings).unwrap_err();
        assert_eq!(fault.exit().code(), 6);
    }

    #[test]
    fn the_esp_is_where_the_kernel_says() {
        let (top, settings) = top(2);
        let (partition, sector) = esp(top.path(), settings.esp).unwrap();
        assert_eq!((partition.number, partition.offset, partition.length, sector), (1, 1 << 20, 1 << 20, 4096));
        assert_eq!(esp(top.path(), guid(9)).unwrap_err().exit().code(), 6);
    }
}
