//! `IDispatch` for every object, by the type library: names and arguments of late-bound calls are translated by OLE, which then
//! calls the vtable.

use std::ffi::c_void;

use windows::Win32::Foundation::{
    DISP_E_BADINDEX, DISP_E_MEMBERNOTFOUND, DISP_E_UNKNOWNINTERFACE, E_INVALIDARG, E_POINTER, S_FALSE,
};
use windows::Win32::System::Com::{
    DISPATCH_FLAGS, DISPATCH_METHOD, DISPATCH_PROPERTYGET, DISPATCH_PROPERTYPUT, DISPATCH_PROPERTYPUTREF,
    DISPPARAMS, EXCEPINFO, IDispatch_Vtbl, ITypeInfo,
};
use windows::Win32::System::Ole::DISPID_NEWENUM;
use windows::Win32::System::Variant::{VARIANT, VariantCopyInd};
use windows_core::{GUID, HRESULT, IUnknown_Vtbl, IUnknownImpl, Interface, PCWSTR};

use crate::border;
use crate::fault::{self, Answer};
use crate::typelib;

/// An object that scripts can use. Its parts may be used by any thread (rule R6).
pub trait Scripted: IUnknownImpl<Impl: Send + Sync> {
    /// The newest interface of the object: late-bound clients see the names of all versions.
    const NEWEST: GUID;
}

/// Says which interface scripts see of an object, and that its members tell failures in words, too.
macro_rules! scripted {
    ($($object:ident => $interface:ident),+ $(,)?) => {$(
        impl crate::dispatch::Scripted for $object {
            const NEWEST: windows_core::GUID = <$interface as windows_core::Interface>::IID;
        }

        impl windows::Win32::System::Com::ISupportErrorInfo_Impl for $object {
            fn InterfaceSupportsErrorInfo(&self, iid: *const windows_core::GUID) -> windows_core::Result<()> {
                // SAFETY: COM's contract: NULL or readable.
                crate::dispatch::tells_words(unsafe { iid.as_ref() })
            }
        }
    )+};
}
pub(crate) use scripted;

/// `InterfaceSupportsErrorInfo`: every interface of the library does.
pub fn tells_words(iid: Option<&GUID>) -> windows_core::Result<()> {
    let is_ours = |iid| border::guard(|| typelib::describe(iid)).is_ok();
    if iid.is_some_and(is_ours) {
        Ok(())
    } else {
        Err(windows_core::Error::from_hresult(S_FALSE))
    }
}

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
        unsafe { info.GetIDsOfNames(names, count, ids)? };
        Ok(())
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
    // SAFETY: COM's contract.
    let Some(given) = (unsafe { parameters.as_ref() }) else {
        return E_INVALIDARG;
    };
    if (given.rgvarg.is_null() && given.cArgs > 0)
        || (given.rgdispidNamedArgs.is_null() && given.cNamedArgs > 0)
    {
        return E_INVALIDARG;
    }
    // SAFETY: COM's contract; NULL is checked.
    let prepared = border::guard(|| Ok((typelib::describe(&T::NEWEST)?, unsafe { by_value(given)? })));
    let (info, mut values) = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => return fault::raise(&fault),
    };
    let mut parameters = DISPPARAMS {
        rgvarg: values.as_mut_ptr(),
        ..*given
    };
    // What failed comes as `exception`, with the words that OLE takes from the calling thread's error object (`fault::raise`).
    let mut call = |flags| {
        // SAFETY: `this` points to the vtable of the interface that `info` describes, as an object's only scripted vtable is its
        // newest interface's; the arguments live here, and the other pointers are the caller's, under the same contract.
        unsafe {
            (info.vtable().Invoke)(
                info.as_raw(),
                this,
                member,
                flags,
                &mut parameters,
                result,
                exception,
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
    code
}

/// The arguments of a call, by value: a script's variables come as references, which no parameter of the API is, and OLE gives them
/// on where a VARIANT is asked for.
///
/// # Safety
/// The array of arguments has as many as is said.
unsafe fn by_value(parameters: &DISPPARAMS) -> Answer<Vec<VARIANT>> {
    (0..parameters.cArgs as usize)
        .map(|place| {
            let mut value = VARIANT::default();
            // SAFETY: by contract.
            unsafe { VariantCopyInd(&mut value, parameters.rgvarg.add(place))? };
            Ok(value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use windows::Win32::Foundation::{DISP_E_EXCEPTION, VARIANT_BOOL};
    use windows::Win32::System::Com::{GetErrorInfo, IDispatch};
    use windows::Win32::System::UpdateAgent as theirs;
    use windows_core::{BSTR, implement};
    use wua_types::HResult;

    use super::*;
    use crate::api::{ISystemInformation, ISystemInformation_Impl};

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
        // By the vtable: a code, a result that says nothing, and the words with COM.
        let object: theirs::ISystemInformation = object.cast().expect("it is one");
        let mut required = VARIANT_BOOL(7);
        // SAFETY: the interface's own slot; the result can be written.
        let code = unsafe { (object.vtable().RebootRequired)(object.as_raw(), &mut required) };
        assert_eq!(HResult::from_i32(code.0), HResult::WU_E_UNEXPECTED);
        assert_eq!(required, VARIANT_BOOL(0));
        // SAFETY: a plain call.
        let words = unsafe { GetErrorInfo(0).and_then(|info| info.GetDescription()) }.expect("words");
        assert!(words.to_string().contains("as the test wants it"), "{words}");
    }
}
