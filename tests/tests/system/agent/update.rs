//! A device in use gets a newer image over the network, beside the one that runs: power cut on the way, started once, kept; one that does
//! not come up, be it its kiosk or its very root, gives way to the one before; one that is not what was signed is not taken; what power cuts
//! left on the EFI system partition takes no room for long; and nothing is fetched on a line that is paid by the byte.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use livery_contract::{Reference, manifest::Role};
use livery_tests::{
    device::{Device, STATION_AT, hosts, probe, without_browser},
    line::Line,
    programs::{Program, tool},
    qemu::{Guest, machine::Service},
    site::{STATION, Site},
};
use tokio::process::Command;

const DISK: u64 = 8 << 30;
/// Says what runs, then looks for a newer image as its timer does, and says what comes of it; then does what `$ends` says.
const SCRIPT: &str = r#"
for i in $(seq 200); do [ -n "$bare" ] || systemctl is-active -q livery-browser.service && break; sleep 1; done
. /usr/lib/os-release
say hostname "$(cat /etc/hostname)"
say screen "$(systemctl is-active livery-kiosk.service livery-browser.service | tr '\n' ' ')"
say timer "$(systemctl is-active livery-update.timer)"
for i in $(seq 200); do [ "$(systemctl show -P ExecMainExitTimestampMonotonic livery-bless.service)" -gt 0 ] && break; sleep 1; done
say blessed "$(journalctl -b -o cat -u livery-bless.service | grep "$IMAGE_ID" | tail -n 1)"
say runs "$IMAGE_ID@$IMAGE_VERSION"
journalctl -b -f -o cat -u livery-update.service | while read -r line; do say update "$line"; done &
systemctl start livery-update.service
sleep 2
say result "$(systemctl show -P Result livery-update.service) $(systemctl show -P ExecMainStatus livery-update.service)"
say state "$(cat /run/livery-update/state.json)"
for i in $(seq 60); do findmnt -n /efi > /dev/null || break; sleep 1; done
say esp "$(findmnt -n /efi | tr -s ' ')"
say patience "$(systemctl show -P JobRunningTimeoutUSec "$(systemd-escape -p --suffix=device "$(systemctl show -P What efi.mount)")")"
nmcli device modify "$(nmcli -g DEVICE device status | head -n 1)" connection.metered yes > /dev/null
systemctl start livery-update.service
say metered "$(systemctl show -P Result livery-update.service)"
say end yes
eval "$ends"
"#;
/// A session is over, as after a time without a touch.
const LEAVES: &str = "ends='for i in $(seq 60); do XDG_RUNTIME_DIR=/run/kiosk livery-desk leave && break; sleep 1; done'\n";
/// Without the browser: an update is made in the time that others leave, and an emulated browser leaves little.
const BARE: &str = "bare=yes\n";
/// Says what runs; then its kernel ends. Not before the words are out: a serial port's driver sends what it was given later, by
/// interrupts, and a kernel that has ended sends no more of it.
const PANICS: &str = ". /usr/lib/os-release\nsay runs \"$IMAGE_ID@$IMAGE_VERSION\"\nsleep 5\necho c > /proc/sysrq-trigger\n";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/update"))
}

/// A terminal of this version that looks for newer ones at the station; with a further line of its kernel's command line. Of the first
/// one's packages, whatever the mirrors have got since: they would be what is fetched.
async fn build(site: &Site, version: &str, argument: &str) -> Reference {
    let profile = format!(
        "# The organisation's terminal, which gets newer images over the network.\n\
         schema = 1\nextends = \"terminal.toml\"\nname = \"terminal-in-use\"\nversion = \"{version}\"\n\n\
         [boot]\nkernel-arguments = [{argument}]\n\n\
         [updates]\nstore = \"https://{STATION}:8443/store/\"\nstore-ca = \"station/ca.pem\"\n"
    );
    let path = site.folder.join(format!("in-use-{version}.toml"));
    let lock = site.folder.join("in-use-1.lock");
    if lock.exists() {
        fs::write(&path, &profile).unwrap();
        let own = path.with_extension("lock");
        fs::copy(lock, &own).unwrap();
        // Later than the profile's, whatever the file system's clock steps by: so it is up to date.
        fs::File::options().append(true).open(own).unwrap().set_modified(SystemTime::now()).unwrap();
    }
    site.build_with(&path, &profile).await.unwrap()
}

struct Started {
    guest: Guest,
    most: Duration,
}

impl Started {
    /// Switches the device on, in a network where the station is.
    async fn at(device: &Device, name: &str, line: &Line) -> Self {
        Self::with(device, name, line, SCRIPT).await
    }

    /// The same, with this script.
    async fn with(device: &Device, name: &str, line: &Line, script: &str) -> Self {
        let mut machine = device.machine(name).unwrap();
        machine.memory = 3072;
        machine.services.push(Service { at: STATION_AT, on: line.address() });
        machine.credentials.push(hosts(STATION_AT, STATION));
        machine.credentials.extend(probe(script));
        if script.contains(BARE) {
            machine.credentials.push(without_browser());
        }
        let guest = machine.start().await.unwrap();
        let most = Duration::from_secs(240) * guest.accel().patience();
        Self { guest, most }
    }

    /// Waits for what it says of this.
    async fn says(&mut self, key: &str) -> String {
        let line = self.guest.wait_for(key, &format!("LIVERY-PROBE {key}="), self.most).await.unwrap();
        let said = line.split_once(&format!("{key}=")).unwrap().1.trim().to_owned();
        println!("{:>5.0} s {key}: {said}", self.guest.elapsed().as_secs_f64());
        said
    }

    /// Switches it off, as its employee does.
    async fn off(mut self) {
        self.guest.switch_off(self.most).await.unwrap();
    }
}

#[tokio::test]
async fn qemu_a_newer_image_is_started_once_and_kept_when_it_is_up() {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    let shared = Site::shared().await.unwrap();
    // A store of its own: what is published there is what its devices take, and something in it is spoilt.
    let site = Site::at(shared.root.clone(), folder.join("site")).await.unwrap();
    let first = build(&site, "1", "").await;
    let employee = site.employees().unwrap().remove(0);
    site.personalise(&first, &site.roster()).await.unwrap();
    let device = Device::new(&folder.join("device"), &employee.serial.unwrap(), DISK).unwrap();
    let own = Reference { order: Some(employee.order.clone()), ..first.clone() };
    write(&site, &own, &device.disk).await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    build(&site, "2", "").await;

    // The power goes while it is written: what runs is not touched.
    let mut started = Started::with(&device, "1-cut", &line, &format!("{BARE}{SCRIPT}")).await;
    assert_eq!((started.says("hostname").await, started.says("timer").await), (employee.hostname.clone(), "active".into()));
    assert_eq!(started.says("runs").await, "terminal-in-use@1");
    started.guest.wait_for("a third written", "update=write", started.most).await.unwrap();
    started.guest.cut_power().await.unwrap();

    let mut started = Started::with(&device, "1-again", &line, &format!("{BARE}{SCRIPT}")).await;
    assert!(started.says("blessed").await.ends_with("no image is on trial"));
    assert_eq!(started.says("runs").await, "terminal-in-use@1");
    assert_eq!(started.says("result").await, "success 0");
    let state: serde_json::Value = serde_json::from_str(&started.says("state").await).unwrap();
    assert_eq!((state["state"].as_str(), state["newer"].as_str()), (Some("ready"), Some("terminal-in-use@2")), "{state}");
    assert!(state["traffic"]["fetched"].as_u64().unwrap() < 64 << 20, "two images that differ in little: {state}");
    started.says("end").await;
    started.off().await;

    // Started once, up, kept; and then another one, which will not come up. There is room for its UKI, though power cuts left none.
    let (esp, _) = site.place(&first, Role::Esp).await.unwrap();
    lose_clusters(&device.disk, esp).await;
    let third = build(&site, "3", "\"systemd.mask=livery-kiosk.service\"").await;
    let mut started = Started::with(&device, "2", &line, &format!("{LEAVES}{SCRIPT}")).await;
    assert_eq!(started.says("hostname").await, employee.hostname);
    assert_eq!(started.says("screen").await, "active active");
    assert_eq!(started.says("blessed").await, "terminal-in-use@2 came up healthy; the device now starts it by default");
    assert_eq!(started.says("runs").await, "terminal-in-use@2");
    assert_eq!(started.says("result").await, "success 0");
    let state: serde_json::Value = serde_json::from_str(&started.says("state").await).unwrap();
    assert_eq!((state["state"].as_str(), state["newer"].as_str()), (Some("ready"), Some("terminal-in-use@3")), "{state}");
    assert_eq!(started.says("esp").await, "", "mounted only while somebody wants it");
    assert_eq!(started.says("patience").await, "10min", "by the unit of the partition that it is on");
    assert_eq!(started.says("metered").await, "exec-condition");
    started.says("end").await;
    // The session ends, and the terminal starts again, which ends QEMU.
    started.guest.wait_exit(started.most).await.unwrap();
    let left = tool("mdir", &["-i", &in_disk(&device.disk, esp), "::"]).await.unwrap();
    assert!(left.contains("EFI") && !left.contains("FSCK"), "{left}");

    // It starts again by itself, which ends QEMU. So does one whose root goes bad before it is started.
    let damaged = damaged(&site, &third, &device).await;
    let (mut started, mut other) = tokio::join!(Started::at(&device, "3", &line), Started::at(&damaged, "3-damaged", &line));
    other.guest.wait_for("what it says to who sits there", "did not come up", other.most).await.unwrap();
    other.guest.wait_exit(other.most).await.unwrap();
    println!("{:>5.0} s the damaged one starts again", other.guest.elapsed().as_secs_f64());
    started.guest.wait_exit(started.most * 2).await.unwrap();
    // The firmware has taken its order away, so what starts is the one before; whose kernel ends, which ends no device either.
    let mut other = Started::with(&damaged, "3-damaged-again", &line, PANICS).await;
    assert_eq!(other.says("runs").await, "terminal-in-use@2");
    other.guest.wait_exit(other.most).await.unwrap();

    // What a device takes is what was signed: one that is not changes nothing.
    let before = blobs(&site);
    build(&site, "4", "").await;
    assert!(spoil(&site, &before) > 0, "nothing of it is new");
    let mut started = Started::with(&device, "2-again", &line, &format!("{BARE}ends='kill -SEGV 1'\n{SCRIPT}")).await;
    assert!(started.says("blessed").await.contains("terminal-in-use@3 should have started, but terminal-in-use@2 runs"));
    assert_eq!(started.says("runs").await, "terminal-in-use@2");
    assert_eq!(started.says("result").await, "exit-code 4");
    started.says("end").await;
    // PID 1 ends, and the device starts again.
    started.guest.wait_exit(started.most).await.unwrap();
}

/// Writes an image to a file that stands for the device's disk.
async fn write(site: &Site, image: &Reference, disk: &Path) {
    let (image, store, trust) = (image.to_string(), site.store().display().to_string(), site.trust().display().to_string());
    let disk = disk.display().to_string();
    let arguments = ["write", &image, "--from", &store, "--trust", &trust, "--disk", &disk];
    Program::Agent.run(arguments).await.unwrap().good().unwrap();
}

/// A copy of a device, in whose first slot the root is not what was written there, but for what it is found by.
async fn damaged(site: &Site, image: &Reference, device: &Device) -> Device {
    let copy = Device::new(&device.folder.with_file_name("damaged"), &device.serial, DISK).unwrap();
    for from in [&device.disk, &device.folder.join("vars.fd")] {
        let copied = Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(from).arg(&copy.folder).status().await;
        assert!(copied.unwrap().success(), "{}", from.display());
    }
    let (root, _) = site.place(image, Role::Root).await.unwrap();
    // The superblock with the UUID is in the first block; what follows are the root's folders.
    let zeros = [0; 64 * 4096];
    fs::OpenOptions::new().write(true).open(&copy.disk).unwrap().write_all_at(&zeros, root + 4096).unwrap();
    copy
}

/// Nearly all free clusters of this EFI system partition are of a file that is in no folder, as a power cut leaves one.
async fn lose_clusters(disk: &Path, esp: u64) {
    const LEFT: u64 = 8 << 20;
    let image = in_disk(disk, esp);
    let listed = tool("mdir", &["-i", &image, "::"]).await.unwrap();
    let free = listed.lines().find(|line| line.contains("bytes free")).unwrap().replace(|c: char| !c.is_ascii_digit(), "");
    let file = disk.with_file_name("lost");
    fs::File::create(&file).unwrap().set_len(free.parse::<u64>().unwrap() - LEFT).unwrap();
    tool("mcopy", &["-i", &image, &file.display().to_string(), "::LOST.BIN"]).await.unwrap();
    let disk = fs::OpenOptions::new().read(true).write(true).open(disk).unwrap();
    // The root folder is within the first of it (FAT specification 1.03, section 6.7 for the mark).
    let mut bytes = vec![0; 16 << 20];
    disk.read_exact_at(&mut bytes, esp).unwrap();
    let entry = bytes.windows(11).position(|name| name == b"LOST    BIN").unwrap();
    disk.write_all_at(&[0xe5], esp + entry as u64).unwrap();
}

/// A file system in a disk, as mtools name it.
fn in_disk(disk: &Path, offset: u64) -> String {
    format!("{}@@{offset}", disk.display())
}

/// The blobs of a store.
fn blobs(site: &Site) -> BTreeSet<PathBuf> {
    let list = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    list(site.store().join("blobs/sha256")).flat_map(list).collect()
}

/// Turns over bits of the packs that have come into the store since: of their frames, not of what is found by its own digest.
fn spoil(site: &Site, before: &BTreeSet<PathBuf>) -> usize {
    let mut packs = 0;
    for path in blobs(site).difference(before) {
        let mut bytes = fs::read(path).unwrap();
        if bytes.starts_with(b"LVRYMAP") || bytes.starts_with(b"{") {
            continue;
        }
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 4);
        fs::write(path, bytes).unwrap();
        packs += 1;
    }
    packs
}
