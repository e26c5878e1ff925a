//! A client's object, kept for use from any thread: through COM's global interface table, since a client may live in an apartment
//! of its own (rule R30). (`AgileReference` would do the same by a function that Wine 8 lacks.)

use std::sync::OnceLock;

use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance, IGlobalInterfaceTable};
use windows_core::{GUID, IUnknown, Interface};
use wua_types::HResult;

use crate::fault::Answer;

/// `CLSID_StdGlobalInterfaceTable`.
const TABLE: GUID = GUID::from_u128(0x00000323_0000_0000_c000_000000000046);

struct AnyThread<T>(T);

// SAFETY: the table is there once in a process and is made for use by all threads.
unsafe impl Send for AnyThread<IGlobalInterfaceTable> {}
// SAFETY: as above.
unsafe impl Sync for AnyThread<IGlobalInterfaceTable> {}

fn table() -> Answer<&'static IGlobalInterfaceTable> {
    static MADE: OnceLock<AnyThread<IGlobalInterfaceTable>> = OnceLock::new();
    if let Some(table) = MADE.get() {
        return Ok(&table.0);
    }
    // SAFETY: an ordinary creation; the calling thread is in an apartment.
    let table = unsafe { CoCreateInstance(&TABLE, None, CLSCTX_INPROC_SERVER)? };
    Ok(&MADE.get_or_init(|| AnyThread(table)).0)
}

/// An interface of a client's object. Any thread can [`get`](Self::get) it.
#[derive(Debug)]
pub struct Kept<T: Interface> {
    cookie: u32,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: Interface> Kept<T> {
    /// Keeps it, on a thread that may use it.
    pub fn new(interface: &T) -> Answer<Self> {
        let unknown: IUnknown = interface.cast()?;
        // SAFETY: the interface is one of the id, as `T` says.
        let cookie = unsafe { table()?.RegisterInterfaceInGlobal(&unknown, &T::IID)? };
        Ok(Self {
            cookie,
            kind: std::marker::PhantomData,
        })
    }

    /// The interface, for the calling thread.
    pub fn get(&self) -> Answer<T> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: what was registered under the cookie has this interface, and a pointer to it is written.
        unsafe { table()?.GetInterfaceFromGlobal(self.cookie, &T::IID, &mut raw)? };
        if raw.is_null() {
            return Err(HResult::E_UNEXPECTED.into());
        }
        // SAFETY: the pointer is of that interface, and its reference ours.
        Ok(unsafe { T::from_raw(raw) })
    }
}

impl<T: Interface> Drop for Kept<T> {
    fn drop(&mut self) {
        if let Ok(table) = table() {
            // SAFETY: the cookie is ours, and is given back once. A client that is gone cannot be told.
            let _ = unsafe { table.RevokeInterfaceFromGlobal(self.cookie) };
        }
    }
}
