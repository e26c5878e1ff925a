//! What a practice machine shall be like, and, before anything is made, which updates it will have. Deciding is pure;
//! `create` carries it out.

use std::collections::BTreeSet;

use crate::archive::Suite;
use crate::catalogue;
use crate::fault::Fault;
use crate::fault_sources;
use crate::source::{Presence, Source};

/// The wishes for a practice machine. Equal recipes give equal packages, byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipe {
    /// The number of source packages with an update that goes well; the faults' updates are added to them. The first
    /// eight are always the same products, the others follow from the seed.
    pub updates: usize,
    /// Chooses the names, versions and contents beyond the named products.
    pub seed: u64,
    /// What shall go wrong: each fault adds one update of its own, but for [`Fault::BadSignature`].
    pub faults: BTreeSet<Fault>,
}

impl Default for Recipe {
    /// Eight updates, nothing wrong.
    fn default() -> Self {
        Self {
            updates: 8,
            seed: 1,
            faults: BTreeSet::new(),
        }
    }
}

/// An update that a machine made by a recipe has waiting: a source package with a newer version.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PracticeUpdate {
    /// The source package.
    pub source: String,
    /// The suite that has the new version.
    pub suite: Suite,
    /// The installed version.
    pub previous: String,
    /// The new version.
    pub version: String,
    /// The installed binary packages that become newer, in order of their names.
    pub packages: Vec<String>,
    /// The binary packages that are not installed yet and come with the new version, in order of their names.
    pub new_packages: Vec<String>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Whether APT offers it: not with a missing dependency, nor where the suite's new index is refused.
    pub offered: bool,
}

impl Recipe {
    /// The updates that a machine made by this recipe has waiting, offered or not, in order of their sources.
    pub fn planned_updates(&self) -> Vec<PracticeUpdate> {
        let mut updates: Vec<_> = self.sources().iter().map(|source| self.planned(source)).collect();
        updates.sort_by(|one, other| one.source.cmp(&other.source));
        updates
    }

    /// The sources with updates: the healthy ones, then those of the faults.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let mut sources = catalogue::sources(self.updates, self.seed);
        sources.extend(
            self.faults
                .iter()
                .filter_map(|fault| fault_sources::source(*fault)),
        );
        sources
    }

    fn planned(&self, source: &Source) -> PracticeUpdate {
        let names = |wanted: Presence| {
            let binaries = source.binaries.iter().filter(|binary| binary.presence == wanted);
            let mut names: Vec<String> = binaries.map(|binary| binary.name.clone()).collect();
            names.sort();
            names
        };
        let refused = self.faults.contains(&Fault::BadSignature) && source.suite == Suite::Practice;
        PracticeUpdate {
            source: source.name.clone(),
            suite: source.suite,
            previous: source.old.clone(),
            version: source.new.clone(),
            packages: names(Presence::Both),
            new_packages: names(Presence::New),
            fault: source.fault,
            offered: !refused && source.fault != Some(Fault::MissingDependency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_has_as_many_updates_as_it_says_and_one_for_each_fault_but_the_archives() {
        for count in [0, 1, 8, 9, 40, 700] {
            let recipe = Recipe {
                updates: count,
                faults: Fault::ALL.into(),
                ..Recipe::default()
            };
            let updates = recipe.planned_updates();
            assert_eq!(updates.len(), count + 9);
            let names: BTreeSet<&String> = updates
                .iter()
                .flat_map(|update| update.packages.iter().chain(&update.new_packages))
                .collect();
            let binaries: usize = updates
                .iter()
                .map(|update| update.packages.len() + update.new_packages.len())
                .sum();
            assert_eq!(names.len(), binaries, "names are unique");
        }
    }

    #[test]
    fn another_seed_gives_other_products_beyond_the_named_ones() {
        let names = |seed| {
            let recipe = Recipe {
                updates: 20,
                seed,
                ..Recipe::default()
            };
            recipe
                .sources()
                .into_iter()
                .map(|source| source.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), names(1));
        assert_eq!(names(1)[..8], names(2)[..8]);
        assert_ne!(names(1)[8..], names(2)[8..]);
    }
}
