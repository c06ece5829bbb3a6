//! Secure Boot on a virtual device whose firmware enforces it, with the keys and files that `livery keygen` made: what the
//! organisation signed starts; what it did not sign, or what was changed after, does not. What was started at the line gives up where no disk
//! has room, and says so.
//!
//! The terminal's disk is one that asks the most of the agent and of the firmware: larger than the image, with sectors of 4096 bytes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::record::Record;
use livery_tests::{
    device::{Device, KEYS, outcome, without_browser},
    evidence,
    fixtures::enrolled,
    line::Line,
    loop_device::LoopDevice,
    picture::Picture,
    programs::{self, Program},
    qemu::{
        Bus, Disk, Guest, Machine,
        variables::{self, Start},
    },
    raw_disk,
    site::Site,
    stick,
    traces::Traces,
};
use memchr::memmem;
use serde_json::Value;
use tokio::process::Command;

/// What somebody would like to have on the command line.
const INJECTED: &str = "livery.injected";
/// Where the first partition, the EFI system partition, begins.
const ESP: u64 = 1 << 20;
const MIB: u64 = 1 << 20;
/// The terminal's disk, which is larger than its image.
const SIZE: u64 = 6 << 30;
/// Its sectors.
const SECTOR: u64 = 4096;
/// A program of the terminal that nobody calls.
const UNUSED: &str = "/usr/bin/ptx";

#[tokio::test]
async fn keys_of_secure_boot_are_asked_for_added_and_checked_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let keygen = || async { Program::Livery.run(["keygen", "--out", &at("keys")]).await.unwrap() };
    let build = || async {
        let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/terminal.toml");
        let arguments = ["build", profile, "--store", &at("store"), "--keys", &at("keys"), "--cache", &at("cache")];
        Program::Livery.run_within(arguments, Duration::from_secs(20)).await.unwrap()
    };
    assert!(keygen().await.good().unwrap().stdout.contains("Secure Boot"));
    let all = || {
        let files = fs::read_dir(at("keys")).unwrap().flatten().filter(|entry| entry.path().is_file());
        files.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect::<BTreeMap<_, _>>()
    };

    // A folder from before there were such keys.
    fs::create_dir(at("before")).unwrap();
    for entry in fs::read_dir(at("keys")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("secure-boot") {
            fs::rename(entry.path(), Path::new(&at("before")).join(entry.file_name())).unwrap();
        }
    }
    let done = build().await;
    assert!(done.code == Some(2) && done.stderr.contains("livery keygen"), "{done:?}");
    let before = all();
    let said = keygen().await.good().unwrap().stdout;
    assert!(said.contains("Secure Boot") && !said.contains("root.pem"), "{said}");
    let now = all();
    assert!(before.iter().all(|(name, bytes)| now[name] == *bytes) && now.len() > before.len(), "others were changed");
    // Nor is a single file made anew that is somewhere else: it would not belong to the others.
    fs::rename(at("keys/root.pem"), at("safe.pem")).unwrap();
    let done = keygen().await;
    assert!(done.code == Some(3) && done.stderr.contains("from your safe"), "{done:?}");
    fs::rename(at("safe.pem"), at("keys/root.pem")).unwrap();
    assert_eq!(keygen().await.code, Some(3));
    assert_eq!(all(), now);

    // The key of one pair with the certificate of another.
    fs::copy(at("before/secure-boot.key"), at("keys/secure-boot.key")).unwrap();
    let done = build().await;
    assert!(done.code == Some(3) && done.stderr.contains("do not belong together"), "{done:?}");
    assert!(!Path::new(&at("store")).exists(), "something was begun");
}

/// At the line, where the firmware's own choice is among four media, and no disk has room for the image.
#[tokio::test]
async fn qemu_secure_boot_starts_what_was_signed_and_a_disk_too_small_is_refused_on_screen_and_at_the_station() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap();
    site.personalise(&master, &site.roster()).await.unwrap();
    site.medium().await.unwrap();
    let folder = Traces::new("secure-boot");
    let wrong = wrong_sticks(&site, &folder).await;
    // As from the factory: no keys. The unsigned would start there too; the agent gives the device those that its medium carries.
    assert!(enrolled::console(&site).await.unwrap().contains(KEYS));
    let employee = site.employees().unwrap().remove(1);
    let serial = employee.serial.unwrap();
    let line = Line::start(&site, &folder.join("station"), Some((&site.roster(), &master))).await.unwrap();
    let mut device = Device::new(&folder.join("device"), &serial, 64 << 20).unwrap();
    device.secure = true;
    raw_disk::used(&device.disk, 64 << 20).unwrap();
    let before = raw_disk::digest_all(&device.disk).unwrap();

    // Three sticks that must not start, before the good one: the firmware goes on to the next.
    let mut medium = device.at_the_line(&site.stick(), line.address()).unwrap().with_probe();
    enrolled::give(&site, &medium).await.unwrap();
    medium.disks[0] = medium.disks[0].clone().tried(9);
    for (place, (name, stick)) in (1..).zip(&wrong) {
        medium.disks.push(Disk::new(stick, Bus::Nvme).serial(name).unchanged().tried(place));
    }
    let mut guest = medium.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    guest.until("systemctl is-active -q livery-agent.service", most).await.unwrap();
    enforced(&mut guest).await;
    assert_eq!(asked(&mut guest, "cat /sys/class/tpm/tpm0/tpm_version_major").await, "2");
    let measured = asked(&mut guest, "cat /sys/class/tpm/tpm0/pcr-sha256/11").await;
    assert!(measured.bytes().any(|digit| digit != b'0'), "the stub has measured nothing: {measured}");
    let console = guest.console().unwrap();
    for (name, _) in &wrong {
        let refused = |line: &str| line.contains("failed to load") && line.contains(name) && line.contains("Access Denied");
        assert!(console.lines().any(refused), "{name} was not refused: {console}");
    }

    // No disk will do: the operator sees why, and so does the line.
    let flashed = outcome(&mut guest).await.unwrap().unwrap();
    assert!(!flashed.done, "{}", flashed.console);
    assert!(flashed.said.contains(&serial) && flashed.said.contains("target"), "{}", flashed.said);
    assert!(flashed.console.contains("no disk of this device may be written"), "{}", flashed.console);
    // Also the stick, for two reasons; one of them only the firmware knows. Without the block's frame and its line breaks.
    let words: Vec<&str> = flashed.console.split(['|', ' ', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    let words = words.join(" ");
    assert!(words.contains("on USB") && words.contains("the medium that this machine was booted from"), "{}", flashed.console);
    is_on_the_screen(&mut guest, &folder.join("failed.png")).await;
    assert!(guest.ended().unwrap().is_none(), "it stays on, so that somebody reads it");
    let row = gave_up(&line, &serial).await;
    assert!(row["reason"].as_str().unwrap().contains("no disk"), "{row}");
    assert!(line.record(&employee.order).await.is_err(), "no record without a write");
    guest.cut_power().await.unwrap();
    assert_eq!(raw_disk::digest_all(&device.disk).unwrap(), before, "the disk was touched");
}

/// Waits until the agent's block is on the screen, which draws what the console has a moment later.
async fn is_on_the_screen(guest: &mut Guest, picture: &Path) {
    let begun = Instant::now();
    loop {
        guest.screenshot(picture).await.unwrap();
        if Picture::read(picture).unwrap().shows_block() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the operator can't see it: {}", picture.display());
    }
}

/// The device's row on the line's page, once it has failed there.
async fn gave_up(line: &Line, serial: &str) -> Value {
    let begun = Instant::now();
    loop {
        let devices = line.devices().await.unwrap();
        if let Some(row) = devices.iter().find(|row| row["serial"] == serial && row["state"] == "failed") {
            return row.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the line does not know: {devices:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A terminal's disk of 4096-byte sectors, larger than its image, with the last partition grown: the firmware finds the loader in the
/// converted FAT by the fallback path, and the kernel its root, identity and verity. It starts by an entry of somebody else's, whose
/// command line nobody takes. A stick, which its profile allows, is the kiosk's. Then one bit of its root is turned over below it.
#[tokio::test]
async fn qemu_secure_boot_starts_the_terminal_from_a_larger_disk_of_4096_byte_sectors_and_a_stick_is_its_kiosks() {
    let site = Site::shared().await.unwrap();
    let folder = Traces::new("sectors");
    let employee = site.employees().unwrap().remove(0);
    let disk = written(&site, &folder).await;

    let mut terminal = machine("terminal", &folder);
    enrolled::give(&site, &terminal).await.unwrap();
    variables::boot(&terminal.variables(), Start::Next(&injected(&disk))).await.unwrap();
    // With a TPM it would apply no personal layer: none is bound to that.
    terminal.tpm = false;
    (terminal.memory, terminal.usb) = (3072, true);
    terminal.disks.push(Disk::new(&disk, Bus::Nvme).sector(4096).serial("NVME4096"));
    terminal.credentials.push(without_browser());
    let mut guest = terminal.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    let started = guest.wait_for("what the firmware starts", "BdsDxe: starting", most).await.unwrap();
    assert!(started.contains("\"injected\"") && !started.contains(".EFI"), "by that entry, and the fallback path: {started}");
    // It is plugged in while the system is still starting.
    guest.ask("true", most).await.unwrap();
    stick::plug_in(guest.monitor(), &folder.join("stick.img")).await.unwrap();
    guest.until("systemctl is-active -q livery-kiosk.service", most).await.unwrap();
    println!("{} s after power-on: its kiosk is up", guest.elapsed().as_secs());
    guest.until(&stick::is_mounted(), most).await.unwrap();
    assert_eq!(asked(&mut guest, &stick::look()).await, "disks=1 content=as it was");
    enforced(&mut guest).await;
    let facts = guest.facts(most).await.unwrap();
    assert_eq!(facts.verity, 2, "root and personal layer: {facts:?}");
    assert_eq!((&*facts.order, &*facts.hostname), (employee.order.as_str(), &*employee.hostname), "{facts:?}");
    assert_eq!(facts.root_hash.len(), 64, "{facts:?}");

    // How the system sees its disk, in bytes.
    let number = async |guest: &mut Guest, script: &str| asked(guest, script).await.parse::<u64>().unwrap();
    let block = "/sys/class/block/nvme0n1";
    assert_eq!(number(&mut guest, &format!("cat {block}/queue/logical_block_size")).await, SECTOR);
    assert_eq!(number(&mut guest, &format!("echo $(($(cat {block}/size) * 512))")).await, SIZE);
    let place = |name: &str, what: &str| {
        format!(
            "cd {block}; for part in nvme0n1p*; do grep -qx PARTNAME={name} $part/uevent && echo $(($(cat $part/{what}) * 512)); done; true"
        )
    };
    assert_eq!(number(&mut guest, &place("esp", "start")).await, MIB);
    assert_eq!(number(&mut guest, &place("esp", "size")).await, 264 * MIB);
    let end = number(&mut guest, &place("root-verity", "start")).await + number(&mut guest, &place("root-verity", "size")).await;
    assert!(end > SIZE - 2 * MIB && end < SIZE, "the last partition reaches to the disk's end: {end}");

    // It can be read, always from the disk, until a bit of it is another.
    let sample = format!("cat {UNUSED} > /dev/null || exit 1; dd if={UNUSED} bs=16 skip=1280 count=3 2> /dev/null | base64 -w 0");
    let sample = asked(&mut guest, &sample).await;
    raw_disk::flip(&disk, only(&disk, &BASE64_STANDARD.decode(&sample).unwrap())).unwrap();
    let read = format!("echo 3 > /proc/sys/vm/drop_caches; cat {UNUSED} > /dev/null");
    guest.until(&format!("! {{ {read} 2> /dev/null; }}"), most).await.unwrap();
    let done = guest.ask(&read, most).await.unwrap();
    assert!(done.code != Some(0) && done.stdout.contains("Input/output error"), "{done:?}");
    let kernel = asked(&mut guest, "dmesg | grep 'verity.*corrupted' | head -n 1").await;
    assert!(kernel.contains("verity") && kernel.contains("is corrupted"), "{kernel:?}");
    guest.cut_power().await.unwrap();
}

/// A device with firmware that can enforce Secure Boot: its variables and its TPM stay in the folder.
fn machine(name: &str, folder: &Path) -> Machine {
    let mut machine = Machine::new(name, &folder.join("device")).unwrap().with_secure_boot().unwrap().with_probe();
    machine.tpm = true;
    machine.network = false;
    machine
}

/// An employee's terminal for any disk, as the agent writes it to a larger one with sectors of 4096 bytes.
async fn written(site: &Site, folder: &Path) -> PathBuf {
    let master = site.build_for_any_disk().await.unwrap();
    let image = site.personalise(&master, &site.roster()).await.unwrap().remove(0);
    let file = folder.join("disk.raw");
    fs::File::create(&file).unwrap().set_len(SIZE).unwrap();
    let disk = LoopDevice::attach(&file, SECTOR).unwrap();
    let (image, device) = (image.to_string(), disk.path().display().to_string());
    let (store, trust) = (site.store().display().to_string(), site.trust().display().to_string());
    let arguments = ["write", &image, "--from", &store, "--trust", &trust, "--disk", &device, "--json"];
    let record: Record = Program::Agent.run(arguments).await.unwrap().good().unwrap().json().unwrap();
    assert_eq!((u64::from(record.disk.logical_sector), record.disk.size), (SECTOR, SIZE));
    assert_eq!(record.boot_entry, None, "a loop device is nothing that this host's firmware could start");
    evidence::compare(&record, disk.path()).unwrap();
    file
}

/// What a script prints in the device; it must succeed.
async fn asked(guest: &mut Guest, script: &str) -> String {
    let most = Duration::from_secs(60) * guest.accel().patience();
    guest.ask(script, most).await.unwrap().good().unwrap().stdout.trim().to_owned()
}

/// The firmware checks, the kernel knows, and nobody has slipped in a command line.
async fn enforced(guest: &mut Guest) {
    let facts = guest.facts(Duration::from_secs(60) * guest.accel().patience()).await.unwrap();
    assert!(facts.secure_boot && !facts.setup_mode, "{facts:?}");
    assert_eq!(facts.lockdown, "integrity", "the kernel does not know: {facts:?}");
    // systemd's stub takes a command line from a boot entry where Secure Boot is off only (systemd-stub(7)).
    let line = asked(guest, "cat /proc/cmdline").await;
    assert!(!line.contains(INJECTED), "the command line was changed from outside: {line}");
}

/// Sticks that differ from the good one in one thing each, by the name of their disk.
async fn wrong_sticks(site: &Site, folder: &Path) -> [(&'static str, PathBuf); 3] {
    let uki = site.folder.join("medium/agent.efi");
    let certificate = site.keys().join("secure-boot.pem");
    // Another program's opinion: the signature holds, and it is ours.
    tool("sbverify", [Path::new("--cert"), &certificate, &uki]).await;

    let unsigned = folder.join("unsigned.efi");
    fs::copy(&uki, &unsigned).unwrap();
    tool("sbattach", [Path::new("--remove"), &unsigned]).await;

    let changed = folder.join("changed.efi");
    fs::copy(&uki, &changed).unwrap();
    let at = only(&changed, b"systemd.firstboot=no");
    raw_disk::flip(&changed, at).unwrap();

    // The same keys but for those of Secure Boot, which `keygen` then adds.
    let keys = folder.join("other-keys");
    fs::create_dir(&keys).unwrap();
    for entry in fs::read_dir(site.keys()).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with("secure-boot") {
            fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
        }
    }
    let other = folder.join("other");
    let arguments = [Path::new("keygen"), Path::new("--out"), &keys];
    Program::Livery.run(arguments).await.unwrap().good().unwrap();
    site.medium_by(&keys, &other).await.unwrap();
    assert_ne!(fs::read(other.join("agent.efi")).unwrap(), fs::read(&uki).unwrap());

    let unsigned = stick(site, &unsigned).await;
    let changed = stick(site, &changed).await;
    [("UNSIGNED", unsigned), ("COMMANDLINE", changed), ("OTHERKEY", other.join("agent-usb.img"))]
}

/// The good stick with another UKI on it, beside that UKI.
async fn stick(site: &Site, uki: &Path) -> PathBuf {
    let path = uki.with_extension("img");
    fs::copy(site.stick(), &path).unwrap();
    let image = format!("{}@@{ESP}", path.display());
    tool("mcopy", [Path::new("-o"), Path::new("-i"), Path::new(&image), uki, Path::new("::/EFI/BOOT/BOOTX64.EFI")]).await;
    path
}

/// A boot entry for the first partition of the terminal's disk, without a file, with optional data that a stub may take for a command
/// line (UEFI 2.10, section 3.1.3). As a file of efivarfs.
fn injected(disk: &Path) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut entry = [0; 48];
    fs::File::open(disk).unwrap().read_exact_at(&mut entry, 2 * SECTOR).unwrap();
    let place = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
    let (first, last) = (place(32), place(40));
    assert_eq!(first * SECTOR, ESP);
    let mut path = [&[4, 1, 42, 0, 1, 0, 0, 0][..], &first.to_le_bytes(), &(last - first + 1).to_le_bytes()].concat();
    path.extend(&entry[16..32]);
    path.extend([2, 2]);
    path.extend([0x7f, 0xff, 4, 0]);
    let length = u16::try_from(path.len()).unwrap().to_le_bytes();
    [&[7, 0, 0, 0, 1, 0, 0, 0][..], &length, &utf16("injected"), &path, &utf16(INJECTED)].concat()
}

async fn tool<const N: usize>(name: &str, arguments: [&Path; N]) {
    let mut command = Command::new(name);
    command.args(arguments);
    programs::run(command, name, Duration::from_secs(60)).await.unwrap().good().unwrap();
}

/// Where in a file these bytes are; they must be there once.
fn only(path: &Path, wanted: &[u8]) -> u64 {
    const STEP: usize = 4 << 20;
    let file = fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut found = Vec::new();
    let mut buffer = vec![0; STEP + wanted.len() - 1];
    for at in (0..length).step_by(STEP) {
        let most = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..most], at).unwrap();
        found.extend(memmem::find_iter(&buffer[..most], wanted).map(|n| at + n as u64));
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{} in {}", BASE64_STANDARD.encode(wanted), path.display());
    found[0]
}
