//! Keeping the installed versions' archives, so that an update can be taken back (apt.md section 11).
//!
//! For each package that an update changes: the store may have the archive already; else the machine's own cache, or an
//! index that still offers exactly that version; else it is packed again from the installed files. Archives forget old
//! versions and caches are emptied, so the last is the usual way. Failing here never fails a download: it is a warning
//! that undo will not be possible.

use std::path::{Path, PathBuf};

use wua_engine::store::{ContentStore, Origin, StoreError};
use wua_types::{HResult, Update};

use crate::deb::Control;
use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::reader::{Reading, Wanted};
use crate::repack::{RepackError, Repacked, repack};
use crate::repositories::Repositories;
use crate::tree::AptTree;

/// Where a tree keeps the archives that APT fetched.
const CACHE: &str = "var/cache/apt/archives";

/// An installed version whose archive is not in the store yet.
#[derive(Clone, Debug)]
pub(crate) struct OldVersion {
    /// The place of the update that replaces it.
    pub(crate) update: usize,
    /// The installed package.
    pub(crate) package: InstalledPackage,
    /// Where it is offered still.
    pub(crate) offer: Option<Offer>,
}

/// An archive that an index offers.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) address: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// Why an installed version's archive could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("it cannot be packed again")]
    Repack(#[from] RepackError),
    #[error("it cannot be put in the store")]
    Store(#[from] StoreError),
    #[error("it is in no cache and no archive, and packing it again is turned off")]
    TurnedOff,
}

impl KeepError {
    pub(crate) fn code(&self) -> HResult {
        match self {
            Self::Store(error) => error.code(),
            Self::Repack(_) => HResult::WU_E_UNINSTALL_NOT_ALLOWED,
            // The administrator's own choice is no fault.
            Self::TurnedOff => HResult::S_FALSE,
        }
    }
}

/// The label of a package's archive in the store.
pub(crate) fn label(name: &str, architecture: &str, version: &str) -> String {
    format!("deb {name} {architecture} {version}")
}

impl OldVersion {
    /// The installed versions that `updates` replace and the store lacks, whichever way they can be had.
    pub(crate) fn lacking(
        updates: &[Update],
        installed: &DpkgDatabase,
        store: &ContentStore,
    ) -> Result<Vec<Self>, StoreError> {
        let stored: std::collections::HashSet<_> =
            store.list()?.into_iter().map(|content| content.label).collect();
        let mut lacking: Vec<Self> = Vec::new();
        for (update, packages) in updates.iter().map(Update::packages_to_have).enumerate() {
            for change in packages {
                let Some(package) = installed_as(installed, &change.name, &change.architecture) else {
                    continue;
                };
                let known = |old: &Self| {
                    old.package.name == package.name && old.package.architecture == package.architecture
                };
                let is_change = change.candidate.as_ref() != Some(&package.version);
                if is_change && !stored.contains(&package_label(package)) && !lacking.iter().any(known) {
                    lacking.push(Self {
                        update,
                        package: package.clone(),
                        offer: None,
                    });
                }
            }
        }
        Ok(lacking)
    }

    /// Takes the archive out of the machine's cache, if it is there and is what its name says.
    pub(crate) fn save_from_cache(&self, tree: &AptTree, store: &ContentStore) -> Result<bool, StoreError> {
        let InstalledPackage {
            name,
            architecture,
            version,
            ..
        } = &self.package;
        let file = cached(tree, name, architecture, version);
        if !Control::read(&file).is_ok_and(|control| control.is(name, architecture, version)) {
            return Ok(false);
        }
        store.put(&file, None, &self.label(), Origin::Saved)?;
        Ok(true)
    }

    /// Packs the installed files again and stores the archive, readable by its owner alone: it holds the
    /// configuration files of this machine.
    pub(crate) fn save_repacked(&self, tree: &AptTree, store: &ContentStore) -> Result<Repacked, KeepError> {
        let incoming = store.incoming()?;
        let write = |source| KeepError::Repack(RepackError::Write(source));
        let mut file = tempfile::Builder::new()
            .prefix(".old-")
            .tempfile_in(&incoming)
            .map_err(write)?;
        let repacked = repack(tree, &self.package, file.as_file_mut(), &incoming)?;
        store.put(file.path(), None, &self.label(), Origin::Repacked)?;
        Ok(repacked)
    }

    /// The store's name for it.
    pub(crate) fn label(&self) -> String {
        package_label(&self.package)
    }
}

/// Finds out which of `lacking` an index still offers in exactly the installed version.
pub(crate) fn look_for_offers(reading: &Reading, repositories: &Repositories, lacking: &mut [OldVersion]) {
    let wanted = |old: &OldVersion| Wanted {
        package: old.package.name.clone(),
        architecture: Some(old.package.architecture.clone()),
        version: Some(old.package.version.clone()),
    };
    let found = reading.find(&lacking.iter().map(wanted).collect::<Vec<_>>());
    for old in lacking {
        let package = &old.package;
        old.offer = found.records.iter().find_map(|record| {
            let is_it = record.package == package.name
                && record.architecture == package.architecture
                && record.version == package.version
                && !record.sha256.is_empty();
            let archive = record.archives.first().filter(|_| is_it)?;
            let address = repositories.address(&archive.address, &record.filename)?;
            Some(Offer {
                address,
                size: record.size,
                sha256: record.sha256.clone(),
            })
        });
    }
}

/// The installed package that a change of `name:architecture` replaces; it may have become `all` or ceased to be it.
pub(crate) fn installed_as<'a>(
    installed: &'a DpkgDatabase,
    name: &str,
    architecture: &str,
) -> Option<&'a InstalledPackage> {
    let present = || {
        installed
            .named(name)
            .iter()
            .filter(|package| package.status.is_present())
    };
    let same = present().find(|package| package.architecture == architecture);
    let moved = || present().find(|package| package.architecture == "all" || architecture == "all");
    same.or_else(moved)
}

/// Where APT would keep an archive: the epoch's colon is escaped.
pub(crate) fn cached(tree: &AptTree, name: &str, architecture: &str, version: &str) -> PathBuf {
    tree.path(CACHE).join(file_name(name, architecture, version))
}

fn file_name(name: &str, architecture: &str, version: &str) -> PathBuf {
    // Names and versions have no slash: dpkg's database is checked for that when it is read, indexes likewise.
    Path::new(&format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a")).replace('/', "_")).into()
}

fn package_label(package: &InstalledPackage) -> String {
    label(&package.name, &package.architecture, &package.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_cache_has_its_epoch_escaped() {
        assert_eq!(
            file_name("a", "amd64", "1:2.0-1"),
            Path::new("a_1%3a2.0-1_amd64.deb")
        );
        assert_eq!(file_name("../a", "amd64", "1"), Path::new(".._a_1_amd64.deb"));
    }
}
