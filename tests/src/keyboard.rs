//! A person at a virtual device's keyboard: texts as the keys of a French keyboard (AZERTY), pressed on QEMU's monitor.
//!
//! QEMU names keys by where they lie on an American keyboard. In: a text of the letters, digits and signs that tests type. Fails where a
//! sign has no key here, or the monitor can't be reached.

use livery_contract::{Fault, Result};

use crate::qemu::monitor::Monitor;

/// The keys of one character, held together.
fn keys(character: char) -> Option<Vec<String>> {
    // Letters that lie elsewhere than on an American keyboard.
    let letter = |letter: char| match letter {
        'a' => "q".to_owned(),
        'q' => "a".to_owned(),
        'z' => "w".to_owned(),
        'w' => "z".to_owned(),
        'm' => "semicolon".to_owned(),
        other => other.to_string(),
    };
    let plain = |key: &str| Some(vec![key.to_owned()]);
    let shifted = |key: &str| Some(vec!["shift".to_owned(), key.to_owned()]);
    match character {
        'a'..='z' => plain(&letter(character)),
        'A'..='Z' => shifted(&letter(character.to_ascii_lowercase())),
        '0'..='9' => shifted(&character.to_string()),
        '-' => plain("6"),
        '_' => plain("8"),
        '(' => plain("5"),
        ')' => plain("minus"),
        ' ' => plain("spc"),
        ',' => plain("m"),
        ':' => plain("dot"),
        '.' => shifted("comma"),
        '/' => shifted("dot"),
        '=' => plain("equal"),
        '\n' => plain("ret"),
        '\t' => plain("tab"),
        _ => None,
    }
}

/// Types a text, key by key.
///
/// # Errors
/// Where a character has no key, or QEMU can't be reached.
pub async fn write(monitor: &Monitor, text: &str) -> Result<()> {
    for character in text.chars() {
        let keys = keys(character).ok_or_else(|| Fault::usage(format!("no key is known for {character:?}")))?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        monitor.keys(&keys).await?;
        // Longer than QEMU holds a key down, so that one is up before the next.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azerty_lies_where_it_lies() {
        let typed = |text: &str| text.chars().map(|one| keys(one).unwrap_or_default().join("-")).collect::<Vec<_>>().join(" ");
        assert_eq!(typed("Aq7-m."), "shift-q a shift-7 6 semicolon shift-comma");
        assert!(keys('é').is_none());
    }
}
