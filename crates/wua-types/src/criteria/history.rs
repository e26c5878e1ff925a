//! Criteria of the session's history: at most `UpdateID='…'` (wua.md section 8.1).

use super::error::CriteriaError;
use super::lexer::Token;
use super::parser::Parser;
use crate::identity::UpdateId;

/// Which history entries are asked for; by default all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryCriteria {
    /// Only those of this update.
    pub update_id: Option<UpdateId>,
}

impl HistoryCriteria {
    /// Reads `UpdateID='…'`; an empty or blank text asks for all entries.
    ///
    /// # Errors
    ///
    /// Everything else, with the code `WU_E_INVALID_CRITERIA`.
    pub fn parse(text: &str) -> Result<Self, CriteriaError> {
        let mut parser = Parser::new(text)?;
        if parser.here.token == Token::End {
            return Ok(Self::default());
        }
        if !parser.here.is_word("UpdateID") {
            return Err(parser.expected("`UpdateID`, the only property of history criteria"));
        }
        parser.advance()?;
        parser.equal()?;
        let update_id = Some(UpdateId(parser.guid()?));
        match parser.here.token {
            Token::End => Ok(Self { update_id }),
            _ => Err(parser.expected("the end")),
        }
    }

    /// Whether entries of this update are asked for.
    pub fn matches(&self, id: UpdateId) -> bool {
        self.update_id.is_none_or(|wanted| wanted == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "117cab2d-82b1-4b5a-a08c-4d62dbee7782";

    #[test]
    fn one_update_or_all_can_be_asked_for() {
        let id: UpdateId = ID.parse().unwrap();
        let one = HistoryCriteria::parse(&format!(" updateid = '{ID}' ")).unwrap();
        assert!(one.matches(id) && !one.matches(UpdateId(uuid::Uuid::nil())));
        assert!(HistoryCriteria::parse(" \r\n").unwrap().matches(id));
    }

    #[test]
    fn nothing_else_is_history_criteria() {
        for (text, column) in [
            ("IsInstalled=1".to_owned(), 1),
            ("UpdateID".to_owned(), 9),
            (format!("UpdateID!='{ID}'"), 9),
            ("UpdateID='x'".to_owned(), 10),
            (format!("UpdateID='{ID}' or UpdateID='{ID}'"), 49),
            (format!("(UpdateID='{ID}')"), 1),
        ] {
            let error = HistoryCriteria::parse(&text).unwrap_err();
            assert_eq!(error.column(), column, "{text}: {error}");
        }
    }
}
