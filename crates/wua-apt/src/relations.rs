//! Relations between packages (`Depends`, `Breaks`, …): parsed, and tested against single packages.
//!
//! Nothing is solved here: APT does that. What is asked is whether two packages in given versions can stand beside
//! each other, to cut batches (rule B1) and to give reasons.

use std::cmp::Ordering;

use crate::stanza::Stanza;
use crate::version;

/// One alternative of a relation: `NAME[:ARCHITECTURE] (OPERATOR VERSION)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The architecture that is asked for, or `any`.
    qualifier: Option<String>,
    constraint: Option<(Operator, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Relation {
    /// Whether `version` of the named package is what the relation speaks of.
    pub(crate) fn accepts(&self, version: &str) -> bool {
        let Some((operator, bound)) = &self.constraint else {
            return true;
        };
        let order = version::compare(version, bound);
        match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }

    /// The version that the relation names, whatever it says about it.
    pub(crate) fn bound(&self) -> Option<&str> {
        self.constraint.as_ref().map(|(_, bound)| bound.as_str())
    }

    /// The architecture that the relation asks for, or `any`.
    pub(crate) fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_deref()
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, rest) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text.split(['[', '<']).next().unwrap_or_default(), None),
        };
        let name = name.trim();
        let (name, qualifier) = match name.split_once(':') {
            Some((name, qualifier)) => (name.to_owned(), Some(qualifier.to_owned())),
            None => (name.to_owned(), None),
        };
        let constraint = match rest {
            Some(rest) => {
                let inner = rest.split_once(')')?.0.trim();
                let length = inner.bytes().take_while(|byte| b"<>=".contains(byte)).count();
                let operator = match &inner[..length] {
                    "<<" => Operator::Earlier,
                    // A single sign is an old spelling that includes equality.
                    "<=" | "<" => Operator::EarlierOrEqual,
                    "=" => Operator::Equal,
                    ">=" | ">" => Operator::LaterOrEqual,
                    ">>" => Operator::Later,
                    _ => return None,
                };
                Some((operator, inner[length..].trim().to_owned()))
            }
            None => None,
        };
        (!name.is_empty()).then_some(Self {
            name,
            qualifier,
            constraint,
        })
    }
}

/// The groups of a field of a stanza.
pub(crate) fn field(stanza: Stanza<'_>, name: &str) -> Vec<Vec<Relation>> {
    groups(&stanza.text(name).unwrap_or_default())
}

/// The groups of a field's text, each a list of alternatives; what cannot be read is left out.
pub(crate) fn groups(text: &str) -> Vec<Vec<Relation>> {
    text.split(',')
        .map(|group| group.split('|').filter_map(Relation::parse).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

/// The same, where every part can be read; else none.
pub(crate) fn strict(text: &str) -> Option<Vec<Vec<Relation>>> {
    let groups = text.split(',').filter(|group| !group.trim().is_empty());
    groups
        .map(|group| group.split('|').map(Relation::parse).collect())
        .collect()
}

/// Whether the package of `stanza` asks for `other` by name.
pub(crate) fn asks_for(stanza: Stanza<'_>, other: &str) -> bool {
    let fields = ["Depends", "Pre-Depends", "Recommends"];
    fields
        .iter()
        .flat_map(|name| field(stanza, name))
        .flatten()
        .any(|relation| relation.name == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read_with_all_their_ornaments() {
        let stanza = Stanza::new(b"Depends: libc6 (>= 2.36), a:any | b (<< 1:2~) [amd64],\n c, , (broken\n");
        let names: Vec<Vec<_>> = field(stanza, "Depends")
            .iter()
            .map(|group| group.iter().map(|relation| relation.name.clone()).collect())
            .collect();
        assert_eq!(names, [vec!["libc6"], vec!["a", "b"], vec!["c"]]);
    }

    #[test]
    fn versions_are_held_against_operators() {
        let check = |text: &str, version: &str| Relation::parse(text).expect("a relation").accepts(version);
        assert!(check("a (= 1.0)", "1.0") && !check("a (= 1.0)", "1.1"));
        assert!(check("a (<< 1.0)", "1.0~rc") && !check("a (<< 1.0)", "1.0"));
        assert!(check("a (>= 1:0)", "1:0") && !check("a (>> 1.0)", "1.0"));
        assert!(check("a", "anything"));
    }
}
