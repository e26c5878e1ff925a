//! `StringCollection`: an ordered list of texts.

use std::sync::Mutex;

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, ComObject, IUnknown, implement};
use wua_types::HResult;

use crate::api::{IStringCollection, IStringCollection_Impl};
use crate::border::{self, is_null};
use crate::dispatch::scripted;
use crate::enumerator::Enumerator;
use crate::fault::Answer;
use crate::module::Lease;
use crate::objects::{lock, place};
use crate::value::Text;

/// The collection. One that belongs to another object is read-only.
#[implement(IStringCollection, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct StringCollection {
    texts: Mutex<Vec<Text>>,
    read_only: bool,
    _lease: Lease,
}

scripted!(StringCollection_Impl => IStringCollection);

impl StringCollection {
    /// One that nobody can change: texts of another object.
    pub fn read_only(texts: impl IntoIterator<Item = impl AsRef<str>>) -> IStringCollection {
        Self::view(texts.into_iter().map(|text| Text::from(text.as_ref())).collect())
    }

    /// The same, of texts that a client gave.
    pub fn view(texts: Vec<Text>) -> IStringCollection {
        Self {
            texts: Mutex::new(texts),
            read_only: true,
            ..Self::default()
        }
        .into()
    }

    /// A member that has no texts.
    pub fn nothing() -> IStringCollection {
        Self::read_only(std::iter::empty::<&str>())
    }

    /// What it holds now.
    pub fn texts(&self) -> Vec<Text> {
        lock(&self.texts).clone()
    }

    /// A collection of ours that a client gives; other implementations are refused.
    pub fn of_client(given: Option<&IStringCollection>) -> Answer<ComObject<Self>> {
        border::ours(given, "string collection")
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Text>) -> Answer<T>) -> Answer<T> {
        if self.read_only {
            return Err(HResult::WU_E_NOT_SUPPORTED.into());
        }
        change(&mut lock(&self.texts))
    }
}

/// A text given to be kept: NULL is none.
fn kept(text: &BSTR) -> Answer<Text> {
    if is_null(text) {
        return Err(HResult::E_POINTER.into());
    }
    Ok(text.into())
}

impl IStringCollection_Impl for StringCollection_Impl {
    fn item(&self, index: i32) -> Answer<BSTR> {
        let texts = lock(&self.texts);
        Ok(texts[place(index, texts.len())?].to_bstr())
    }

    fn put_item(&self, index: i32, value: &BSTR) -> Answer<()> {
        self.change(|texts| {
            let place = place(index, texts.len())?;
            texts[place] = kept(value)?;
            Ok(())
        })
    }

    fn new_enum(&self) -> Answer<IUnknown> {
        Ok(Enumerator::over(self.texts()))
    }

    fn count(&self) -> Answer<i32> {
        Ok(lock(&self.texts).len() as i32)
    }

    fn read_only(&self) -> Answer<bool> {
        Ok(self.read_only)
    }

    fn add(&self, value: &BSTR) -> Answer<i32> {
        self.change(|texts| {
            texts.push(kept(value)?);
            Ok(texts.len() as i32 - 1)
        })
    }

    fn clear(&self) -> Answer<()> {
        self.change(|texts| {
            texts.clear();
            Ok(())
        })
    }

    fn copy(&self) -> Answer<IStringCollection> {
        Ok(StringCollection {
            texts: Mutex::new(self.texts()),
            ..StringCollection::default()
        }
        .into())
    }

    fn insert(&self, index: i32, value: &BSTR) -> Answer<()> {
        self.change(|texts| {
            let place = place(index, texts.len() + 1)?;
            texts.insert(place, kept(value)?);
            Ok(())
        })
    }

    fn remove_at(&self, index: i32) -> Answer<()> {
        self.change(|texts| {
            let place = place(index, texts.len())?;
            texts.remove(place);
            Ok(())
        })
    }
}
