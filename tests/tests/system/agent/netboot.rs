//! The agent's medium over the network, on a virtual device whose firmware enforces Secure Boot: by PXE and by HTTP boot it
//! starts as far as the station hears of it; what is not signed, was changed, or did not come whole, does not start.
//!
//! The device has the organisation's keys already, and its boot entries are put in from outside.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use livery_tests::{
    bad_server::{BadServer, Part, Rule, Trouble},
    device::{KEYS, STATION_AT, hosts},
    dnsmasq::Dnsmasq,
    fixtures::enrolled,
    line::Line,
    netns::{self, CABLE},
    programs,
    qemu::{
        Guest, Machine, Pxe, Service,
        netboot::{http_entry, pxe_entry},
        variables::{self, Start},
    },
    raw_disk,
    site::{STATION, Site},
};
use tokio::process::Command;

/// The device's serial number, for which the station has no order.
const SERIAL: &str = "NETBOOT-0001";
/// What the agent shows of the station's answer.
const ANSWERED: &str = "no order for serial NETBOOT-0001 yet";
/// What the firmware says when it starts a boot entry, after the check.
const STARTING: &str = "BdsDxe: starting";
/// And when it does not start one, for whatever reason.
const REFUSED: &str = "BdsDxe: failed to load";

#[tokio::test]
async fn qemu_firmware_starts_the_signed_medium_and_nothing_else() {
    let (site, folder) = prepare("refusals").await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let good = site.folder.join("medium/agent.efi");
    let (unsigned, changed) = (unsigned(&site, &folder).await, changed(&site, &folder));
    let mut device = machine("device", &folder);
    enrolled::give(&site, &device).await.unwrap();
    device.services.push(Service { at: STATION_AT, on: line.address() });
    device.credentials.push(hosts(STATION_AT, STATION));
    // One card for each file that PXE brings.
    device.pxe = Some(Pxe::new(&good));
    device.further = vec![Pxe::new(&unsigned), Pxe::new(&changed)];
    let denied =
        |file: &Path| vec![format!("NBP filesize is {} Bytes", fs::metadata(file).unwrap().len()), ": Access Denied".into()];
    let mut attempts = vec![
        ("pxe-unsigned", pxe_entry("pxe-unsigned", 1), denied(&unsigned)),
        ("pxe-changed", pxe_entry("pxe-changed", 2), denied(&changed)),
    ];

    let whole = |what| Rule { what, part: Part::Map, after: 0, times: u64::MAX };
    let serve = async |file: &Path, what| BadServer::start(file.parent().unwrap(), whole(what), None).await.unwrap();
    let servers = [
        ("unsigned", "unsigned.efi", serve(&unsigned, Trouble::None).await, ["Downloading...100%", ": Access Denied"]),
        ("absent", "agent.efi", serve(&good, Trouble::Status(404)).await, ["Client Error: 404 Not Found", ": Not Found"]),
        ("broken-off", "agent.efi", serve(&good, Trouble::Break).await, ["Error: Unexpected network error.", ": Not Found"]),
    ];
    for (number, (name, file, server, said)) in (0xa0_u8..).zip(&servers) {
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, number), 80);
        device.services.push(Service { at, on: server.address() });
        let entry = http_entry(name, &format!("http://{}/{file}", at.ip()));
        attempts.push((name, entry, said.map(str::to_owned).into()));
    }
    attempts.push(("signed", pxe_entry("signed", 0), vec!["NBP file downloaded successfully".into()]));
    let entries: Vec<Vec<u8>> = attempts.iter().map(|(_, entry, _)| entry.clone()).collect();
    variables::boot(&device.variables(), Start::Order(&entries)).await.unwrap();

    let guest = reaches(&device, &line, "\"signed\"").await;
    let console = guest.console().unwrap();
    // One part for each attempt.
    let parts: Vec<&str> = console.split(">>Start ").skip(1).collect();
    assert_eq!(parts.len(), attempts.len(), "{console}");
    for ((name, _, said), part) in attempts.iter().zip(parts) {
        assert_eq!(part.starts_with("PXE over IPv4"), name.starts_with("pxe") || *name == "signed", "{name}: {part}");
        for word in said {
            assert!(part.contains(word), "{name}, {word}: {part}");
        }
        let end = said.last().unwrap();
        let gave_up = |line: &str| line.contains(REFUSED) && line.contains(&format!("\"{name}\"")) && line.ends_with(end);
        assert_eq!(part.lines().any(|line| gave_up(line.trim_end())), *name != "signed", "{name}: {part}");
    }
    for (name, _, server, _) in &servers {
        assert!(server.requests() > 0, "nobody asked for {name}");
    }
    guest.cut_power().await.unwrap();
}

#[tokio::test]
async fn qemu_the_guides_dhcp_server_starts_devices_by_pxe_and_by_http() {
    let name = "agent::netboot::qemu_the_guides_dhcp_server_starts_devices_by_pxe_and_by_http";
    if env::var_os(netns::MARK).is_none() {
        // A build needs a network, and so may what is made once.
        let (site, folder) = prepare("dhcp").await;
        enrolled::give(&site, &machine("device", &folder)).await.unwrap();
    }
    match netns::inside(name, "192.168.77.1/24", Duration::from_secs(20 * 60)).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(fault) => panic!("{}", fault.render()),
    }
    let site = Site::shared().await.unwrap();
    let (folder, medium) = (folder("dhcp"), site.folder.join("medium"));
    let line = Line::listen(&site, &folder.join("station"), None, "192.168.77.1:8443").await.unwrap();
    let dhcp = Dnsmasq::start(&guide(&medium), &folder).await.unwrap();
    let (web, asked) = (tokio::net::TcpListener::bind("192.168.77.1:80").await.unwrap(), Arc::new(AtomicUsize::new(0)));
    let (count, file) = (asked.clone(), fs::read(medium.join("agent.efi")).unwrap());
    let answer = get(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        file.clone()
    });
    tokio::spawn(axum::serve(web, Router::new().route("/agent.efi", answer)).into_future());

    // A new device's firmware tries PXE first: by an entry of its own, as far as the file has come and is good.
    let mut new = machine("new", &folder);
    new.cable = Some(CABLE.into());
    variables::boot(&new.variables(), Start::Factory).await.unwrap();
    let guest = starts(&new, "PXEv4").await;
    guest.cut_power().await.unwrap();
    let said = dhcp.said().unwrap();
    assert!(said.contains("sent ") && said.contains("agent.efi to 192.168.77."), "not by TFTP: {said}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "by HTTP already");

    // HTTP boot, to which DHCP names the URL.
    let mut device = machine("device", &folder);
    device.cable = Some(CABLE.into());
    variables::boot(&device.variables(), Start::Next(&http_entry("http", ""))).await.unwrap();
    let guest = reaches(&device, &line, "\"http\"").await;
    let console = guest.console().unwrap();
    assert!(console.contains("URI: http://192.168.77.1/agent.efi"), "{console}");
    assert!(asked.load(Ordering::Relaxed) > 0, "nobody asked for it");
    guest.cut_power().await.unwrap();
}

/// The same by HTTP boot, with the URL in a boot entry, as by a firmware's setup page.
#[tokio::test]
async fn qemu_variant_http_boot_by_an_entry_that_names_the_url() {
    let (site, folder) = prepare("http").await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let rule = Rule { what: Trouble::None, part: Part::Map, after: 0, times: u64::MAX };
    let server = BadServer::start(&site.folder.join("medium"), rule, None).await.unwrap();
    let mut device = machine("device", &folder);
    enrolled::give(&site, &device).await.unwrap();
    let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 0xa0), 80);
    device.services = vec![Service { at, on: server.address() }, Service { at: STATION_AT, on: line.address() }];
    device.credentials.push(hosts(STATION_AT, STATION));
    let entry = http_entry("signed", &format!("http://{}/agent.efi", at.ip()));
    variables::boot(&device.variables(), Start::Order(&[entry])).await.unwrap();
    let guest = reaches(&device, &line, "\"signed\"").await;
    assert!(guest.console().unwrap().contains("Downloading...100%"));
    assert!(server.requests() > 0, "nobody asked for it");
    guest.cut_power().await.unwrap();
}

/// A new device, in setup mode, that starts the agent by PXE takes its keys from it, as from a stick.
#[tokio::test]
async fn qemu_variant_a_new_device_takes_its_keys_by_pxe() {
    let (site, folder) = prepare("keys").await;
    let mut device = machine("device", &folder);
    device.pxe = Some(Pxe::new(&site.folder.join("medium/agent.efi")));
    let mut guest = starts(&device, "PXEv4").await;
    let most = Duration::from_secs(120) * guest.accel().patience();
    guest.wait_for("the organisation's keys in the firmware", KEYS, most).await.unwrap();
    // QEMU ends where the device starts again.
    guest.wait_exit(most).await.unwrap();
}

/// The configuration that the guide gives, with this network's names in it.
fn guide(medium: &Path) -> String {
    let guide = include_str!("../../../../docs/network-boot.md");
    let block = guide.split_once("```ini\n").unwrap().1.split_once("```").unwrap().0;
    let with = [("interface=eth1\n", format!("interface={CABLE}\n")), ("/srv/livery\n", format!("{}\n", medium.display()))];
    with.iter().fold(block.to_owned(), |text, (theirs, ours)| {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs} in the guide");
        text.replace(theirs, ours)
    })
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/netboot")).join(name)
}

/// The site with its medium, and an empty folder.
async fn prepare(name: &str) -> (Site, PathBuf) {
    let site = Site::shared().await.unwrap();
    let folder = folder(name);
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

/// Switches the device on: of all that is started, this entry is the first.
async fn starts(machine: &Machine, entry: &str) -> Guest {
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(120) * guest.accel().patience();
    loop {
        let (which, said) = guest.wait_for_any("a start by the firmware", &[STARTING, REFUSED], most).await.unwrap();
        // Not later than now: after this one it would try others for minutes.
        assert_eq!(which == 0, said.contains(entry), "{said}");
        if which == 0 {
            return guest;
        }
    }
}

/// The same, and the agent tells the station.
async fn reaches(machine: &Machine, line: &Line, entry: &str) -> Guest {
    let mut guest = starts(machine, entry).await;
    let most = Duration::from_secs(120) * guest.accel().patience();
    guest.wait_for("the station's answer on its console", ANSWERED, most).await.unwrap();
    let devices = line.devices().await.unwrap();
    let device = devices.iter().find(|device| device["serial"] == SERIAL);
    assert!(device.is_some_and(|device| device["reason"].as_str().is_some_and(|reason| reason.contains(ANSWERED))), "{devices:?}");
    guest
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
