//! Disks with sectors of 4096 bytes, made by the kernel (a loop device), and larger disks than the image: the partition
//! table and the ESP's FAT are made to fit, or the disk is refused before the first byte. That real firmware starts the terminal from
//! such a disk is proved with Secure Boot ([`secure_boot`](super::secure_boot)).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gpt::{GptConfig, disk::LogicalBlockSize, mbr::ProtectiveMBR, partition_types};
use livery_contract::record::Record;
use livery_tests::{
    evidence,
    loop_device::LoopDevice,
    programs::{Done, Program},
    raw_disk,
};

const MIB: u64 = 1 << 20;

/// Runs a tool that must succeed; gives what it printed.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A disk image whose ESP is a FAT32 laid out by these options, with one file in it, and a partition of noise behind it.
fn image(folder: &Path, fat: &[&str]) -> PathBuf {
    let (raw, esp) = (folder.join("image.raw"), folder.join("esp.img"));
    fs::File::create(&esp).unwrap().set_len(264 * MIB).unwrap();
    let path = esp.display().to_string();
    run("mkfs.vfat", &[&["-F32", "--invariant"], fat, &[path.as_str()]].concat());
    fs::write(folder.join("LOADER.EFI"), vec![0x5a; 300_000]).unwrap();
    run("mcopy", &["-i", &path, &folder.join("LOADER.EFI").display().to_string(), "::"]);

    let mut file = fs::File::options().read(true).write(true).create(true).truncate(true).open(&raw).unwrap();
    file.set_len(300 * MIB).unwrap();
    ProtectiveMBR::with_lb_size(u32::try_from(300 * MIB / 512 - 1).unwrap()).overwrite_lba0(&mut file).unwrap();
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut disk = config.create_from_device(file, None).unwrap();
    disk.add_partition("esp", 264 * MIB, partition_types::EFI, 0, Some(2048)).unwrap();
    disk.add_partition("system", 20 * MIB, partition_types::LINUX_FS, 0, Some(2048)).unwrap();
    drop(disk.write().unwrap());
    let (noise, path) = (folder.join("noise"), raw.display().to_string());
    raw_disk::make(&noise, 20, 3).unwrap();
    for (from, to) in [(&esp, MIB), (&noise, 265 * MIB)] {
        let (input, output, seek) = (format!("if={}", from.display()), format!("of={path}"), format!("seek={}", to / MIB));
        run("dd", &[&input, &output, "bs=1M", &seek, "conv=notrunc,sparse", "status=none"]);
    }
    raw
}

/// A store with that image.
async fn import(folder: &Path, raw: &Path, choices: &[&str]) {
    let at = |name: &str| folder.join(name).display().to_string();
    if !folder.join("keys").exists() {
        Program::Livery.run(["keygen", "--out", &at("keys")]).await.unwrap().good().unwrap();
    }
    let raw = raw.display().to_string();
    let store = ["--store", &at("store"), "--keys", &at("keys")].map(str::to_owned);
    let mut arguments: Vec<String> = ["import", &raw, "--name", "i", "--version", "1"].map(str::to_owned).into();
    arguments.extend(choices.iter().map(|choice| (*choice).to_owned()).chain(store));
    Program::Livery.run(arguments).await.unwrap().good().unwrap();
}

async fn agent(folder: &Path, verb: &str, disk: &Path) -> Done {
    let at = |name: &str| folder.join(name).display().to_string();
    let disk = disk.display().to_string();
    let arguments = [verb, "i@1", "--from", &at("store"), "--trust", &at("keys/root.json"), "--disk", &disk, "--json"];
    Program::Agent.run(arguments).await.unwrap()
}

#[tokio::test]
async fn one_master_on_sectors_of_512_and_of_4096_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let raw = image(folder.path(), &["-s8", "-R64"]);
    import(folder.path(), &raw, &["--any-sectors", "--grow"]).await;
    for sector in [512, 4096] {
        let file = folder.path().join("disk.raw");
        raw_disk::used(&file, 340 * MIB).unwrap();
        let disk = LoopDevice::attach(&file, sector).unwrap();
        let record: Record = agent(folder.path(), "write", disk.path()).await.good().unwrap().json().unwrap();
        assert_eq!(u64::from(record.disk.logical_sector), sector);
        evidence::compare(&record, disk.path()).unwrap();
        agent(folder.path(), "verify", disk.path()).await.good().unwrap();
        // A second run has nothing to fetch but what the conversion changed.
        let again: Record = agent(folder.path(), "write", disk.path()).await.good().unwrap().json().unwrap();
        assert!(again.traffic.written <= if sector == 512 { 0 } else { 4 * MIB }, "{:?}", again.traffic);

        // Other readers: the kernel's own sector size, util-linux's partitions, dosfstools' and mtools' FAT.
        let device = disk.path().display().to_string();
        let table: serde_json::Value = serde_json::from_slice(&run("sfdisk", &["--json", &device])).unwrap();
        let table = &table["partitiontable"];
        assert_eq!(table["sectorsize"].as_u64(), Some(sector));
        let byte = |index: usize, key: &str| table["partitions"][index][key].as_u64().unwrap() * sector;
        assert_eq!((byte(0, "start"), byte(0, "size")), (MIB, 264 * MIB));
        assert_eq!((byte(1, "start"), byte(1, "size")), (265 * MIB, 74 * MIB), "grown to the disk's end");
        run("sfdisk", &["--verify", "--quiet", &device]);
        let esp = folder.path().join("esp.back");
        let (input, output) = (format!("if={device}"), format!("of={}", esp.display()));
        run("dd", &[&input, &output, "bs=1M", "skip=1", "count=264", "status=none"]);
        let esp = esp.display().to_string();
        run("fsck.vfat", &["-n", &esp]);
        assert!(run("mcopy", &["-i", &esp, "::LOADER.EFI", "-"]) == vec![0x5a; 300_000]);
        let boot = fs::read(&esp).unwrap();
        assert_eq!(u64::from(u16::from_le_bytes([boot[11], boot[12]])), sector, "the FAT says the disk's sector size");
    }
}

#[tokio::test]
async fn what_cannot_be_made_to_fit_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk.raw");
    // An ESP as mkfs.vfat makes it by itself, whose clusters are single sectors of 512 bytes.
    let raw = image(folder.path(), &["-s1"]);
    for (choices, why) in [(&["--any-sectors"][..], "EFI system partition"), (&[], "sectors of 4096 bytes")] {
        fs::remove_dir_all(folder.path().join("store")).ok();
        import(folder.path(), &raw, choices).await;
        raw_disk::used(&file, 310 * MIB).unwrap();
        let before = raw_disk::digest_all(&file).unwrap();
        let disk = LoopDevice::attach(&file, 4096).unwrap();
        let done = agent(folder.path(), "write", disk.path()).await;
        assert_eq!(done.code, Some(3), "{done:?}");
        assert!(done.stderr.contains(why), "{done:?}");
        drop(disk);
        assert_eq!(raw_disk::digest_all(&file).unwrap(), before);
    }
}
