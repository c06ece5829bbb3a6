//! One employee's device on its way: at the line it boots the agent's stick and is written; at the office it boots its own
//! disk, says who it is, and shows the sign-in page.
//!
//! The device is the same in both: its serial number, its disk and its firmware's variables stay. Nothing in image or stick
//! is made for tests; what a test wants to know is asked by systemd credentials, handed over by the (virtual) firmware.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant, SystemTime},
};

use livery_contract::{Fault, Result, record::Record};
use tokio::time::sleep;
use uuid::Uuid;

use serde::Deserialize;

use crate::{
    evidence::{self, Compared},
    facts::{self, Facts},
    gateway::{Gateway, MARKS},
    line::Line,
    loudspeakers,
    picture::Picture,
    qemu::{Bus, Credential, Disk, Guest, Machine, machine::Service},
    site::{GATEWAY, STATION, TIME},
    stick, wifi,
};

/// Where a device finds the station.
pub const STATION_AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 101), 8443);
/// And at home the Gateway.
const GATEWAY_AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 102), 443);
/// What the agent says when it has given keys to a firmware that had none.
pub const KEYS: &str = "now has the organisation's Secure Boot keys";
/// What the agent's block ends with.
const EDGE: &str = "+=====";
/// How long it takes at most to say it all, once it has begun.
const BLOCK: Duration = Duration::from_secs(60);

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Where its disk, its firmware's variables and its logs lie.
    pub folder: PathBuf,
    /// System serial number.
    pub serial: String,
    /// Its disk, raw.
    pub disk: PathBuf,
    /// Whether it has a TPM, and firmware that can enforce Secure Boot; from the factory that is in setup mode.
    pub secure: bool,
    /// What its clock says at power-on at home, where its battery is dead; see [`Machine::clock`].
    pub clock: Option<&'static str>,
}

/// How the agent's run ended.
#[derive(Debug)]
pub struct Flashed {
    /// Whether it showed DONE; else FAILED.
    pub done: bool,
    /// The line that said so.
    pub said: String,
    /// The console up to then.
    pub console: String,
}

/// What a device said of itself from inside, and what its screen showed.
#[derive(Debug)]
pub struct Word {
    /// What it is.
    pub facts: Facts,
    /// What its desk is.
    pub desk: DeskFacts,
    /// This host's time when it said so.
    pub said_at: SystemTime,
    /// The browser that drew the page, as it calls itself.
    pub browser: String,
    /// Time from power-on to the page on the screen.
    pub to_page: Duration,
}

/// What a terminal says of its desk, once its browser runs.
#[derive(Debug, Deserialize)]
pub struct DeskFacts {
    /// The page that it opens.
    pub url: String,
    /// The browser's `LANG`.
    pub browser_language: String,
    /// What its clock said when the kernel read it.
    pub clock: String,
    /// Seconds since 1970, now.
    pub time: String,
}

impl Device {
    /// A new one with an empty disk of this many bytes, sparse.
    ///
    /// # Errors
    /// Where the folder can't be written.
    pub fn new(folder: &Path, serial: &str, disk_bytes: u64) -> Result<Self> {
        let broken = |error| Fault::refused("the device's folder can't be made").cause(error).at(folder.display());
        if folder.exists() {
            std::fs::remove_dir_all(folder).map_err(broken)?;
        }
        std::fs::create_dir_all(folder).map_err(broken)?;
        let disk = folder.join("disk.raw");
        File::create(&disk).and_then(|file| file.set_len(disk_bytes)).map_err(broken)?;
        Ok(Self { folder: folder.to_owned(), serial: serial.to_owned(), disk, secure: false, clock: None })
    }

    /// What was heard from its loudspeakers at its user's: a WAV file.
    pub fn heard(&self) -> PathBuf {
        self.folder.join("heard.wav")
    }

    /// What it is; `name` is of one run of it.
    ///
    /// # Errors
    /// Where there is no firmware for it.
    pub fn machine(&self, name: &str) -> Result<Machine> {
        let mut machine = Machine::new(name, &self.folder)?;
        if self.secure {
            machine = machine.with_secure_boot()?;
            machine.tpm = true;
            // A terminal gives its disk 20 s to show the data partition; an emulated one beside others may need more.
            let patience = "[Unit]\nJobRunningTimeoutSec=10min\n";
            machine.credentials.push(Credential::new("systemd.unit-dropin.dev-disk-.device~90-patience", patience));
        }
        machine.system.serial.clone_from(&self.serial);
        // The same machine at each start.
        machine.system.uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.serial.as_bytes()).to_string();
        machine.system.manufacturer = "Dell Inc.".into();
        machine.system.product = "Wyse 5070 Thin Client".into();
        machine.usb = true;
        machine.disks.push(Disk::new(&self.disk, Bus::Nvme).serial("S5070NVME0001"));
        Ok(machine)
    }

    /// What it is at the line, with the stick plugged in.
    ///
    /// # Errors
    /// Where there is no firmware for it.
    pub fn at_the_line(&self, stick: &Path, station: SocketAddr) -> Result<Machine> {
        let mut machine = self.machine("agent")?;
        machine.disks.insert(0, Disk::new(stick, Bus::UsbStorage).unchanged());
        machine.services.push(Service { at: STATION_AT, on: station });
        machine.credentials.push(hosts(STATION_AT, STATION));
        Ok(machine)
    }

    /// Switches it on there, until the agent shows DONE or FAILED.
    ///
    /// # Errors
    /// Where it shows neither in time, or the station is not there.
    pub async fn flash(&self, stick: &Path, station: SocketAddr) -> Result<(Guest, Flashed)> {
        let machine = self.at_the_line(stick, station)?;
        let mut guest = machine.start().await?;
        if let Some(flashed) = outcome(&mut guest).await? {
            return Ok((guest, flashed));
        }
        // As it came from its maker. QEMU ends where the device starts again.
        guest.wait_exit(Duration::from_secs(300) * guest.accel().patience()).await?;
        guest = machine.start().await?;
        let flashed = outcome(&mut guest).await?.ok_or_else(|| guest.failed("it takes the organisation's keys once more"))?;
        Ok((guest, flashed))
    }

    /// The same, and it must be DONE, switch itself off, and have its record at the station; which is then compared with the
    /// disk from outside.
    ///
    /// # Errors
    /// Where any of these is not so.
    pub async fn flash_well(&self, stick: &Path, line: &Line, order: &livery_contract::OrderId) -> Result<(Record, Compared)> {
        let (mut guest, flashed) = self.flash(stick, line.address()).await?;
        if !flashed.done {
            return Err(guest.failed(&format!("the agent failed: {}", flashed.said.trim())));
        }
        let status: ExitStatus = guest.wait_exit(Duration::from_secs(120) * guest.accel().patience()).await?;
        if !status.success() {
            return Err(guest.failed(&format!("the device did not switch itself off: {status}")));
        }
        let record = line.record(order).await?;
        let compared = evidence::compare(&record, &self.disk)?;
        Ok((record, compared))
    }

    /// Switches it on as its user does, with a network that leads to the Gateway, and to the station, which need not be there. Comes
    /// back when the page is on the screen and the device has said who it is; the picture is in `picture`.
    ///
    /// # Errors
    /// Where either does not come in time.
    pub async fn boot(&self, gateway: &Gateway, station: SocketAddr, picture: &Path) -> Result<(Guest, Word)> {
        let mut machine = self.machine("device")?;
        machine.memory = 3072;
        machine.clock = self.clock;
        machine.loudspeakers = Some(self.heard());
        machine.services.push(Service { at: GATEWAY_AT, on: gateway.address() });
        machine.services.push(Service { at: STATION_AT, on: station });
        // QEMU leads the last address to this host's loopback interface.
        let time = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 123);
        machine.credentials.push(hosts_of(&[(GATEWAY_AT, GATEWAY), (STATION_AT, STATION), (time, TIME)]));
        let before = gateway.beacons().len();
        let mut guest = machine.with_probe().start().await?;
        let most = Duration::from_secs(240) * guest.accel().patience();
        // First what waits for the browser: then the system is up.
        let desk = DeskFacts::parse(&guest.ask(DESK, most).await?.stdout)?;
        let said_at = SystemTime::now();
        let facts = guest.facts(most).await?;
        guest.tells(&format!("{}{}{}", loudspeakers::script(), wifi::script(), stick::script(15))).await?;
        let browser = page(&mut guest, gateway, before, most).await?;
        let to_page = shown(&mut guest, picture).await?;
        Ok((guest, Word { facts, desk, said_at, browser, to_page }))
    }
}

/// What the agent shows in the end; `None` where its device has taken the organisation's keys, and starts again.
///
/// # Errors
/// Where it shows nothing in time.
pub async fn outcome(guest: &mut Guest) -> Result<Option<Flashed>> {
    let most = Duration::from_secs(300) * guest.accel().patience();
    let (which, said) = guest.wait_for_any("DONE or FAILED on its console", &["DONE   order", "FAILED   ", KEYS], most).await?;
    if which == 2 {
        return Ok(None);
    }
    // The block's other lines tell more: its lower edge ends it.
    guest.wait_for("the end of the agent's block", EDGE, BLOCK).await?;
    Ok(Some(Flashed { done: which == 0, said, console: guest.console()? }))
}

impl DeskFacts {
    fn parse(text: &str) -> Result<Self> {
        facts::parse(text)
    }
}

/// Waits for the page's beacon; returns the browser's name.
async fn page(guest: &mut Guest, gateway: &Gateway, before: usize, most: Duration) -> Result<String> {
    let begun = Instant::now();
    let mut told = begun;
    loop {
        if let Some(beacon) = gateway.beacons().get(before) {
            return Ok(beacon.user_agent.clone().unwrap_or_default());
        }
        if guest.ended()?.is_some() {
            return Err(guest.failed("the device went off before it showed the sign-in page"));
        }
        if begun.elapsed() > most {
            return Err(guest.failed(&format!("no sign-in page within {} s", most.as_secs())));
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            eprintln!("  device: {} s, waiting for the sign-in page", begun.elapsed().as_secs());
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until the page's marks are on the screen: the browser draws before the screen does.
async fn shown(guest: &mut Guest, picture: &Path) -> Result<Duration> {
    for _ in 0..60 {
        guest.screenshot(picture).await?;
        if Picture::read(picture)?.shows(&MARKS) {
            return Ok(guest.elapsed());
        }
        sleep(Duration::from_secs(1)).await;
    }
    Err(guest.failed("the page was drawn, but its marks are not on the screen").at(picture.display()))
}

/// A name on the device's network: systemd's `network.hosts` credential becomes `/etc/hosts`.
pub fn hosts(at: SocketAddrV4, name: &str) -> Credential {
    hosts_of(&[(at, name)])
}

/// Several of them.
pub fn hosts_of(all: &[(SocketAddrV4, &str)]) -> Credential {
    let lines: String = all.iter().map(|(at, name)| format!("{} {name}\n", at.ip())).collect();
    Credential::new("network.hosts", format!("127.0.0.1 localhost\n{lines}"))
}

/// A terminal that starts no browser, where the start is not about it: an emulated one takes more of the processor than all the rest.
pub fn without_browser() -> Credential {
    Credential::new("systemd.unit-dropin.livery-browser.service", "[Unit]\nConditionPathExists=/nowhere\n")
}

/// A terminal whose browser is a process that does nothing: its unit is up, which is what the system asks about it.
pub fn idle_browser() -> Credential {
    let process = "[Service]\nType=exec\nExecStart=\nExecStart=/bin/sleep infinity\nWatchdogSec=0\n";
    Credential::new("systemd.unit-dropin.livery-browser.service", process)
}

/// Asks for [`DeskFacts`].
const DESK: &str = r#"
say() { printf '%s=%s\n' "$1" "$2"; }
for i in $(seq 600); do
    first=$(pidof firefox-esr | tr ' ' '\n' | sort -n | head -n 1)
    [ -n "$first" ] && break
    sleep 1
done
say url "$(sed -n 's/.*"home": "\(.*\)".*/\1/p' /etc/livery/desk.json)"
say browser_language "$(tr '\0' '\n' < /proc/$first/environ | sed -n 's/^LANG=//p')"
clock=$(dmesg | sed -n 's/.*setting system clock to \([^ ]*\) UTC.*/\1/p')
say clock "$clock"
# A battery that was dead: the network tells.
case "$clock" in 2001*) for i in $(seq 120); do [ -e /run/systemd/timesync/synchronized ] && break; sleep 1; done;; esac
say time "$(date +%s)"
"#;
