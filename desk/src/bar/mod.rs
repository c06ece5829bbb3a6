//! The status bar: what a person must be able to see and change at any time, in sway's own bar. In: NetworkManager's state, sway's
//! keyboard, the sound's volume, the clock, clicks. Out: i3bar's protocol on standard output. What cannot be known is left out; the
//! bar itself ends only with its pipe.
//!
//! | block | shows | a click |
//! |---|---|---|
//! | notice | that no personal layer was applied | |
//! | network | cable, Wi-Fi, none | opens the settings |
//! | sound | volume | mutes; the wheel changes it |
//! | keyboard | the layout | the next layout |
//! | settings | | opens the settings |
//! | leave | | ends the session, when clicked twice |
//! | clock | day and time | |

mod keyboard;
mod protocol;
mod sound;

use std::{path::Path, time::Duration};

use futures::StreamExt as _;
use livery_contract::Result;
use tokio::{sync::watch, time};
use tracing::warn;

use self::{
    keyboard::Keyboard,
    protocol::{Block, Button, Click, Output},
    sound::Volume,
};
use crate::{
    doorbell::{self, Call},
    network::{Manager, State},
    words::{Language, Words},
};

/// Written by the personal layer alone.
const PERSONAL: &str = "/etc/livery/identity.json";
/// How often sound and clock are looked at.
const GLANCE: Duration = Duration::from_secs(2);
/// How long the question before the session's end stands.
const QUESTION: Duration = Duration::from_secs(5);

const ALARM: &str = "#ffc914";

/// What is shown.
struct Bar {
    words: Words,
    personal: bool,
    network: Option<State>,
    volume: Option<Volume>,
    keyboard: Keyboard,
    asked: Option<time::Instant>,
}

/// Draws until the pipe breaks.
///
/// # Errors
/// Exit 1 where it can't be written to.
pub(crate) async fn run() -> Result<()> {
    let mut output = Output::begin(tokio::io::stdout()).await?;
    let mut clicks = protocol::clicks(tokio::io::stdin());
    let mut network = watch_network();
    let mut keys = keyboard::watch();
    let mut glance = time::interval(GLANCE);
    glance.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut bar = Bar {
        words: Language::here().words(),
        personal: Path::new(PERSONAL).exists(),
        network: None,
        volume: None,
        keyboard: Keyboard::here(),
        asked: None,
    };
    loop {
        tokio::select! {
            _ = glance.tick() => bar.volume = Volume::now().await,
            Ok(()) = network.changed() => bar.network = *network.borrow_and_update(),
            Ok(()) = keys.changed() => bar.keyboard.active = *keys.borrow_and_update(),
            Some(click) = clicks.recv() => bar.clicked(&click).await,
        }
        output.draw(&bar.blocks()).await?;
    }
}

impl Bar {
    fn blocks(&self) -> Vec<Block> {
        let words = &self.words;
        let mut blocks = Vec::new();
        if !self.personal {
            blocks.push(Block::new("notice", words.nobody).colour(ALARM));
        }
        blocks.extend(self.network.map(|state| match state {
            State::Away => Block::new("network", words.away).colour(ALARM),
            State::Portal => Block::new("network", words.portal).colour(ALARM),
            State::Wired => Block::new("network", words.wired),
            State::Wireless => Block::new("network", words.wireless),
        }));
        blocks.extend(self.volume.map(|volume| match volume {
            Volume { muted: true, .. } => Block::new("sound", words.mute),
            Volume { percent, .. } => Block::new("sound", format!("{} {percent}{}", words.sound, words.percent)),
        }));
        blocks.push(Block::new("keyboard", self.keyboard.name()));
        blocks.push(Block::new("settings", words.settings));
        blocks.push(match self.asks() {
            true => Block::new("leave", words.really).colour(ALARM),
            false => Block::new("leave", words.leave),
        });
        blocks.push(Block::new("clock", jiff::Zoned::now().strftime(words.clock).to_string()));
        blocks
    }

    fn asks(&self) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() < QUESTION)
    }

    async fn clicked(&mut self, click: &Click) {
        match (click.name.as_str(), click.button) {
            ("network" | "settings", Button::Left) => ring(Call::Settings),
            ("sound", button) => self.volume = sound::change(button).await,
            ("keyboard", Button::Left) => keyboard::next(),
            ("leave", Button::Left) if self.asks() => {
                self.asked = None;
                ring(Call::Leave);
            }
            ("leave", Button::Left) => self.asked = Some(time::Instant::now()),
            _ => {}
        }
    }
}

fn ring(call: Call) {
    if let Err(fault) = doorbell::ring(call) {
        warn!("{fault}");
    }
}

/// The network's state, as long as NetworkManager is there; tried again for ever.
fn watch_network() -> watch::Receiver<Option<State>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        while !sender.is_closed() {
            let watch = async {
                let manager = Manager::connect().await?;
                let mut changes = manager.changes().await;
                loop {
                    sender.send_replace(Some(manager.state().await?));
                    if changes.next().await.is_none() {
                        return Ok::<_, livery_contract::Fault>(());
                    }
                }
            };
            if let Err(fault) = watch.await {
                warn!("{fault}");
            }
            time::sleep(GLANCE).await;
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar() -> Bar {
        let keyboard = Keyboard::of("fr,us", "oss,");
        let words = Language::English.words();
        Bar { words, personal: true, network: Some(State::Wired), volume: None, keyboard, asked: None }
    }

    fn names(bar: &Bar) -> Vec<String> {
        bar.blocks().iter().map(|block| format!("{}={}", block.name, block.full_text)).collect()
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let mut bar = bar();
        assert_eq!(names(&bar)[..4], ["network=Cable", "keyboard=⌨ FR oss", "settings=Settings", "leave=End session"]);
        bar.personal = false;
        bar.volume = Some(Volume { percent: 40, muted: false });
        assert_eq!(names(&bar)[..3], ["notice=Personal settings are missing – please tell IT", "network=Cable", "sound=Sound 40%"]);
    }

    #[tokio::test]
    async fn a_session_ends_at_the_second_click_only() {
        let mut bar = bar();
        let click = Click { name: "leave".into(), button: Button::Left };
        bar.clicked(&click).await;
        assert!(bar.asks() && names(&bar).contains(&"leave=End it now?".to_owned()));
        bar.clicked(&click).await;
        assert!(!bar.asks());
        bar.clicked(&Click { name: "leave".into(), button: Button::Other }).await;
        assert!(!bar.asks());
    }
}
