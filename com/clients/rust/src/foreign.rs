//! A collection that is not the library's.

use windows::Win32::Foundation::{E_NOTIMPL, VARIANT_BOOL};
use windows::Win32::System::Com::{DISPATCH_FLAGS, DISPPARAMS, EXCEPINFO, IDispatch_Impl, ITypeInfo};
use windows::Win32::System::UpdateAgent::{IUpdate, IUpdateCollection, IUpdateCollection_Impl};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{GUID, IUnknown, PCWSTR, Ref, Result, implement};

/// A collection of this program's own. It says of itself that it is windows-core's, as the library's own do.
#[implement(IUpdateCollection)]
pub struct Foreign;

impl IDispatch_Impl for Foreign_Impl {
    fn GetTypeInfoCount(&self) -> Result<u32> {
        Err(E_NOTIMPL.into())
    }
    fn GetTypeInfo(&self, _: u32, _: u32) -> Result<ITypeInfo> {
        Err(E_NOTIMPL.into())
    }
    fn GetIDsOfNames(&self, _: *const GUID, _: *const PCWSTR, _: u32, _: u32, _: *mut i32) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn Invoke(
        &self,
        _: i32,
        _: *const GUID,
        _: u32,
        _: DISPATCH_FLAGS,
        _: *const DISPPARAMS,
        _: *mut VARIANT,
        _: *mut EXCEPINFO,
        _: *mut u32,
    ) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}

impl IUpdateCollection_Impl for Foreign_Impl {
    fn get_Item(&self, _: i32) -> Result<IUpdate> {
        Err(E_NOTIMPL.into())
    }
    fn put_Item(&self, _: i32, _: Ref<'_, IUpdate>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn _NewEnum(&self) -> Result<IUnknown> {
        Err(E_NOTIMPL.into())
    }
    fn Count(&self) -> Result<i32> {
        Err(E_NOTIMPL.into())
    }
    fn ReadOnly(&self) -> Result<VARIANT_BOOL> {
        Err(E_NOTIMPL.into())
    }
    fn Add(&self, _: Ref<'_, IUpdate>) -> Result<i32> {
        Err(E_NOTIMPL.into())
    }
    fn Clear(&self) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn Copy(&self) -> Result<IUpdateCollection> {
        Err(E_NOTIMPL.into())
    }
    fn Insert(&self, _: i32, _: Ref<'_, IUpdate>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn RemoveAt(&self, _: i32) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}
