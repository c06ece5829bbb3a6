//! Secure Boot on a virtual device whose firmware enforces it, with the keys and files that `livery keygen` made: what the
//! organisation signed starts; what it did not sign, or what was changed after, does not.
//!
//! The device is asked by systemd credentials that its (virtual) firmware hands over; nothing in image or stick is made for
//! this test.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::Reference;
use livery_tests::{
    programs::{self, Program},
    qemu::{Bus, Credential, Disk, Guest, Machine},
    raw_disk,
    site::Site,
};
use tokio::process::Command;

/// What every line of the probe begins with.
const PROBE: &str = "LIVERY-PROBE";
/// What somebody would like to have on the command line.
const INJECTED: &str = "livery.injected";
/// Where the first partition, the EFI system partition, begins.
const ESP: u64 = 1 << 20;

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
    let root = fs::read(at("keys/root.json")).unwrap();

    // A folder from before there were such keys.
    fs::create_dir(at("before")).unwrap();
    for entry in fs::read_dir(at("keys")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("secure-boot") {
            fs::rename(entry.path(), Path::new(&at("before")).join(entry.file_name())).unwrap();
        }
    }
    let done = build().await;
    assert!(done.code == Some(2) && done.stderr.contains("livery keygen"), "{done:?}");
    let said = keygen().await.good().unwrap().stdout;
    assert!(said.contains("Secure Boot") && !said.contains("root.pem"), "{said}");
    assert_eq!(fs::read(at("keys/root.json")).unwrap(), root);
    let kept = fs::read(at("keys/secure-boot.key")).unwrap();
    assert_eq!(keygen().await.code, Some(3));
    assert_eq!(fs::read(at("keys/secure-boot.key")).unwrap(), kept);

    // The key of one pair with the certificate of another.
    fs::copy(at("before/secure-boot.key"), at("keys/secure-boot.key")).unwrap();
    let done = build().await;
    assert!(done.code == Some(3) && done.stderr.contains("not a pair"), "{done:?}");
    assert!(!Path::new(&at("store")).exists(), "something was begun");
}

#[tokio::test]
async fn qemu_secure_boot_starts_what_was_signed_and_nothing_else() {
    let site = Site::shared().await.unwrap();
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/secure-boot"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    site.medium().await.unwrap();
    let wrong = wrong_sticks(&site, &folder).await;
    let disk = folder.join("terminal.raw");
    export(&site, &site.build().await.unwrap(), &disk).await;

    // As from the factory: no keys. The unsigned would start here too; the agent gives the device those that its medium carries.
    let mut enrol = machine("enrol", &folder);
    enrol.disks.push(Disk::new(site.stick(), Bus::UsbStorage).unchanged());
    let mut guest = enrol.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    guest.wait_for("the organisation's keys", "has the organisation's Secure Boot keys now", most).await.unwrap();
    guest.wait_exit(most).await.unwrap();

    // Three sticks that must not start, before the good one: the firmware goes on to the next.
    let mut medium = machine("medium", &folder);
    for (place, (name, stick)) in (1..).zip(&wrong) {
        medium.disks.push(Disk::new(stick, Bus::Nvme).serial(name).unchanged().tried(place));
    }
    medium.disks.push(Disk::new(site.stick(), Bus::UsbStorage).unchanged().tried(9));
    // For the next start: an entry of somebody else's, with a command line of his own.
    medium.credentials.push(Credential::new("probe.Boot0099", injected(&disk)));
    medium.credentials.push(Credential::new("probe.BootNext", [7, 0, 0, 0, 0x99, 0]));
    let mut guest = medium.start().await.unwrap();
    let said = word(&mut guest).await;
    let console = guest.console().unwrap();
    for (name, _) in &wrong {
        let refused = |line: &str| line.contains("failed to load") && line.contains(name) && line.contains("Access Denied");
        assert!(console.lines().any(refused), "{name} was not refused: {console}");
    }
    enforced(&said);
    assert_eq!(said["agent"], "active", "{said:?}");
    assert_eq!(["Boot0099", "BootNext"].map(|name| said[name].as_str()), ["taken"; 2], "{said:?}");
    guest.cut_power().await.unwrap();

    // The terminal as it was exported; then one bit of its root is turned over below it.
    let mut terminal = machine("terminal", &folder);
    terminal.memory = 3072;
    terminal.disks.push(Disk::new(&disk, Bus::Nvme));
    let mut guest = terminal.start().await.unwrap();
    let sample = heard(&mut guest, "sample").await;
    raw_disk::flip(&disk, only(&disk, &BASE64_STANDARD.decode(&sample).unwrap())).unwrap();
    let said = word(&mut guest).await;
    enforced(&said);
    assert!(guest.console().unwrap().contains("starting Boot0099 \"injected\""), "that entry was not used");
    assert!(said["command-line"].contains("roothash="), "{said:?}");
    assert_eq!(said["kiosk"], "active", "{said:?}");
    assert_eq!(said["tpm"], "2", "{said:?}");
    assert!(said["measured"].bytes().any(|digit| digit != b'0'), "the stub has measured nothing: {said:?}");
    assert!(!said.contains_key("read-at-first"), "it could not be read before: {said:?}");
    assert!(said["read"].contains("Input/output error"), "{said:?}");
    assert!(said["kernel"].contains("verity") && said["kernel"].contains("is corrupted"), "{said:?}");
    guest.cut_power().await.unwrap();
}

/// A device with firmware that can enforce Secure Boot, the same each time: its variables and its TPM stay in the folder.
fn machine(name: &str, folder: &Path) -> Machine {
    let mut machine = Machine::new(name, &folder.join("device")).unwrap().with_secure_boot().unwrap();
    machine.tpm = true;
    machine.network = false;
    machine.credentials.extend(probe());
    machine
}

fn enforced(said: &BTreeMap<String, String>) {
    assert_eq!((said["setup-mode"].as_str(), said["secure-boot"].as_str()), ("0", "1"), "{said:?}");
    // systemd's stub takes a command line from a boot entry where Secure Boot is off only (systemd-stub(7)).
    assert!(!said["command-line"].contains(INJECTED), "the command line was changed from outside: {said:?}");
    assert!(said["lockdown"].contains("[integrity]"), "the kernel does not know: {said:?}");
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

/// A boot entry for the first partition of a disk, with optional data that a stub may take for a command line
/// (UEFI 2.10, section 3.1.3). As a file of efivarfs.
fn injected(disk: &Path) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut entry = [0; 48];
    fs::File::open(disk).unwrap().read_exact_at(&mut entry, 2 * 512).unwrap();
    let place = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
    let (first, last) = (place(32), place(40));
    assert_eq!(first * 512, ESP);
    let mut path = [&[4, 1, 42, 0, 1, 0, 0, 0][..], &first.to_le_bytes(), &(last - first + 1).to_le_bytes()].concat();
    path.extend(&entry[16..32]);
    path.extend([2, 2]);
    let file = utf16(r"\EFI\BOOT\BOOTX64.EFI");
    path.extend([4, 4]);
    path.extend(u16::try_from(file.len() + 4).unwrap().to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let length = u16::try_from(path.len()).unwrap().to_le_bytes();
    [&[7, 0, 0, 0, 1, 0, 0, 0][..], &length, &utf16("injected"), &path, &utf16(INJECTED)].concat()
}

async fn export(site: &Site, master: &Reference, to: &Path) {
    let (master, store, to) = (master.to_string(), site.store().display().to_string(), to.display().to_string());
    let arguments = ["export", &master, "--store", &store, "--format", "raw", &to];
    Program::Livery.run(arguments).await.unwrap().good().unwrap();
}

async fn tool<const N: usize>(name: &str, arguments: [&Path; N]) {
    let mut command = Command::new(name);
    command.args(arguments);
    programs::run(command, name, Duration::from_secs(60)).await.unwrap().good().unwrap();
}

/// Where in a file these bytes are; they must be there once.
fn only(path: &Path, wanted: &[u8]) -> u64 {
    const STEP: usize = 1 << 20;
    let file = fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut found = Vec::new();
    let mut buffer = vec![0; STEP + wanted.len() - 1];
    for at in (0..length).step_by(STEP) {
        let most = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..most], at).unwrap();
        found.extend(
            buffer[..most].windows(wanted.len()).enumerate().filter(|(_, here)| here == &wanted).map(|(n, _)| at + n as u64),
        );
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{} in {}", BASE64_STANDARD.encode(wanted), path.display());
    found[0]
}

/// Waits for one line of the probe.
async fn heard(guest: &mut Guest, key: &str) -> String {
    let text = format!("{PROBE} {key}=");
    let most = Duration::from_secs(120) * guest.accel().patience();
    let line = guest.wait_for("its own word", &text, most).await.unwrap();
    line.split_once(&text).unwrap().1.trim().to_owned()
}

/// All that the device says of itself.
async fn word(guest: &mut Guest) -> BTreeMap<String, String> {
    heard(guest, "end").await;
    let console = guest.console().unwrap();
    let lines = console.lines().filter_map(|line| line.split_once(PROBE)?.1.trim().split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A unit that asks the running system, agent or terminal, from inside.
fn probe() -> Vec<Credential> {
    let unit = "[Unit]\nDescription=Probe\n\
        [Service]\nType=exec\nStandardOutput=file:/dev/ttyS0\nStandardError=null\nImportCredential=probe.*\n\
        ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/probe.script\n";
    let script = format!(
        r#"say() {{ echo "{PROBE} $1=$2"; }}
active() {{ for i in $(seq 300); do systemctl is-active -q $1 && break; sleep 1; done; systemctl is-active $1; }}
vars=/sys/firmware/efi/efivars
global=8be4df61-93ca-11d2-aa0d-00e098032b8c
flag() {{ od -An -tu1 -j4 -N1 $vars/$1-$global | tr -d ' \n'; }}
echo
say command-line "$(cat /proc/cmdline)"
say setup-mode "$(flag SetupMode)"
say secure-boot "$(flag SecureBoot)"
say lockdown "$(cat /sys/kernel/security/lockdown)"
say tpm "$(cat /sys/class/tpm/tpm0/tpm_version_major)"
say measured "$(cat /sys/class/tpm/tpm0/pcr-sha256/11)"
for name in Boot0099 BootNext; do
    file=$CREDENTIALS_DIRECTORY/probe.$name
    [ -e $file ] || continue
    if cat $file > $vars/$name-$global; then say $name taken; else say $name refused; fi
done
if [ -e /usr/bin/livery-agent ]; then
    say agent "$(active livery-agent.service)"
else
    say kiosk "$(active livery-kiosk.service)"
    # A program that nobody calls: read until that fails, always from the disk.
    file=/usr/bin/ptx
    cat $file > /dev/null || say read-at-first no
    say sample "$(dd if=$file bs=16 skip=1280 count=3 2> /dev/null | base64 -w 0)"
    for i in $(seq 120); do
        echo 3 > /proc/sys/vm/drop_caches
        error=$(cat $file 2>&1 > /dev/null) || break
        sleep 1
    done
    say read "$error"
    say kernel "$(dmesg | grep 'verity.*corrupted' | head -n 1)"
fi
say end yes
"#
    );
    let wants = "[Unit]\nWants=livery-probe.service\n";
    vec![
        Credential::new("systemd.extra-unit.livery-probe.service", unit),
        Credential::new("systemd.unit-dropin.multi-user.target", wants),
        Credential::new("systemd.unit-dropin.livery-agent.target", wants),
        Credential::new("probe.script", script),
    ]
}
