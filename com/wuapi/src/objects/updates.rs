//! `UpdateCollection`: an ordered list of updates.

use std::sync::Mutex;

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{ComObject, IUnknown, implement};
use wua_types::HResult;

use crate::api::{IUpdate, IUpdate5, IUpdateCollection, IUpdateCollection_Impl};
use crate::border;
use crate::dispatch::scripted;
use crate::enumerator::Enumerator;
use crate::fault::Answer;
use crate::module::Lease;
use crate::objects::{Update, lock, place};

/// The collection. What is in it may be in others too.
#[implement(IUpdateCollection, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct UpdateCollection {
    updates: Mutex<Vec<ComObject<Update>>>,
    read_only: bool,
    _lease: Lease,
}

scripted!(UpdateCollection_Impl => IUpdateCollection);

impl UpdateCollection {
    /// One that nobody can change.
    pub fn read_only(updates: impl IntoIterator<Item = ComObject<Update>>) -> ComObject<Self> {
        let updates = Mutex::new(updates.into_iter().collect());
        ComObject::new(Self {
            updates,
            read_only: true,
            ..Self::default()
        })
    }

    /// What it holds now.
    pub fn updates(&self) -> Vec<ComObject<Update>> {
        lock(&self.updates).clone()
    }

    /// A collection of ours that a client gives; other implementations are refused.
    pub fn of_client(given: Option<&IUpdateCollection>) -> Answer<ComObject<Self>> {
        border::ours(given, "update collection")
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<ComObject<Update>>) -> Answer<T>) -> Answer<T> {
        if self.read_only {
            return Err(HResult::WU_E_NOT_SUPPORTED.into());
        }
        // What is taken out is released after the lock: its last reference may run anybody's code.
        let mut updates = self.updates();
        let answer = change(&mut updates)?;
        let before = std::mem::replace(&mut *lock(&self.updates), updates);
        drop(before);
        Ok(answer)
    }
}

impl IUpdateCollection_Impl for UpdateCollection_Impl {
    fn item(&self, index: i32) -> Answer<IUpdate> {
        let updates = lock(&self.updates);
        Ok(updates[place(index, updates.len())?]
            .to_interface::<IUpdate5>()
            .into())
    }

    fn put_item(&self, index: i32, value: Option<&IUpdate>) -> Answer<()> {
        self.change(|updates| {
            let update = Update::of_client(value)?;
            let place = place(index, updates.len())?;
            updates[place] = update;
            Ok(())
        })
    }

    fn new_enum(&self) -> Answer<IUnknown> {
        Ok(Enumerator::over(self.updates()))
    }

    fn count(&self) -> Answer<i32> {
        Ok(lock(&self.updates).len() as i32)
    }

    fn read_only(&self) -> Answer<bool> {
        Ok(self.read_only)
    }

    fn add(&self, value: Option<&IUpdate>) -> Answer<i32> {
        self.change(|updates| {
            updates.push(Update::of_client(value)?);
            Ok(updates.len() as i32 - 1)
        })
    }

    fn clear(&self) -> Answer<()> {
        self.change(|updates| {
            updates.clear();
            Ok(())
        })
    }

    fn copy(&self) -> Answer<IUpdateCollection> {
        Ok(UpdateCollection {
            updates: Mutex::new(self.updates()),
            ..UpdateCollection::default()
        }
        .into())
    }

    fn insert(&self, index: i32, value: Option<&IUpdate>) -> Answer<()> {
        self.change(|updates| {
            let update = Update::of_client(value)?;
            let place = place(index, updates.len() + 1)?;
            updates.insert(place, update);
            Ok(())
        })
    }

    fn remove_at(&self, index: i32) -> Answer<()> {
        self.change(|updates| {
            let place = place(index, updates.len())?;
            updates.remove(place);
            Ok(())
        })
    }
}
