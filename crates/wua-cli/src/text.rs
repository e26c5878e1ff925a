//! Numbers and lists as people read them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr as _;

/// Bytes in the unit that leaves at most three digits before the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.5 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A time span, coarse: nobody needs the seconds of an hour.
pub(crate) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A moment in the machine's own time zone.
pub(crate) fn moment(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// `1 update`, `2 updates`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// The text, shortened to `width` columns with an ellipsis.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let mut short = String::new();
    for character in text.chars() {
        let mut longer = short.clone();
        longer.push(character);
        if longer.width() >= width {
            break;
        }
        short = longer;
    }
    short.push('…');
    short
}

/// The text in lines of at most `width` columns, each after `indent`.
pub(crate) fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.width() + line.width() + 1 + word.width() > width {
            lines.push(format!("{indent}{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(format!("{indent}{line}"));
    }
    lines
}

/// A text of others on one line, with nothing in it that could move a cursor or turn the reading direction.
pub(crate) fn one_line(text: &str) -> String {
    let printable = |character: char| if is_unfit(character) { ' ' } else { character };
    text.chars()
        .map(printable)
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a character does something to the screen instead of standing on it: controls, and what turns or splits lines.
pub(crate) fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_never_show_four_digits() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(123_456), "123 kB");
        assert_eq!(bytes(999_999), "1.0 MB");
    }

    #[test]
    fn a_shortened_text_fits_and_says_so() {
        assert_eq!(shorten("harbour lights", 8), "harbour…");
        assert_eq!(shorten("harbour", 8), "harbour");
    }

    #[test]
    fn hostile_messages_cannot_move_the_cursor() {
        assert_eq!(one_line("bad\u{1b}[2Jnews\n  again"), "bad [2Jnews again");
        assert_eq!(
            one_line("c1 \u{9b}2J, back \u{202e}wards\u{2069}"),
            "c1 2J, back wards"
        );
    }
}
