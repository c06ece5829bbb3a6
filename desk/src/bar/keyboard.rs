//! The keyboard's layout: shown, and changed to the next one, by sway's own socket.

use std::{env, thread, time::Duration};

use swayipc::{Connection, Event, EventType};
use tokio::sync::watch;
use tracing::warn;

/// How long until sway is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// The layouts that the compositor was given, and which one counts now.
#[derive(Debug)]
pub(crate) struct Keyboard {
    names: Vec<String>,
    /// Which of them.
    pub active: usize,
}

impl Keyboard {
    /// From libxkbcommon's variables, which [`screen`](crate::screen) set.
    pub(crate) fn here() -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        Self::of(&variable("XKB_DEFAULT_LAYOUT"), &variable("XKB_DEFAULT_VARIANT"))
    }

    /// From layouts and variants, each with commas between.
    pub(crate) fn of(layouts: &str, variants: &str) -> Self {
        let mut variants = variants.split(',');
        let name = |layout: &str| format!("{} {}", layout.to_uppercase(), variants.next().unwrap_or_default()).trim().to_owned();
        Self { names: layouts.split(',').map(name).collect(), active: 0 }
    }

    /// What the bar shows.
    pub(crate) fn name(&self) -> String {
        format!("⌨ {}", self.names.get(self.active).map_or("?", String::as_str))
    }
}

/// Changes to the next layout.
pub(crate) fn next() {
    let change = || Connection::new()?.run_command("input type:keyboard xkb_switch_layout next");
    if let Err(error) = change() {
        warn!("the keyboard layout cannot be changed: {error}");
    }
}

/// Which layout counts, from a thread of its own: sway's socket is read blocking.
pub(crate) fn watch() -> watch::Receiver<usize> {
    let (sender, receiver) = watch::channel(0);
    thread::spawn(move || {
        while !sender.is_closed() {
            if let Err(error) = follow(&sender) {
                warn!("the keyboard layout is not known: {error}");
            }
            thread::sleep(AGAIN);
        }
    });
    receiver
}

fn follow(sender: &watch::Sender<usize>) -> swayipc::Fallible<()> {
    for event in Connection::new()?.subscribe([EventType::Input])? {
        if let Event::Input(event) = event?
            && let Some(index) = event.input.xkb_active_layout_index.and_then(|index| usize::try_from(index).ok())
            && event.input.xkb_layout_names.len() > index
        {
            sender.send_replace(index);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_by_their_short_names() {
        let mut keyboard = Keyboard::of("be,us", "");
        assert_eq!(keyboard.name(), "⌨ BE");
        keyboard.active = 1;
        assert_eq!(keyboard.name(), "⌨ US");
        keyboard.active = 2;
        assert_eq!(keyboard.name(), "⌨ ?");
        assert_eq!(Keyboard::of("us,us", "intl,").name(), "⌨ US intl");
    }
}
