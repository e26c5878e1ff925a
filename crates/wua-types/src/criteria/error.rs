//! What is wrong with a criteria text, and where.

use std::borrow::Cow;
use std::fmt;

use crate::hresult::HResult;

/// Characters that [`CriteriaError::caret`] shows of a long text.
const SHOWN: usize = 72;
/// Characters of the text quoted in a sentence.
const QUOTED: usize = 40;

/// The criteria text cannot be understood, or asks for something the language does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriteriaError {
    text: String,
    position: usize,
    expected: Cow<'static, str>,
    found: String,
}

impl CriteriaError {
    /// `position` is a byte offset into `text`, at a character's start or at the end.
    pub(super) fn new(
        text: &str,
        position: usize,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            text: text.to_owned(),
            position,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The error's public code, `WU_E_INVALID_CRITERIA`.
    pub const fn code(&self) -> HResult {
        HResult::WU_E_INVALID_CRITERIA
    }

    /// Where the fault is: a byte offset into the text, at most its length.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Where the fault is: the column in characters, from 1. A line break counts as one character.
    pub fn column(&self) -> usize {
        self.before().chars().count() + 1
    }

    /// What could have stood there, as the object of a sentence.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What stands there, as the object of a sentence.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// The text with a caret under the fault, two lines for a terminal.
    ///
    /// Of a long text only the surroundings are shown. Control characters become blanks.
    pub fn caret(&self) -> String {
        let characters: Vec<char> = self.text.chars().map(shown).collect();
        let fault = self.before().chars().count();
        let first = match characters.len() > SHOWN {
            true => fault.saturating_sub(SHOWN / 2).min(characters.len() - SHOWN),
            false => 0,
        };
        let last = characters.len().min(first + SHOWN);

        let mut line: String = characters[first..last].iter().collect();
        let mut indent = fault - first;
        if first > 0 {
            line.insert(0, '…');
            indent += 1;
        }
        if last < characters.len() {
            line.push('…');
        }
        format!("{line}\n{:indent$}^", "")
    }

    fn before(&self) -> &str {
        self.text.get(..self.position).unwrap_or(&self.text)
    }
}

impl fmt::Display for CriteriaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (column, expected, found) = (self.column(), &self.expected, &self.found);
        write!(
            f,
            "the criteria are wrong at column {column}: expected {expected}, found {found}"
        )
    }
}

impl std::error::Error for CriteriaError {}

/// A piece of the text in backticks, on one line and not too long.
pub(super) fn quoted(piece: &str) -> String {
    let mut characters = piece.chars().map(shown);
    let start: String = characters.by_ref().take(QUOTED).collect();
    let rest = if characters.next().is_some() { "…" } else { "" };
    format!("`{start}{rest}`")
}

fn shown(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_column_expectation_and_finding() {
        let error = CriteriaError::new("é IsHidn=0", 3, "a property", quoted("IsHidn"));
        assert_eq!(
            error.to_string(),
            "the criteria are wrong at column 3: expected a property, found `IsHidn`"
        );
    }

    #[test]
    fn the_caret_stands_under_the_fault() {
        let error = CriteriaError::new("é\tIsHidn=0", 3, "a property", "");
        assert_eq!(error.caret(), "é IsHidn=0\n  ^");
        let error = CriteriaError::new("IsHidden=", 9, "0 or 1", "the end");
        assert_eq!(error.caret(), "IsHidden=\n         ^");
    }

    #[test]
    fn of_a_long_text_only_the_surroundings_are_shown() {
        let text = format!("{}X{}", "a".repeat(100), "b".repeat(100));
        let error = CriteriaError::new(&text, 100, "", "");
        let (line, caret) = error
            .caret()
            .split_once('\n')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(line.chars().count(), SHOWN + 2);
        assert_eq!(line.chars().nth(caret.len() - 1), Some('X'));

        let error = CriteriaError::new(&text, 201, "", "");
        let caret = error.caret();
        assert!(caret.starts_with('…') && caret.ends_with(&format!("b\n{}^", " ".repeat(SHOWN + 1))));
    }

    #[test]
    fn a_long_piece_is_quoted_in_part() {
        assert_eq!(quoted("a\nb"), "`a b`");
        assert_eq!(quoted(&"x".repeat(50)), format!("`{}…`", "x".repeat(40)));
    }
}
