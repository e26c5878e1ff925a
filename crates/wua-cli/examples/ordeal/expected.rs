//! How the machine looks when nothing disturbed it: each package with its version and its files, before the upgrade and after.
//!
//! Recorded by reading dpkg's own records and hashing the installed files; wua is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use crate::Outcome;
use crate::ground::Snapshot;
use crate::judge::{Verdict, states};

/// The regular files of a package that are not configuration, with a hash of each.
pub(crate) type Files = BTreeMap<String, u64>;

/// One package at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) version: String,
    pub(crate) source: String,
    pub(crate) files: Files,
    pub(crate) conffiles: BTreeSet<String>,
}

/// All packages of a machine at rest.
#[derive(Debug, Default)]
pub(crate) struct Settled(BTreeMap<String, Package>);

impl Settled {
    pub(crate) fn record(root: &Path) -> Outcome<Self> {
        let mut packages = BTreeMap::new();
        for (name, state) in states(root)? {
            if state.status != "install ok installed" {
                continue;
            }
            let files = list(root, &name, &state.architecture)
                .into_iter()
                .filter(|file| !state.conffiles.contains(file))
                .filter_map(|file| Some((hash(root, &file)?, file)))
                .map(|(hash, file)| (file, hash))
                .collect();
            let package = Package {
                version: state.version,
                source: state.source,
                files,
                conffiles: state.conffiles,
            };
            packages.insert(name, package);
        }
        Ok(Self(packages))
    }
}

/// The packages that the upgrade changes, on both sides of it, and the names of all others.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    sides: [BTreeMap<String, Package>; 2],
    others: BTreeSet<String>,
}

impl Expected {
    pub(crate) fn between(old: Settled, new: Settled) -> Outcome<Self> {
        let (mut old, mut new) = (old.0, new.0);
        let is_same = |name: &String| {
            old.get(name)
                .is_some_and(|before| new.get(name).is_some_and(|after| before.version == after.version))
        };
        let others: BTreeSet<String> = new.keys().filter(|name| is_same(name)).cloned().collect();
        old.retain(|name, _| !others.contains(name));
        new.retain(|name, _| !others.contains(name));
        if old.is_empty() {
            return Err("the machine has no pending updates".into());
        }
        if let Some(name) = old.keys().find(|name| !new.contains_key(*name)) {
            return Err(format!("the upgrade would remove `{name}`").into());
        }
        Ok(Self {
            sides: [old, new],
            others,
        })
    }

    /// The package as it is on one side of the upgrade; none where it is not there.
    pub(crate) fn on(&self, side: Snapshot, name: &str) -> Option<&Package> {
        self.sides[side as usize].get(name)
    }

    /// The names of the packages that the upgrade changes or brings.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &String> {
        self.sides[Snapshot::New as usize].keys()
    }

    /// The names of the packages that it leaves alone.
    pub(crate) fn others(&self) -> &BTreeSet<String> {
        &self.others
    }

    /// Whether every package of a source that the upgrade changes stands as it does on `side`.
    pub(crate) fn is_at(&self, source: &str, side: Snapshot, verdict: &Verdict) -> bool {
        let of_source = self.sides[Snapshot::New as usize]
            .iter()
            .filter(|(name, package)| package.source == source && self.on(Snapshot::Old, name).is_some());
        of_source
            .map(|(name, _)| name)
            .all(|name| verdict.is_at(name, side, self))
    }
}

/// The files that dpkg lists for a package.
fn list(root: &Path, name: &str, architecture: &str) -> Vec<String> {
    let info = root.join("var/lib/dpkg/info");
    let text = [format!("{name}.list"), format!("{name}:{architecture}.list")]
        .iter()
        .find_map(|list| fs::read_to_string(info.join(list)).ok())
        .unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A hash of a regular file's content; none for what is not one.
pub(crate) fn hash(root: &Path, file: &str) -> Option<u64> {
    let path = root.join(file.trim_start_matches('/'));
    if !fs::symlink_metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    fs::read(&path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}
