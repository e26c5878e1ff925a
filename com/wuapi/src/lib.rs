//! `wuapi.dll`: the Windows Update Agent API as a COM server for programs under Wine, in front of the machine's own agent.
//!
//! The library is thin. `api` has the interfaces, made of the table beside the IDL; `border` is where their raw calls become
//! plain Rust, `dispatch` lets scripts call by name; `objects` says what each member does; `agent` asks the agent. Programs get
//! here through four functions that every COM server exports.

#![warn(clippy::undocumented_unsafe_blocks)]

mod agent;
mod api;
mod border;
mod classes;
mod dispatch;
mod enumerator;
mod fault;
mod git;
mod jobs;
mod module;
mod objects;
mod registration;
mod typelib;
mod value;

use std::ffi::c_void;

use windows::Win32::Foundation::{CLASS_E_CLASSNOTAVAILABLE, E_POINTER, S_FALSE, S_OK};
use windows::Win32::System::Com::IClassFactory;
use windows_core::{GUID, HRESULT, Interface};

use crate::classes::Factory;

/// Gives a class's factory.
///
/// # Safety
/// As COM calls it: `clsid` and `iid` are NULL or readable, `object` NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DllGetClassObject(
    clsid: *const GUID,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if clsid.is_null() || iid.is_null() || object.is_null() {
        return E_POINTER;
    }
    // SAFETY: it was checked.
    unsafe { object.write(std::ptr::null_mut()) };
    // SAFETY: it was checked.
    let Some(class) = classes::find(unsafe { &*clsid }) else {
        return CLASS_E_CLASSNOTAVAILABLE;
    };
    let factory: IClassFactory = Factory::new(class).into();
    // SAFETY: both pointers were checked.
    unsafe { factory.query(iid, object) }
}

/// Whether nobody uses the DLL any more.
#[unsafe(no_mangle)]
pub extern "system" fn DllCanUnloadNow() -> HRESULT {
    if module::is_in_use() { S_FALSE } else { S_OK }
}

/// Writes the registry, for `regsvr32`.
#[unsafe(no_mangle)]
pub extern "system" fn DllRegisterServer() -> HRESULT {
    border::done(registration::register)
}

/// Takes that back.
#[unsafe(no_mangle)]
pub extern "system" fn DllUnregisterServer() -> HRESULT {
    border::done(registration::unregister)
}
