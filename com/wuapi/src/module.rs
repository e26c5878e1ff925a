//! This DLL itself: where it is, and whether it may be unloaded.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use windows::Win32::Foundation::HMODULE;
use windows::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN,
    GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW, GetModuleHandleExW,
};
use windows_core::{HSTRING, Interface, PCWSTR};

use crate::fault::Answer;

static LEASES: AtomicUsize = AtomicUsize::new(0);

/// Keeps the DLL loaded. Every object has one, and so has a client's lock on a class factory.
#[derive(Debug)]
pub struct Lease(());

impl Default for Lease {
    fn default() -> Self {
        LEASES.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        LEASES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lease {
    /// Ends a lease that was forgotten: a client unlocks what it has locked before.
    pub fn take_back() {
        drop(Self(()));
    }
}

/// Facts of an object that only tells them, with the object's lease.
#[derive(Debug)]
pub struct Leased<T> {
    facts: T,
    _lease: Lease,
}

impl<T> From<T> for Leased<T> {
    fn from(facts: T) -> Self {
        Self {
            facts,
            _lease: Lease::default(),
        }
    }
}

impl<T> std::ops::Deref for Leased<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.facts
    }
}

/// Whether anything of ours is still in use.
pub fn is_in_use() -> bool {
    LEASES.load(Ordering::Relaxed) > 0
}

/// The module that has an address.
fn at(address: *const c_void, flags: u32) -> Answer<HMODULE> {
    let address = PCWSTR(address.cast());
    let mut module = HMODULE::default();
    // SAFETY: FROM_ADDRESS makes the name an address, which is looked up and not read; `module` can be written.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | flags,
            address,
            &mut module,
        )?
    };
    Ok(module)
}

fn handle(flags: u32) -> Answer<HMODULE> {
    at((&raw const LEASES).cast(), flags)
}

/// Whether an object is made by this DLL: its vtable lies in it. To ask the object itself is not enough, as every object of
/// windows-core answers the question that `ComObject::cast_from` asks, with pointers that only its own binary can read.
pub fn is_ours(object: &impl Interface) -> bool {
    // SAFETY: an interface pointer leads to a pointer to its vtable.
    let vtable = unsafe { *object.as_raw().cast::<*const c_void>() };
    let flags = GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    matches!((at(vtable, flags), handle(flags)), (Ok(its), Ok(own)) if its == own)
}

/// Keeps the DLL loaded until the process ends. For whoever starts a thread: its last instructions are ours, and nobody can
/// tell when they have run.
pub fn stay() -> Answer<()> {
    handle(GET_MODULE_HANDLE_EX_FLAG_PIN).map(drop)
}

/// The path of the DLL.
pub fn path() -> Answer<HSTRING> {
    let module = handle(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT)?;
    let mut path = vec![0; 0x8000];
    // SAFETY: `path` is a writable buffer of its length, the longest that Windows has.
    let length = unsafe { GetModuleFileNameW(Some(module), &mut path) };
    if length == 0 {
        return Err(windows_core::Error::from_thread().into());
    }
    Ok(HSTRING::from_wide(&path[..length as usize]))
}
