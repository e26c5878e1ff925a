//! What the archives offer of the packages that a resolution is about: hashes, sizes and relations of exact versions, out of the
//! indexes that APT verified, so that nothing has to be downloaded to plan.

use std::collections::{BTreeSet, HashMap};

use wua_engine::Failure;
use wua_types::PlannedChange;

use crate::reader::{ArchiveRecord, Reading, Wanted};
use crate::repositories::Repositories;
use crate::tree::AptTree;

/// The offers known so far; further ones are looked up on demand, each name once.
pub(crate) struct Offers {
    reading: Reading,
    by_name: HashMap<String, Vec<ArchiveRecord>>,
}

impl Offers {
    /// Reads the machine's indexes, and looks up `names`.
    pub(crate) fn read<'a>(tree: &AptTree, names: impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        let reading = Reading::of(tree).map_err(crate::source::read_failure)?;
        let mut offers = Self {
            reading,
            by_name: HashMap::new(),
        };
        offers.learn(names);
        Ok(offers)
    }

    /// Looks up those of `names` that are not known yet, all in one pass over the indexes.
    pub(crate) fn learn<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let new: BTreeSet<&str> = names.filter(|name| !self.by_name.contains_key(*name)).collect();
        if new.is_empty() {
            return;
        }
        let wanted: Vec<Wanted> = new
            .iter()
            .map(|name| Wanted {
                package: (*name).to_owned(),
                ..Wanted::default()
            })
            .collect();
        for name in new {
            self.by_name.insert(name.to_owned(), Vec::new());
        }
        for record in self.reading.find(&wanted).records {
            self.by_name
                .entry(record.package.clone())
                .or_default()
                .push(record);
        }
    }

    /// What they were read from.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Where the archives' files lie.
    pub(crate) fn repositories(&self) -> &Repositories {
        &self.reading.repositories
    }

    /// All versions of a package that are offered.
    pub(crate) fn of(&self, name: &str) -> &[ArchiveRecord] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// One exact version.
    pub(crate) fn get(&self, name: &str, architecture: &str, version: &str) -> Option<&ArchiveRecord> {
        self.of(name)
            .iter()
            .find(|record| record.architecture == architecture && record.version == version)
    }

    /// The version that a change brings.
    pub(crate) fn brought_by(&self, change: &PlannedChange) -> Option<&ArchiveRecord> {
        self.get(&change.name, &change.architecture, change.to.as_deref()?)
    }
}
