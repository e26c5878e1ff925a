//! Holding criteria against updates, and saying beforehand what they may match.

use uuid::Uuid;

use super::ast::{ActionFilter, Criteria, Equality, Flag, Group, Term};
use crate::enums::{DeploymentAction, UpdateType};

/// What criteria can ask about an update that applies to this machine.
pub trait CriteriaFacts {
    /// Software or driver.
    fn update_type(&self) -> UpdateType;
    /// What is to be done with it; a bundle answers with what it inherits from its children.
    fn deployment_action(&self) -> DeploymentAction;
    /// Whether it is meant for deployment by automatic updates.
    fn is_assigned(&self) -> bool;
    /// Whether it is optional.
    fn browse_only(&self) -> bool;
    /// Whether it is to be selected in advance where updates are offered.
    fn auto_select_on_web_sites(&self) -> bool;
    /// The id shared by its revisions.
    fn update_id(&self) -> Uuid;
    /// Its revision.
    fn revision_number(&self) -> u32;
    /// Whether it belongs to the category, directly or through a child category.
    fn in_category(&self, category: Uuid) -> bool;
    /// Whether it is installed, for every product that it applies to.
    fn is_installed(&self) -> bool;
    /// Whether it is hidden on this machine.
    fn is_hidden(&self) -> bool;
    /// Whether it is installed for at least one product.
    fn is_present(&self) -> bool;
    /// Whether it waits for a restart.
    fn reboot_required(&self) -> bool;
}

impl Criteria {
    /// Whether the update fits one of the groups.
    pub fn matches(&self, facts: &dyn CriteriaFacts) -> bool {
        self.groups.iter().any(|group| group.matches(facts))
    }

    /// Whether an installed update may match. False is certain, so that installed updates need no look.
    pub fn wants_installed(&self) -> bool {
        self.may_match(Flag::IsInstalled, true)
    }

    /// Whether an update that is not installed may match. False is certain.
    pub fn wants_not_installed(&self) -> bool {
        self.may_match(Flag::IsInstalled, false)
    }

    /// Whether a hidden update may match. False is certain.
    pub fn wants_hidden(&self) -> bool {
        self.may_match(Flag::IsHidden, true)
    }

    /// Whether some group leaves room for updates whose `flag` is `value`.
    fn may_match(&self, flag: Flag, value: bool) -> bool {
        let refuses = |term: &Term| match term {
            Term::Product(_) => true,
            Term::Flag(named, wanted) => *named == flag && *wanted != value,
            _ => false,
        };
        self.groups.iter().any(|group| !group.terms.iter().any(refuses))
    }
}

impl Group {
    fn matches(&self, facts: &dyn CriteriaFacts) -> bool {
        let names_action = self
            .terms
            .iter()
            .any(|term| matches!(term, Term::DeploymentAction(_)));
        (names_action || facts.deployment_action() == DeploymentAction::Installation)
            && self.terms.iter().all(|term| term.matches(facts))
    }
}

impl Term {
    fn matches(&self, facts: &dyn CriteriaFacts) -> bool {
        match self {
            Self::Type(equality, kind) => equality.holds(facts.update_type() == *kind),
            Self::DeploymentAction(ActionFilter::Any) => true,
            Self::DeploymentAction(ActionFilter::Only(action)) => facts.deployment_action() == *action,
            Self::UpdateId(equality, id) => equality.holds(facts.update_id() == id.0),
            Self::RevisionNumber(number) => i64::from(facts.revision_number()) == *number,
            Self::InCategory(id) => facts.in_category(*id),
            Self::Flag(flag, value) => flag.of(facts) == *value,
            Self::Product(_) => false,
        }
    }
}

impl Equality {
    fn holds(self, same: bool) -> bool {
        same == (self == Self::Equal)
    }
}

impl Flag {
    fn of(self, facts: &dyn CriteriaFacts) -> bool {
        match self {
            Self::IsAssigned => facts.is_assigned(),
            Self::BrowseOnly => facts.browse_only(),
            Self::AutoSelectOnWebSites => facts.auto_select_on_web_sites(),
            Self::IsInstalled => facts.is_installed(),
            Self::IsHidden => facts.is_hidden(),
            Self::IsPresent => facts.is_present(),
            Self::RebootRequired => facts.reboot_required(),
        }
    }
}
