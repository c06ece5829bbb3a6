//! Devices in use get a newer image over the network, beside the one that runs. One is started once, and kept when it is up, in a variant
//! with its browser; one whose root is damaged gives way to the one before. On another device, without a screen: nothing is fetched on a
//! line that is paid by the byte; what is not what was signed is not taken; the power is cut on the way; what power cuts left on the EFI
//! system partition takes no room for long; one whose kiosk does not come up gives way, too. A kernel's panic and the end of PID 1 start
//! a device again.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileExt, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Reference, manifest::Role, roster::Employee};
use livery_tests::{
    device::{Device, STATION_AT, hosts, idle_browser, without_browser},
    fixtures::updates::{self, FAILING, WHOLE},
    line::Line,
    programs::{Program, tool},
    qemu::{Credential, Guest, RESTART, machine::Service},
    site::{STATION, Site},
    traces::Traces,
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

const DISK: u64 = 8 << 30;
/// Looks for a newer image, as its timer does; then says what came of it.
const UPDATE: &str = "systemctl start livery-update.service 2> /dev/null; for what in Result ExecMainStatus; do \
    systemctl show -P $what livery-update.service; done";

/// A device, its site, and the station that it finds.
struct Ground {
    site: Site,
    employee: Employee,
    device: Device,
    line: Line,
    /// Outlives the others.
    _folder: Traces,
}

impl Ground {
    /// One that was written with the first image of this name.
    async fn new(name: &str, folder: &str) -> Self {
        let folder = Traces::new(&format!("update/{folder}"));
        let shared = Site::shared().await.unwrap();
        // A store of its own: what is published there is what its devices take, and something in it is spoilt.
        let site = updates::before_the_last_release(&shared, &folder).await.unwrap();
        let employee = site.employees().unwrap().remove(0);
        let device = Device::new(&folder.join("device"), employee.serial.as_ref().unwrap(), DISK).unwrap();
        let own = Reference { order: Some(employee.order.clone()), ..updates::image(name, 1).unwrap() };
        write(&site, &own, &device.disk).await;
        let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
        Self { site, employee, device, line, _folder: folder }
    }

    /// Where a partition of its images lies.
    async fn place(&self, name: &str, role: Role) -> (u64, u64) {
        self.site.place(&updates::image(name, 1).unwrap(), role).await.unwrap()
    }

    /// Switches it on, in a network where the station is.
    async fn start(&self, name: &str, without: Vec<Credential>) -> Started {
        let mut machine = self.device.machine(name).unwrap().with_probe();
        machine.memory = 3072;
        machine.services.push(Service { at: STATION_AT, on: self.line.address() });
        machine.credentials.push(hosts(STATION_AT, STATION));
        machine.credentials.extend(without);
        let guest = machine.start().await.unwrap();
        let most = Duration::from_secs(240) * guest.accel().patience();
        Started { guest, most }
    }
}

/// No screen at all: its root has no browser, and none of what sway draws with.
fn without_screen() -> Vec<Credential> {
    let never = "[Unit]\nConditionPathExists=/nowhere\n";
    vec![without_browser(), Credential::new("systemd.unit-dropin.livery-kiosk.service", never)]
}

struct Started {
    guest: Guest,
    most: Duration,
}

impl Started {
    /// Says when.
    fn tell(&self, what: &str) {
        println!("{:>5.0} s {what}", self.guest.elapsed().as_secs_f64());
    }

    /// What a script prints, which ends well or not.
    async fn ask(&mut self, script: &str) -> String {
        let said = self.guest.ask(script, self.most).await.unwrap().stdout.trim().to_owned();
        self.tell(&format!("{script}: {said}"));
        said
    }

    /// Waits until this command succeeds in it.
    async fn until(&mut self, command: &str) {
        self.guest.until(command, self.most).await.unwrap();
        self.tell(command);
    }

    /// Which image runs; it is this employee's.
    async fn runs(&mut self, employee: &Employee) -> Reference {
        let facts = self.guest.facts(self.most).await.unwrap();
        self.tell(&format!("{} runs", facts.image));
        assert_eq!(facts.hostname, employee.hostname);
        facts.image.parse().unwrap()
    }

    /// What became of an image on trial.
    async fn blessed(&mut self) -> String {
        self.until("[ \"$(systemctl show -P ExecMainExitTimestampMonotonic livery-bless.service)\" -gt 0 ]").await;
        self.ask("journalctl -b -o cat -u livery-bless.service | grep @ | tail -n 1").await
    }

    /// Waits for the network.
    async fn online(&mut self) {
        self.until("nm-online -q").await;
    }

    /// Looks for a newer image, and gets it; the bytes that it fetched, and those that it found in their places.
    async fn gets(&mut self, newer: &Reference) -> (u64, u64) {
        self.online().await;
        assert_eq!(self.ask(UPDATE).await, "success\n0");
        let state: Value = serde_json::from_str(&self.ask("cat /run/livery-update/state.json").await).unwrap();
        assert_eq!((state["state"].as_str(), state["newer"].as_str()), (Some("ready"), Some(&*newer.to_string())), "{state}");
        let bytes = |of: &str| state["traffic"][of].as_u64().unwrap();
        (bytes("fetched"), bytes("kept"))
    }

    /// It starts again by itself, which ends QEMU.
    async fn starts_again(mut self) {
        self.guest.wait_exit(self.most).await.unwrap();
        self.tell("starts again");
    }
}

/// Its browser is a process that does nothing: whether it is up is asked of its unit, and the real one takes an emulated device longer
/// than all the rest. That a session that ends is when a newer image is taken, `desk::kiosk` tries.
#[tokio::test]
async fn qemu_a_newer_image_is_started_once_and_kept_when_it_is_up() {
    newer_image("kept", vec![idle_browser()], RESTART).await;
}

#[tokio::test]
async fn qemu_variant_a_newer_image_is_kept_with_its_browser_and_another_taken_when_a_session_ends() {
    newer_image("kept-with-browser", Vec::new(), "XDG_RUNTIME_DIR=/run/kiosk livery-desk leave").await;
}

/// On which `with` is otherwise where the newer image is started, and `end` what ends that.
async fn newer_image(folder: &str, with: Vec<Credential>, end: &str) {
    let ground = Ground::new(WHOLE, folder).await;
    let Ground { site, employee, device, .. } = &ground;
    let [first, second, third] = [1, 2, 3].map(|version| updates::image(WHOLE, version).unwrap());

    let mut started = ground.start("1", vec![without_browser()]).await;
    assert_eq!(started.runs(employee).await, first);
    assert_eq!(started.ask("systemctl is-active livery-update.timer").await, "active");
    assert!(started.blessed().await.ends_with("no image is on trial"));
    assert!(started.gets(&second).await.0 < 64 << 20, "two images that differ in little");
    // PID 1 ends, and the device starts again.
    started.ask("kill -SEGV 1").await;
    started.starts_again().await;

    // Started once, up, kept; and then another one.
    updates::release(site).await.unwrap();
    let mut started = ground.start("2", with).await;
    assert_eq!(started.runs(employee).await, second);
    started.until("systemctl is-active -q livery-browser.service").await;
    assert_eq!(started.blessed().await, format!("{second} came up healthy; the device now starts it by default"));
    assert_eq!(started.ask("systemctl is-active livery-kiosk.service livery-browser.service").await, "active\nactive");
    started.gets(&third).await;
    started.until(end).await;
    started.starts_again().await;

    // Its root goes bad before it is started, so the initrd is as far as it gets.
    damage(&device.disk, ground.place(WHOLE, Role::Root).await.0);
    let mut started = ground.start("3", vec![without_browser()]).await;
    started.guest.wait_for("what it says to who sits there", "did not come up", started.most).await.unwrap();
    started.tell("did not come up");
    let status = started.guest.wait_exit(started.most).await.unwrap();
    started.tell("starts again");
    assert!(status.success() && !started.guest.console().unwrap().contains("LIVERY-PROBE"), "it was in its root");

    // The firmware has taken its order away, so what starts is the one that was kept.
    let mut started = ground.start("4", vec![without_browser()]).await;
    assert_eq!(started.runs(employee).await, second);
    started.guest.cut_power().await.unwrap();
}

#[tokio::test]
async fn qemu_an_image_that_is_bad_or_does_not_come_up_changes_nothing() {
    let ground = Ground::new(FAILING, "refused").await;
    let Ground { site, employee, device, .. } = &ground;
    let [first, second] = [1, 2].map(|version| updates::image(FAILING, version).unwrap());
    let before = blobs(site);
    updates::release(site).await.unwrap();
    let sound = spoil(site, &before);
    assert!(!sound.is_empty(), "nothing of it is new");

    // Nothing on a line that is paid by the byte; and nothing that is not what was signed.
    let mut started = ground.start("1", without_screen()).await;
    assert_eq!(started.runs(employee).await, first);
    started.online().await;
    let metered =
        |is: &str| format!("nmcli device modify \"$(nmcli -g DEVICE device status | head -n 1)\" connection.metered {is}");
    started.until(&metered("yes")).await;
    assert!(started.ask(UPDATE).await.starts_with("exec-condition\n"));
    started.until(&metered("no")).await;
    assert_eq!(started.ask(UPDATE).await, "exit-code\n4");
    started.until("! test -e /run/livery-update/state.json").await;
    started.until("! findmnt -n /efi > /dev/null").await;
    let patience =
        "systemctl show -P JobRunningTimeoutUSec \"$(systemd-escape -p --suffix=device \"$(systemctl show -P What efi.mount)\")\"";
    assert_eq!(started.ask(patience).await, "10min", "by the unit of the partition that it is on");

    // The power goes while it is written: what runs is not touched.
    for (path, bytes) in &sound {
        replace(path, bytes);
    }
    let third = ground.place(FAILING, Role::Root).await.1 / 3;
    let had = on_disk(&device.disk);
    started.ask("systemctl start --no-block livery-update.service").await;
    let written = async {
        while on_disk(&device.disk) - had < third {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(started.most, written).await.unwrap();
    started.guest.cut_power().await.unwrap();

    // What is there is left, the rest is written. There is room for its UKI, though power cuts left none.
    let (esp, _) = ground.place(FAILING, Role::Esp).await;
    lose_clusters(&device.disk, esp).await;
    let mut started = ground.start("2", without_screen()).await;
    assert_eq!(started.runs(employee).await, first);
    assert!(started.blessed().await.ends_with("no image is on trial"));
    assert!(started.gets(&second).await.1 > 0, "what was written before is left");
    started.until("! findmnt -n /efi > /dev/null").await;
    started.guest.switch_off(started.most).await.unwrap();
    let left = tool("mdir", &["-i", &in_disk(&device.disk, esp), "::"]).await.unwrap();
    assert!(left.contains("EFI") && !left.contains("FSCK"), "{left}");

    // Its kiosk does not come up: it starts again by itself.
    let mut started = ground.start("3", vec![without_browser()]).await;
    assert_eq!(started.runs(employee).await, second);
    started.starts_again().await;

    // The firmware has taken its order away, so what starts is the one before; whose kernel ends, which ends no device either.
    let mut started = ground.start("4", without_screen()).await;
    assert_eq!(started.runs(employee).await, first);
    assert!(started.blessed().await.contains(&format!("{second} should have started, but {first} runs")));
    let end = started.guest.ask("echo c > /proc/sysrq-trigger", started.most).await;
    assert!(end.is_err() && started.guest.console().unwrap().contains("Kernel panic"), "{end:?}");
    started.starts_again().await;
}

/// Writes an image to a file that stands for the device's disk.
async fn write(site: &Site, image: &Reference, disk: &Path) {
    let (image, store, trust) = (image.to_string(), site.store().display().to_string(), site.trust().display().to_string());
    let disk = disk.display().to_string();
    let arguments = ["write", &image, "--from", &store, "--trust", &trust, "--disk", &disk];
    Program::Agent.run(arguments).await.unwrap().good().unwrap();
}

/// A root that is not what was written there, but for what it is found by.
fn damage(disk: &Path, root: u64) {
    // The superblock with the UUID is in the first block; what follows are the root's folders.
    let zeros = [0; 64 * 4096];
    fs::OpenOptions::new().write(true).open(disk).unwrap().write_all_at(&zeros, root + 4096).unwrap();
}

/// How many bytes of a sparse file are there.
fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
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

/// Turns over bits of the packs that have come into the store since: of their frames, not of what is found by its own digest. Gives what
/// they were.
fn spoil(site: &Site, before: &BTreeSet<PathBuf>) -> Vec<(PathBuf, Vec<u8>)> {
    let mut sound = Vec::new();
    for path in blobs(site).difference(before) {
        let bytes = fs::read(path).unwrap();
        if bytes.starts_with(b"LVRYMAP") || bytes.starts_with(b"{") {
            continue;
        }
        let mut spoilt = bytes.clone();
        spoilt.iter_mut().step_by(1000).for_each(|byte| *byte ^= 4);
        replace(path, &spoilt);
        sound.push((path.clone(), bytes));
    }
    sound
}

/// A file of the store, which other stores have too: another one in its place.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}
