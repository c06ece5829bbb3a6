//! An employee at an emulated laptop: the keys of a French keyboard, the sign-in page, the desktop, and a picture of each step; and what
//! the laptop says of it, asked by a probe. What is not about real keys, screens and radios is done in a container.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_contract::Result;
use tokio::time::sleep;

use crate::{
    device::{Device, STATION_AT},
    line::Line,
    picture::Picture,
    qemu::{Guest, Service, keyboard},
    site::STATION,
    wifi,
};

/// The account on the laptop, as systemd-homed names it.
pub const ACCOUNT: &str = "lea-martin";
/// Colours that a screen shows at least: a pointer on a plain ground has nearly as many.
const COLOURS: usize = 20;
/// How much of a desktop has the same colour at most. Its background picture has a quarter; without it, nine tenths.
const PLAIN: f64 = 0.5;
/// From one look at the screen to the next.
const GLANCE: Duration = Duration::from_secs(3);
/// What a window for a command covers of the screen, at least; what tells of an update is less.
const WINDOW: f64 = 0.05;
/// What a short text in it covers, at least; a cursor that blinks is a tenth of that.
const TEXT: f64 = 0.0005;
/// How often LightDM has asked for a password, or shown what PAM says of one.
const PROMPTS: &str = "grep -c 'Prompt greeter' /var/log/lightdm/lightdm.log 2> /dev/null";
/// What the employee does in the session at home, and what came of it. An emulated laptop whose desktop is still busy needs minutes to join.
const AT_HOME: &str = r#"
exec > ~/.tried 2>&1
for i in $(seq 60); do nmcli -t -f SSID device wifi list | grep -qx Maison && break; sleep 1; done
echo "joins=$(LC_ALL=C nmcli --wait 600 device wifi connect Maison password moquette private yes 2>&1 | tail -n 1)"
echo "wifi=$(nmcli -t -f NAME,DEVICE connection show --active | grep '^Maison')"
echo "owner=$(nmcli -g connection.permissions connection show Maison)"
echo "image=$(. /usr/lib/os-release; echo $IMAGE_VERSION)"
echo "end=yes"
"#;
/// An emulated device that stands still for a moment would take a pressed key for one that is held.
const NO_REPEAT: &str = "while :; do DISPLAY=:0 XAUTHORITY=/run/lightdm/root/:0 xset r off; sleep 1; done";

/// A laptop at its employee's, and who sits there.
pub struct Person {
    /// The laptop.
    pub guest: Guest,
    /// The most that a step may take.
    pub most: Duration,
    /// Where pictures are kept.
    pictures: PathBuf,
}

impl Person {
    /// Switches the laptop on, in a network where the station is.
    ///
    /// # Errors
    /// Where the device or QEMU can't be had.
    pub async fn at(device: &Device, start: &str, station: &Line, pictures: &Path) -> Result<Self> {
        let mut machine = device.machine(start)?.with_probe();
        machine.memory = 3072;
        // Not a part of 10/8, which is the organisation's and reached by the tunnel alone.
        machine.home = Some("192.168.76.0/24");
        let at = SocketAddrV4::new(Ipv4Addr::new(192, 168, 76, 102), STATION_AT.port());
        machine.services.push(Service { at, on: station.address() });
        machine.credentials.push(crate::device::hosts(at, STATION));
        let guest = machine.start().await?;
        let most = Duration::from_secs(180) * guest.accel().patience();
        Ok(Self { guest, most, pictures: pictures.to_owned() })
    }

    /// Waits until the sign-in page is there, and nobody is signed in.
    ///
    /// # Errors
    /// Where it is not, in time.
    pub async fn sees_the_sign_in_page(&mut self) -> Result<()> {
        let home = format!("homectl list --no-pager --no-legend | grep -q '{ACCOUNT}.*inactive'");
        self.guest.until(&format!("{{ pidof lightdm-gtk-greeter && {home}; }} > /dev/null"), self.most).await?;
        self.guest.ask(&format!("({NO_REPEAT}) > /dev/null 2>&1 &"), self.most).await.map(drop)
    }

    /// Signs in there, and waits for the desktop; as [`enters`](Self::enters).
    ///
    /// # Errors
    /// Where the desktop does not come up; with a picture.
    pub async fn signs_in(&mut self, password: &str, then: &[&str]) -> Result<()> {
        self.enters(password, then).await?;
        let come = self.guest.until("pidof xfce4-panel > /dev/null", self.most).await;
        // Its panel is there long before all of it takes keys: what is drawn last is the background.
        self.shows("signed-in", |picture| picture.plain() < PLAIN).await?;
        come
    }

    /// Types what signs in there. `then` is what it is told after the password, such as a new one: of each, once it is asked for.
    ///
    /// # Errors
    /// Where it is not asked for.
    pub async fn enters(&mut self, password: &str, then: &[&str]) -> Result<()> {
        // The page has asked for the first one already.
        for (number, text) in (1..).zip([&password].into_iter().chain(then)) {
            self.guest.until(&format!("[ \"$({PROMPTS})\" -ge {number} ]"), self.most).await?;
            self.looks(&format!("signs-in-{number}")).await?;
            self.types(&format!("{text}\n")).await?;
        }
        Ok(())
    }

    /// Joins the home's Wi-Fi, by a command in the window for one; what came of it.
    ///
    /// # Errors
    /// Where it does not come to its end.
    pub async fn joins_the_wifi(&mut self) -> Result<String> {
        // The access point is in the same machine: the laptop's firewall, once it is there, must let others in by its interface.
        let firewall = "systemctl start nftables.service\nnft insert rule inet livery input iifname wlan1 accept\n";
        self.guest.tells(&format!("{firewall}{}", wifi::script())).await?;
        self.guest.ask(&format!("cat > /run/try << 'END'\n{AT_HOME}END\nchmod 0644 /run/try"), self.most).await?.good()?;
        self.runs("sh /run/try").await?;
        let tried = format!("/home/{ACCOUNT}/.tried");
        self.guest.until(&format!("grep -qsx end=yes {tried}"), self.most).await?;
        Ok(self.guest.ask(&format!("cat {tried}"), self.most).await?.stdout)
    }

    /// Pulls the network's cable out, or puts it in.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn cable(&self, plugged: bool) -> Result<()> {
        self.guest.monitor().cable(plugged).await
    }

    /// A picture of the screen, once that is neither blank nor changing.
    ///
    /// # Errors
    /// Where it stays blank, or does not stand still.
    pub async fn keeps(&self, name: &str) -> Result<()> {
        self.looks(name).await.map(drop)
    }

    async fn looks(&self, name: &str) -> Result<Picture> {
        self.shows(name, |picture| picture.colours() > COLOURS).await
    }

    /// What the screen looks like, once it is so and stands still.
    async fn shows(&self, name: &str, so: impl Fn(&Picture) -> bool) -> Result<Picture> {
        let (picture, begun) = (self.pictures.join(format!("{name}.png")), Instant::now());
        let mut before: Option<Picture> = None;
        loop {
            sleep(GLANCE).await;
            self.guest.screenshot(&picture).await?;
            let now = Picture::read(&picture)?;
            // A cursor that blinks is less, and so is a clock.
            if so(&now) && before.is_some_and(|before| now.differs(&before) < 0.001) {
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
        if !self.changes(name, &before, WINDOW).await? {
            return Ok(false);
        }
        let empty = self.looks(name).await?;
        // In the place of what may stand there.
        self.presses(&["ctrl", "a"]).await?;
        self.types(command).await?;
        if !self.changes(name, &empty, TEXT).await? {
            return Ok(false);
        }
        let typed = self.looks(name).await?;
        // The first Enter may only take what is offered to complete it.
        for _ in 0..2 {
            self.types("\n").await?;
            if self.changes(name, &typed, WINDOW).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this much of the screen changes, after this picture and in a short time.
    async fn changes(&self, name: &str, before: &Picture, part: f64) -> Result<bool> {
        let (picture, begun) = (self.pictures.join(format!("{name}.png")), Instant::now());
        while begun.elapsed() < self.most / 20 {
            sleep(GLANCE).await;
            self.guest.screenshot(&picture).await?;
            if Picture::read(&picture)?.differs(before) > part {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
