//! A client's object, kept for use from any thread: through COM's global interface table, since a client may live in an apartment
//! of its own. (`AgileReference` would do the same by a function that Wine 8 lacks.)

use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance, IGlobalInterfaceTable};
use windows_core::{GUID, IUnknown, Interface};

use crate::fault::Answer;

/// `CLSID_StdGlobalInterfaceTable`.
const TABLE: GUID = GUID::from_u128(0x00000323_0000_0000_c000_000000000046);

/// One entry of the table. Dropped, it lets the object go.
#[derive(Debug)]
pub struct Kept(u32);

impl Kept {
    /// Keeps an object.
    pub fn new(object: &IUnknown) -> Answer<Self> {
        // SAFETY: the interface is the one that the id says.
        Ok(Self(unsafe {
            table()?.RegisterInterfaceInGlobal(object, &IUnknown::IID)?
        }))
    }

    /// The object, or its proxy, for the calling thread.
    pub fn object(&self) -> Answer<IUnknown> {
        let mut object = std::ptr::null_mut();
        // SAFETY: the entry is ours and has this interface; what is got is owned.
        unsafe {
            table()?.GetInterfaceFromGlobal(self.0, &IUnknown::IID, &mut object)?;
            Ok(IUnknown::from_raw(object))
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Ok(table) = table() {
            // Nothing can be done about an entry that is gone.
            // SAFETY: the entry is ours.
            let _ = unsafe { table.RevokeInterfaceFromGlobal(self.0) };
        }
    }
}

fn table() -> Answer<IGlobalInterfaceTable> {
    // SAFETY: the thread is in an apartment, or the call fails.
    Ok(unsafe { CoCreateInstance(&TABLE, None, CLSCTX_INPROC_SERVER)? })
}
