//! The sound's volume: shown and changed by WirePlumber's own tool.

use tokio::process::Command;

use super::protocol::Button;

const SINK: &str = "@DEFAULT_AUDIO_SINK@";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Of the full volume.
    pub percent: u32,
    pub muted: bool,
}

impl Volume {
    /// Now; `None` where there is no sound.
    pub(crate) async fn now() -> Option<Self> {
        let output = Command::new("wpctl").args(["get-volume", SINK]).kill_on_drop(true).output().await.ok()?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// `Volume: 0.40 [MUTED]`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("Volume: ")?;
        let (whole, part) = text.split_whitespace().next()?.split_once('.')?;
        let percent = whole.parse::<u32>().ok()?.checked_mul(100)? + part.get(..2)?.parse::<u32>().ok()?;
        Some(Self { percent, muted: text.contains("[MUTED]") })
    }
}

/// Does what a click asks for; how loud it is then.
pub(crate) async fn change(button: Button) -> Option<Volume> {
    let arguments: &[&str] = match button {
        Button::Left => &["set-mute", SINK, "toggle"],
        Button::Up => &["set-volume", "--limit", "1.0", SINK, "5%+"],
        Button::Down => &["set-volume", SINK, "5%-"],
        Button::Other => return Volume::now().await,
    };
    let _ = Command::new("wpctl").args(arguments).kill_on_drop(true).output().await;
    Volume::now().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wpctl_says() {
        assert_eq!(Volume::parse("Volume: 0.40\n"), Some(Volume { percent: 40, muted: false }));
        assert_eq!(Volume::parse("Volume: 1.00 [MUTED]\n"), Some(Volume { percent: 100, muted: true }));
        assert_eq!(Volume::parse("Translate ID error"), None);
    }
}
