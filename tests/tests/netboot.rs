//! The agent's medium over the network, on a virtual device whose firmware enforces Secure Boot: by PXE and by HTTP boot it
//! starts as far as the station hears of it; what is not signed, was changed, or did not come whole, does not start.
//!
//! The device comes without keys. Its first start, by PXE, is the agent's too, which gives it the organisation's.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    time::Duration,
};

use livery_tests::{
    bad_server::{BadServer, Part, Rule, Trouble},
    device::{KEYS, STATION_AT, hosts},
    line::Line,
    programs,
    qemu::{Credential, Guest, Machine, Pxe, Service, netboot::http_entry},
    raw_disk,
    site::{STATION, Site},
};
use tokio::process::Command;

/// The device's serial number, for which the station has no order.
const SERIAL: &str = "NETBOOT-0001";
/// What the agent shows of the station's answer.
const ANSWERED: &str = "no order for serial NETBOOT-0001 yet";
/// What the firmware says when it begins with a boot entry.
const STARTING: &str = "BdsDxe: starting";

#[tokio::test]
async fn qemu_pxe_starts_the_signed_medium_and_nothing_else() {
    let (site, folder) = prepare("pxe").await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    take_keys(&site, &folder, &[]).await;

    for (name, file) in [("unsigned", unsigned(&site, &folder).await), ("changed", changed(&site, &folder))] {
        let mut machine = machine(name, &folder);
        machine.pxe = Some(Pxe::new(&file));
        let mut guest = machine.start().await.unwrap();
        let most = Duration::from_secs(60) * guest.accel().patience();
        let texts = ["BdsDxe: failed to load", STARTING];
        let (which, said) = guest.wait_for_any("the firmware's verdict", &texts, most).await.unwrap();
        assert!(which == 0 && said.contains("PXEv4") && said.contains("Access Denied"), "{name}: {said}");
        assert_eq!(transferred(&guest), fs::metadata(&file).unwrap().len(), "{name}: it has not come whole");
        guest.cut_power().await.unwrap();
    }

    let mut machine = machine("signed", &folder);
    machine.pxe = Some(Pxe::new(&site.folder.join("medium/agent.efi")));
    let guest = reaches(&machine, &line, "PXEv4").await;
    guest.cut_power().await.unwrap();
}

#[tokio::test]
async fn qemu_http_boot_starts_the_signed_medium_and_nothing_else() {
    let (site, folder) = prepare("http").await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let unsigned = unsigned(&site, &folder).await;
    let good = site.folder.join("medium/agent.efi");
    let whole = |what| Rule { what, part: Part::Map, after: 0, times: u64::MAX };
    let serve = async |file: &Path, what| BadServer::start(file.parent().unwrap(), whole(what), None).await.unwrap();
    // In the order in which the firmware tries them; what it says when it gives up.
    let servers = [
        ("unsigned", "unsigned.efi", serve(&unsigned, Trouble::None).await, Some("Access Denied")),
        ("absent", "agent.efi", serve(&good, Trouble::Status(404)).await, Some("Not Found")),
        ("broken-off", "agent.efi", serve(&good, Trouble::Break).await, Some("Not Found")),
        ("signed", "agent.efi", serve(&good, Trouble::None).await, None),
    ];
    let mut entries = Vec::new();
    let mut device = machine("device", &folder);
    for (host, (name, file, server, _)) in (110..).zip(&servers) {
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, host), 80);
        device.services.push(Service { at, on: server.address() });
        entries.push(http_entry(name, &format!("http://{}/{file}", at.ip())));
    }
    take_keys(&site, &folder, &entries).await;

    let guest = reaches(&device, &line, "signed").await;
    let console = guest.console().unwrap();
    for (name, _, server, refused) in &servers {
        assert!(server.requests() > 0, "nobody asked for {name}");
        if let Some(why) = refused {
            let gave_up = |line: &str| line.contains("BdsDxe: failed to load") && line.contains(name) && line.contains(why);
            assert!(console.lines().any(gave_up), "{name} was not refused: {console}");
        }
    }
    guest.cut_power().await.unwrap();
}

/// The site with its medium, and an empty folder.
async fn prepare(name: &str) -> (Site, PathBuf) {
    let site = Site::shared().await.unwrap();
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/netboot")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    site.medium().await.unwrap();
    (site, folder)
}

/// The device: its firmware's variables stay in the folder. It has no disk that could be started, or written.
fn machine(name: &str, folder: &Path) -> Machine {
    let mut machine = Machine::new(name, &folder.join("device")).unwrap().with_secure_boot().unwrap();
    machine.system.serial = SERIAL.into();
    machine
}

/// The device's first start: the agent, by PXE, gives it keys. Before that, a unit puts these boot entries in, to be tried in
/// this order and before all others.
async fn take_keys(site: &Site, folder: &Path, entries: &[Vec<u8>]) {
    let mut machine = machine("keys", folder);
    machine.pxe = Some(Pxe::new(&site.folder.join("medium/agent.efi")));
    let mut script = String::from("cd /sys/firmware/efi/efivars\n");
    let mut order = vec![7, 0, 0, 0];
    for (number, entry) in (0xa0_u16..).zip(entries) {
        machine.credentials.push(Credential::new(&format!("entry.Boot{number:04X}"), entry.as_slice()));
        order.extend(number.to_le_bytes());
    }
    machine.credentials.push(Credential::new("entry.BootOrder", order));
    // One write is one variable (efivarfs). What is there already is protected against removal, not against a new value.
    script.push_str(
        "for file in $CREDENTIALS_DIRECTORY/entry.Boot*; do\n\
         name=${file##*/entry.}-8be4df61-93ca-11d2-aa0d-00e098032b8c\n\
         chattr -i $name 2> /dev/null\n\
         cat $file > $name && echo entry $name taken\n\
         done\n",
    );
    machine.credentials.push(Credential::new("entry.script", script));
    let unit = "[Unit]\nDescription=Boot entries\nBefore=livery-agent.service\n\
        [Service]\nType=oneshot\nStandardOutput=file:/dev/ttyS0\nStandardError=file:/dev/ttyS0\nImportCredential=entry.*\n\
        ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/entry.script\n";
    if !entries.is_empty() {
        machine.credentials.push(Credential::new("systemd.extra-unit.entries.service", unit));
        let wants = "[Unit]\nWants=entries.service\n";
        machine.credentials.push(Credential::new("systemd.unit-dropin.livery-agent.target", wants));
    }
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(120) * guest.accel().patience();
    guest.wait_for("the organisation's keys in the firmware", KEYS, most).await.unwrap();
    let console = guest.console().unwrap();
    assert_eq!(console.matches(" taken").count(), if entries.is_empty() { 0 } else { entries.len() + 1 }, "{console}");
    // QEMU ends where the device starts again.
    guest.wait_exit(most).await.unwrap();
}

/// Switches the device on: the firmware starts by this entry first of all, under Secure Boot, and the agent tells the station.
async fn reaches(machine: &Machine, line: &Line, entry: &str) -> Guest {
    let mut machine = machine.clone();
    machine.services.push(Service { at: STATION_AT, on: line.address() });
    machine.credentials.push(hosts(STATION_AT, STATION));
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(120) * guest.accel().patience();
    let said = guest.wait_for("a start by the firmware", STARTING, most).await.unwrap();
    assert!(said.contains(entry), "{said}");
    guest.wait_for("the station's answer on its console", ANSWERED, most).await.unwrap();
    let devices = line.devices().await.unwrap();
    let device = devices.iter().find(|device| device["serial"] == SERIAL);
    assert!(device.is_some_and(|device| device["reason"].as_str().is_some_and(|reason| reason.contains(ANSWERED))), "{devices:?}");
    guest
}

/// Bytes of the file that the firmware says it has fetched by PXE.
fn transferred(guest: &Guest) -> u64 {
    let console = guest.console().unwrap();
    let said = console.lines().find_map(|line| line.split_once("NBP filesize is ")?.1.split(' ').next()?.parse().ok());
    said.unwrap_or_default()
}

/// The medium without its signature.
async fn unsigned(site: &Site, folder: &Path) -> PathBuf {
    let path = folder.join("unsigned/unsigned.efi");
    fs::create_dir(folder.join("unsigned")).unwrap();
    fs::copy(site.folder.join("medium/agent.efi"), &path).unwrap();
    let mut command = Command::new("sbattach");
    command.arg("--remove").arg(&path);
    programs::run(command, "sbattach", Duration::from_secs(60)).await.unwrap().good().unwrap();
    path
}

/// The medium with one bit in its middle, somewhere in the initrd, turned over.
fn changed(site: &Site, folder: &Path) -> PathBuf {
    let path = folder.join("changed/changed.efi");
    fs::create_dir(folder.join("changed")).unwrap();
    fs::copy(site.folder.join("medium/agent.efi"), &path).unwrap();
    raw_disk::flip(&path, fs::metadata(&path).unwrap().len() / 2).unwrap();
    path
}
