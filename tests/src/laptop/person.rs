//! An employee at the laptop: the keys of a French keyboard, each after what it waits for is there; and a picture of each step.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use livery_contract::Result;
use tokio::time::sleep;

use super::desk::{Laptop, MOST};
use crate::{at_the_laptop::ACCOUNT, gateway::Gateway, picture::Picture};

/// From one look at the screen to the next, where it shall stand still.
const STILL: Duration = Duration::from_millis(150);
/// The ring around the field that takes keys, in the theme of sign-in page, locker and desktop (Adwaita); and how many pixels it has.
const RING: [u8; 3] = [0x35, 0x84, 0xe4];
const RING_PIXELS: usize = 500;
/// How long the window for a command may take to open or to close before a person presses the keys again.
const WINDOW: Duration = Duration::from_secs(5);
/// What a short text in it covers of the screen, at least; a cursor that blinks is a tenth of that.
const TEXT: f64 = 0.0005;
/// Its class.
const FINDER: &str = "appfinder";

impl Laptop {
    /// Types a text; `\n` is the Enter key.
    ///
    /// # Errors
    /// Where a character has no key, or the X server is gone.
    pub async fn types(&self, text: &str) -> Result<()> {
        self.display.write("fr", text).await
    }

    /// Presses keys together, by QEMU's names.
    ///
    /// # Errors
    /// Where the X server is gone.
    pub async fn presses(&self, keys: &[&str]) -> Result<()> {
        self.display.press(keys).await
    }

    /// A picture of the screen, once that is neither blank nor changing.
    ///
    /// # Errors
    /// Where it stays blank, or does not stand still.
    pub async fn keeps(&self, name: &str) -> Result<Picture> {
        let (mut before, begun) = (self.display.picture()?, Instant::now());
        loop {
            sleep(STILL).await;
            let now = self.display.picture()?;
            // A cursor that blinks is less, and so is a clock.
            if now.colours() > 20 && now.differs(&before) < 0.001 {
                now.write(&self.folder.join(format!("{name}.png")))?;
                return Ok(now);
            }
            if begun.elapsed() > MOST {
                return Err(self.failed(&format!("a screen that stands still: {name}")).await);
            }
            before = now;
        }
    }

    /// Waits until a field takes keys; with a picture. While PAM checks a password, or waits after a wrong one, none does.
    ///
    /// # Errors
    /// Where none does in time.
    pub async fn takes_keys(&self, name: &str) -> Result<()> {
        let ring = async || self.display.picture().is_ok_and(|picture| picture.count(RING, 0) >= RING_PIXELS);
        self.until(&format!("takes keys: {name}"), ring).await?;
        self.keeps(name).await.map(drop)
    }

    /// Answers what the sign-in page asks for, once it takes keys.
    ///
    /// # Errors
    /// Where it does not ask in time.
    pub async fn answers(&mut self, what: &str, text: &str) -> Result<()> {
        self.asks(what).await?;
        self.takes_keys(&format!("asked-for-{what}")).await?;
        self.notes();
        self.types(&format!("{text}\n")).await
    }

    /// Runs a command by the window that Alt-F2 opens; from the beginning where nothing came of it, as a person would: a desktop that is
    /// still coming up may not take the keys.
    ///
    /// # Errors
    /// Where nothing came of it four times.
    pub async fn runs(&self, command: &str) -> Result<()> {
        for time in 1..=4 {
            if self.has_run(command).await? {
                return Ok(());
            }
            eprintln!("  asked for {time} times, and {command:?} has not run");
            self.presses(&["esc"]).await?;
        }
        Err(self.failed("a window for a command that takes it").await)
    }

    /// Whether the window for a command has opened, shown what was typed, and closed.
    async fn has_run(&self, command: &str) -> Result<bool> {
        if !self.display.front().0.contains(FINDER) {
            self.presses(&["alt", "f2"]).await?;
        }
        if !self.finder(true).await {
            return Ok(false);
        }
        self.takes_keys("command").await?;
        let empty = self.keeps("command").await?;
        // In the place of what may stand there.
        self.presses(&["ctrl", "a"]).await?;
        self.types(command).await?;
        if self.keeps("command-typed").await?.differs(&empty) < TEXT {
            return Ok(false);
        }
        // The first Enter may only take what is offered to complete it.
        for _ in 0..2 {
            self.types("\n").await?;
            if self.finder(false).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the window for a command is in front, or is not, within a short time.
    async fn finder(&self, wanted: bool) -> bool {
        let begun = Instant::now();
        while self.display.front().0.contains(FINDER) != wanted {
            if begun.elapsed() > WINDOW {
                return false;
            }
            sleep(STILL).await;
        }
        true
    }

    /// Waits until a page of this host has been drawn.
    ///
    /// # Errors
    /// Where none is in time.
    pub async fn drawn(&self, host: &Gateway, page: &str) -> Result<()> {
        self.until(&format!("{}{page}", host.host()), async || host.drawn(page) > 0).await
    }

    /// What came of the employee's tries, by key; of documents of an office too, where `what` is `office`.
    ///
    /// # Errors
    /// Where not all of it is said in time.
    pub async fn tries(&self, what: &str) -> Result<BTreeMap<String, String>> {
        let path = self.machine.path(&format!("/home/{ACCOUNT}/.tried"));
        let text = || std::fs::read_to_string(&path).unwrap_or_default();
        self.runs(&format!("sh /run/try {what}")).await?;
        self.until(&format!("tried: {what}"), async || text().contains("TRIED end=yes")).await?;
        let mut said = BTreeMap::new();
        for line in text().lines() {
            if line == "from the first start" {
                said.insert("kept".to_owned(), "yes".to_owned());
            } else if let Some((key, value)) = line.strip_prefix("TRIED ").and_then(|rest| rest.split_once('=')) {
                said.insert(key.to_owned(), value.to_owned());
            }
        }
        let _ = std::fs::remove_file(&path);
        Ok(said)
    }

    /// A newer image is ready; waits until the desktop has told of it.
    ///
    /// # Errors
    /// Where it does not in time.
    pub async fn learns_of_a_newer_image(&self) -> Result<()> {
        self.machine.has_a_newer_image("laptop@2").await?;
        let told = format!("grep -q 'laptop@2 is ready, and the user has been notified' /home/{ACCOUNT}/.xsession-errors");
        self.until("told of a newer image", async || self.machine.run(&told).await.is_ok_and(|done| done.code == Some(0))).await
    }
}
