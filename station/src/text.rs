//! Text that others sent, fit to be shown to a person or written to a log: on one line, and with nothing in it that cannot be seen.

/// A text on one line of at most so many characters. What cannot be seen is left out, line breaks become spaces.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let spaced = text.trim().chars().map(|character| if matches!(character, '\n' | '\r' | '\t') { ' ' } else { character });
    spaced.filter(|character| is_visible(*character)).take(most).collect()
}

/// The same, line breaks kept: for a place that shows paragraphs.
pub(crate) fn lines(text: &str, most: usize) -> String {
    text.chars().filter(|character| *character == '\n' || is_visible(*character)).take(most).collect()
}

/// Whether a character shows, and leaves those around it where they are: no control and no format character (Unicode 16, general
/// categories Cc, Cf, Zl, Zp), among them those that turn the direction of writing round (UAX #9), and no blank filler.
fn is_visible(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_not_kept() {
        assert_eq!(one_line(" Wyse\u{202e}0705\u{200b}\x1b[31m \n2026-11-25 INFO done ", 99), "Wyse0705[31m  2026-11-25 INFO done");
        assert_eq!(one_line("Ålesund, 東京, مرحبا", 99), "Ålesund, 東京, مرحبا", "languages stay");
        assert_eq!(one_line("abcdef", 3), "abc");
        assert_eq!(lines("a\r\nb\u{2028}c", 99), "a\nbc");
    }
}
