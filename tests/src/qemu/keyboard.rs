//! A text as strokes of a device's own keyboard. QEMU's key codes name places, by what a US keyboard has there; which character comes
//! of it is decided by the layout in the device: so the layout that an employee has is part of what is tested.

use std::time::Duration;

use livery_contract::{Fault, Result};

use super::monitor::Monitor;

/// From one key to the next: QEMU holds each for a tenth of a second.
const PACE: Duration = Duration::from_millis(250);

/// Keys that are pressed together.
pub type Stroke = Vec<&'static str>;

/// By place: what a US keyboard has there.
const LETTERS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y",
    "z",
];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The strokes for a text on an employee's keyboard, by XKB's name of its layout: `fr`, `be`, `de`, `gb`, `us`.
///
/// # Errors
/// Where the layout is another, or has no key here for one of the characters.
pub fn strokes(layout: &str, text: &str) -> Result<Vec<Stroke>> {
    text.chars().map(|character| stroke(layout, character)).collect()
}

/// Types a text on an employee's keyboard, at a person's pace.
///
/// # Errors
/// As [`strokes`], and where QEMU can't be reached.
pub async fn write(monitor: &Monitor, layout: &str, text: &str) -> Result<()> {
    for keys in strokes(layout, text)? {
        monitor.keys(&keys).await?;
        // A person's pace: what is typed faster, QEMU drops.
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

fn stroke(layout: &str, character: char) -> Result<Stroke> {
    let azerty = match layout {
        "fr" | "be" => true,
        "gb" | "us" | "de" => false,
        other => return Err(Fault::refused(format!("no keyboard {other:?} is known here"))),
    };
    let unknown = || Fault::refused(format!("no key for {character:?} is known on a keyboard {layout:?}"));
    let lower = character.to_ascii_lowercase();
    let (shift, key) = match (azerty, lower) {
        (true, 'a') => (false, "q"),
        (true, 'q') => (false, "a"),
        (true, 'z') => (false, "w"),
        (true, 'w') => (false, "z"),
        (true, 'm') => (false, "semicolon"),
        (false, 'z') if layout == "de" => (false, "y"),
        (false, 'y') if layout == "de" => (false, "z"),
        (_, 'a'..='z') => (false, LETTERS[usize::from(lower as u8 - b'a')]),
        (azerty, '0'..='9') => (azerty, DIGITS[usize::from(lower as u8 - b'0')]),
        (true, '.') => (true, "comma"),
        (false, '.') => (false, "dot"),
        (true, '-') => (false, if layout == "fr" { "6" } else { "equal" }),
        (false, '-') => (false, if layout == "de" { "slash" } else { "minus" }),
        (_, ' ') => (false, "spc"),
        (_, '\n') => (false, "ret"),
        (_, '\t') => (false, "tab"),
        (true, ',') => (false, "m"),
        (true, ':') => (false, "dot"),
        (true, '(') => (false, "5"),
        (true, ')') => (false, "minus"),
        (true, '=') if layout == "fr" => (false, "equal"),
        (true, '/') if layout == "fr" => (true, "dot"),
        (true, '_') if layout == "fr" => (false, "8"),
        _ => return Err(unknown()),
    };
    Ok(if shift || character.is_ascii_uppercase() { vec!["shift", key] } else { vec![key] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_layout_has_its_places() {
        let says = |layout, text| strokes(layout, text).unwrap().iter().map(|keys| keys.join("+")).collect::<Vec<_>>().join(" ");
        assert_eq!(says("gb", "maZ-2.w"), "m a shift+z minus 2 dot w");
        assert_eq!(says("fr", "maZ-2.w"), "semicolon q shift+w 6 shift+2 shift+comma z");
        assert_eq!(says("be", "-"), "equal");
        assert_eq!(says("de", "zy-"), "y z slash");
        assert!(strokes("fr", "€").is_err() && strokes("dvorak", "a").is_err());
    }
}
