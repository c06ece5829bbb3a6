#![allow(clippy::unwrap_used)]
use std::fs;

use livery_contract::inventory::Transport;

use super::read::read_below;

/// A machine in a folder: an NVMe disk that is free, a SATA disk with a mounted partition, a USB stick that was booted.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("sys/class/dmi/id/sys_vendor", "Dell Inc.\n");
    put("sys/class/dmi/id/product_name", "Wyse 5070\n");
    put("sys/class/dmi/id/product_serial", " WT-0001 \n");
    let disk = |bus: &str, name: &str, number: &str, sectors: u64| {
        put(&format!("sys/devices/{bus}/{name}/dev"), number);
        put(&format!("sys/devices/{bus}/{name}/size"), &sectors.to_string());
        put(&format!("sys/devices/{bus}/{name}/device/model"), "Model  ");
        put(&format!("sys/devices/{bus}/{name}/diskseq"), "7\n");
        put(&format!("sys/devices/{bus}/{name}/queue/logical_block_size"), "512\n");
        fs::create_dir_all(root.path().join("sys/block")).unwrap();
        std::os::unix::fs::symlink(format!("../devices/{bus}/{name}"), root.path().join("sys/block").join(name)).unwrap();
    };
    disk("pci0/nvme/nvme0", "nvme0n1", "259:0", 2048);
    put("sys/devices/pci0/nvme/nvme0/nvme0n1/device/serial", "S1\n");
    disk("pci0/ata1/host0", "sda", "8:0", 4096);
    put("sys/devices/pci0/ata1/host0/sda/sda2/partition", "2");
    put("sys/devices/pci0/ata1/host0/sda/sda2/dev", "8:2");
    disk("pci0/usb1/1-1", "sdb", "8:16", 4096);
    put("sys/devices/pci0/usb1/1-1/sdb/sdb1/partition", "1");
    put("sys/devices/pci0/usb1/1-1/sdb/sdb1/dev", "8:17");
    disk("pci0/ata2/host1", "sr0", "11:0", 4096);
    disk("virtual", "zero", "9:9", 0);
    put("run/udev/data/b8:0", "S:disk/by-id/x\nE:ID_SERIAL_SHORT=WD-42\nE:ID_WWN=0x5000c5\nE:ID_BUS=ata\n");
    put("run/udev/data/b8:17", "E:ID_PART_ENTRY_UUID=aabb\n");
    put("proc/self/mountinfo", "36 35 8:2 / /mnt/my\\040data rw - ext4 /dev/sda2 rw\n");
    put("proc/swaps", "Filename Type Size Used Priority\n");
    let boot: Vec<u8> = [6_u8, 0, 0, 0].into_iter().chain("AABB\0".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let variable = "sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    put(variable, "");
    fs::write(root.path().join(variable), boot).unwrap();
    root
}

#[test]
fn a_machine_is_read() {
    let root = machine();
    let inventory = read_below(root.path()).unwrap();
    assert_eq!(inventory.system.serial, "WT-0001");
    assert!(inventory.firmware.uefi);
    let names: Vec<_> = inventory.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "sda", "sdb"], "no CD drive, no empty device");
    let [nvme, sata, usb] = inventory.disks.as_slice() else { panic!() };
    assert_eq!((nvme.transport, nvme.serial.as_deref(), nvme.size), (Transport::Nvme, Some("S1"), 1 << 20));
    assert_eq!((nvme.model.as_deref(), nvme.diskseq, nvme.held_by.len()), (Some("Model"), Some(7), 0));
    assert_eq!((sata.transport, sata.serial.as_deref(), sata.wwn.as_deref()), (Transport::Sata, Some("WD-42"), Some("0x5000c5")));
    assert_eq!(sata.held_by, ["mounted on /mnt/my data"]);
    assert!(usb.removable && usb.transport == Transport::Usb);
    assert_eq!(usb.held_by, ["the medium that this machine was booted from"]);
}

#[test]
fn a_placeholder_is_no_serial() {
    let root = machine();
    fs::write(root.path().join("sys/class/dmi/id/product_serial"), "Default string\n").unwrap();
    assert_eq!(read_below(root.path()).unwrap().system.serial, "");
}

#[test]
fn no_sysfs_is_a_fault() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(read_below(root.path()).unwrap_err().exit().code(), 6);
}
