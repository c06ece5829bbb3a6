//! A person at a flashed device: the keys of its own keyboard, in the layout that the roster gives it; what the Gateway sees of it; and
//! a picture of each step.

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use livery_contract::{Fault, Result};
use tokio::time::sleep;

use crate::{
    gateway::{
        Gateway, MARKS,
        accounts::Account,
        totp::{STEP, Secret},
    },
    loudspeakers,
    picture::Picture,
    qemu::{Guest, keyboard},
    screen::desk::at_the_screen,
    security_key::{PrivateCredential, SecurityKey},
    wifi,
};

/// The page of the second factor.
const CODE: &str = "/logon/LogonPoint/challenge.html";
/// The page of one's desktops.
const STORE: &str = "/Citrix/StoreWeb/";
/// What is typed into the published desktop: letters that lie elsewhere on a French keyboard.
const WORDS: &str = "marquez";
/// What a terminal's keyboard can be switched to.
pub const OTHER_LAYOUT: &str = "us";
/// Pixels of the status bar's height, at least.
const BAR: u32 = 16;
/// Pixels between two of its blocks, at least; words lie closer.
const GAP: u32 = 20;
/// How often one tries what may fail for once.
const TRIES: u32 = 3;
/// Between two keys: a person's pace, and QEMU holds each for a tenth of a second.
const PACE: Duration = Duration::from_millis(250);

/// Signs in by name, password and second factor: a one-time code, or a touch of the security key of that `credential`, which is plugged
/// in only when the page asks for it. Pictures of each step are kept in `pictures`. The page for the user's name must be on the screen.
///
/// # Errors
/// Where one of the steps does not lead to the next in time.
pub async fn sign_in(
    guest: &mut Guest,
    gateway: &Gateway,
    account: &Account,
    credential: Option<PrivateCredential>,
    layout: &str,
    pictures: &Path,
) -> Result<()> {
    let most = Duration::from_secs(60) * guest.accel().patience();
    let mut person = Person { guest, gateway, layout, pictures, most };
    person.types(&account.login).await?;
    person.presses("tab").await?;
    person.types(&account.password).await?;
    person.keeps("sign-in").await?;
    person.goes_to("ret", CODE).await?;
    match credential {
        Some(credential) => person.touches(credential).await?,
        None => person.types_the_code(&Secret::parse(&account.secret)?).await?,
    }
    person.keeps("desktops").await
}

/// Opens the published desktop in the same tab.
///
/// # Errors
/// Where it is not drawn in time, or is another's.
pub async fn open_the_desktop(
    guest: &mut Guest,
    gateway: &Gateway,
    account: &Account,
    layout: &str,
    pictures: &Path,
) -> Result<()> {
    let most = Duration::from_secs(60) * guest.accel().patience();
    let mut person = Person { guest, gateway, layout, pictures, most };
    // The first link is the one that opens it.
    person.presses("tab").await?;
    person.presses("ret").await?;
    let drawn = |gateway: &Gateway| gateway.desktops().last().is_some_and(|desktop| desktop.drawn);
    person.waits("the published desktop", drawn).await?;
    match gateway.desktops().last() {
        Some(desktop) if desktop.login == account.login => Ok(()),
        other => Err(Fault::device(format!("the desktop is not {}'s: {other:?}", account.login))),
    }
}

/// Types into the published desktop.
///
/// # Errors
/// Where that gets other keys than were typed, or ends.
pub async fn work(guest: &mut Guest, gateway: &Gateway, layout: &str, pictures: &Path) -> Result<()> {
    let most = Duration::from_secs(60) * guest.accel().patience();
    let mut person = Person { guest, gateway, layout, pictures, most };
    person.types(WORDS).await?;
    let typed = |gateway: &Gateway| gateway.desktops().last().map(|desktop| desktop.keys.concat()).unwrap_or_default();
    let come = person.waits("what was typed into the desktop", |gateway| typed(gateway) == WORDS).await;
    person.keeps("desktop").await?;
    come.map_err(|fault| fault.fix(format!("the desktop got {:?}, {WORDS:?} was typed", typed(gateway))))?;
    match gateway.desktops().last() {
        Some(desktop) if !desktop.ended => Ok(()),
        other => Err(Fault::device(format!("the desktop has ended while somebody worked in it: {other:?}"))),
    }
}

/// Listens until the desktop is heard, which rings, and silences it; the loudest sample of the file that its loudspeakers are recorded in.
///
/// # Errors
/// Where nothing is heard in time.
pub async fn listens(guest: &mut Guest, gateway: &Gateway, layout: &str, pictures: &Path, heard: &Path) -> Result<u16> {
    let loudest = loudspeakers::hear(guest, heard).await?;
    let most = Duration::from_secs(60) * guest.accel().patience();
    Person { guest, gateway, layout, pictures, most }.presses("esc").await?;
    Ok(loudest)
}

/// Ends the session by two clicks on the status bar. Comes back when its desktop has ended.
///
/// # Errors
/// Where the desktop goes on.
pub async fn leave(guest: &mut Guest, gateway: &Gateway, layout: &str, pictures: &Path) -> Result<()> {
    let most = Duration::from_secs(60) * guest.accel().patience();
    let mut person = Person { guest, gateway, layout, pictures, most };
    for _ in 0..2 {
        // The last block is the clock. The second click answers a question, which stands for a few seconds.
        let now = person.looks("leaves").await?;
        person.clicks_the_bar(&now, |blocks| blocks.iter().rev().nth(1).copied()).await?;
    }
    person.waits("end of its desktop", |gateway| gateway.desktops().iter().all(|desktop| desktop.ended)).await
}

/// Switches to the other layout by a click on the status bar, which then names it.
///
/// # Errors
/// Where the bar does not change.
pub async fn other_keyboard(guest: &mut Guest, gateway: &Gateway, layout: &str, pictures: &Path) -> Result<()> {
    let most = Duration::from_secs(30) * guest.accel().patience();
    let mut person = Person { guest, gateway, layout, pictures, most };
    // From the right: clock, end of session, settings, keyboard.
    let keyboard = |blocks: &[(u32, u32)]| blocks.iter().rev().nth(3).copied();
    let before = person.looks("own-keyboard").await?;
    person.clicks_the_bar(&before, keyboard).await?;
    let width = |picture: &Picture| keyboard(&picture.written_in_the_lowest(BAR, GAP)).map(|(from, to)| to - from);
    let before = width(&before);
    person.sees("other-keyboard", "the other layout's name", |now| width(now) != before).await
}

/// Opens the settings by a click on the status bar, and connects to the Wi-Fi network of [`wifi`], the only one in reach. Comes back
/// when the sign-in page is on the screen again.
///
/// # Errors
/// Where the settings do not open, or the device does not say that it is connected.
pub async fn join_wifi(guest: &mut Guest, gateway: &Gateway, layout: &str, pictures: &Path) -> Result<()> {
    let most = Duration::from_secs(90) * guest.accel().patience();
    guest.wait_for("a Wi-Fi network in reach", "wifi=in reach", most).await?;
    let mut person = Person { guest, gateway, layout, pictures, most };
    let sign_in = person.looks("before").await?;
    // Its first block, from the left, is the network.
    person.clicks_the_bar(&sign_in, |blocks| blocks.first().copied()).await?;
    // The list is there; its first button is the network.
    person.titled("").await?;
    person.keeps("settings").await?;
    person.presses("tab").await?;
    person.presses("ret").await?;
    person.titled(&format!("[^\"]*{}", wifi::NETWORK)).await?;
    // As a person does, once more where nothing came of it: a network may refuse for once.
    let mut joined = false;
    for time in 1..=TRIES {
        person.types(wifi::PASSWORD).await?;
        person.keeps("wi-fi").await?;
        person.presses("ret").await?;
        joined = person.guest.wait_for("the device in the Wi-Fi network", "wifi=joined", most / 3).await.is_ok();
        person.keeps(if joined { "wi-fi-joined" } else { "wi-fi-refused" }).await?;
        if joined {
            break;
        }
        eprintln!("  tried {time} times, and it is in no Wi-Fi network");
    }
    if !joined {
        return Err(person.guest.failed("it is in no Wi-Fi network").at(pictures.join("wi-fi-refused.png").display()));
    }
    // The page says so too, by a whole sentence. A network that one is in can't be chosen: the next button closes the settings.
    person.titled("[^\"]*[.](\"| —)").await?;
    person.presses("tab").await?;
    person.presses("ret").await?;
    person.sees("sign-in-again", "the sign-in page", |picture| picture.shows(&MARKS)).await
}

struct Person<'a> {
    guest: &'a mut Guest,
    gateway: &'a Gateway,
    layout: &'a str,
    pictures: &'a Path,
    most: Duration,
}

impl Person<'_> {
    async fn types(&mut self, text: &str) -> Result<()> {
        keyboard::write(self.guest.monitor(), self.layout, text).await
    }

    async fn presses(&mut self, key: &'static str) -> Result<()> {
        self.guest.monitor().keys(&[key]).await?;
        // A person's pace: what is typed faster, QEMU drops.
        sleep(PACE).await;
        Ok(())
    }

    /// Answers the page of the second factor by what a smartphone shows now.
    async fn types_the_code(&mut self, secret: &Secret) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.types(&secret.code(now / STEP * STEP)).await?;
        self.keeps("code").await?;
        self.goes_to("ret", STORE).await
    }

    /// Answers it by a security key.
    async fn touches(&mut self, credential: PrivateCredential) -> Result<()> {
        let before = self.gateway.drawn(STORE);
        let mut key = SecurityKey::plug_in(self.guest.monitor(), self.gateway.host(), credential).await?;
        // The kernel finds it, and udev gives it to the kiosk.
        let given = "runuser -u kiosk -- sh -c 'for key in /dev/hidraw*; do [ -r $key ] && [ -w $key ] && exit 0; done; exit 1'";
        self.guest.until(given, self.most).await?;
        self.presses("ret").await?;
        let touched = key.touch(self.most).await;
        self.keeps("key").await?;
        touched.map_err(|fault| self.guest.failed(&fault.to_string()))?;
        self.waits(STORE, |gateway| gateway.drawn(STORE) > before).await
    }

    /// Keeps a picture of the screen, once something is drawn on it.
    async fn keeps(&mut self, name: &str) -> Result<()> {
        self.sees(name, "page on its screen", |picture| picture.colours() >= 8).await
    }

    /// Clicks on one of the status bar's blocks, given from left to right.
    async fn clicks_the_bar(&mut self, now: &Picture, which: impl Fn(&[(u32, u32)]) -> Option<(u32, u32)>) -> Result<()> {
        let blocks = now.written_in_the_lowest(BAR, GAP);
        let (from, to) = which(&blocks).ok_or_else(|| self.guest.failed("its status bar is empty"))?;
        let (size, place) = ((now.width, now.height), (from.midpoint(to), now.height - BAR / 2));
        self.guest.monitor().click(place, size).await
    }

    /// Takes a picture.
    async fn looks(&mut self, name: &str) -> Result<Picture> {
        let path = self.pictures.join(format!("{name}.png"));
        self.guest.screenshot(&path).await?;
        Picture::read(&path)
    }

    /// Takes pictures until one shows it.
    async fn sees(&mut self, name: &str, what: &str, shows: impl Fn(&Picture) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !shows(&self.looks(name).await?) {
            if begun.elapsed() > self.most {
                return Err(self.guest.failed(&format!("no {what} within {} s", self.most.as_secs())));
            }
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// Waits until a page of the desk's own is in front, and its title goes on so (POSIX ERE).
    async fn titled(&mut self, title: &str) -> Result<()> {
        let is = at_the_screen(&format!("swaymsg -r -t get_tree | grep -Eq '\"name\": *\"Livery: {title}'"));
        let come = self.guest.until(&is, self.most).await;
        if come.is_err() {
            self.looks("missed").await?;
        }
        come
    }

    /// Presses a key that leads to another page of the Gateway's, and waits until that is drawn.
    async fn goes_to(&mut self, key: &'static str, page: &str) -> Result<()> {
        let before = self.gateway.drawn(page);
        self.presses(key).await?;
        self.waits(page, |gateway| gateway.drawn(page) > before).await
    }

    async fn waits(&mut self, what: &str, come: impl Fn(&Gateway) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !come(self.gateway) {
            if self.guest.ended()?.is_some() || begun.elapsed() > self.most {
                let path = self.pictures.join("missed.png");
                let _ = self.guest.screenshot(&path).await;
                return Err(self.guest.failed(&format!("no {what} within {} s", self.most.as_secs())).at(path.display()));
            }
            sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }
}
