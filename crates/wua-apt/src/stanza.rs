//! Stanzas: the blocks of `Name: value` lines that dpkg's and APT's files are made of.
//!
//! Everything is borrowed from the file's bytes; nothing is copied until a caller asks for text. Field names
//! are matched without regard to case, continuation lines (leading space or tab) belong to the field above.
//! What a field means is not known here.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// Why a stanza cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StanzaError {
    /// The stanza begins with a continuation line.
    #[error("it begins with a continuation line")]
    StrayContinuation,
    /// A line is neither a field nor a continuation.
    #[error("a line has no colon")]
    NoColon,
    /// The text before the colon is no field name.
    #[error("a field name is empty or has blanks in it")]
    BadName,
}

/// One stanza, borrowed, without the empty line that ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stanza<'a>(&'a [u8]);

impl<'a> Stanza<'a> {
    /// Takes `bytes` as one stanza.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The raw text.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// All fields in order. A damaged line ends the walk with an error.
    pub fn fields(self) -> Fields<'a> {
        Fields {
            rest: self.0,
            first: true,
        }
    }

    /// The value of the field `name`, trimmed, continuation lines included; `None` if it is missing or lies
    /// behind a damaged line.
    pub fn field(self, name: &str) -> Option<&'a [u8]> {
        self.fields()
            .map_while(Result::ok)
            .find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    /// The value of the field `name` as text; bytes that are not UTF-8 are replaced.
    pub fn text(self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name).map(String::from_utf8_lossy)
    }

    /// The value of `Package`, found quickly where that is the first field, as APT writes it.
    pub fn package(self) -> Option<&'a [u8]> {
        match self.0.strip_prefix(b"Package: ") {
            Some(rest) => Some(rest[..memchr(b'\n', rest).unwrap_or(rest.len())].trim_ascii()),
            None => self.field("Package"),
        }
    }
}

/// One field of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written.
    pub name: &'a [u8],
    /// The value, trimmed; inner line ends and the blanks of continuation lines are still there.
    pub value: &'a [u8],
}

/// The walk of [`Stanza::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    first: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, StanzaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_blank = |text: &[u8]| text.first().is_none_or(u8::is_ascii_whitespace);
        if is_blank(self.rest) && self.rest.trim_ascii().is_empty() {
            return None;
        }
        let item = self.take_field();
        self.first = false;
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl<'a> Fields<'a> {
    fn take_field(&mut self) -> Result<Field<'a>, StanzaError> {
        let text = self.rest;
        if self.first && text.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(StanzaError::StrayContinuation);
        }
        let ends_name = |byte: &u8| *byte == b':' || byte.is_ascii_whitespace() || byte.is_ascii_control();
        let colon = match text.iter().position(ends_name) {
            Some(place) if place > 0 && text[place] == b':' => place,
            _ if text[..line_end(text, 0)].contains(&b':') => return Err(StanzaError::BadName),
            _ => return Err(StanzaError::NoColon),
        };
        let name = &text[..colon];
        let mut end = line_end(text, colon);
        while matches!(text.get(end + 1), Some(b' ' | b'\t')) {
            end = line_end(text, end + 1);
        }
        self.rest = text.get(end + 1..).unwrap_or_default();
        Ok(Field {
            name,
            value: text[colon + 1..end].trim_ascii(),
        })
    }
}

/// Where the line that begins at `from` ends (the place of its line feed, or the end of the text).
fn line_end(text: &[u8], from: usize) -> usize {
    memchr(b'\n', &text[from..]).map_or(text.len(), |length| from + length)
}

/// The stanzas of a whole file, each with its place in it.
#[derive(Debug)]
pub struct Stanzas<'a> {
    bytes: &'a [u8],
    position: usize,
    ends: memmem::FindIter<'a, 'static>,
}

impl<'a> Stanzas<'a> {
    /// Walks over `bytes`; stanzas are parted by one or more empty lines.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            ends: memmem::find_iter(bytes, b"\n\n"),
        }
    }
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = (usize, Stanza<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.bytes.get(self.position) == Some(&b'\n') {
                self.position += 1;
            }
            let start = self.position;
            if start >= self.bytes.len() {
                return None;
            }
            let end = match self.ends.next() {
                // An end inside the run of empty lines that was just skipped.
                Some(end) if end < start => continue,
                Some(end) => end + 1,
                None => self.bytes.len(),
            };
            self.position = end;
            return Some((start, Stanza(&self.bytes[start..end])));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn continuation_lines_belong_to_the_field_above() {
        let stanza = Stanza::new(b"Package: a\nConffiles:\n /etc/a 1\n\t/etc/b 2\nversion:1\n");
        assert_eq!(stanza.field("conffiles"), Some(&b"/etc/a 1\n\t/etc/b 2"[..]));
        assert_eq!(stanza.text("Version").as_deref(), Some("1"));
        assert_eq!(stanza.field("Missing"), None);
    }

    #[test]
    fn the_package_is_found_wherever_it_stands() {
        assert_eq!(
            Stanza::new(b"Package: a\nVersion: 1\n").package(),
            Some(&b"a"[..])
        );
        assert_eq!(
            Stanza::new(b"Version: 1\nPACKAGE:  b ").package(),
            Some(&b"b"[..])
        );
        assert_eq!(Stanza::new(b"Package: a").package(), Some(&b"a"[..]));
    }

    #[test]
    fn stanzas_know_their_place_in_the_file() {
        let all: Vec<_> = Stanzas::new(b"\n\n\nA: 1\n\n\n\n\nB: 2\nC: 3\n\nD: 4").collect();
        let expected = [(3, &b"A: 1\n"[..]), (12, b"B: 2\nC: 3\n"), (23, b"D: 4")];
        assert_eq!(all, expected.map(|(offset, text)| (offset, Stanza::new(text))));
    }

    #[test]
    fn damaged_lines_are_told_apart() {
        let first = |text: &'static str| Stanza::new(text.as_bytes()).fields().find_map(Result::err);
        assert_eq!(first(" x: 1\n"), Some(StanzaError::StrayContinuation));
        assert_eq!(first("A: 1\nnonsense\n"), Some(StanzaError::NoColon));
        assert_eq!(first("A: 1\ntwo words: 2\n"), Some(StanzaError::BadName));
        assert_eq!(first("A: 1\nB:\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_loss_of_stanzas(text in "[ab:\n \t]{0,60}") {
            let split: Vec<_> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            // The plain definition: runs of lines that are not empty.
            let runs = split.split(|line| line.is_empty()).filter(|run| !run.is_empty()).count();
            let found: Vec<_> = Stanzas::new(text.as_bytes()).collect();
            prop_assert_eq!(found.len(), runs);
            for (offset, stanza) in found {
                prop_assert_eq!(&text.as_bytes()[offset..][..stanza.bytes().len()], stanza.bytes());
                stanza.fields().for_each(drop);
            }
        }
    }
}
