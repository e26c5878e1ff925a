//! Reads search criteria (grammar: wua.md section 5.1; rules R40 to R42 and R50).
//!
//! Parentheses may only hold terms joined by `and`, so they never change a meaning: the parser counts them
//! and needs no recursion, whatever depth a hostile text has.

use uuid::Uuid;

use super::ast::{ActionFilter, Criteria, Equality, Flag, Group, Term, action_word, type_word};
use super::error::CriteriaError;
use super::lexer::{Lexeme, Lexer, Token};
use crate::enums::{DeploymentAction, UpdateType};
use crate::identity::UpdateId;

const PROPERTY: &str = "a property (Type, DeploymentAction, IsAssigned, BrowseOnly, AutoSelectOnWebSites, UpdateID, \
                        RevisionNumber, CategoryIDs, IsInstalled, IsHidden, IsPresent or RebootRequired)";

impl Criteria {
    /// Reads criteria. A text that is empty or blank gives the default (rule R50); any other replaces it.
    ///
    /// # Errors
    ///
    /// Everything wua.md section 5.4 lists, and words for `Type` or `DeploymentAction` that do not exist.
    pub fn parse(text: &str) -> Result<Self, CriteriaError> {
        let mut parser = Parser::new(text)?;
        if parser.here.token == Token::End {
            return Ok(Self::default());
        }
        let mut groups = vec![parser.group()?];
        while parser.here.token != Token::End {
            parser.keyword()?;
            groups.push(parser.group()?);
        }
        Ok(Self { groups })
    }
}

/// A criteria text and the lexeme to be looked at next.
pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    pub(super) here: Lexeme<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, CriteriaError> {
        let mut lexer = Lexer::new(text);
        let here = lexer.next()?;
        Ok(Self { text, lexer, here })
    }

    /// Takes the present lexeme and goes on to the next.
    pub(super) fn advance(&mut self) -> Result<Lexeme<'a>, CriteriaError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.here, next))
    }

    /// The error that something else should stand here.
    pub(super) fn expected(&self, expected: &'static str) -> CriteriaError {
        CriteriaError::new(self.text, self.here.start, expected, self.here.found())
    }

    /// Terms joined by `and` up to `or` or the end, with any balanced parentheses around them.
    fn group(&mut self) -> Result<Group, CriteriaError> {
        let mut terms = Vec::new();
        let mut revision_at = None;
        let mut depth = 0_usize;
        loop {
            while self.here.token == Token::Open {
                depth += 1;
                self.advance()?;
            }
            let start = self.here.start;
            let term = self.criterion()?;
            if let Term::RevisionNumber(_) = term {
                revision_at.get_or_insert(start);
            }
            terms.push(term);

            let mut after_close = false;
            while self.here.token == Token::Close && depth > 0 {
                depth -= 1;
                after_close = true;
                self.advance()?;
            }
            let joins = self.here.is_word("and") || self.here.is_word("or");
            if joins && !self.here.after_blank && !after_close {
                return Err(self.expected("a blank"));
            }
            if self.here.is_word("and") {
                self.keyword()?;
            } else if depth > 0 {
                // Rule R40: also a pair around the whole of an `or`.
                return Err(self.expected(match self.here.is_word("or") {
                    true => "`and` or `)`, as `or` cannot stand inside parentheses",
                    false => "`and` or `)`",
                }));
            } else if self.here.is_word("or") || self.here.token == Token::End {
                self.check_revision(&terms, revision_at)?;
                return Ok(Group { terms });
            } else {
                return Err(self.expected("`and`, `or` or the end"));
            }
        }
    }

    /// Takes `and` or `or`, which a blank or a parenthesis must follow (rule R41).
    fn keyword(&mut self) -> Result<(), CriteriaError> {
        self.advance()?;
        match self.here.after_blank || matches!(self.here.token, Token::Open | Token::End) {
            true => Ok(()),
            false => Err(self.expected("a blank")),
        }
    }

    /// `RevisionNumber` needs `UpdateID=` in its group and no `UpdateID!=`.
    fn check_revision(&self, terms: &[Term], revision_at: Option<usize>) -> Result<(), CriteriaError> {
        let Some(position) = revision_at else {
            return Ok(());
        };
        let has = |wanted| {
            terms
                .iter()
                .any(|term| matches!(term, Term::UpdateId(found, _) if *found == wanted))
        };
        let found = match (has(Equality::Equal), has(Equality::NotEqual)) {
            (true, false) => return Ok(()),
            (_, true) => "`UpdateID!=`",
            (false, false) => "none",
        };
        let expected = "`UpdateID=` beside `RevisionNumber` in the same group";
        Err(CriteriaError::new(self.text, position, expected, found))
    }

    fn criterion(&mut self) -> Result<Term, CriteriaError> {
        let Some(property) = Property::named(&self.here) else {
            return Err(self.expected(PROPERTY));
        };
        self.advance()?;
        match property {
            Property::Type => Ok(Term::Type(self.equality()?, self.update_type()?)),
            Property::DeploymentAction => {
                self.equal()?;
                self.action().map(Term::DeploymentAction)
            }
            Property::UpdateId => Ok(Term::UpdateId(self.equality()?, UpdateId(self.guid()?))),
            Property::RevisionNumber => {
                self.equal()?;
                self.number().map(Term::RevisionNumber)
            }
            Property::CategoryIds => {
                self.contains()?;
                self.guid().map(Term::InCategory)
            }
            Property::Product => {
                self.equal()?;
                self.name().map(Term::Product)
            }
            Property::Flag(flag) => {
                self.equal()?;
                self.bit().map(|value| Term::Flag(flag, value))
            }
        }
    }

    pub(super) fn equal(&mut self) -> Result<(), CriteriaError> {
        match self.here.token {
            Token::Equal => self.advance().map(drop),
            _ => Err(self.expected("`=`")),
        }
    }

    fn equality(&mut self) -> Result<Equality, CriteriaError> {
        let equality = match self.here.token {
            Token::Equal => Equality::Equal,
            Token::NotEqual => Equality::NotEqual,
            _ => return Err(self.expected("`=` or `!=`")),
        };
        self.advance()?;
        Ok(equality)
    }

    /// `contains`, with a blank on both sides.
    fn contains(&mut self) -> Result<(), CriteriaError> {
        if !self.here.is_word("contains") {
            return Err(self.expected("`contains`"));
        }
        self.advance()?;
        match self.here.after_blank || self.here.token == Token::End {
            true => Ok(()),
            false => Err(self.expected("a blank")),
        }
    }

    fn update_type(&mut self) -> Result<UpdateType, CriteriaError> {
        let kind = UpdateType::ALL
            .iter()
            .find(|kind| self.is_text(type_word(**kind)))
            .copied();
        self.value(kind, "'Software' or 'Driver'")
    }

    fn action(&mut self) -> Result<ActionFilter, CriteriaError> {
        let filter = match self.here.token {
            Token::Star => Some(ActionFilter::Any),
            _ => DeploymentAction::ALL
                .iter()
                .find(|action| **action != DeploymentAction::None && self.is_text(action_word(**action)))
                .map(|action| ActionFilter::Only(*action)),
        };
        self.value(
            filter,
            "'Installation', 'Uninstallation', 'OptionalInstallation', 'Detection' or *",
        )
    }

    /// An id in quotes, with or without braces.
    pub(super) fn guid(&mut self) -> Result<Uuid, CriteriaError> {
        let id = match &self.here.token {
            // The lengths of these two forms; `Uuid` also reads forms that no Windows program writes.
            Token::Text(text) if matches!(text.len(), 36 | 38) => Uuid::try_parse(text).ok(),
            _ => None,
        };
        self.value(
            id,
            "an id such as '0fa1201d-4330-4fa8-8ae9-b877473b6441' in single quotes",
        )
    }

    fn name(&mut self) -> Result<String, CriteriaError> {
        let name = match &self.here.token {
            Token::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.value(name, "a text in single quotes")
    }

    fn number(&mut self) -> Result<i64, CriteriaError> {
        let number = match self.here.token {
            Token::Number => self.here.source.parse().ok(),
            _ => None,
        };
        self.value(number, "a whole number")
    }

    fn bit(&mut self) -> Result<bool, CriteriaError> {
        let bit = match (&self.here.token, self.here.source) {
            (Token::Number, "0") => Some(false),
            (Token::Number, "1") => Some(true),
            _ => None,
        };
        self.value(bit, "0 or 1")
    }

    /// Takes the present lexeme if it could be read as a value.
    fn value<T>(&mut self, read: Option<T>, expected: &'static str) -> Result<T, CriteriaError> {
        let value = read.ok_or_else(|| self.expected(expected))?;
        self.advance()?;
        Ok(value)
    }

    fn is_text(&self, word: &str) -> bool {
        matches!(&self.here.token, Token::Text(text) if text.eq_ignore_ascii_case(word))
    }
}

/// What a criterion can be about.
enum Property {
    Type,
    DeploymentAction,
    UpdateId,
    RevisionNumber,
    CategoryIds,
    Product,
    Flag(Flag),
}

impl Property {
    fn named(lexeme: &Lexeme<'_>) -> Option<Self> {
        let flags = [
            Flag::IsAssigned,
            Flag::BrowseOnly,
            Flag::AutoSelectOnWebSites,
            Flag::IsInstalled,
            Flag::IsHidden,
            Flag::IsPresent,
            Flag::RebootRequired,
        ];
        let others = [
            ("Type", Self::Type),
            ("DeploymentAction", Self::DeploymentAction),
            ("UpdateID", Self::UpdateId),
            ("RevisionNumber", Self::RevisionNumber),
            ("CategoryIDs", Self::CategoryIds),
            ("Product", Self::Product),
        ];
        let others = others.into_iter();
        let mut all = others.chain(flags.map(|flag| (flag.name(), Self::Flag(flag))));
        all.find(|(name, _)| lexeme.is_word(name))
            .map(|(_, property)| property)
    }
}
