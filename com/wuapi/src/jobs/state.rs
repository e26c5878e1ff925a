//! What a caller gives along to a job (`AsyncState`, rules R11 and R28).

use std::any::Any;
use std::sync::Arc;

use windows::Win32::System::Com::IDispatch;
use windows::Win32::System::Variant::{VARIANT, VT_ARRAY, VT_BYREF, VT_DISPATCH, VT_RECORD, VT_UNKNOWN};
use windows_core::IUnknown;
use wua_types::HResult;

use crate::fault::{Answer, Fault};
use crate::git::Kept;

/// What was given along, for any thread.
#[derive(Debug)]
pub enum AsyncState {
    /// A value.
    Value(Value),
    /// An object that scripts can use.
    Dispatch(Kept<IDispatch>),
    /// Another object.
    Unknown(Kept<IUnknown>),
}

/// A VARIANT that is no object.
pub struct Value(VARIANT);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VARIANT of type {}", self.0.vt().0)
    }
}

// SAFETY: numbers, dates, texts and arrays of them belong to no apartment; it is never changed, and is copied out. An array of
// objects is the client's to share (D8: its contents can be changed by the client in any case).
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl AsyncState {
    /// Keeps what a client gives along.
    pub fn keep(given: &VARIANT) -> Answer<Self> {
        let kind = given.vt();
        if kind.0 & VT_BYREF.0 != 0 || kind.0 & !VT_ARRAY.0 == VT_RECORD.0 {
            let what = "A reference or a user-defined type cannot be given along to a job";
            return Err(Fault::new(HResult::E_INVALIDARG, what));
        }
        Ok(match kind {
            VT_DISPATCH => match IDispatch::try_from(given) {
                Ok(object) => Self::Dispatch(Kept::new(&object)?),
                // `Nothing`.
                Err(_) => Self::Value(Value(given.clone())),
            },
            VT_UNKNOWN => match IUnknown::try_from(given) {
                Ok(object) => Self::Unknown(Kept::new(&object)?),
                Err(_) => Self::Value(Value(given.clone())),
            },
            _ => Self::Value(Value(given.clone())),
        })
    }

    /// A copy for the calling thread.
    pub fn copy(&self) -> Answer<VARIANT> {
        Ok(match self {
            Self::Value(value) => value.0.clone(),
            Self::Dispatch(object) => object.get()?.into(),
            Self::Unknown(object) => object.get()?.into(),
        })
    }
}

/// For the calling thread; nothing where the job was ended.
pub fn state_of(given: Option<Arc<dyn Any + Send + Sync>>) -> Answer<VARIANT> {
    match given
        .as_deref()
        .and_then(|given| given.downcast_ref::<AsyncState>())
    {
        Some(state) => state.copy(),
        None => Ok(VARIANT::default()),
    }
}
