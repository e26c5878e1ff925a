//! Patterns in rules, checked when they are read.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// A name in which `*` stands for any text, also none. Upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// The glob that is written so.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it fits the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(rest) = name.get(first.len()..).filter(|_| starts_with(name, first)) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // Each part at the first place where it fits: what then does not fit would not fit with a later place either.
        let left = parts.try_fold(rest, |rest, part| {
            let places = rest.char_indices().map(|(place, _)| place).chain([rest.len()]);
            let mut tails = places.filter_map(|place| rest.get(place..));
            tails
                .find(|tail| starts_with(tail, part))
                .and_then(|tail| tail.get(part.len()..))
        });
        left.is_some_and(|left| {
            let end = left
                .len()
                .checked_sub(last.len())
                .and_then(|place| left.get(place..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(last))
        })
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn starts_with(text: &str, part: &str) -> bool {
    text.get(..part.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(part))
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A regular expression that fits anywhere in a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it fits somewhere in `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;
    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(glob: &str, fits: &[&str], fits_not: &[&str]) {
        let glob = Glob::new(glob);
        for name in fits {
            assert!(glob.matches(name), "{glob} {name}");
        }
        for name in fits_not {
            assert!(!glob.matches(name), "{glob} {name}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        check(
            "linux-*",
            &["linux-", "linux-image-amd64", "LINUX-x"],
            &["linux", "a-linux-b"],
        );
        check("*ssl*", &["openssl", "ssl", "libssl3"], &["tls"]);
        check("a*b*c", &["abc", "a-b-b-c", "abcbc"], &["acb", "ab", "abcd"]);
        check("lib*-dev", &["libc6-dev", "lib-dev"], &["lib-de", "libdev"]);
        check("ab*ba", &["abba", "ab-ba"], &["aba"]);
        check("*", &["", "é"], &[]);
        check("é*é", &["éé", "é-é"], &["é"]);
    }

    #[test]
    fn a_glob_without_a_star_is_a_whole_name() {
        check("curl", &["curl", "Curl"], &["libcurl4", "curl2"]);
    }
}
