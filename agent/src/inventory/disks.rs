//! Whole disks: name, size, sectors from sysfs; serial, WWN and bus from udev where it runs, else from sysfs.

use std::path::Path;

use livery_contract::{
    Fault, Result,
    inventory::{Disk, Transport},
};

use super::{
    holders::Holders,
    partitions::{guid, partitions},
    sysfs::{names, number, text, unreadable},
    udev,
};

/// SCSI device type of CD and DVD drives (SPC-4, table 138).
const SCSI_ROM: u32 = 5;

/// The disks that are hardware: those with a device behind them, and a medium in them.
pub(super) fn physical(root: &Path) -> Result<Vec<Disk>> {
    let class = root.join("sys/block");
    std::fs::read_dir(&class).map_err(|error| unreadable(&class, error))?;
    let holders = Holders::read(root);
    Ok(names(&class)
        .into_iter()
        .filter(|name| is_physical(&class.join(name), name))
        .filter_map(|name| disk(root, &class.join(&name), &name, &holders))
        .filter(|disk| disk.size > 0)
        .collect())
}

/// The whole disk with this number.
pub(super) fn by_number(root: &Path, path: &Path, major: u64, minor: u64) -> Result<Disk> {
    let found = root.join("sys/dev/block").join(format!("{major}:{minor}"));
    let refuse = |what: &str| Fault::refused(what.to_owned()).at(path.display());
    let folder = found.canonicalize().map_err(|error| refuse("the kernel knows no disk of this name").cause(error))?;
    if folder.join("partition").exists() {
        let whole = folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        return Err(refuse("that is a partition, not a disk")
            .fix(format!("an image covers a whole disk: --disk /dev/{}", whole.unwrap_or_else(|| "…".into()))));
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut disk = disk(root, &folder, &name, &Holders::read(root)).ok_or_else(|| refuse("the disk has disappeared"))?;
    disk.path = path.display().to_string();
    Ok(disk)
}

fn is_physical(folder: &Path, name: &str) -> bool {
    folder.join("device").exists()
        // NVMe multipath: the paths below a subsystem's disk are hidden.
        && number::<u32>(folder.join("hidden")).unwrap_or(0) == 0
        && !(name.starts_with("sr") || number(folder.join("device/type")) == Some(SCSI_ROM))
        && !name.starts_with("fd")
        // The boot and RPMB areas of an eMMC are disks of their own to the kernel.
        && !(name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb")))
}

fn disk(root: &Path, folder: &Path, name: &str, holders: &Holders) -> Option<Disk> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let devno = text(folder.join("dev"))?;
    let udev = udev::properties(root, &devno);
    let property = |keys: &[&str]| keys.iter().find_map(|key| udev.get(*key).cloned());
    let attribute = |paths: &[&str]| paths.iter().find_map(|path| text(folder.join(path)));
    let transport = transport(&real, name, udev.get("ID_BUS").map(String::as_str));
    let usb = transport == Transport::Usb;
    Some(Disk {
        name: name.to_owned(),
        path: format!("/dev/{}", name.replace('!', "/")),
        model: attribute(&["device/model", "device/name"]).or_else(|| property(&["ID_MODEL"])),
        serial: property(&["ID_SERIAL_SHORT"])
            .or_else(|| attribute(&["device/serial", "serial"]))
            .or_else(|| vpd_serial(folder))
            .or_else(|| property(&["ID_SERIAL"]).filter(|_| transport == Transport::Virtio)),
        wwn: property(&["ID_WWN_WITH_EXTENSION", "ID_WWN"]).or_else(|| attribute(&["wwid", "device/wwid"])),
        transport,
        // sysfs counts in 512 bytes whatever the sector size is.
        size: number::<u64>(folder.join("size"))?.checked_mul(512)?,
        logical_sector: number(folder.join("queue/logical_block_size")).unwrap_or(512),
        physical_sector: number(folder.join("queue/physical_block_size")).unwrap_or(512),
        removable: usb || number::<u32>(folder.join("removable")) == Some(1),
        read_only: number::<u32>(folder.join("ro")) == Some(1),
        diskseq: number(folder.join("diskseq")),
        partition_guids: partitions(folder)
            .iter()
            .filter_map(|partition| guid(root, partition, &text(partition.join("dev"))?)?.parse().ok())
            .collect(),
        held_by: holders.of(root, folder),
    })
}

/// The unit serial number page (SPC-4, 7.8.17): four bytes of header, then ASCII.
fn vpd_serial(folder: &Path) -> Option<String> {
    let page = std::fs::read(folder.join("device/vpd_pg80")).ok()?;
    let serial = String::from_utf8_lossy(page.get(4..)?).trim().to_owned();
    (!serial.is_empty() && !serial.chars().any(char::is_control)).then_some(serial)
}

fn transport(real: &Path, name: &str, bus: Option<&str>) -> Transport {
    let below = |prefix: &str| {
        real.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()) && !rest.is_empty())
        })
    };
    // USB first: a SATA or NVMe disk in a USB case is a USB disk to us, whatever the bridge says.
    if bus == Some("usb") || below("usb") {
        Transport::Usb
    } else if name.starts_with("loop") {
        Transport::Loop
    } else if name.starts_with("nvme") {
        Transport::Nvme
    } else if name.starts_with("mmcblk") {
        Transport::Mmc
    } else if name.starts_with("vd") {
        Transport::Virtio
    } else if bus == Some("ata") || below("ata") {
        Transport::Sata
    } else if name.starts_with("sd") {
        Transport::Scsi
    } else {
        Transport::Unknown
    }
}
