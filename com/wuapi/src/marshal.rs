//! What a routine is told of crosses apartments by its own address.
//!
//! COM's free-threaded marshaller does that, and `windows-core` gives it to each object. It does so only where it hears that both
//! sides are in one process, and Wine 8 does not say so for the arguments of a call into another apartment: there routines got
//! proxies, whose DECIMALs do not travel, and whose identity is another one. An object of this library never leaves its process.

use std::ffi::c_void;

use windows::Win32::System::Com::Marshal::IMarshal;
use windows::Win32::System::Com::{CoCreateFreeThreadedMarshaler, MSHCTX_INPROC};
use windows_core::{IUnknown, Interface, Result};

/// The context that the free-threaded marshaller is told of.
pub const CONTEXT: u32 = MSHCTX_INPROC.0 as u32;

/// A free-threaded marshaller for one use.
pub fn free_threaded() -> Result<IMarshal> {
    // SAFETY: it is nobody's part.
    unsafe { CoCreateFreeThreadedMarshaler(None::<&IUnknown>)?.cast() }
}

/// A pointer as the crate `windows` wants it.
pub fn some(pointer: *const c_void) -> Option<*const c_void> {
    (!pointer.is_null()).then_some(pointer)
}

/// Has an object's addresses marshalled as what they are. The object is made with `Agile = false`, as that brings another marshaller.
macro_rules! in_process {
    ($($object:ident),+ $(,)?) => {$(
        impl windows::Win32::System::Com::IAgileObject_Impl for $object {}

        impl windows::Win32::System::Com::Marshal::IMarshal_Impl for $object {
            fn GetUnmarshalClass(
                &self,
                riid: *const windows_core::GUID,
                pv: *const std::ffi::c_void,
                _: u32,
                _: *const std::ffi::c_void,
                flags: u32,
            ) -> windows_core::Result<windows_core::GUID> {
                let marshaller = crate::marshal::free_threaded()?;
                let pv = crate::marshal::some(pv);
                // SAFETY: the caller's arguments, under the same contract; so below.
                unsafe { marshaller.GetUnmarshalClass(riid, pv, crate::marshal::CONTEXT, None, flags) }
            }

            fn GetMarshalSizeMax(
                &self,
                riid: *const windows_core::GUID,
                pv: *const std::ffi::c_void,
                _: u32,
                _: *const std::ffi::c_void,
                flags: u32,
            ) -> windows_core::Result<u32> {
                let marshaller = crate::marshal::free_threaded()?;
                let pv = crate::marshal::some(pv);
                // SAFETY: as above.
                unsafe { marshaller.GetMarshalSizeMax(riid, pv, crate::marshal::CONTEXT, None, flags) }
            }

            fn MarshalInterface(
                &self,
                stream: windows_core::Ref<windows::Win32::System::Com::IStream>,
                riid: *const windows_core::GUID,
                pv: *const std::ffi::c_void,
                _: u32,
                _: *const std::ffi::c_void,
                flags: u32,
            ) -> windows_core::Result<()> {
                let marshaller = crate::marshal::free_threaded()?;
                let pv = crate::marshal::some(pv);
                // SAFETY: as above.
                unsafe { marshaller.MarshalInterface(stream.ok()?, riid, pv, crate::marshal::CONTEXT, None, flags) }
            }

            fn UnmarshalInterface(
                &self,
                stream: windows_core::Ref<windows::Win32::System::Com::IStream>,
                riid: *const windows_core::GUID,
                object: *mut *mut std::ffi::c_void,
            ) -> windows_core::Result<()> {
                // SAFETY: as above.
                unsafe { crate::marshal::free_threaded()?.UnmarshalInterface(stream.ok()?, riid, object) }
            }

            fn ReleaseMarshalData(
                &self,
                stream: windows_core::Ref<windows::Win32::System::Com::IStream>,
            ) -> windows_core::Result<()> {
                // SAFETY: as above.
                unsafe { crate::marshal::free_threaded()?.ReleaseMarshalData(stream.ok()?) }
            }

            fn DisconnectObject(&self, _: u32) -> windows_core::Result<()> {
                Ok(())
            }
        }
    )+};
}

pub(crate) use in_process;
