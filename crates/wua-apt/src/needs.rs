//! Which updates need which others, so that they go in one run of the package manager (rule B1): a look at pairs, no solver.
//!
//! An update needs another if a package of it, as it will be, cannot stand beside a package of the other as it is now, or if
//! a package of the other, as it is now, cannot stand beside it. What is unclear (alternatives, packages that are not there yet) binds: a batch too large
//! costs time, one too small is refused by APT and merged then.

use std::collections::{BTreeSet, HashMap};

use crate::relations::{Relation, field};
use crate::stanza::Stanza;

/// A package on its way from one version to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mover<'a> {
    /// The place of its update.
    pub(crate) update: usize,
    pub(crate) name: &'a str,
    /// As it is on the machine, if it is.
    pub(crate) now: Option<(&'a str, Stanza<'a>)>,
    /// As it will be, if it will.
    pub(crate) then: Option<(&'a str, Stanza<'a>)>,
}

/// Which update needs which: pairs of the one that needs and the one that is needed.
pub(crate) fn needs(movers: &[Mover<'_>]) -> Vec<(usize, usize)> {
    let mut by_name: HashMap<&str, Vec<&Mover<'_>>> = HashMap::new();
    for mover in movers {
        by_name.entry(mover.name).or_default().push(mover);
    }
    let others = |mover: &Mover<'_>, relation: &Relation| {
        let namesakes = by_name.get(relation.name.as_str()).cloned().unwrap_or_default();
        namesakes
            .into_iter()
            .filter(move |other| other.update != mover.update)
            .collect::<Vec<_>>()
    };
    let mut pairs = BTreeSet::new();
    let mut meet = |mover: &Mover<'_>,
                    stanza: Stanza<'_>,
                    version_of: &dyn Fn(&Mover<'_>) -> Option<String>,
                    is_new: bool| {
        let accepts = |relation: &Relation, other: &Mover<'_>| {
            version_of(other).is_some_and(|version| relation.accepts(&version))
        };
        for (fields, fits) in [
            (["Depends", "Pre-Depends"], true),
            (["Breaks", "Conflicts"], false),
        ] {
            for relation in fields.iter().flat_map(|name| field(stanza, name)).flatten() {
                for other in others(mover, &relation) {
                    if accepts(&relation, other) != fits {
                        pairs.insert(match is_new {
                            true => (mover.update, other.update),
                            false => (other.update, mover.update),
                        });
                    }
                }
            }
        }
    };
    for mover in movers {
        // As it will be, it meets the others as they are now; as it is now, it meets them as they will be.
        if let Some((_, stanza)) = mover.then {
            meet(
                mover,
                stanza,
                &|other| other.now.map(|(version, _)| version.to_owned()),
                true,
            );
        }
        if let Some((_, stanza)) = mover.now {
            meet(
                mover,
                stanza,
                &|other| other.then.map(|(version, _)| version.to_owned()),
                false,
            );
        }
    }
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(movers: &[(usize, &str, &str, &str)], expected: &[(usize, usize)]) {
        let movers: Vec<_> = movers
            .iter()
            .map(|(update, name, now, then)| Mover {
                update: *update,
                name,
                now: Some(("1", Stanza::new(now.as_bytes()))).filter(|_| *now != "-"),
                then: Some(("2", Stanza::new(then.as_bytes()))).filter(|_| *then != "-"),
            })
            .collect();
        assert_eq!(needs(&movers), expected);
    }

    #[test]
    fn an_exact_dependency_needs_and_a_loose_one_does_not() {
        check(
            &[
                (0, "tools", "Depends: lib (= 1)\n", "Depends: lib (= 2)\n"),
                (1, "lib", "", ""),
            ],
            &[(0, 1), (1, 0)],
        );
        check(
            &[
                (0, "tools", "Depends: lib\n", "Depends: lib (>= 1)\n"),
                (1, "lib", "", ""),
            ],
            &[],
        );
        check(
            &[
                (0, "tools", "Depends: lib (<< 2)\n", "Depends: lib\n"),
                (1, "lib", "", ""),
            ],
            &[(1, 0)],
        );
    }

    #[test]
    fn breaking_the_version_that_is_there_needs_the_newer_one() {
        check(
            &[(0, "lib", "", "Breaks: tools (<< 2)\n"), (1, "tools", "", "")],
            &[(0, 1)],
        );
        check(
            &[(0, "lib", "", "Breaks: tools (<< 1)\n"), (1, "tools", "", "")],
            &[],
        );
    }

    #[test]
    fn a_package_that_is_not_there_yet_is_needed() {
        check(
            &[(1, "meta", "", "Depends: image\n"), (0, "image", "-", "")],
            &[(1, 0)],
        );
    }

    #[test]
    fn packages_of_one_update_are_no_pair() {
        check(
            &[(0, "tools", "", "Depends: lib (= 2)\n"), (0, "lib", "", "")],
            &[],
        );
    }
}
