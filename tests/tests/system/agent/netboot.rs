//! The agent's medium over the network, on a virtual device whose firmware enforces Secure Boot: by PXE and by HTTP boot it
//! starts as far as the station hears of it; what is not signed, was changed, or did not come whole, does not start.
//!
//! The device comes without keys. Its first start, by PXE, is the agent's too, which gives it the organisation's.

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
    line::Line,
    netns::{self, CABLE},
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
/// Whose variables boot entries are (UEFI 2.10, section 3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// What the firmware says when it starts a boot entry, after the check.
const STARTING: &str = "BdsDxe: starting";
/// And when it does not start one, for whatever reason.
const REFUSED: &str = "BdsDxe: failed to load";

#[tokio::test]
async fn qemu_pxe_starts_the_signed_medium_and_nothing_else() {
    let (site, folder) = prepare("pxe").await;
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let signed = Pxe::new(&site.folder.join("medium/agent.efi"));
    let mut new = machine("keys", &folder);
    new.pxe = Some(signed.clone());
    take_keys(new, "").await;

    for (name, file) in [("unsigned", unsigned(&site, &folder).await), ("changed", changed(&site, &folder))] {
        let mut machine = machine(name, &folder);
        machine.pxe = Some(Pxe::new(&file));
        let mut guest = machine.start().await.unwrap();
        let most = Duration::from_secs(60) * guest.accel().patience();
        let (which, said) = guest.wait_for_any("the firmware's verdict", &[REFUSED, STARTING], most).await.unwrap();
        assert!(which == 0 && said.contains("PXEv4") && said.contains("Access Denied"), "{name}: {said}");
        assert_eq!(transferred(&guest), fs::metadata(&file).unwrap().len(), "{name}: it has not come whole");
        guest.cut_power().await.unwrap();
    }

    let mut machine = machine("signed", &folder);
    machine.pxe = Some(signed);
    machine.services.push(Service { at: STATION_AT, on: line.address() });
    machine.credentials.push(hosts(STATION_AT, STATION));
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
    // In the order in which the firmware tries them; what it says of each.
    let servers = [
        ("unsigned", "unsigned.efi", serve(&unsigned, Trouble::None).await, ["Downloading...100%", ": Access Denied"]),
        ("absent", "agent.efi", serve(&good, Trouble::Status(404)).await, ["Client Error: 404 Not Found", ": Not Found"]),
        ("broken-off", "agent.efi", serve(&good, Trouble::Break).await, ["Error: Unexpected network error.", ": Not Found"]),
        ("signed", "agent.efi", serve(&good, Trouble::None).await, ["Downloading...100%", ""]),
    ];
    let mut new = machine("keys", &folder);
    new.pxe = Some(Pxe::new(&good));
    let mut device = machine("device", &folder);
    let mut order = vec![7, 0, 0, 0];
    for (number, (name, file, server, ..)) in (0xa0_u8..).zip(&servers) {
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, number), 80);
        device.services.push(Service { at, on: server.address() });
        let entry = http_entry(name, &format!("http://{}/{file}", at.ip()));
        new.credentials.push(Credential::new(&format!("entry.Boot00{number:02X}"), entry));
        order.extend([number, 0]);
    }
    new.credentials.push(Credential::new("entry.BootOrder", order));
    // One write is one variable.
    let script = format!(
        "for file in $CREDENTIALS_DIRECTORY/entry.Boot*; do\n\
         name=${{file##*/entry.}}-{GLOBAL}\n\
         cat $file > $name\n\
         done"
    );
    take_keys(new, &script).await;

    device.services.push(Service { at: STATION_AT, on: line.address() });
    device.credentials.push(hosts(STATION_AT, STATION));
    let guest = reaches(&device, &line, "\"signed\"").await;
    let console = guest.console().unwrap();
    // One part for each attempt.
    let attempts: Vec<&str> = console.split(">>Start HTTP Boot over IPv4").skip(1).collect();
    assert_eq!(attempts.len(), servers.len(), "{console}");
    for ((name, _, server, [said, end]), attempt) in servers.iter().zip(attempts) {
        assert!(server.requests() > 0, "nobody asked for {name}");
        assert!(attempt.contains(said), "{name}: {attempt}");
        let gave_up = |line: &str| line.contains(REFUSED) && line.contains(&format!("\"{name}\"")) && line.ends_with(end);
        assert_eq!(attempt.lines().any(|line| gave_up(line.trim_end())), *name != "signed", "{name}: {attempt}");
    }
    guest.cut_power().await.unwrap();
}

#[tokio::test]
async fn qemu_the_guides_dhcp_server_starts_devices_by_pxe_and_by_http() {
    let name = "agent::netboot::qemu_the_guides_dhcp_server_starts_devices_by_pxe_and_by_http";
    if env::var_os(netns::MARK).is_none() {
        // A build needs a network.
        prepare("dhcp").await;
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

    // A new device's firmware tries PXE first. The next time, HTTP boot by its own entry, to which DHCP names the URL.
    let mut new = machine("keys", &folder);
    new.cable = Some(CABLE.into());
    let script = format!(
        r#"for name in Boot0*; do
    case $(tr -d '\000' < $name) in *"UEFI HTTPv4"*) http=${{name#Boot}}; http=${{http%%-*}};; esac
done
printf "\\007\\000\\000\\000$(printf '\\%03o\\%03o' 0x${{http#??}} 0x${{http%??}})" > /run/next
cat /run/next > BootNext-{GLOBAL}"#
    );
    take_keys(new, &script).await;
    let said = dhcp.said().unwrap();
    assert!(said.contains("sent ") && said.contains("agent.efi to 192.168.77."), "not by TFTP: {said}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "by HTTP already");

    let mut device = machine("device", &folder);
    device.cable = Some(CABLE.into());
    let guest = reaches(&device, &line, "UEFI HTTPv4").await;
    let console = guest.console().unwrap();
    assert!(console.contains("URI: http://192.168.77.1/agent.efi"), "{console}");
    assert!(asked.load(Ordering::Relaxed) > 0, "nobody asked for it");
    guest.cut_power().await.unwrap();
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

/// The device's first start: the agent, by PXE, gives it keys. `script` is run there before, in the folder of the firmware's
/// variables, and finds the machine's credentials that are named `entry.…`.
async fn take_keys(mut machine: Machine, script: &str) {
    let script = format!("cd /sys/firmware/efi/efivars\n{script}\necho\necho LIVERY-ENTRIES $?\n");
    let unit = "[Unit]\nDescription=Boot entries\nBefore=livery-agent.service\n\
        [Service]\nType=oneshot\nStandardOutput=file:/dev/ttyS0\nStandardError=file:/dev/ttyS0\nImportCredential=entry.*\n\
        ExecStart=/bin/sh -e ${CREDENTIALS_DIRECTORY}/entry.script\n";
    machine.credentials.push(Credential::new("entry.script", script));
    machine.credentials.push(Credential::new("systemd.extra-unit.entries.service", unit));
    let wants = "[Unit]\nWants=entries.service\n";
    machine.credentials.push(Credential::new("systemd.unit-dropin.livery-agent.target", wants));
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(120) * guest.accel().patience();
    guest.wait_for("its boot entries", "LIVERY-ENTRIES 0", most).await.unwrap();
    guest.wait_for("the organisation's keys in the firmware", KEYS, most).await.unwrap();
    // QEMU ends where the device starts again.
    guest.wait_exit(most).await.unwrap();
}

/// Switches the device on: of all that is started, this entry is the first; and the agent tells the station.
async fn reaches(machine: &Machine, line: &Line, entry: &str) -> Guest {
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(120) * guest.accel().patience();
    loop {
        let (which, said) = guest.wait_for_any("a start by the firmware", &[STARTING, REFUSED], most).await.unwrap();
        // Not later than now: after this one it would try others for minutes.
        assert_eq!(which == 0, said.contains(entry), "{said}");
        if which == 0 {
            break;
        }
    }
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
