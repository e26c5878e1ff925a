//! Texts of others, made fit for a terminal: an index is signed, yet what stands in its descriptions is anybody's.

/// `text` without control characters and without those that turn the direction of writing; tabs and line ends become
/// blanks.
pub(crate) fn harmless(text: &str) -> String {
    let letters = text.chars().filter_map(|letter| match letter {
        '\t' | '\n' | '\u{2028}' | '\u{2029}' => Some(' '),
        letter if letter.is_control() || turns_direction(letter) => None,
        letter => Some(letter),
    });
    letters.collect()
}

/// Whether a letter shows nothing itself but changes in which order others are shown.
pub(crate) fn turns_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_or_turn_the_text_is_left_out() {
        assert_eq!(harmless("a\u{1b}[31mb\u{9b}2Jc\u{7}\r"), "a[31mb2Jc");
        assert_eq!(harmless("\u{202e}fdp.exe\u{2066}\u{200f}"), "fdp.exe");
        assert_eq!(harmless("Ünïcode — 日本語\tok\n"), "Ünïcode — 日本語 ok ");
    }
}
