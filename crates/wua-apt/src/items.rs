//! The files of a download: which are needed, which are here, and which to fetch next.
//!
//! Updates are snapshots that somebody handed us, so addresses and hashes are checked before they become arguments and
//! paths.

use std::collections::HashMap;
use std::path::Path;

use wua_engine::store::{ContentStore, Origin, StoreError};
use wua_types::{HResult, PackageChange, Update};

use crate::changelog;
use crate::incoming::{free_bytes, in_words};
use crate::keep_old::{self, OldVersion};
use crate::tree::AptTree;

/// How much is fetched in one run of the fetcher; what has arrived lies twice on the disk until the run ends.
const PORTION_BYTES: u64 = 256 << 20;
const PORTION_FILES: usize = 200;
/// Kept free on the store's disk.
pub(crate) const RESERVE: u64 = 16 << 20;

/// A file to have.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) package: String,
    pub(crate) address: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// The updates that need it; none for an old version, which nobody waits for.
    pub(crate) owners: Vec<usize>,
    pub(crate) state: State,
    /// How much of it lies in the incoming folder.
    pub(crate) arrived: u64,
}

/// Where a file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was here before.
    Kept,
    /// It came now.
    Here,
    /// It has to be fetched.
    Wanted,
    /// It arrived damaged after a part had been resumed; a second try begins from nothing.
    WantedWhole,
    /// It does not come.
    Failed(HResult, String),
}

impl Item {
    fn new(label: String, package: &str, address: &str, size: u64, sha256: &str) -> Self {
        let (package, address, sha256) = (package.into(), address.into(), sha256.into());
        let (owners, state) = (Vec::new(), State::Wanted);
        Self {
            label,
            package,
            address,
            size,
            sha256,
            owners,
            state,
            arrived: 0,
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted | State::WantedWhole)
    }
}

/// Every file that `updates` need, then those old versions that are offered. What the store or APT's cache has is
/// marked as here.
pub(crate) fn list(
    tree: &AptTree,
    updates: &[Update],
    old: &[OldVersion],
    store: &ContentStore,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (update, changes) in updates.iter().map(Update::packages_to_have).enumerate() {
        for change in changes {
            let Some(version) = &change.candidate else {
                continue;
            };
            let place = change
                .content
                .as_ref()
                .and_then(|content| places.get(&content.sha256));
            if let Some(place) = place {
                items[*place].owners.push(update);
                continue;
            }
            let item = Item {
                owners: vec![update],
                ..item(tree, change, version, store)
            };
            if !item.sha256.is_empty() {
                places.insert(item.sha256.clone(), items.len());
            }
            items.push(item);
        }
    }
    items.extend(old.iter().filter_map(|old| {
        let offer = old.offer.as_ref()?;
        Some(Item::new(
            old.label(),
            &old.package.name,
            &offer.address,
            offer.size,
            &offer.sha256,
        ))
    }));
    items
}

fn item(tree: &AptTree, change: &PackageChange, version: &str, store: &ContentStore) -> Item {
    let label = keep_old::label(&change.name, &change.architecture, version);
    let Some(content) = &change.content else {
        let why = format!(
            "no archive is known for `{}` {version}; search again",
            change.label()
        );
        let state = State::Failed(HResult::WU_E_DOWNLOAD_FAILED, why);
        return Item {
            state,
            ..Item::new(label, &change.name, "", 0, "")
        };
    };
    if store.path(&content.sha256).is_err() || !is_address(&content.url) {
        let why = format!("`{}` {version} has no usable address or hash", change.label());
        let state = State::Failed(HResult::WU_E_INVALID_UPDATE, why);
        return Item {
            state,
            ..Item::new(label, &change.name, "", 0, "")
        };
    }
    let mut item = Item::new(label, &change.name, &content.url, content.size, &content.sha256);
    let cached = keep_old::cached(tree, &change.name, &change.architecture, version);
    if is_stored_whole(store, &item) {
        item.state = State::Kept;
    } else if cached.is_file()
        && store
            .put(&cached, Some(&item.sha256), &item.label, Origin::Downloaded)
            .is_ok()
    {
        item.state = State::Here;
    }
    if !item.is_wanted() {
        note_changelog(store, &item);
    }
    item
}

/// Whether the store has the archive, and unaltered: an altered one is thrown away, so that it is fetched again.
fn is_stored_whole(store: &ContentStore, item: &Item) -> bool {
    if !store.has(&item.sha256) {
        return false;
    }
    let Err(error) = store.verify(&item.sha256) else {
        return true;
    };
    tracing::warn!(label = item.label, %error, "a stored archive is unusable and fetched again");
    if matches!(error, StoreError::WrongHash { .. })
        && let Err(error) = store.remove(&item.sha256)
    {
        tracing::warn!(label = item.label, %error, "it cannot be removed; the new one will replace it");
    }
    false
}

/// Keeps the changelog of an archive that is in the store now.
pub(crate) fn note_changelog(store: &ContentStore, item: &Item) {
    if let Err(error) = changelog::keep(store, &item.sha256, &item.package) {
        tracing::warn!(label = item.label, %error, "the changelog cannot be kept");
    }
}

/// The places of the next files to fetch. Those for which there is no room in `store` fail here.
pub(crate) fn portion(items: &mut [Item], store: &Path) -> Vec<usize> {
    let free = free_bytes(store).unwrap_or(u64::MAX);
    let (mut portion, mut bytes) = (Vec::new(), 0_u64);
    for (place, item) in items.iter_mut().enumerate().filter(|(_, item)| item.is_wanted()) {
        let with_it = bytes.saturating_add(item.size);
        // Once as it arrives and once in the store.
        let needed = with_it.saturating_mul(2).saturating_add(RESERVE);
        let is_enough = with_it > PORTION_BYTES || portion.len() >= PORTION_FILES || free < needed;
        if is_enough && !portion.is_empty() {
            break;
        }
        if free < needed {
            let folder = store.display();
            let why = format!(
                "`{folder}` has {} free, {} are needed",
                in_words(free),
                in_words(needed)
            );
            item.state = State::Failed(HResult::ERROR_DISK_FULL, why);
            continue;
        }
        bytes = with_it;
        portion.push(place);
    }
    portion
}

/// Whether this is `scheme:…` and so no option of the fetcher.
fn is_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(sizes: &[u64]) -> Vec<Item> {
        sizes
            .iter()
            .map(|size| Item::new(String::new(), "a", "copy:/a", *size, ""))
            .collect()
    }

    #[test]
    fn options_are_no_addresses() {
        for good in ["copy:/a", "http://h/a%20b", "mirror+https://h/a"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["-oDir::Etc=/x:", "/a:b", "", "http", "http://h/\n"] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_portion_ends_where_it_is_large_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut items = sized(&[1, 2, PORTION_BYTES, 3]);
        assert_eq!(portion(&mut items, folder.path()), [0, 1]);
        items[0].state = State::Here;
        items[1].state = State::Kept;
        assert_eq!(portion(&mut items, folder.path()), [2]);
    }

    #[test]
    fn what_can_never_fit_fails_at_once_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut items = sized(&[u64::MAX, 1]);
        assert_eq!(portion(&mut items, folder.path()), [1]);
        assert!(matches!(
            items[0].state,
            State::Failed(HResult::ERROR_DISK_FULL, _)
        ));
    }
}
