//! The whole way, once: from a profile and a roster to a device that shows its user's sign-in page. `scripts/demo` prints
//! it; a test demands the same.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use livery_contract::{Fault, Result, record::Record, roster::Employee};

use crate::{
    at_the_desk,
    device::{Device, Word},
    fixtures::flashed::Flashed,
    gateway::{
        Config, Gateway,
        accounts::{Accounts, Factor},
    },
    line::{self, Line},
    qemu::Guest,
    security_key::PrivateCredential,
    site::{GATEWAY, Site},
    stick,
    time_server::TimeServer,
};

/// 8 GiB, as the smallest Wyse 5070 has; sparse on the host.
const DISK: u64 = 8 << 30;

/// What a clock without a battery says at power-on.
const DEAD_BATTERY: &str = "2001-01-01T00:00:00";
/// And on that day it is when the kernel reads it.
const LONG_AGO: &str = "2001-01-01T";

/// What a device notes on its data partition.
pub const NOTE: &str = "/srv/note";
/// Whether its data partition is open.
pub const OPEN: &str = "mountpoint -q /srv";
/// What a device asks the person in front of it, such as for a recovery key.
pub const ASKS: &str = "grep -h ^Message= /run/systemd/ask-password/ask.* 2> /dev/null";
/// The kernel's programs for the sums of dm-verity.
const SUMS: &str = r#"dmesg | sed -n 's/.*verity: sha256 using shash "\(.*\)"/\1/p' | sort -u"#;
/// And for the ciphers of dm-crypt that are in use.
const CIPHERS: &str = r#"while read -r key _ value; do
    case $key in driver) driver=$value ;; refcnt) case $driver in *xts*) [ "$value" -gt 1 ] && echo "$driver" ;; esac ;; esac
done < /proc/crypto"#;

/// One stage that is over.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub seconds: u64,
    /// What came of it.
    pub result: String,
    /// Where to look.
    pub look: String,
}

/// Goes it, in `out`; `tell` hears of each stage as it ends.
///
/// # Errors
/// The first stage that does not do what it should.
pub async fn whole_way(out: &Path, tell: &mut dyn FnMut(&Stage)) -> Result<()> {
    let mut clock = Clock { begun: Instant::now(), here: std::env::current_dir().unwrap_or_default(), tell };
    fs::create_dir_all(out).map_err(|error| Fault::refused("the output folder can't be made").cause(error).at(out.display()))?;

    let site = Site::shared().await?;
    site.check().await?;
    clock.tick("keys, profile", "accepted silently".into(), &site.profile());

    let master = site.build().await?;
    clock.tick("build the master", master.to_string(), &site.store());

    let employees = site.employees()?;
    let personal = site.personalise(&master, &site.roster()).await?;
    if personal.len() != employees.len() {
        return Err(Fault::internal(format!("{} personal images for {} employees", personal.len(), employees.len())));
    }
    let employee = employees.first().ok_or_else(|| Fault::refused("the roster is empty"))?;
    clock.tick("personalise", format!("{} images, first {}", personal.len(), personal[0]), &site.roster());

    site.medium().await?;
    clock.tick("the agent's stick", "USB image, UKI, network boot".into(), &site.stick());

    let station = out.join("station");
    let _ = fs::remove_dir_all(&station);
    let mut line = Line::start(&site, &station, Some((&site.roster(), &master))).await?;
    clock.tick("station", format!("{} orders, listening on {}", employees.len(), line.address()), &station.join("station.log"));

    let serial = employee.serial.clone().unwrap_or_else(|| "WT5070-0001".into());
    let mut device = Device::new(&out.join("device"), &serial, DISK)?;
    let (record, compared) = device.flash_well(&site.stick(), &line, &employee.order).await?;
    let kept = out.join("flash-record.json");
    let text = serde_json::to_string_pretty(&record).map_err(|error| Fault::internal("a record does not encode").cause(error))?;
    fs::write(&kept, text + "\n").map_err(|error| Fault::refused("the record can't be written").cause(error).at(kept.display()))?;
    clock.tick("write and verify", format!("{}, boot entry {}", record.image, or_none(&record.boot_entry)), &kept);
    clock.tick(
        "compare from outside",
        format!("{} sections, {} MiB as recorded; {} changed after", compared.sections, compared.bytes >> 20, compared.changes),
        &device.disk,
    );
    line.check_alive()?;
    let picture = out.join("station.png");
    line.picture(&picture).await?;
    clock.tick("the line's page", "one device done".into(), &picture);

    drop(line);
    let home = AtHome { site: &site, out, employee, record: &record, station: &station, factor: Factor::Totp };
    home.goes(&mut device, &mut clock).await
}

/// The same from where a device has left the line: copies of a flashed one, and of its station's folder, in `out`. The second factor is a
/// security key.
///
/// # Errors
/// The first stage that does not do what it should.
pub async fn at_home(site: &Site, flashed: &Flashed, out: &Path, tell: &mut dyn FnMut(&Stage)) -> Result<Device> {
    let mut clock = Clock { begun: Instant::now(), here: std::env::current_dir().unwrap_or_default(), tell };
    fs::create_dir_all(out).map_err(|error| Fault::refused("the output folder can't be made").cause(error).at(out.display()))?;
    let station = out.join("station");
    flashed.station(&station).await?;
    let mut device = flashed.copy(&out.join("device")).await?;
    let employees = site.employees()?;
    let employee = employees.iter().find(|employee| employee.order == flashed.order);
    let employee = employee.ok_or_else(|| Fault::internal("the roster does not have the device's order"))?;
    let home = AtHome { site, out, employee, record: &flashed.record()?, station: &station, factor: Factor::Fido2 };
    home.goes(&mut device, &mut clock).await?;
    Ok(device)
}

/// A terminal that has left the line, where it is used.
struct AtHome<'a> {
    site: &'a Site,
    out: &'a Path,
    employee: &'a Employee,
    record: &'a Record,
    /// The station's folder.
    station: &'a Path,
    /// The employee's second factor.
    factor: Factor,
}

impl AtHome<'_> {
    async fn goes(&self, device: &mut Device, clock: &mut Clock<'_>) -> Result<()> {
        let Self { site, out, employee, record, station, factor } = *self;
        let employees = site.employees()?;
        let mut accounts = Accounts::for_roster(&employees, "Bureau Assurance")?;
        let account = accounts.account.first_mut().ok_or_else(|| Fault::internal("the Gateway has no accounts"))?;
        let credential = match factor {
            Factor::Fido2 => Some(PrivateCredential::generate(&uuid::Uuid::new_v4().into_bytes())?),
            _ => None,
        };
        (account.factor, account.credential) = (factor, credential.as_ref().map(PrivateCredential::public));
        let account = account.clone();
        accounts.write(&out.join("accounts.toml"))?;
        let log = out.join("gateway.jsonl");
        let _ = fs::remove_file(&log);
        let gateway = Gateway::start(Config { log: Some(log), ..Config::new(GATEWAY, site.authority(), accounts) }).await?;
        let time = TimeServer::start().await?;
        device.clock = Some(DEAD_BATTERY);
        let picture = out.join("device.png");
        // The station can't be reached yet: the desk must not wait for it.
        let line = Line::start(site, station, None).await?;
        let (address, database) = (line.address(), line.database().to_owned());
        drop(line);
        let (mut guest, word) = device.boot(&gateway, address, &picture).await?;
        agrees(&word, employee)?;
        has_the_time(&word, &time)?;
        started_by_its_entry(record, &guest.console()?)?;
        if record.bound.is_some() {
            is_bound(&mut guest).await?;
        }
        clock.tick(
            "boot, own word",
            format!("{}, {}, {}", employee.hostname, employee.locale, employee.order),
            &out.join("device/device.serial.log"),
        );
        clock.tick(
            "sign-in page on screen",
            format!("{} s after power-on, {}", word.to_page.as_secs(), short(&word.browser)),
            &picture,
        );

        at_the_desk::join_wifi(&mut guest, &gateway, layout(employee), out).await?;
        clock.tick(
            "joined the home's Wi-Fi",
            "by a click on the status bar, and its keyboard".into(),
            &out.join("wi-fi-joined.png"),
        );

        let before = line::usage(&database, &employee.order).await?;
        if !before.is_null() {
            return Err(Fault::internal(format!("the station, which was not there, has heard {before}")));
        }
        let line = Line::listen(site, station, None, &address.to_string()).await?;

        let by = if credential.is_some() { "a security key, touched at its USB port" } else { "one-time code" };
        at_the_desk::sign_in(&mut guest, &gateway, &account, credential, layout(employee), out).await?;
        clock.tick("signed in, at its keyboard", format!("password, {by}"), &out.join("desktops.png"));
        at_the_desk::open_the_desktop(&mut guest, &gateway, &account, layout(employee), out).await?;
        at_the_desk::other_keyboard(&mut guest, &gateway, layout(employee), out).await?;
        clock.tick("the other keyboard layout", "by a click on the status bar".into(), &out.join("other-keyboard.png"));
        at_the_desk::work(&mut guest, &gateway, at_the_desk::OTHER_LAYOUT, out).await?;
        clock.tick("typed into its desktop", "in the same tab, by that layout".into(), &out.join("desktop.png"));
        let loudest = at_the_desk::listens(&mut guest, &gateway, layout(employee), out, &device.heard()).await?;
        clock.tick("heard its desktop", format!("the loudest sample is {loudest} of {}", i16::MAX), &device.heard());

        stick::plug_in(guest.monitor(), &out.join("stick.img")).await?;
        let most = Duration::from_secs(60) * guest.accel().patience();
        let said = guest.wait_for("what it makes of a stick", "stick=disks", most).await?;
        if !said.trim().ends_with("stick=disks=0 content=") {
            return Err(guest.failed(&format!("its profile allows no sticks, but: {said}")));
        }
        clock.tick("a USB stick", "is no disk: the profile allows none".into(), &out.join("device/device.serial.log"));

        let most = Duration::from_secs(200) * guest.accel().patience();
        let usage = line.hears(&employee.order, "in-use", most).await.map_err(|fault| guest.failed(&fault.to_string()))?;
        let picture = out.join("station-in-use.png");
        line.picture(&picture).await?;
        clock.tick(
            "told the station, once it was there",
            format!("{}, confirmation #{}", usage["state"], usage["confirmation"]),
            &picture,
        );

        at_the_desk::leave(&mut guest, &gateway, layout(employee), out).await?;
        clock.tick("ended the session", "by the status bar; its desktop has ended".into(), &out.join("leaves.png"));

        guest.switch_off(Duration::from_secs(120) * guest.accel().patience()).await?;
        clock.tick("switched off", "by its power button".into(), &out.join("gateway.jsonl"));
        Ok(())
    }
}

/// A device with a TPM under Secure Boot: its data partition is open, by the processor's own instructions as far as QEMU's has them (the
/// kernel's plain C takes several times as long). It is new; the order's number is left on it.
///
/// # Errors
/// Where it is not so.
async fn is_bound(guest: &mut Guest) -> Result<()> {
    let most = Duration::from_secs(60) * guest.accel().patience();
    guest.until(OPEN, most).await?;
    let facts = guest.facts(most).await?;
    let asks = guest.ask(ASKS, most).await?.stdout;
    if !facts.secure_boot || !facts.encrypted || !asks.trim().is_empty() {
        return Err(
            guest.failed(&format!("its data partition is not open by the TPM under Secure Boot: {facts:?}; it asks {asks:?}"))
        );
    }
    for (question, marks) in [(SUMS, ["-ni", "-avx2", "-ssse3"]), (CIPHERS, ["aesni", "vaes", "avx"])] {
        let said = guest.ask(question, most).await?.stdout;
        if said.contains("generic") || !marks.iter().any(|mark| said.contains(mark)) {
            return Err(guest.failed(&format!("it does not use the processor's instructions: {said:?}")));
        }
    }
    match guest.ask(&format!("[ ! -e {NOTE} ] && echo {} > {NOTE} && sync", facts.order), most).await?.code {
        Some(0) => Ok(()),
        _ => Err(guest.failed("its data partition is not new, or can't be written")),
    }
}

/// The device began long ago, and has the right time all the same: else no certificate would have been good.
///
/// # Errors
/// Where it is not so.
fn has_the_time(word: &Word, time: &TimeServer) -> Result<()> {
    let said = &word.desk;
    if !said.clock.starts_with(LONG_AGO) {
        return Err(Fault::device(format!("its clock began at {:?}, not at {DEAD_BATTERY}", said.clock)));
    }
    let now = word.said_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let is = said.time.parse::<u64>().unwrap_or(0);
    match (now.abs_diff(is), time.answered()) {
        (0..300, None | Some(1..)) => Ok(()),
        (off, answered) => Err(Fault::device(format!("its clock is {off} s off; the time server answered {answered:?} times"))),
    }
}

/// The layout of an employee's keyboard, as XKB calls it.
fn layout(employee: &Employee) -> &str {
    employee.keyboard.split('(').next().unwrap_or_default()
}

/// The firmware has started the device by the entry that the agent put in, not by looking for something on its disk.
///
/// # Errors
/// Where it has not.
fn started_by_its_entry(record: &Record, console: &str) -> Result<()> {
    let entry = record.boot_entry.as_ref().ok_or_else(|| Fault::device("the record names no boot entry"))?;
    // OVMF says so on the serial port.
    let wanted = format!("BdsDxe: starting {entry} \"{} {}\" from HD(1,GPT,", record.image.name, record.image.version);
    if console.contains(&wanted) {
        return Ok(());
    }
    let said = console.lines().find(|line| line.contains("BdsDxe: starting")).unwrap_or("nothing").trim();
    Err(Fault::device(format!("the firmware did not start {entry}, but {said}")))
}

/// What the device said from inside is what its row of the roster says.
///
/// # Errors
/// Everything that differs.
pub fn agrees(word: &Word, employee: &Employee) -> Result<()> {
    let Word { facts, desk, .. } = word;
    let zone = employee.timezone.as_deref().unwrap_or(&facts.timezone);
    let wanted = [
        ("hostname", facts.hostname.as_str(), employee.hostname.as_str()),
        ("locale", &facts.locale, &employee.locale),
        ("order", &facts.order, employee.order.as_str()),
        ("user", &facts.user, &employee.user),
        ("keyboard", &facts.keyboard, layout(employee)),
        ("timezone", &facts.timezone, zone),
        ("url", &desk.url, "https://gateway.assurance.example/"),
        ("browser's language", &desk.browser_language, &employee.locale),
        ("failed units", &facts.failed, ""),
        ("units of loop devices", &facts.loop_units, ""),
    ];
    let mut wrong: Vec<String> = wanted
        .into_iter()
        .filter(|(_, is, want)| is != want)
        .map(|(key, is, want)| format!("{key} is {is:?}, not {want:?}"))
        .collect();
    // Never in the image: it comes into being on the device.
    if facts.machine_id.len() != 32 {
        wrong.push(format!("machine-id is {:?}", facts.machine_id));
    }
    if facts.root_hash.len() != 64 {
        wrong.push(format!("the root's hash is {:?}", facts.root_hash));
    }
    if !facts.layer {
        wrong.push("its personal layer is not applied".into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(Fault::device(format!("the device is not as its order says: {}", wrong.join("; ")))) }
}

struct Clock<'a> {
    begun: Instant,
    /// Paths are shown from here.
    here: PathBuf,
    tell: &'a mut dyn FnMut(&Stage),
}

impl Clock<'_> {
    fn tick(&mut self, name: &'static str, result: String, look: &Path) {
        let seconds = self.begun.elapsed().as_secs();
        let look = look.strip_prefix(&self.here).unwrap_or(look).display().to_string();
        (self.tell)(&Stage { name, seconds, result, look });
        self.begun = Instant::now();
    }
}

fn or_none(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("none")
}

/// `Firefox/140.0` out of a browser's long name.
fn short(browser: &str) -> &str {
    browser.split(' ').next_back().unwrap_or(browser)
}
