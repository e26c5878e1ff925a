//! Criteria after parsing: groups joined by `or`, each made of terms joined by `and`.
//!
//! Parentheses leave no trace, as they may only surround terms of one group. Values made by the parser
//! are valid; `Display` writes them in one canonical form, which parses back to the same value.

use std::fmt;

use uuid::Uuid;

use super::escape_string;
use crate::enums::{DeploymentAction, UpdateType};
use crate::identity::UpdateId;

/// Valid search criteria: an update matches when one of the groups matches.
///
/// The default is that of rule R50, `IsInstalled=0 and IsHidden=0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Criteria {
    pub(super) groups: Vec<Group>,
}

/// Terms that must all hold. Without a term on `DeploymentAction`, `DeploymentAction='Installation'` is
/// implied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    pub(super) terms: Vec<Term>,
}

/// One condition on an update.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// `Type = 'Software'`
    Type(Equality, UpdateType),
    /// `DeploymentAction = 'Uninstallation'`
    DeploymentAction(ActionFilter),
    /// `UpdateID != '…'`
    UpdateId(Equality, UpdateId),
    /// `RevisionNumber = 3`; its group also has `UpdateID =`.
    RevisionNumber(i64),
    /// `CategoryIDs contains '…'`
    InCategory(Uuid),
    /// `IsInstalled = 0` and the other properties that are 0 or 1.
    Flag(Flag, bool),
    /// `Product = 'NAME'`, which no service here knows (rule R42).
    Product(String),
}

/// `=` or `!=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Equality {
    /// The property has the value.
    Equal,
    /// The property has another value.
    NotEqual,
}

/// What a term on `DeploymentAction` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionFilter {
    /// `*`: whatever the action is.
    Any,
    /// This action only.
    Only(DeploymentAction),
}

/// The properties that are 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Meant for deployment by automatic updates.
    IsAssigned,
    /// Optional.
    BrowseOnly,
    /// To be selected in advance where updates are offered.
    AutoSelectOnWebSites,
    /// Installed here.
    IsInstalled,
    /// Hidden on this machine.
    IsHidden,
    /// Installed for at least one product.
    IsPresent,
    /// Waits for a restart.
    RebootRequired,
}

impl Criteria {
    /// The groups; at least one.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The names of products asked for, in order. Their groups match nothing; the searcher owes the
    /// warning `WU_S_SEARCH_CRITERIA_NOT_SUPPORTED` for each (rule R42).
    pub fn unsupported_products(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flat_map(Group::products)
    }
}

impl Default for Criteria {
    fn default() -> Self {
        let terms = vec![
            Term::Flag(Flag::IsInstalled, false),
            Term::Flag(Flag::IsHidden, false),
        ];
        Self {
            groups: vec![Group { terms }],
        }
    }
}

impl Group {
    /// The terms; at least one.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The products that this group asks for.
    pub(super) fn products(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match term {
            Term::Product(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl Flag {
    /// The property's name in criteria.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IsAssigned => "IsAssigned",
            Self::BrowseOnly => "BrowseOnly",
            Self::AutoSelectOnWebSites => "AutoSelectOnWebSites",
            Self::IsInstalled => "IsInstalled",
            Self::IsHidden => "IsHidden",
            Self::IsPresent => "IsPresent",
            Self::RebootRequired => "RebootRequired",
        }
    }
}

impl fmt::Display for Criteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            if self.groups.len() > 1 && group.terms.len() > 1 {
                write!(f, "({group})")?;
            } else {
                write!(f, "{group}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(equality, kind) => write!(f, "Type{equality}'{}'", type_word(*kind)),
            Self::DeploymentAction(ActionFilter::Any) => f.write_str("DeploymentAction=*"),
            Self::DeploymentAction(ActionFilter::Only(action)) => {
                write!(f, "DeploymentAction='{}'", action_word(*action))
            }
            Self::UpdateId(equality, id) => write!(f, "UpdateID{equality}'{id}'"),
            Self::RevisionNumber(number) => write!(f, "RevisionNumber={number}"),
            Self::InCategory(id) => write!(f, "CategoryIDs contains '{id}'"),
            Self::Flag(flag, value) => write!(f, "{}={}", flag.name(), u8::from(*value)),
            Self::Product(name) => write!(f, "Product='{}'", escape_string(name)),
        }
    }
}

impl fmt::Display for Equality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
        })
    }
}

/// The word for a type in criteria; part of the language, so apart from the words shown to people.
pub(super) const fn type_word(kind: UpdateType) -> &'static str {
    match kind {
        UpdateType::Software => "Software",
        UpdateType::Driver => "Driver",
    }
}

/// The word for an action in criteria. The parser never yields `None`, which updates have only on paper.
pub(super) const fn action_word(action: DeploymentAction) -> &'static str {
    match action {
        DeploymentAction::None => "None",
        DeploymentAction::Installation => "Installation",
        DeploymentAction::Uninstallation => "Uninstallation",
        DeploymentAction::Detection => "Detection",
        DeploymentAction::OptionalInstallation => "OptionalInstallation",
    }
}
