//! The language of search criteria, such as `IsInstalled=0 and Type='Software'` (wua.md section 5).
//!
//! [`Criteria::parse`] reads a text once, at the edge; what it returns is valid and can be shown, asked
//! what it may match, and held against updates. [`HistoryCriteria`] is the small language of the session's
//! history. Which updates exist, and the warning for products that a service does not know (rule R42),
//! are the searcher's business.

mod ast;
mod error;
mod history;
mod lexer;
mod matching;
mod parser;

use std::borrow::Cow;

pub use ast::{ActionFilter, Criteria, Equality, Flag, Group, Term};
pub use error::CriteriaError;
pub use history::HistoryCriteria;
pub use matching::CriteriaFacts;

/// Makes any text safe between single quotes in criteria: each `'` is doubled (`EscapeString`, rule R43).
///
/// Nothing else has a special meaning there, a backslash neither.
pub fn escape_string(text: &str) -> Cow<'_, str> {
    if text.contains('\'') {
        Cow::Owned(text.replace('\'', "''"))
    } else {
        Cow::Borrowed(text)
    }
}
