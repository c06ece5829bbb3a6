//! An employee at a laptop: the keys of a French keyboard, the sign-in page, the desktop, its browser; what changes on the device, as a
//! probe in it says; and a picture of each step.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_contract::Result;
use tokio::time::sleep;

use crate::{
    device::{Device, STATION_AT},
    gateway::Gateway,
    line::Line,
    picture::Picture,
    qemu::{Credential, Guest, Service, keyboard},
    site::STATION,
};

/// The account on the laptop, as systemd-homed names it.
pub const ACCOUNT: &str = "lea-martin";
/// From one look at the screen to the next.
const GLANCE: Duration = Duration::from_secs(3);
/// What a window for a command covers of the screen, at least; what tells of an update is less.
const WINDOW: f64 = 0.05;
/// What a short text in it covers, at least; a cursor that blinks is a tenth of that.
const TEXT: f64 = 0.0005;
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
echo "TRIED repeats=$(xset q | sed -n 's/.*auto repeat: *\([a-z]*\).*/\1/p')"
echo "TRIED frames=$(grep -c 'frame_rate", 4' /usr/lib/firefox-esr/browser/defaults/preferences/vendor.js)"
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
# An emulated processor takes longer for a frame than its turn, and in Firefox frames go before loading: as livery-desk has it on a terminal.
vendor=/usr/lib/firefox-esr/browser/defaults/preferences/vendor.js
{ cat $vendor; echo 'pref("layout.frame_rate", 4);'; } > /run/vendor.js && mount --bind /run/vendor.js $vendor
uid=60001
echo
say() { echo "LIVERY-PROBE $1=$2"; }
[ ! -e "$CREDENTIALS_DIRECTORY/probe.wifi" ] || (. "$CREDENTIALS_DIRECTORY/probe.wifi") &
if [ -e "$CREDENTIALS_DIRECTORY/probe.update" ]; then
    # Looked for at once, when there is a network, and not some minutes later.
    (until nmcli -t -f TYPE,STATE device | grep -qx ethernet:connected; do sleep 1; done
    systemctl start livery-update.service; echo "LIVERY-UPDATED $(cat /run/livery-update/state.json)") &
fi
while :; do
    # An emulated device that stands still for a moment would take a pressed key for one that is held.
    DISPLAY=:0 XAUTHORITY=/run/lightdm/root/:0 xset r off 2> /dev/null
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

/// A laptop at its employee's, and who sits there.
pub struct Person {
    /// The laptop.
    pub guest: Guest,
    /// The most that a step may take.
    pub most: Duration,
    /// Where pictures are kept.
    pictures: PathBuf,
    /// How often homed has said that a password is wrong; it says so more than once of each.
    wrong: u32,
}

impl Person {
    /// Switches the laptop on, in a network where these hosts and the station are.
    ///
    /// # Errors
    /// Where the device or QEMU can't be had.
    pub async fn at(
        device: &Device,
        start: &str,
        hosts: &[&Gateway],
        station: &Line,
        more: &[Credential],
        pictures: &Path,
    ) -> Result<Self> {
        let mut machine = device.machine(start)?;
        machine.memory = 3072;
        // Not a part of 10/8, which is the organisation's and reached by the tunnel alone.
        machine.home = Some("192.168.76.0/24");
        let mut names = "127.0.0.1 localhost\n".to_owned();
        let hosts = hosts.iter().map(|host| (host.host(), 443, host.address()));
        let station = (STATION, STATION_AT.port(), station.address());
        for (last, (name, port, on)) in (102..).zip(hosts.chain([station])) {
            let at = SocketAddrV4::new(Ipv4Addr::new(192, 168, 76, last), port);
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
        let guest = machine.start().await?;
        let most = Duration::from_secs(180) * guest.accel().patience();
        Ok(Self { guest, most, pictures: pictures.to_owned(), wrong: 0 })
    }

    /// Waits until the device is in such a state.
    async fn until(&mut self, what: &str, is: impl Fn(&str, u32) -> bool) -> Result<()> {
        loop {
            let line = self.guest.wait_for(what, STATE, self.most).await?;
            println!("{:>5.0} s {}", self.guest.elapsed().as_secs_f64(), line.trim());
            let wrong = line.rsplit("wrong=").next().and_then(|count| count.trim().parse().ok()).unwrap_or(self.wrong);
            if is(&line, wrong) {
                self.wrong = wrong;
                return Ok(());
            }
            // What was counted already comes late.
            self.wrong = self.wrong.max(wrong);
        }
    }

    /// Waits until the probe says so.
    ///
    /// # Errors
    /// Where that is not said in time.
    pub async fn sees(&mut self, state: &str) -> Result<()> {
        self.until(state, |line, _| line.contains(state)).await
    }

    /// Pulls the network's cable out, or puts it in.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn cable(&self, plugged: bool) -> Result<()> {
        self.guest.monitor().cable(plugged).await
    }

    /// Gives it time to ask for a password; PAM tries one that is none before it asks, which counts as wrong.
    ///
    /// # Errors
    /// Where its console can't be read.
    pub async fn settles(&mut self) -> Result<()> {
        sleep(Duration::from_secs(20)).await;
        let console = self.guest.console()?;
        let counts = console.lines().filter_map(|line| line.split("wrong=").nth(1)?.trim().parse().ok());
        self.wrong = counts.max().unwrap_or(self.wrong);
        Ok(())
    }

    /// Signs in at the page for it, once that is there; again where nothing came of it, as a person would.
    ///
    /// # Errors
    /// Where nothing came of it three times; with a picture of each.
    pub async fn signs_in(&mut self, password: &str) -> Result<()> {
        for time in 1..=3 {
            let name = format!("signs-in-{time}");
            self.looks(&name).await?;
            self.settles().await?;
            self.types(&format!("{password}\n")).await?;
            if self.guest.wait_for("an open home", "home=active", self.most / 4).await.is_ok() {
                return Ok(());
            }
            self.looks(&name).await?;
            eprintln!("  typed {time} times, and the home is not open: {name}.png");
        }
        Err(self.guest.failed("nobody is signed in"))
    }

    /// Waits until a password is refused, and asked for again.
    ///
    /// # Errors
    /// Where it is not, in time.
    pub async fn refuses(&mut self) -> Result<()> {
        let before = self.wrong;
        self.until("a refusal", |_, wrong| wrong > before).await?;
        sleep(Duration::from_secs(10)).await;
        Ok(())
    }

    /// A picture of the screen, once that is neither blank nor changing.
    ///
    /// # Errors
    /// Where it stays blank, or does not stand still.
    pub async fn keeps(&self, name: &str) -> Result<()> {
        self.looks(name).await.map(drop)
    }

    async fn looks(&self, name: &str) -> Result<Picture> {
        let (picture, begun) = (self.pictures.join(format!("{name}.png")), Instant::now());
        let mut before: Option<Picture> = None;
        loop {
            sleep(GLANCE).await;
            self.guest.screenshot(&picture).await?;
            let now = Picture::read(&picture)?;
            // A cursor that blinks is less, and so is a clock.
            if now.colours() > 20 && before.is_some_and(|before| now.differs(&before) < 0.001) {
                return Ok(now);
            }
            if begun.elapsed() > self.most {
                return Err(self.guest.failed("its screen is blank, or does not stand still").at(picture.display()));
            }
            before = Some(now);
        }
    }

    /// Types a text; `\n` is the Enter key.
    ///
    /// # Errors
    /// Where a character has no key, or QEMU can't be reached.
    pub async fn types(&self, text: &str) -> Result<()> {
        keyboard::write(self.guest.monitor(), "fr", text).await
    }

    /// Presses keys together, by QEMU's names.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn presses(&self, keys: &[&str]) -> Result<()> {
        self.guest.monitor().keys(keys).await
    }

    /// Runs a command by the window that Alt-F2 opens; from the beginning where nothing came of it, as a person would: a desktop that is
    /// still coming up may take the keys, or look like a window that opened.
    ///
    /// # Errors
    /// As [`types`](Self::types), and where nothing came of it four times; with a picture of each.
    pub async fn runs(&self, command: &str) -> Result<()> {
        for time in 1..=4 {
            let name = format!("command-{time}");
            if self.has_run(command, &name).await? {
                return Ok(());
            }
            eprintln!("  asked for {time} times, and {command:?} has not run: {name}.png");
            self.presses(&["esc"]).await?;
        }
        Err(self.guest.failed("the window for a command does not take it").at(self.pictures.join("command-4.png").display()))
    }

    /// Whether the window for a command has opened, shown what was typed, and closed.
    async fn has_run(&self, command: &str, name: &str) -> Result<bool> {
        let before = self.looks(name).await?;
        self.presses(&["alt", "f2"]).await?;
        if !self.changes(name, &before).await? {
            return Ok(false);
        }
        let empty = self.looks(name).await?;
        // In the place of what may stand there.
        self.presses(&["ctrl", "a"]).await?;
        self.types(command).await?;
        let typed = self.looks(name).await?;
        if typed.differs(&empty) < TEXT {
            return Ok(false);
        }
        // The first Enter may only take what is offered to complete it.
        for _ in 0..2 {
            self.types("\n").await?;
            if self.changes(name, &typed).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a window opens or closes, after this picture and in a short time.
    async fn changes(&self, name: &str, before: &Picture) -> Result<bool> {
        let (picture, begun) = (self.pictures.join(format!("{name}.png")), Instant::now());
        while begun.elapsed() < self.most / 20 {
            sleep(GLANCE).await;
            self.guest.screenshot(&picture).await?;
            if Picture::read(&picture)?.differs(before) > WINDOW {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until a page of this host has been drawn.
    ///
    /// # Errors
    /// Where none is in time; with a picture.
    pub async fn drawn(&self, host: &Gateway, page: &str) -> Result<()> {
        if self.draws(host, page, self.most).await {
            return Ok(());
        }
        let picture = self.pictures.join("failed.png");
        self.guest.screenshot(&picture).await?;
        let what = format!("no {}{page} within {} s", host.host(), self.most.as_secs());
        Err(self.guest.failed(&what).at(picture.display()))
    }

    /// Whether a page of this host is drawn in time.
    async fn draws(&self, host: &Gateway, page: &str, most: Duration) -> bool {
        let begun = Instant::now();
        while host.drawn(page) == 0 {
            if begun.elapsed() > most {
                return false;
            }
            sleep(Duration::from_millis(500)).await;
        }
        println!("{:>5.0} s {}{page}", self.guest.elapsed().as_secs_f64(), host.host());
        true
    }

    /// Types an address into the browser, and again where no page comes of it, as a person would.
    ///
    /// # Errors
    /// Where no page came of it three times; with a picture of each.
    pub async fn visits(&self, host: &Gateway, page: &str) -> Result<()> {
        for time in 1..=3 {
            self.presses(&["ctrl", "l"]).await?;
            sleep(Duration::from_secs(10)).await;
            self.types(&format!("https://{}/\n", host.host())).await?;
            if self.draws(host, page, self.most / 4).await {
                return Ok(());
            }
            let picture = self.pictures.join(format!("no-page-{time}.png"));
            self.guest.screenshot(&picture).await?;
            eprintln!("  typed {time} times, and nothing of {} was drawn: {}", host.host(), picture.display());
        }
        Err(self.guest.failed(&format!("no {}{page}", host.host())))
    }

    /// What came of looking for a newer image, which may have been said long ago.
    ///
    /// # Errors
    /// Where nothing is said in time.
    pub async fn updated(&self) -> Result<String> {
        let begun = Instant::now();
        loop {
            let console = self.guest.console()?;
            if let Some(line) = console.lines().find(|line| line.contains("LIVERY-UPDATED {") && line.ends_with('}')) {
                return Ok(line.to_owned());
            }
            if begun.elapsed() > self.most {
                return Err(self.guest.failed("no word of the update"));
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// What came of [`TRY`], by key; with `office` documents too.
    ///
    /// # Errors
    /// Where not all of it is said in time.
    pub async fn tries(&mut self, what: &str) -> Result<BTreeMap<String, String>> {
        self.runs(&format!("sh /run/try {what}")).await?;
        let mut said = BTreeMap::new();
        loop {
            let line = self.guest.wait_for("what came of it", "LIVERY-", self.most).await?;
            println!("{line}");
            if let Some((key, value)) = line.split_once("LIVERY-TRIED ").and_then(|(_, rest)| rest.trim().split_once('=')) {
                said.insert(key.to_owned(), value.to_owned());
                if key == "end" {
                    return Ok(said);
                }
            } else if line.contains("LIVERY-from the first start") {
                said.insert("kept".into(), "yes".into());
            }
        }
    }
}
