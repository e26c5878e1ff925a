//! Whether the packages that are on a machine can stand beside each other: a look at relations, no solver.
//!
//! Cheap enough to be taken before every job. It is lenient where architectures are concerned (a package of any of them
//! will do), so it can miss what only they break, and what it finds is laid before APT by `health`. APT decides.

use std::collections::HashMap;

use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::relations::{Relation, field};

/// A relation of an installed package that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The package whose relation it is, as `NAME:ARCHITECTURE`.
    pub(crate) package: String,
    /// What is wrong, as a sentence without its full stop.
    pub(crate) sentence: String,
}

/// What the packages offer each other.
struct Offers<'a> {
    real: HashMap<&'a str, Vec<&'a str>>,
    /// By virtual name: the provider and the version it provides.
    provided: HashMap<String, Vec<(&'a str, Option<String>)>>,
}

impl<'a> Offers<'a> {
    fn of(database: &'a DpkgDatabase) -> Self {
        let mut offers = Self {
            real: HashMap::new(),
            provided: HashMap::new(),
        };
        for package in database.present() {
            let versions = offers.real.entry(&package.name).or_default();
            versions.push(&package.version);
            for relation in field(package.stanza(), "Provides").into_iter().flatten() {
                let version = relation.bound().map(str::to_owned);
                let providers = offers.provided.entry(relation.name).or_default();
                providers.push((&package.name, version));
            }
        }
        offers
    }

    /// The names of packages, `except` left out, that are what the relation speaks of.
    fn fitting<'b>(&'b self, relation: &'b Relation, except: &'b str) -> impl Iterator<Item = &'b str> {
        let real = self.real.get(relation.name.as_str()).into_iter().flatten();
        let real = real
            .filter(move |version| relation.name != except && relation.accepts(version))
            .map(|_| relation.name.as_str());
        let provided = self.provided.get(&relation.name).into_iter().flatten();
        let provided = provided.filter_map(move |(provider, version)| {
            let fits = match (relation.bound(), version) {
                (None, _) => true,
                (Some(_), Some(version)) => relation.accepts(version),
                (Some(_), None) => false,
            };
            (fits && *provider != except).then_some(*provider)
        });
        real.chain(provided)
    }
}

/// Every relation that does not hold, in the order of the packages.
pub(crate) fn broken(database: &DpkgDatabase) -> Vec<Broken> {
    let offers = Offers::of(database);
    let of_package = |package: &InstalledPackage| {
        let mut found = Vec::new();
        let mut add = |sentence: String| {
            found.push(Broken {
                package: format!("{}:{}", package.name, package.architecture),
                sentence,
            });
        };
        let stanza = package.stanza();
        for name in ["Pre-Depends", "Depends"] {
            for group in field(stanza, name) {
                // A package may well be what it depends on.
                if !group
                    .iter()
                    .any(|relation| offers.fitting(relation, "").next().is_some())
                {
                    let wanted: Vec<_> = group.iter().map(described).collect();
                    add(format!(
                        "`{}` needs {}, which is not there",
                        package.name,
                        wanted.join(" or ")
                    ));
                }
            }
        }
        for name in ["Conflicts", "Breaks"] {
            for relation in field(stanza, name).into_iter().flatten() {
                if let Some(other) = offers.fitting(&relation, &package.name).next() {
                    add(format!(
                        "`{}` cannot be on the machine together with `{other}`",
                        package.name
                    ));
                }
            }
        }
        found
    };
    database.present().flat_map(of_package).collect()
}

fn described(relation: &Relation) -> String {
    match relation.bound() {
        Some(bound) => format!("`{}` (version {bound} or the like)", relation.name),
        None => format!("`{}`", relation.name),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(entries: &[(&str, &str)], expected: &[&str]) {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir_all(folder.path().join("var/lib/dpkg/updates")).expect("folder");
        let status: String = entries
            .iter()
            .map(|(name, fields)| {
                format!(
                    "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n{fields}\n"
                )
            })
            .collect();
        fs::write(folder.path().join("var/lib/dpkg/status"), status).expect("written");
        let database = DpkgDatabase::read(folder.path()).expect("database");
        let found: Vec<_> = broken(&database)
            .into_iter()
            .map(|broken| broken.package)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_dependency_holds_by_an_alternative_or_by_whoever_provides_it() {
        check(&[("a", "Depends: x | b (>= 2)\n"), ("b", "")], &[]);
        check(&[("a", "Depends: mail\n"), ("b", "Provides: mail\n")], &[]);
        check(
            &[("a", "Depends: api (>= 3)\n"), ("b", "Provides: api (= 3.1)\n")],
            &[],
        );
    }

    #[test]
    fn a_dependency_without_anybody_is_broken() {
        check(&[("a", "Depends: b (>= 3)\n"), ("b", "")], &["a:amd64"]);
        check(&[("a", "Pre-Depends: gone\n")], &["a:amd64"]);
        check(
            &[("a", "Depends: api (>= 3)\n"), ("b", "Provides: api\n")],
            &["a:amd64"],
        );
    }

    #[test]
    fn a_package_does_not_conflict_with_what_it_provides_itself() {
        check(&[("a", "Provides: mail\nConflicts: mail\n")], &[]);
        check(
            &[
                ("a", "Provides: mail\nConflicts: mail\n"),
                ("b", "Provides: mail\n"),
            ],
            &["a:amd64"],
        );
        check(&[("a", "Breaks: b (<< 2)\n"), ("b", "")], &[]);
        check(&[("a", "Breaks: b (<< 2.1)\n"), ("b", "")], &["a:amd64"]);
    }
}
