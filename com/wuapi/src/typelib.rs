//! The type library inside this DLL.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use windows::Win32::System::Com::{ITypeInfo, ITypeLib, SYS_WIN64};
use windows::Win32::System::Ole::{
    LoadTypeLibEx, REGKIND, REGKIND_NONE, REGKIND_REGISTER, UnRegisterTypeLib,
};
use windows_core::GUID;

use crate::fault::Answer;
use crate::module;

/// Its id.
pub const LIBRARY: GUID = GUID::from_u128(0xb596cc9f_56e5_419e_a622_e01bb457431e);

/// Its version.
pub const VERSION: (u16, u16) = (2, 0);

/// OLE's objects of a loaded type library, which any thread may use.
struct AnyThread<T>(T);

// SAFETY: oleaut32 makes them; they belong to no apartment, count their references atomically and change only while they load.
unsafe impl Send for AnyThread<ITypeLib> {}
// SAFETY: as above.
unsafe impl Sync for AnyThread<ITypeLib> {}
// SAFETY: as above.
unsafe impl Send for AnyThread<ITypeInfo> {}

fn load(kind: REGKIND) -> Answer<ITypeLib> {
    // SAFETY: the path is a terminated string.
    Ok(unsafe { LoadTypeLibEx(&module::path()?, kind)? })
}

/// The description of an interface of the library.
pub fn describe(iid: &GUID) -> Answer<ITypeInfo> {
    static LOADED: OnceLock<AnyThread<ITypeLib>> = OnceLock::new();
    static KNOWN: Mutex<Option<HashMap<GUID, AnyThread<ITypeInfo>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    if let Some(info) = known.get(iid) {
        return Ok(info.0.clone());
    }
    let library = match LOADED.get() {
        Some(library) => library,
        None => {
            let library = load(REGKIND_NONE)?;
            LOADED.get_or_init(|| AnyThread(library))
        }
    };
    // SAFETY: the id is readable.
    let info = unsafe { library.0.GetTypeInfoOfGuid(iid)? };
    known.insert(*iid, AnyThread(info.clone()));
    Ok(info)
}

/// Registers the library. With it come the marshallers of all interfaces: clients can hand objects to other apartments.
pub fn register() -> Answer<()> {
    load(REGKIND_REGISTER).map(drop)
}

/// Takes the registration back.
pub fn unregister() -> Answer<()> {
    let (major, minor) = VERSION;
    // SAFETY: the id is readable.
    unsafe { UnRegisterTypeLib(&LIBRARY, major, minor, 0, SYS_WIN64)? };
    Ok(())
}
