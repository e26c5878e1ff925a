//! What the content store has, by label: which archive is which package, and what it says of itself.

use std::collections::HashMap;

use wua_engine::Failure;
use wua_engine::store::{Content, ContentStore, Origin, StoreError};

use crate::deb::Control;

/// The store's content by label, and the control paragraphs of its archives.
pub(crate) struct Stored {
    store: ContentStore,
    by_label: HashMap<String, Content>,
}

impl Stored {
    pub(crate) fn list(store: &ContentStore) -> Result<Self, Failure> {
        let contents = store
            .list()
            .map_err(|error| Failure::because(error.code(), "the store cannot be read", error))?;
        let mut by_label: HashMap<String, Content> = HashMap::new();
        for content in contents {
            let better = |known: &Content| known.origin != Origin::Repacked;
            if !by_label.get(&content.label).is_some_and(better) {
                by_label.insert(content.label.clone(), content);
            }
        }
        Ok(Self {
            store: store.clone(),
            by_label,
        })
    }

    pub(crate) fn labelled(&self, label: &str) -> Option<&Content> {
        self.by_label.get(label)
    }

    /// Reads an archive whole and compares its hash; to be asked before anybody else reads it.
    pub(crate) fn verify(&self, sha256: &str) -> Result<(), StoreError> {
        self.store.verify(sha256).map(drop)
    }

    pub(crate) fn control(&self, sha256: &str) -> Option<Control> {
        let path = self.store.path(sha256).ok()?;
        Control::read(&path)
            .inspect_err(|error| tracing::warn!(%error, "an archive in the store is unreadable"))
            .ok()
    }
}

/// `Installed-Size` counts kibibytes.
pub(crate) fn installed_bytes(control: &Control) -> u64 {
    let kibibytes = control
        .stanza()
        .text("Installed-Size")
        .and_then(|text| text.parse::<u64>().ok());
    kibibytes.and_then(|size| size.checked_mul(1024)).unwrap_or(0)
}
