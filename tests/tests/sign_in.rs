//! An employee's laptop, flashed by the agent: the first sign-in with the code that IT sent, which must be changed; the desktop, the lock;
//! and after a restart the same account with what was done in it, and central applications and SaaS in its browser; then a newer image,
//! and all of it is still there. By the keys of a French keyboard, as a person would.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use livery_contract::Reference;
use livery_tests::{
    device::{Device, STATION_AT},
    gateway::{
        Config, Gateway,
        accounts::{Account, Accounts},
        totp::Secret,
    },
    line::Line,
    picture::Picture,
    programs::Program,
    qemu::{Credential, Guest, Service, keyboard},
    site::{GATEWAY, STATION, Site},
    tunnel::peer,
    wifi,
};
use tokio::time::sleep;

const SERIAL: &str = "LAT5440-0002";
const ACCOUNT: &str = "lea-martin";
/// The employee's own, which the code is changed to.
const PASSWORD: &str = "Grune-Wolke 47 (Lyon)";
/// One of the profile's SaaS hosts.
const SAAS: &str = "signature.example";
const SIGN_IN: &str = "/logon/LogonPoint/index.html";
/// What every line of the probe begins with, where something has changed.
const STATE: &str = "LIVERY-STATE";
/// What the employee tries in the session, and what came of it: no tool in the image is made for tests.
const TRY: &str = r#"
exec > ~/.tried 2>&1
cat ~/kept 2> /dev/null
echo "from the first start" > ~/kept
yes() { "$@" > /dev/null 2>&1 && echo yes || echo no; }
echo "TRIED network=$(yes nmcli connection add type wifi con-name Voyage ifname '*' ssid Voyage connection.permissions user:$USER wifi-sec.key-mgmt wpa-psk wifi-sec.psk 'a long secret')"
echo "TRIED everybodys=$(yes nmcli connection add type ethernet con-name all ifname '*')"
echo "TRIED tunnel=$(yes nmcli connection modify corporate ipv4.dns 192.0.2.1)"
echo "TRIED known=$(nmcli -g NAME connection show | grep -c '^Voyage$')"
echo "TRIED groups=$(id -nG)"
echo "TRIED root=$(yes pkexec true)$(yes sudo -n true)$(yes systemctl stop NetworkManager)"
echo "TRIED printing=$(LC_ALL=C lpstat -r)"
echo "TRIED lang=$LANG"
echo "TRIED told=$(grep -c 'person has been told' ~/.xsession-errors)"
echo "TRIED image=$(. /usr/lib/os-release; echo $IMAGE_VERSION)"
if [ "$1" = office ]; then
    cd
    echo "Bonjour" > note.txt
    timeout 300 soffice --headless --convert-to pdf note.txt > /dev/null 2>&1
    echo "TRIED office=$(head -c 4 note.pdf)"
    exo-open note.pdf > /dev/null 2>&1
    exo-open "$HOME" > /dev/null 2>&1
    for i in $(seq 120); do pidof evince > /dev/null && pidof Thunar thunar > /dev/null && break; sleep 1; done
    echo "TRIED viewer=$(yes pidof evince)"
    echo "TRIED files=$(yes pidof Thunar thunar)"
fi
if [ "$1" = wifi ]; then
    for i in $(seq 60); do nmcli -t -f SSID device wifi list | grep -qx Maison && break; sleep 1; done
    echo "TRIED joins=$(LC_ALL=C nmcli --wait 120 device wifi connect Maison password moquette private yes 2>&1 | tail -n 1)"
    echo "TRIED wifi=$(nmcli -t -f NAME,DEVICE connection show --active | grep '^Maison')"
    echo "TRIED owner=$(nmcli -g connection.permissions connection show Maison)"
fi
echo "TRIED end=yes"
"#;
/// Says what has changed on the device, again and again.
const PROBE: &str = r#"
install -m 0644 "$CREDENTIALS_DIRECTORY/probe.try" /run/try
uid=60001
echo
say() { echo "LIVERY-PROBE $1=$2"; }
[ ! -e "$CREDENTIALS_DIRECTORY/probe.wifi" ] || (. "$CREDENTIALS_DIRECTORY/probe.wifi") &
if [ -e "$CREDENTIALS_DIRECTORY/probe.update" ]; then
    (systemctl start livery-update.service; echo "LIVERY-UPDATED $(cat /run/livery-update/state.json)") &
fi
while :; do
    greeter=no; pidof lightdm-gtk-greeter > /dev/null && greeter=yes
    home=none; read -r _ _ _ home _ <<< "$(homectl list --no-pager --no-legend)"
    panel=no; locked=no
    if pidof xfce4-panel > /dev/null; then
        panel=yes
        said=$(timeout 20 runuser -u lea-martin -- env DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus LANG=C xfce4-screensaver-command --query)
        case $said in *"is active"*) locked=yes ;; *"is inactive"*) locked=open ;; esac
    fi
    wrong=$(journalctl -b -q -o cat -u systemd-homed | grep -c 'incorrect or not sufficient')
    blessed=$(journalctl -b -q -o cat -u livery-bless | grep -c 'starts from now on')
    now="greeter=$greeter home=${home:-none} panel=$panel locked=$locked blessed=$blessed wrong=$wrong"
    [ "$now" = "$last" ] || echo "LIVERY-STATE $now"
    last=$now
    if grep -qs 'end=yes' /home/lea-martin/.tried; then
        sed 's/^/LIVERY-/' /home/lea-martin/.tried
        rm /home/lea-martin/.tried
    fi
    sleep 1
done
"#;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/sign-in"))
}

/// A laptop at its employee's, and who sits there.
struct Person {
    guest: Guest,
    most: Duration,
    /// How often homed has said that a password is wrong; it says so more than once of each.
    wrong: u32,
}

impl Person {
    /// Switches the laptop on, in a network where these hosts and the station are; in none, where there are none.
    async fn at(device: &Device, start: &str, hosts: &[&Gateway], station: Option<&Line>, more: &[Credential]) -> Self {
        let mut machine = device.machine(start).unwrap();
        machine.memory = 3072;
        machine.network = !hosts.is_empty();
        // Not a part of 10/8, which is the organisation's and reached by the tunnel alone.
        machine.home = Some("192.168.76.0/24");
        let mut names = "127.0.0.1 localhost\n".to_owned();
        let hosts = hosts.iter().map(|host| (host.host(), 443, host.address()));
        let station = station.map(|line| (STATION, STATION_AT.port(), line.address()));
        for (number, (name, port, on)) in hosts.chain(station).enumerate() {
            let at = SocketAddrV4::new(Ipv4Addr::new(192, 168, 76, u8::try_from(102 + number).unwrap()), port);
            names.push_str(&format!("{} {name}\n", at.ip()));
            machine.services.push(Service { at, on });
        }
        machine.credentials.push(Credential::new("network.hosts", names));
        machine.credentials.extend_from_slice(more);
        machine.credentials.extend([
            Credential::new("probe.script", PROBE),
            Credential::new("probe.try", TRY),
            Credential::new(
                "systemd.extra-unit.livery-probe.service",
                "[Unit]\nDescription=Probe\n\
                 [Service]\nType=exec\nStandardOutput=file:/dev/ttyS0\nStandardError=null\nImportCredential=probe.*\n\
                 ExecStart=/bin/bash ${CREDENTIALS_DIRECTORY}/probe.script\n",
            ),
            Credential::new("systemd.unit-dropin.multi-user.target", "[Unit]\nWants=livery-probe.service\n"),
        ]);
        let guest = machine.start().await.unwrap();
        let most = Duration::from_secs(180) * guest.accel().patience();
        Self { guest, most, wrong: 0 }
    }

    /// Waits until the device is in such a state.
    async fn until(&mut self, what: &str, is: impl Fn(&str, u32) -> bool) {
        loop {
            let line = self.guest.wait_for(what, STATE, self.most).await.unwrap();
            println!("{:>5.0} s {}", self.guest.elapsed().as_secs_f64(), line.trim());
            let wrong = line.rsplit("wrong=").next().and_then(|count| count.trim().parse().ok()).unwrap_or(self.wrong);
            if is(&line, wrong) {
                self.wrong = wrong;
                return;
            }
            // What was counted already comes late.
            self.wrong = self.wrong.max(wrong);
        }
    }

    async fn sees(&mut self, state: &str) {
        self.until(state, |line, _| line.contains(state)).await;
    }

    /// Gives it time to ask for a password; PAM tries one that is none before it asks, which counts as wrong.
    async fn settles(&mut self) {
        sleep(Duration::from_secs(20)).await;
        let console = self.guest.console().unwrap();
        let counts = console.lines().filter_map(|line| line.split("wrong=").nth(1)?.trim().parse().ok());
        self.wrong = counts.max().unwrap_or(self.wrong);
    }

    /// Waits until a password is refused, and asked for again.
    async fn refuses(&mut self) {
        let before = self.wrong;
        self.until("a refusal", |_, wrong| wrong > before).await;
        sleep(Duration::from_secs(10)).await;
    }

    /// A picture of the screen, which is not blank; the device is given a moment to draw it.
    async fn keeps(&self, name: &str) {
        let picture = folder().join(format!("{name}.png"));
        for _ in 0..30 {
            sleep(Duration::from_secs(2)).await;
            self.guest.screenshot(&picture).await.unwrap();
            if Picture::read(&picture).unwrap().colours() > 20 {
                return;
            }
        }
        panic!("{name}: the screen is blank");
    }

    async fn types(&self, text: &str) {
        keyboard::write(self.guest.monitor(), "fr", text).await.unwrap();
    }

    async fn presses(&self, keys: &[&str]) {
        self.guest.monitor().keys(keys).await.unwrap();
    }

    /// Runs a command by the window that Alt-F2 opens.
    async fn runs(&self, command: &str) {
        self.presses(&["alt", "f2"]).await;
        sleep(Duration::from_secs(15)).await;
        self.types(&format!("{command}\n")).await;
    }

    /// Waits until a page of this host has been drawn.
    async fn drawn(&mut self, host: &Gateway, page: &str) {
        if !self.draws(host, page, self.most).await {
            let _ = self.guest.screenshot(&folder().join("failed.png")).await;
            panic!("{}", self.guest.failed(&format!("no {}{page} within {} s", host.host(), self.most.as_secs())));
        }
    }

    /// Whether a page of this host is drawn in time.
    async fn draws(&self, host: &Gateway, page: &str, most: Duration) -> bool {
        let begun = Instant::now();
        while !host.beacons().iter().any(|line| line.rendered.as_ref().is_some_and(|drawn| drawn.page == page)) {
            if begun.elapsed() > most {
                return false;
            }
            sleep(Duration::from_millis(500)).await;
        }
        println!("{:>5.0} s {}{page}", self.guest.elapsed().as_secs_f64(), host.host());
        true
    }

    /// Types an address into the browser, and again where no page comes of it, as a person would: an emulated device that stands still for
    /// a moment has a key pressed so long that it repeats.
    async fn visits(&mut self, host: &Gateway, page: &str) {
        for time in 1..=3 {
            self.presses(&["ctrl", "l"]).await;
            sleep(Duration::from_secs(10)).await;
            self.types(&format!("https://{}/\n", host.host())).await;
            if self.draws(host, page, self.most / 4).await {
                return;
            }
            let picture = folder().join(format!("no-page-{time}.png"));
            self.guest.screenshot(&picture).await.unwrap();
            eprintln!("  typed {time} times, and nothing of {} was drawn: {}", host.host(), picture.display());
        }
        panic!("{}", self.guest.failed(&format!("no {}{page}", host.host())));
    }

    /// What came of looking for a newer image, which may have been said long ago.
    async fn updated(&self) -> String {
        let begun = Instant::now();
        loop {
            let console = self.guest.console().unwrap();
            if let Some(line) = console.lines().find(|line| line.contains("LIVERY-UPDATED {") && line.ends_with('}')) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < self.most, "no word of the update");
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// What came of [`TRY`], by key; with `office` documents too.
    async fn tries(&mut self, what: &str) -> BTreeMap<String, String> {
        self.runs(&format!("sh /run/try {what}")).await;
        let mut said = BTreeMap::new();
        loop {
            let line = self.guest.wait_for("what came of it", "LIVERY-", self.most).await.unwrap();
            println!("{line}");
            if let Some((key, value)) = line.split_once("LIVERY-TRIED ").and_then(|(_, rest)| rest.trim().split_once('=')) {
                said.insert(key.to_owned(), value.to_owned());
                if key == "end" {
                    return said;
                }
            } else if line.contains("LIVERY-from the first start") {
                said.insert("kept".into(), "yes".into());
            }
        }
    }
}

#[tokio::test]
async fn qemu_an_employee_signs_in_and_finds_it_again() {
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    // A store of its own: what is published there is what its devices take.
    let site = Site::at(Site::shared().await.unwrap().root, folder.join("site")).await.unwrap();
    let keys = peer::keys(&site.folder).await.unwrap();
    site.medium().await.unwrap();
    let tunnel_key = keys.public;
    let master = build(&site, &tunnel_key, "1").await;

    // IT: a roster without codes is refused; drawn, they go to the employee by another way.
    let (roster, codes) = (folder.join("roster.csv"), folder.join("codes.csv"));
    let row = "order,serial,user,name,hostname,locale,keyboard,timezone,tunnel-address\n";
    let row = format!("{row}ORD-2002,{SERIAL},lea.martin,Léa Martin,lt-lyon-0002,fr_FR.UTF-8,fr,Europe/Paris,10.200.0.18/32\n");
    fs::write(&roster, row).unwrap();
    let [from, to, store, keys] = [roster.clone(), codes.clone(), site.store(), site.keys()].map(|path| path.display().to_string());
    let image = master.to_string();
    let refused =
        Program::Livery.run(["personalise", &image, "--roster", &from, "--store", &store, "--keys", &keys]).await.unwrap();
    assert!(refused.code == Some(3) && refused.stderr.contains("row 1, column first-password"), "{refused:?}");
    Program::Livery.run(["codes", &from, "--out", &to]).await.unwrap().good().unwrap();
    let code = fs::read_to_string(&codes).unwrap().trim().rsplit(',').next().unwrap().to_owned();
    site.personalise(&master, &roster).await.unwrap();

    let line = Line::start(&site, &folder.join("station"), Some((&roster, &master))).await.unwrap();
    let mut device = Device::new(&folder.join("device"), SERIAL, 40 << 30).unwrap();
    device.secure = true;
    device.take_keys(&site.stick()).await.unwrap();
    device.flash_well(&site.stick(), &line, &"ORD-2002".parse().unwrap()).await.unwrap();
    drop(line);

    // The access point is in the same machine: the laptop's firewall, once it is there, must let others in by its interface.
    let firewall = "systemctl start nftables.service\nnft insert rule inet livery input iifname wlan1 accept\n";
    let wifi = format!("{firewall}{}", wifi::script());
    let mut person = Person::at(&device, "first", &[], None, &[Credential::new("probe.wifi", wifi)]).await;
    person.sees("greeter=yes home=inactive").await;
    person.keeps("greeter").await;
    person.settles().await;
    person.types("not-the-code\n").await;
    person.refuses().await;
    person.types(&format!("{code}\n")).await;
    person.sees("home=active").await;
    person.keeps("change").await;
    // Twice the new one; then homed asks for the old one, since the new one does not open it.
    for _ in 0..2 {
        person.types(&format!("{PASSWORD}\n")).await;
        sleep(Duration::from_secs(10)).await;
    }
    person.types(&format!("{code}\n")).await;
    person.sees("panel=yes").await;
    sleep(Duration::from_secs(30)).await;
    person.keeps("desktop").await;
    let said = person.tries("wifi").await;
    let is = |key: &str| said.get(key).map_or("", String::as_str);
    assert_eq!((is("network"), is("everybodys"), is("tunnel"), is("known")), ("yes", "no", "no", "1"), "{said:?}");
    assert_eq!(is("printing"), "scheduler is running", "{said:?}");
    assert_eq!((is("groups"), is("root"), is("lang")), (ACCOUNT, "nonono", "fr_FR.UTF-8"), "{said:?}");
    // At home, by Wi-Fi, and the password is the employee's alone.
    assert!(is("joins").contains("successfully activated") && is("wifi") == "Maison:wlan0", "{said:?}");
    assert!(is("owner").contains(ACCOUNT), "{said:?}");
    person.keeps("wifi").await;

    person.presses(&["ctrl", "alt", "l"]).await;
    person.sees("locked=yes").await;
    person.presses(&["shift"]).await;
    person.keeps("locked").await;
    person.settles().await;
    person.types(&format!("{code}\n")).await;
    person.refuses().await;
    person.types(&format!("{PASSWORD}\n")).await;
    person.sees("locked=open").await;
    person.runs("systemctl poweroff").await;
    person.guest.wait_exit(person.most).await.unwrap();

    // The next day: the code is nothing any more.
    let secret = Secret::generate().unwrap();
    let account = Account {
        login: "lea.martin".into(),
        name: "Léa Martin".into(),
        password: "correct horse".into(),
        secret: secret.to_base32(),
        desktop: "Bureau Assurance".into(),
        ..Account::default()
    };
    let log = folder.join("gateway.jsonl");
    let config = Config { log: Some(log.clone()), ..Config::new(GATEWAY, site.authority(), Accounts { account: vec![account] }) };
    let gateway = Gateway::start(config).await.unwrap();
    let saas = Gateway::start(Config::new(SAAS, site.authority(), Accounts::default())).await.unwrap();
    let order = "ORD-2002".parse().unwrap();
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    assert!(line.usage(&order).await.unwrap().is_null(), "it had no network");
    build(&site, &tunnel_key, "2").await;
    // Looked for at once, and not some minutes later.
    let at_once = [Credential::new("probe.update", "yes")];
    let mut person = Person::at(&device, "second", &[&gateway, &saas], Some(&line), &at_once).await;
    person.sees("greeter=yes home=inactive").await;
    person.keeps("greeter-again").await;
    person.settles().await;
    person.types(&format!("{code}\n")).await;
    person.refuses().await;
    person.types(&format!("{PASSWORD}\n")).await;
    person.sees("panel=yes").await;
    sleep(Duration::from_secs(30)).await;
    let said = person.tries("").await;
    assert_eq!((said.get("kept").map(String::as_str), said.get("known").map(String::as_str)), (Some("yes"), Some("2")), "{said:?}");

    // Central applications: the browser's first page is the store.
    person.runs("firefox-esr").await;
    person.drawn(&gateway, SIGN_IN).await;
    person.keeps("gateway").await;
    person.types("lea.martin\tcorrect horse\n").await;
    person.drawn(&gateway, "/logon/LogonPoint/challenge.html").await;
    person.keeps("second-factor").await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    person.types(&format!("{}\n", secret.code(now))).await;
    person.drawn(&gateway, "/Citrix/StoreWeb/").await;
    person.keeps("store").await;
    let journal = fs::read_to_string(&log).unwrap();
    assert!(journal.contains(r#""outcome":"signed-in""#), "{journal}");

    // Software as a service: another host, not by the proxy that there is not.
    person.presses(&["ctrl", "t"]).await;
    sleep(Duration::from_secs(10)).await;
    person.visits(&saas, SIGN_IN).await;
    person.keeps("saas").await;

    // Yesterday there was no network; now the station knows what took effect.
    let usage = line.hears(&order, "in-use", person.most).await.unwrap();
    println!("{usage:#}");

    // A newer image came while she worked, and she has been told.
    let updated = person.updated().await;
    println!("{updated}");
    assert!(updated.contains(r#""state":"ready""#) && updated.contains(r#""newer":"laptop@2""#), "{updated}");
    sleep(Duration::from_secs(45)).await;
    person.keeps("update-ready").await;
    let said = person.tries("").await;
    assert_eq!((said["told"].as_str(), said["image"].as_str()), ("1", "1"), "{said:?}");
    person.runs("systemctl reboot").await;
    person.guest.wait_exit(person.most).await.unwrap();

    // After the restart it runs, and all that is hers is there; the station sees both.
    let mut person = Person::at(&device, "newer", &[&gateway, &saas], Some(&line), &[]).await;
    person.sees("greeter=yes home=inactive").await;
    person.settles().await;
    person.types(&format!("{PASSWORD}\n")).await;
    person.sees("panel=yes").await;
    person.sees("blessed=1").await;
    let said = person.tries("office").await;
    assert_eq!((said["image"].as_str(), said["kept"].as_str(), said["known"].as_str()), ("2", "yes", "4"), "{said:?}");
    assert_eq!((said["office"].as_str(), said["viewer"].as_str(), said["files"].as_str()), ("%PDF", "yes", "yes"), "{said:?}");
    sleep(Duration::from_secs(20)).await;
    person.keeps("office").await;
    let begun = Instant::now();
    loop {
        let usage = line.usage(&order).await.unwrap();
        if usage["runs"] == "laptop@2" {
            assert_eq!(usage["state"], "in-use", "{usage}");
            break;
        }
        assert!(begun.elapsed() < person.most, "{usage}");
        sleep(Duration::from_secs(1)).await;
    }
    person.guest.cut_power().await.unwrap();
}

/// A laptop of this version that looks for newer ones at the station.
async fn build(site: &Site, tunnel_key: &str, version: &str) -> Reference {
    let updates =
        format!("version = \"{version}\"\n\n[updates]\nstore = \"https://{STATION}:8443/store/\"\nstore-ca = \"station/ca.pem\"\n");
    site.build_laptop_with(&format!("laptop-{version}"), tunnel_key, &updates).await.unwrap()
}
