//! The updates that a downloader or an installer is to work on (rule R7).

use std::sync::Mutex;

use windows_core::ComObject;

use crate::api::IUpdateCollection;
use crate::fault::Answer;
use crate::objects::lockdown::Lockdown;
use crate::objects::{Update, UpdateCollection, lock};

/// A snapshot of a client's collection; none before the first.
#[derive(Debug, Default)]
pub struct Wanted(Mutex<Option<Vec<ComObject<Update>>>>);

impl Wanted {
    /// `put Updates`: what the collection gets later is not seen.
    pub fn put(&self, value: Option<&IUpdateCollection>) -> Answer<()> {
        let updates = UpdateCollection::of_client(value)?.updates();
        let before = lock(&self.0).replace(updates);
        drop(before);
        Ok(())
    }

    /// `get Updates`: a view that nobody can change.
    pub fn get(&self, lockdown: &Lockdown) -> Option<IUpdateCollection> {
        let updates = lock(&self.0).clone()?;
        Some(match lockdown.is_locked() {
            true => {
                UpdateCollection::read_only(updates.iter().map(|update| update.locked())).into_interface()
            }
            false => UpdateCollection::read_only(updates).into_interface(),
        })
    }

    /// For a job that begins.
    pub fn updates(&self) -> Vec<ComObject<Update>> {
        lock(&self.0).clone().unwrap_or_default()
    }
}
