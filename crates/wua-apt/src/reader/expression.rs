//! Patterns as apt_preferences(5) has them: shell globs, or extended regular expressions between slashes.
//!
//! Both disregard case. A pattern that cannot be understood matches nothing. Matching takes time at most in
//! proportion to pattern times text, whatever they hold.

use regex::{Regex, RegexBuilder};

/// A regular expression may grow to this many bytes when compiled.
const MAX_REGEX: usize = 1 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Glob(Vec<char>),
    Regex(Regex),
    Nothing,
}

impl Expression {
    pub(super) fn new(pattern: &str) -> Self {
        match pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(regex) => RegexBuilder::new(regex)
                .case_insensitive(true)
                .size_limit(MAX_REGEX)
                .build()
                .map_or(Self::Nothing, Self::Regex),
            None => Self::Glob(pattern.chars().map(lower).collect()),
        }
    }

    /// Whether the pattern matches: a glob the whole text, a regular expression some part of it.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob_matches(glob, &text.chars().map(lower).collect::<Vec<_>>()),
            Self::Regex(regex) => regex.is_match(text),
            Self::Nothing => false,
        }
    }
}

fn lower(character: char) -> char {
    character.to_ascii_lowercase()
}

fn glob_matches(glob: &[char], text: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the part after the latest `*` does not fit: that `*` takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if glob.get(at) == Some(&'*') {
            at += 1;
            retry = Some((at, seen));
            continue;
        }
        let next = match text.get(seen) {
            None if at == glob.len() => return true,
            None => None,
            Some(character) => one_character(&glob[at..], *character),
        };
        match (next, retry) {
            (Some(length), _) => (at, seen) = (at + length, seen + 1),
            (None, Some((after, from))) if from < text.len() => {
                (at, seen) = (after, from + 1);
                retry = Some((after, seen));
            }
            _ => return false,
        }
    }
}

/// How much of `glob` matches this one character.
fn one_character(glob: &[char], character: char) -> Option<usize> {
    match *glob.first()? {
        '?' => Some(1),
        '[' => match bracket(glob, character) {
            Some((matched, length)) => matched.then_some(length),
            None => (character == '[').then_some(1),
        },
        '\\' if glob.len() > 1 => (glob[1] == character).then_some(2),
        literal => (literal == character).then_some(1),
    }
}

/// A bracket expression: whether it holds the character, and its length. `None`: it is never closed.
fn bracket(glob: &[char], character: char) -> Option<(bool, usize)> {
    let negated = matches!(glob.get(1), Some('!' | '^'));
    let first = 1 + usize::from(negated);
    let mut at = first;
    let mut found = false;
    loop {
        match *glob.get(at)? {
            ']' if at > first => return Some((found != negated, at + 1)),
            '[' if glob.get(at + 1) == Some(&':') => {
                let end =
                    (at + 2..glob.len().saturating_sub(1)).find(|i| glob[*i] == ':' && glob[i + 1] == ']')?;
                let class: String = glob[at + 2..end].iter().collect();
                found |= in_class(&class, character);
                at = end + 2;
            }
            start if glob.get(at + 1) == Some(&'-') && glob.get(at + 2).is_some_and(|end| *end != ']') => {
                found |= (start..=glob[at + 2]).contains(&character);
                at += 3;
            }
            single => {
                found |= single == character;
                at += 1;
            }
        }
    }
}

fn in_class(class: &str, character: char) -> bool {
    match class {
        "alpha" | "upper" | "lower" => character.is_ascii_alphabetic(),
        "digit" => character.is_ascii_digit(),
        "alnum" => character.is_ascii_alphanumeric(),
        "xdigit" => character.is_ascii_hexdigit(),
        "punct" => character.is_ascii_punctuation(),
        "space" => character.is_ascii_whitespace(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let expression = Expression::new(pattern);
        for text in matching {
            assert!(expression.matches(text), "{pattern} matches {text}");
        }
        for text in others {
            assert!(!expression.matches(text), "{pattern} does not match {text}");
        }
    }

    #[test]
    fn globs_match_the_whole_text() {
        check("lib*", &["lib", "libc6", "LIBX"], &["xlib"]);
        check("*-dev", &["-dev", "a-dev", "a-dev-dev"], &["a-devel"]);
        check("a?c", &["abc", "a*c"], &["ac", "abbc"]);
        check("*a*b*", &["ab", "xaxbx", "aab"], &["ba"]);
        check("", &[""], &["a"]);
        check("a\\*", &["a*"], &["ab"]);
    }

    #[test]
    fn brackets_hold_ranges_classes_and_their_opposites() {
        check("[a-c]x", &["ax", "Cx"], &["dx", "x"]);
        check("[!a-c]x", &["dx"], &["ax"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("lib[[:digit:]_]", &["lib1", "lib_"], &["liba"]);
        check("[ab", &["[ab"], &["a"]);
    }

    #[test]
    fn regular_expressions_match_a_part() {
        check("/kde|^gnome/", &["libkde5", "GNOME-x"], &["xgnome"]);
        check("/(/", &[], &["(", ""]);
        check("/half", &["/half"], &["half"]);
    }

    proptest! {
        #[test]
        fn a_text_without_special_characters_matches_itself(text in "[a-z0-9.+-]{0,12}") {
            prop_assert!(Expression::new(&text).matches(&text));
            let anywhere = Expression::new(&format!("*{text}*"));
            prop_assert!(anywhere.matches(&text));
        }

        #[test]
        fn no_pattern_and_no_text_breaks_the_matcher(pattern in "[a-c*?\\[\\]!:^\\\\-]{0,12}", text in "[a-c\\[\\]-]{0,12}") {
            Expression::new(&pattern).matches(&text);
        }
    }
}
