//! Cuts a criteria text into lexemes, each with its place. Knows no keywords and judges no order.

use super::error::{CriteriaError, quoted};

/// What a lexeme is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Equal,
    NotEqual,
    Star,
    /// A name, `and`, `or`, `contains`, or what was meant as one.
    Word,
    /// Digits, perhaps after a minus.
    Number,
    /// A text in single quotes, with doubled quotes already made one (rule R43).
    Text(String),
    /// A character that starts nothing in this language, such as `<`.
    Unknown,
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token,
    /// As it is written, with its quotes.
    pub(super) source: &'a str,
    /// Byte offset of its start.
    pub(super) start: usize,
    /// Whether a blank stands before it.
    pub(super) after_blank: bool,
}

impl Lexeme<'_> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.token == Token::Word && self.source.eq_ignore_ascii_case(word)
    }

    /// What stands there, for an error's sentence.
    pub(super) fn found(&self) -> String {
        match self.token {
            Token::End => "the end".to_owned(),
            _ => quoted(self.source),
        }
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// The next lexeme; `Token::End` again and again after the last one.
    pub(super) fn next(&mut self) -> Result<Lexeme<'a>, CriteriaError> {
        let rest = &self.text[self.position..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = self.text.len() - trimmed.len();
        let (token, length) = token(trimmed).ok_or_else(|| {
            CriteriaError::new(
                self.text,
                start,
                "a closing single quote for this text",
                "none up to the end",
            )
        })?;
        self.position = start + length;
        Ok(Lexeme {
            token,
            source: &trimmed[..length],
            start,
            after_blank: trimmed.len() < rest.len(),
        })
    }
}

/// The token that `rest` begins with and its length in bytes; none for a text without closing quote.
fn token(rest: &str) -> Option<(Token, usize)> {
    let Some(first) = rest.chars().next() else {
        return Some((Token::End, 0));
    };
    let found = match first {
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        '=' => (Token::Equal, 1),
        '*' => (Token::Star, 1),
        '!' if rest.starts_with("!=") => (Token::NotEqual, 2),
        '\'' => {
            let (text, length) = literal(rest)?;
            (Token::Text(text), length)
        }
        '-' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => {
            (Token::Number, 1 + digits(&rest[1..]))
        }
        '0'..='9' => (Token::Number, digits(rest)),
        _ if starts_word(first) => {
            let word = |next: char| starts_word(next) || next.is_numeric();
            (Token::Word, rest.find(|next| !word(next)).unwrap_or(rest.len()))
        }
        _ => (Token::Unknown, first.len_utf8()),
    };
    Some(found)
}

fn starts_word(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn digits(rest: &str) -> usize {
    rest.find(|next: char| !next.is_ascii_digit())
        .unwrap_or(rest.len())
}

/// The content of the quoted text that `rest` begins with, and its length with the quotes.
fn literal(rest: &str) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut position = 1;
    loop {
        let piece = &rest[position..];
        let quote = piece.find('\'')?;
        content.push_str(&piece[..quote]);
        position += quote + 1;
        if !rest[position..].starts_with('\'') {
            return Some((content, position));
        }
        content.push('\'');
        position += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Token]) {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        loop {
            let lexeme = lexer.next().unwrap();
            assert_eq!(
                &text[lexeme.start..lexeme.start + lexeme.source.len()],
                lexeme.source
            );
            if lexeme.token == Token::End {
                break;
            }
            found.push(lexeme.token);
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_token_is_cut() {
        check(
            "(a=-12)!=*contains",
            &[
                Token::Open,
                Token::Word,
                Token::Equal,
                Token::Number,
                Token::Close,
                Token::NotEqual,
                Token::Star,
                Token::Word,
            ],
        );
        check(" \t\r\n", &[]);
        check(
            "! - < é1 \u{a0}",
            &[
                Token::Unknown,
                Token::Unknown,
                Token::Unknown,
                Token::Word,
                Token::Unknown,
            ],
        );
    }

    #[test]
    fn a_doubled_quote_is_one_and_a_backslash_is_itself() {
        check(
            "'' 'it''s' '''' 'a\\'",
            &[
                Token::Text(String::new()),
                Token::Text("it's".into()),
                Token::Text("'".into()),
                Token::Text("a\\".into()),
            ],
        );
    }

    #[test]
    fn a_missing_quote_is_reported_where_the_text_begins() {
        let error = Lexer::new("  'it''s").next().unwrap_err();
        assert_eq!((error.position(), error.column()), (2, 3));
    }
}
