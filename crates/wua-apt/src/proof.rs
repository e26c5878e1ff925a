//! A proof that APT's `upgrade --with-new-pkgs` takes exactly the candidates, so that a search need not ask it.
//!
//! APT first marks every candidate that is not held, without looking at relations, and only then installs what they lack, and
//! keeps back what does not fit. So where all packages fit together before, and fit together with all candidates in place, with no
//! recommendation that comes up new, nothing is left for its resolver to do: the answer is the candidates. Whatever is not plain is
//! no proof, and APT is asked: a package that is not completely installed, a foreign architecture, a pin that touches what is
//! installed, phasing, a relation that cannot be read, a setting that changes how APT resolves.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::confirm::{ConfirmedPackage, Mode, PackageOrigin};
use crate::dpkg::{InstalledPackage, SelectionState};
use crate::reader::{ArchiveRecord, Candidate, Phasing, Reading};
use crate::relations::{self, Relation};
use crate::version;

/// Why there is no proof; for logs and statistics.
pub type Unclear = &'static str;

/// The plan that APT must come to.
///
/// # Errors
/// What is unclear.
pub(crate) fn plan(reading: &Reading) -> Result<Vec<ConfirmedPackage>, Unclear> {
    Ok(upgrades(reading)?.into_iter().map(confirmed).collect())
}

/// The candidates that `apt-get upgrade --with-new-pkgs` must take, all of them and nothing else. Reads nothing but its argument.
///
/// # Errors
/// What is unclear, so that only APT itself can tell.
pub fn upgrades(reading: &Reading) -> Result<Vec<&Candidate>, Unclear> {
    if !reading.is_plain {
        return Err("pins or settings");
    }
    if !reading.warnings.is_empty() {
        return Err("what was read is not whole");
    }
    let native = reading.native_architecture.as_str();
    let is_native = |architecture: &str| architecture == native || architecture == "all";
    let mut before = Standing::default();
    for package in reading.installed.present() {
        let status = package.status;
        if !status.is_settled() || !matches!(status.selection, SelectionState::Install | SelectionState::Hold)
        {
            return Err("a package is not completely installed");
        }
        if !is_native(&package.architecture) {
            return Err("a foreign architecture");
        }
        before.add(Package::installed(package)?)?;
    }
    let taken: Vec<&Candidate> = reading
        .candidates
        .iter()
        .filter(|candidate| !candidate.held)
        .collect();
    for candidate in &reading.candidates {
        let record = &candidate.record;
        if candidate.phasing != Phasing::Complete {
            return Err("phasing");
        }
        if !is_native(&record.architecture)
            || version::compare(&record.version, &candidate.installed_version).is_le()
        {
            return Err("a candidate of another kind");
        }
    }
    let mut after = Standing::default();
    let new: HashMap<&str, usize> = taken
        .iter()
        .enumerate()
        .map(|(place, candidate)| (candidate.record.package.as_str(), place))
        .collect();
    for package in &before.packages {
        after.add(match new.get(package.name) {
            Some(place) => Package::offered(&taken[*place].record)?,
            None => package.clone(),
        })?;
    }
    before.check(native)?;
    after.check(native)?;
    let changed: Vec<usize> = (0..after.packages.len())
        .filter(|place| before.packages[*place].version != after.packages[*place].version)
        .collect();
    for &place in &changed {
        let (old, new) = (&before.packages[place], &after.packages[place]);
        check_recommends(old, new, &before, &after, native)?;
        // On the way from one to the other old and new versions meet.
        if before.is_forbidden_by(new, place) || after.is_forbidden_by(old, place) {
            return Err("a conflict on the way");
        }
    }
    after.check_order(&changed)?;
    Ok(taken)
}

/// APT follows recommendations that are new, or that held before; those that were there and did not hold it leaves alone.
fn check_recommends(
    old: &Package<'_>,
    new: &Package<'_>,
    before: &Standing<'_>,
    after: &Standing<'_>,
    native: &str,
) -> Result<(), Unclear> {
    let known = groups(&old.relations.recommends)?;
    for group in groups(&new.relations.recommends)? {
        let was_ignored = || known.contains(&group) && !before.might_hold(&group);
        if !after.holds(&group, native) && !was_ignored() {
            return Err("a recommendation is new");
        }
    }
    Ok(())
}

/// One package as it stands on the machine, or would.
#[derive(Clone)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// The same before and after, where the package stays as it is.
    relations: Rc<Relations<'a>>,
    /// `Multi-Arch: allowed`.
    is_allowed: bool,
}

/// What a package asks of the others.
struct Relations<'a> {
    depends: Vec<Vec<Relation>>,
    pre_depends: Vec<Vec<Relation>>,
    /// `Conflicts` and `Breaks`.
    forbidden: Vec<Relation>,
    provides: Vec<Relation>,
    /// Only read of packages that change.
    recommends: Cow<'a, str>,
}

impl<'a> Package<'a> {
    fn installed(package: &'a InstalledPackage) -> Result<Self, Unclear> {
        let mut texts: [Option<Cow<'a, str>>; FIELDS.len()] = Default::default();
        // The database has hundreds of long entries, so each is walked once.
        for field in package.stanza().fields().map_while(Result::ok) {
            let name = |name: &&str| field.name.eq_ignore_ascii_case(name.as_bytes());
            if let Some(place) = FIELDS.iter().position(name) {
                texts[place].get_or_insert_with(|| String::from_utf8_lossy(field.value));
            }
        }
        Self::new(&package.name, &package.version, texts)
    }

    fn offered(record: &'a ArchiveRecord) -> Result<Self, Unclear> {
        let texts = [
            &record.depends,
            &record.pre_depends,
            &record.recommends,
            &record.conflicts,
            &record.breaks,
            &record.provides,
            &record.multi_arch,
        ];
        let texts = texts.map(|text| text.as_deref().map(Cow::Borrowed));
        Self::new(&record.package, &record.version, texts)
    }

    /// `texts` are the values of [`FIELDS`].
    fn new(
        name: &'a str,
        version: &'a str,
        texts: [Option<Cow<'a, str>>; FIELDS.len()],
    ) -> Result<Self, Unclear> {
        let is_allowed = texts[FIELDS.len() - 1].as_deref() == Some("allowed");
        let [depends, pre_depends, recommends, conflicts, breaks, provides, _] =
            texts.map(Option::unwrap_or_default);
        let (conflicts, breaks) = (groups(&conflicts)?, groups(&breaks)?);
        let relations = Relations {
            depends: groups(&depends)?,
            pre_depends: groups(&pre_depends)?,
            forbidden: conflicts.into_iter().chain(breaks).flatten().collect(),
            provides: groups(&provides)?.into_iter().flatten().collect(),
            recommends,
        };
        Ok(Self {
            name,
            version,
            relations: Rc::new(relations),
            is_allowed,
        })
    }
}

/// The fields that the proof looks at.
const FIELDS: [&str; 7] = [
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Conflicts",
    "Breaks",
    "Provides",
    "Multi-Arch",
];

fn groups(text: &str) -> Result<Vec<Vec<Relation>>, Unclear> {
    relations::strict(text).ok_or("a relation cannot be read")
}

/// All packages of a machine together.
#[derive(Default)]
struct Standing<'a> {
    packages: Vec<Package<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// By virtual name: who provides it, and in which version.
    provided: HashMap<String, Vec<(usize, Option<String>)>>,
}

impl<'a> Standing<'a> {
    fn add(&mut self, package: Package<'a>) -> Result<(), Unclear> {
        let place = self.packages.len();
        if self.by_name.insert(package.name, place).is_some() {
            return Err("a package of several architectures");
        }
        for relation in &package.relations.provides {
            let version = relation.bound().map(str::to_owned);
            self.provided
                .entry(relation.name.clone())
                .or_default()
                .push((place, version));
        }
        self.packages.push(package);
        Ok(())
    }

    /// Whether all of them fit together.
    fn check(&self, native: &str) -> Result<(), Unclear> {
        for (place, package) in self.packages.iter().enumerate() {
            let relations = &package.relations;
            let needed = relations.depends.iter().chain(&relations.pre_depends);
            if !needed.into_iter().all(|group| self.holds(group, native)) {
                return Err("a dependency is not installed");
            }
            if self.is_forbidden_by(package, place) {
                return Err("a conflict");
            }
        }
        Ok(())
    }

    /// Whether `package`, which stands at `own` itself, cannot be beside one of the others.
    fn is_forbidden_by(&self, package: &Package<'_>, own: usize) -> bool {
        let mut forbidden = package.relations.forbidden.iter();
        forbidden.any(|relation| self.meets(relation, own))
    }

    /// Whether the packages at `changed` can be unpacked and configured in some order: what must be configured before another is
    /// unpacked may not need that other one itself. APT gives up on such loops.
    fn check_order(&self, changed: &[usize]) -> Result<(), Unclear> {
        let mut needs: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut firsts = Vec::new();
        for &place in changed {
            let relations = &self.packages[place].relations;
            for (groups, is_first) in [(&relations.depends, false), (&relations.pre_depends, true)] {
                for relation in groups.iter().flatten() {
                    let real = self.by_name.get(relation.name.as_str()).copied();
                    let others = real.into_iter().chain(self.providers(relation));
                    for other in others.filter(|other| changed.contains(other)) {
                        if other == place {
                            return Err("a package that needs itself");
                        }
                        needs.entry(place).or_default().push(other);
                        if is_first {
                            firsts.push((place, other));
                        }
                    }
                }
            }
        }
        let reaches = |from: usize, to: usize| {
            let (mut open, mut seen) = (vec![from], HashSet::from([from]));
            while let Some(place) = open.pop() {
                let next = needs.get(&place).into_iter().flatten();
                open.extend(next.filter(|next| seen.insert(**next)));
            }
            seen.contains(&to)
        };
        match firsts.into_iter().any(|(place, first)| reaches(first, place)) {
            true => Err("a loop of pre-dependencies"),
            false => Ok(()),
        }
    }

    /// Whether one of the alternatives is there.
    fn holds(&self, group: &[Relation], native: &str) -> bool {
        group.iter().any(|relation| {
            let real = self
                .by_name
                .get(relation.name.as_str())
                .map(|place| &self.packages[*place]);
            let is_real = |wanted: fn(&Package<'_>) -> bool| {
                real.is_some_and(|package| wanted(package) && relation.accepts(package.version))
            };
            match relation.qualifier() {
                Some("any") => is_real(|package| package.is_allowed),
                Some(architecture) if architecture != native => false,
                Some(_) | None => is_real(|_| true) || self.providers(relation).next().is_some(),
            }
        })
    }

    /// Whether one of the alternatives could be there, whatever architectures are asked for.
    fn might_hold(&self, group: &[Relation]) -> bool {
        group.iter().any(|relation| {
            let real = self.by_name.get(relation.name.as_str());
            real.is_some_and(|place| relation.accepts(self.packages[*place].version))
                || self.providers(relation).next().is_some()
        })
    }

    /// Whether a package other than that at `own` is what a relation forbids; where that depends on architectures, yes.
    fn meets(&self, relation: &Relation, own: usize) -> bool {
        let real = self.by_name.get(relation.name.as_str());
        real.is_some_and(|place| *place != own && relation.accepts(self.packages[*place].version))
            || self.providers(relation).any(|place| place != own)
    }

    fn providers(&self, relation: &Relation) -> impl Iterator<Item = usize> {
        let provided = self.provided.get(&relation.name).into_iter().flatten();
        provided.filter_map(move |(place, version)| {
            let fits = match (relation.bound(), version) {
                (None, _) => true,
                (Some(_), Some(version)) => relation.accepts(version),
                (Some(_), None) => false,
            };
            fits.then_some(*place)
        })
    }
}

/// The step of the plan that a candidate is.
fn confirmed(candidate: &Candidate) -> ConfirmedPackage {
    let record = &candidate.record;
    let origins = record.archives.iter().map(|archive| PackageOrigin {
        archive: archive.suite.clone().unwrap_or_default(),
        codename: archive.codename.clone().unwrap_or_default(),
        label: archive.label.clone().unwrap_or_default(),
    });
    ConfirmedPackage {
        name: record.package.clone(),
        architecture: record.architecture.clone(),
        mode: Mode::Upgrade,
        from: Some(candidate.installed_version.clone()),
        to: Some(record.version.clone()),
        origins: origins.collect(),
    }
}
