//! Whether an installed update can be taken back: are the archives of the versions before still stored (apt.md section 11)?

use crate::handler::InstalledUpdate;
use crate::store::{Content, ContentStore, Origin};

/// What the store can offer for taking an update back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    missing: Vec<String>,
    repacked: Vec<String>,
}

/// Everything in the store. A store that cannot be read has nothing to offer; why is said when the undo is begun.
pub fn contents(store: &ContentStore) -> Vec<Content> {
    store.list().unwrap_or_default()
}

/// The name and version in the label of an archive; empty where it says nothing of the kind.
pub(crate) fn name_and_version(content: &Content) -> (&str, &str) {
    let mut words = content.label.split(' ').skip(1);
    (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default())
}

/// Whether content is the archive of one package version. A package may have changed its architecture, to or from `all`, with
/// the update.
fn is_of(content: &Content, name: &str, version: &str) -> bool {
    name_and_version(content) == (name, version)
}

/// Looks for the archives of the versions before among `contents`.
pub fn look(installed: &InstalledUpdate, contents: &[Content]) -> Undo {
    let mut undo = Undo {
        missing: Vec::new(),
        repacked: Vec::new(),
    };
    for change in &installed.changes {
        let Some(from) = &change.from else { continue };
        let found = contents
            .iter()
            .filter(|content| is_of(content, &change.name, from));
        match found.min_by_key(|content| content.origin == Origin::Repacked) {
            None => undo.missing.push(format!("{} {from}", change.label())),
            Some(content) if content.origin == Origin::Repacked => {
                undo.repacked.push(format!("{} {from}", change.label()))
            }
            Some(_) => {}
        }
    }
    undo
}

impl Undo {
    /// Whether every archive is here.
    pub fn is_possible(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether any of them was packed again from installed files.
    pub fn uses_repacked(&self) -> bool {
        !self.repacked.is_empty()
    }

    /// What to know beforehand, if anything.
    pub fn note(&self) -> Option<String> {
        if !self.missing.is_empty() {
            Some(format!(
                "cannot be taken back: no archive of {} is stored",
                self.missing.join(", ")
            ))
        } else if !self.repacked.is_empty() {
            Some(format!(
                "goes back to archives that were packed again from installed files: {}",
                self.repacked.join(", ")
            ))
        } else {
            None
        }
    }
}
