//! A proof that APT's `upgrade --with-new-pkgs` takes exactly the candidates, so that a search need not ask it.
//!
//! APT first marks every candidate that is not held, without looking at relations, and only then installs what they lack, and
//! keeps back what does not fit. So where all packages fit together before, and fit together with all candidates in place, with no
//! recommendation that comes up new, nothing is left for its resolver to do: the answer is the candidates. Whatever is not plain is
//! no proof, and APT is asked: a package that is not completely installed, a foreign architecture, a pin that touches what is
//! installed, phasing, a relation that cannot be read, a setting that changes how APT resolves.

use std::collections::{HashMap, HashSet};

use crate::confirm::{ConfirmedPackage, Mode, PackageOrigin};
use crate::dpkg::{InstalledPackage, SelectionState};
use crate::reader::{ArchiveRecord, Candidate, Phasing, Reading};
use crate::relations::{self, Relation};
use crate::stanza::Stanza;
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
        before.add(Package::installed(package))?;
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
    let relations: Vec<Vec<u8>> = taken
        .iter()
        .map(|candidate| candidate.record.relations())
        .collect();
    let mut after = Standing::default();
    let new: HashMap<&str, usize> = taken
        .iter()
        .enumerate()
        .map(|(place, candidate)| (candidate.record.package.as_str(), place))
        .collect();
    for package in &before.packages {
        after.add(match new.get(package.name) {
            Some(place) => Package::offered(&taken[*place].record, &relations[*place]),
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
        if before.is_forbidden_by(new, place)? || after.is_forbidden_by(old, place)? {
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
    let old_text = old.stanza.text("Recommends").unwrap_or_default();
    let known = relations::strict(&old_text).ok_or("a relation cannot be read")?;
    let text = new.stanza.text("Recommends").unwrap_or_default();
    for group in relations::strict(&text).ok_or("a relation cannot be read")? {
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
    stanza: Stanza<'a>,
    /// `Multi-Arch: allowed`.
    is_allowed: bool,
}

impl<'a> Package<'a> {
    fn installed(package: &'a InstalledPackage) -> Self {
        let stanza = package.stanza();
        Self {
            name: &package.name,
            version: &package.version,
            stanza,
            is_allowed: stanza.field("Multi-Arch") == Some(b"allowed"),
        }
    }

    fn offered(record: &'a ArchiveRecord, relations: &'a [u8]) -> Self {
        Self {
            name: &record.package,
            version: &record.version,
            stanza: Stanza::new(relations),
            is_allowed: record.multi_arch.as_deref() == Some("allowed"),
        }
    }
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
        let text = package.stanza.text("Provides").unwrap_or_default();
        for relation in relations::strict(&text)
            .ok_or("a relation cannot be read")?
            .into_iter()
            .flatten()
        {
            let version = relation.bound().map(str::to_owned);
            self.provided
                .entry(relation.name)
                .or_default()
                .push((place, version));
        }
        self.packages.push(package);
        Ok(())
    }

    /// Whether all of them fit together.
    fn check(&self, native: &str) -> Result<(), Unclear> {
        for (place, package) in self.packages.iter().enumerate() {
            for field in ["Depends", "Pre-Depends"] {
                let text = package.stanza.text(field).unwrap_or_default();
                for group in relations::strict(&text).ok_or("a relation cannot be read")? {
                    if !self.holds(&group, native) {
                        return Err("a dependency is not installed");
                    }
                }
            }
            if self.is_forbidden_by(package, place)? {
                return Err("a conflict");
            }
        }
        Ok(())
    }

    /// Whether `package`, which stands at `own` itself, cannot be beside one of the others.
    fn is_forbidden_by(&self, package: &Package<'_>, own: usize) -> Result<bool, Unclear> {
        for field in ["Conflicts", "Breaks"] {
            let text = package.stanza.text(field).unwrap_or_default();
            let forbidden = relations::strict(&text).ok_or("a relation cannot be read")?;
            if forbidden
                .into_iter()
                .flatten()
                .any(|relation| self.meets(&relation, own))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the packages at `changed` can be unpacked and configured in some order: what must be configured before another is
    /// unpacked may not need that other one itself. APT gives up on such loops.
    fn check_order(&self, changed: &[usize]) -> Result<(), Unclear> {
        let mut needs: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut firsts = Vec::new();
        for &place in changed {
            for field in ["Depends", "Pre-Depends"] {
                let text = self.packages[place].stanza.text(field).unwrap_or_default();
                let groups = relations::strict(&text).ok_or("a relation cannot be read")?;
                for relation in groups.iter().flatten() {
                    let real = self.by_name.get(relation.name.as_str()).copied();
                    let others = real.into_iter().chain(self.providers(relation));
                    for other in others.filter(|other| changed.contains(other)) {
                        if other == place {
                            return Err("a package that needs itself");
                        }
                        needs.entry(place).or_default().push(other);
                        if field == "Pre-Depends" {
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
