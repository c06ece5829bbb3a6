//! Text of other people in messages: quoted, made harmless, and compared with what is known.

/// A value as a message may quote it: control characters escaped, not endless.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

/// The nearest of `known`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The text with control characters replaced, byte for byte: a profile must not be able to drive the reader's terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => ' ',
            c if c.is_control() && c.len_utf8() == 1 => '?',
            c if c.is_control() => '\u{b7}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_keep_their_length() {
        let text = "a\u{1b}[31m\u{9b}1m\r\n\tb";
        assert_eq!(harmless(text), "a?[31m\u{b7}1m \n\tb");
        assert_eq!(harmless(text).len(), text.len());
    }

    #[test]
    fn the_nearest_word_must_be_near() {
        assert_eq!(nearest("urll", ["url", "browser"]), Some("url"));
        assert_eq!(nearest("colour", ["url", "browser"]), None);
    }
}
