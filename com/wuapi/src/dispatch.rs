//! `IDispatch` for every object, by the type library: names and arguments of late-bound calls are translated by OLE, which then
//! calls the vtable.

use std::ffi::c_void;
use std::mem::ManuallyDrop;

use windows::Win32::Foundation::{
    DISP_E_BADINDEX, DISP_E_EXCEPTION, DISP_E_MEMBERNOTFOUND, DISP_E_UNKNOWNINTERFACE, E_INVALIDARG,
    E_POINTER,
};
use windows::Win32::System::Com::{
    DISPATCH_FLAGS, DISPATCH_METHOD, DISPATCH_PROPERTYGET, DISPATCH_PROPERTYPUT, DISPATCH_PROPERTYPUTREF,
    DISPPARAMS, EXCEPINFO, IDispatch_Vtbl, ITypeInfo,
};
use windows::Win32::System::Ole::DISPID_NEWENUM;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, GUID, HRESULT, IUnknown_Vtbl, IUnknownImpl, Interface, PCWSTR};
use wua_types::HResult;

use crate::border;
use crate::fault;
use crate::typelib;

/// An object that scripts can use. Its parts may be used by any thread (rule R6).
pub trait Scripted: IUnknownImpl<Impl: Send + Sync> {
    /// The newest interface of the object: late-bound clients see the names of all versions.
    const NEWEST: GUID;
}

/// Says which interface scripts see of an object.
macro_rules! scripted {
    ($($object:ident => $interface:ident),+ $(,)?) => {$(
        impl crate::dispatch::Scripted for $object {
            const NEWEST: windows_core::GUID = <$interface as windows_core::Interface>::IID;
        }
    )+};
}
pub(crate) use scripted;

/// The vtable of `IDispatch` of the object `T`, at the begin of its newest interface's.
pub const fn vtable<T: Scripted, const OFFSET: isize>() -> IDispatch_Vtbl {
    IDispatch_Vtbl {
        base__: IUnknown_Vtbl::new::<T, OFFSET>(),
        GetTypeInfoCount: type_info_count,
        GetTypeInfo: type_info::<T>,
        GetIDsOfNames: ids_of_names::<T>,
        Invoke: invoke::<T>,
    }
}

unsafe extern "system" fn type_info_count(_: *mut c_void, count: *mut u32) -> HRESULT {
    // SAFETY: NULL or writable.
    unsafe { border::answer(count, || Ok(1_u32)) }
}

unsafe extern "system" fn type_info<T: Scripted>(
    _: *mut c_void,
    index: u32,
    _: u32,
    info: *mut *mut c_void,
) -> HRESULT {
    let find = || match index {
        0 => typelib::describe(&T::NEWEST),
        _ => Err(windows_core::Error::from_hresult(DISP_E_BADINDEX).into()),
    };
    // SAFETY: NULL or writable.
    unsafe { border::answer(info, find) }
}

impl border::Pointer for ITypeInfo {}

unsafe extern "system" fn ids_of_names<T: Scripted>(
    _: *mut c_void,
    riid: *const GUID,
    names: *const PCWSTR,
    count: u32,
    _: u32,
    ids: *mut i32,
) -> HRESULT {
    // SAFETY: COM's contract; NULL is checked.
    if !unsafe { is_reserved(riid) } {
        return DISP_E_UNKNOWNINTERFACE;
    }
    if names.is_null() || ids.is_null() {
        return E_POINTER;
    }
    border::done(|| {
        let info = typelib::describe(&T::NEWEST)?;
        // SAFETY: the caller's arrays have `count` elements.
        Ok(unsafe { info.GetIDsOfNames(names, count, ids)? })
    })
}

/// Whether the reserved argument has its only value.
///
/// # Safety
/// The pointer is NULL or readable.
unsafe fn is_reserved(riid: *const GUID) -> bool {
    // SAFETY: by contract.
    riid.is_null() || unsafe { *riid } == GUID::zeroed()
}

#[expect(clippy::too_many_arguments, reason = "it is IDispatch's")]
unsafe extern "system" fn invoke<T: Scripted>(
    this: *mut c_void,
    member: i32,
    riid: *const GUID,
    _: u32,
    flags: DISPATCH_FLAGS,
    parameters: *const DISPPARAMS,
    result: *mut VARIANT,
    exception: *mut EXCEPINFO,
    wrong_argument: *mut u32,
) -> HRESULT {
    // SAFETY: COM's contract; NULL is checked.
    if !unsafe { is_reserved(riid) } {
        return DISP_E_UNKNOWNINTERFACE;
    }
    if parameters.is_null() {
        return E_INVALIDARG;
    }
    let info = match border::guard(|| typelib::describe(&T::NEWEST)) {
        Ok(info) => info,
        Err(fault) => return fault::remember(fault),
    };
    fault::recall();
    let mut raised = EXCEPINFO::default();
    let mut call = |flags| {
        // SAFETY: `this` points to the vtable of the interface that `info` describes, as an object's only scripted vtable is its
        // newest interface's; the other arguments are the caller's, under the contract of IDispatch, which is the same.
        unsafe {
            (info.vtable().Invoke)(
                info.as_raw(),
                this,
                member,
                flags,
                parameters.cast_mut(),
                result,
                &mut raised,
                wrong_argument,
            )
        }
    };
    let mut code = call(flags);
    // `Set x.Updates = y` in a script asks for a put by reference, which no property here tells from a put.
    if code == DISP_E_MEMBERNOTFOUND && flags.contains(DISPATCH_PROPERTYPUTREF) {
        code = call(DISPATCH_PROPERTYPUT);
    }
    // Wine's JScript makes an `Enumerator` by calling `_NewEnum` as if it were a method.
    if code == DISP_E_MEMBERNOTFOUND && member == DISPID_NEWENUM && flags == DISPATCH_METHOD {
        code = call(DISPATCH_PROPERTYGET);
    }
    if code != DISP_E_EXCEPTION {
        return code;
    }
    // SAFETY: NULL or writable, by the contract of IDispatch.
    unsafe { tell(raised, exception) };
    DISP_E_EXCEPTION
}

/// Tells a script what failed: the number, and the words that a number from a vtable could not carry.
///
/// # Safety
/// `exception` is NULL or writable.
unsafe fn tell(raised: EXCEPINFO, exception: *mut EXCEPINFO) {
    let code = HResult::from_i32(raised.scode);
    for text in [raised.bstrSource, raised.bstrDescription, raised.bstrHelpFile] {
        drop(ManuallyDrop::into_inner(text));
    }
    let words = match fault::recall().filter(|fault| fault.code == code) {
        Some(fault) => fault.description(),
        None => fault::describe(code, None),
    };
    let told = EXCEPINFO {
        bstrSource: ManuallyDrop::new(BSTR::from("Microsoft.Update")),
        bstrDescription: ManuallyDrop::new(BSTR::from(words.as_str())),
        scode: code.as_i32(),
        ..EXCEPINFO::default()
    };
    if !exception.is_null() {
        // SAFETY: by contract.
        unsafe { exception.write(told) };
    }
}

#[cfg(test)]
mod tests {
    use windows::Win32::System::Com::IDispatch;
    use windows_core::{BSTR, implement};

    use super::*;
    use crate::api::{ISystemInformation, ISystemInformation_Impl};
    use crate::fault::Answer;

    /// The DISPID of `RebootRequired`.
    const REBOOT_REQUIRED: i32 = 0x6002_0002;

    #[implement(ISystemInformation)]
    struct Panics;

    scripted!(Panics_Impl => ISystemInformation);

    impl ISystemInformation_Impl for Panics_Impl {
        fn oem_hardware_support_link(&self) -> Answer<BSTR> {
            Ok(BSTR::from("link"))
        }

        fn reboot_required(&self) -> Answer<bool> {
            panic!("as the test wants it");
        }
    }

    #[test]
    fn a_panic_becomes_a_code_with_words() {
        let object: ISystemInformation = Panics.into();
        let object: IDispatch = object.into();
        let mut raised = EXCEPINFO::default();
        // SAFETY: all arguments are as the interface wants them.
        let answer = unsafe {
            object.Invoke(
                REBOOT_REQUIRED,
                &GUID::zeroed(),
                0,
                windows::Win32::System::Com::DISPATCH_PROPERTYGET,
                &DISPPARAMS::default(),
                None,
                Some(&mut raised),
                None,
            )
        };
        assert_eq!(answer.expect_err("it panics").code(), DISP_E_EXCEPTION);
        assert_eq!(HResult::from_i32(raised.scode), HResult::WU_E_UNEXPECTED);
        let words = ManuallyDrop::into_inner(raised.bstrDescription).to_string();
        assert!(words.contains("as the test wants it"), "{words}");
    }
}
