//! Where COM's raw values become Rust's and back. Each slot of each vtable goes through here (see `build/interfaces.rs`), so
//! these rules hold for all of them: a panic becomes a code, a result's pointer that is NULL is E_POINTER, a result is zero until
//! it is known, a VARIANT_BOOL is 0 or -1 and an enumeration's number is one of its values (rule R4).

use std::ffi::c_void;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};

use windows::Win32::Foundation::{DECIMAL, S_OK};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, ComObjectInner, HRESULT, IUnknown, IUnknownImpl, Interface};
use wua_types::HResult;

use crate::fault::{self, Answer, Fault};
use crate::module;

/// A value that members answer.
pub trait Out {
    /// As it crosses the border. All bytes zero is "nothing" in each of them.
    type Raw;
    /// Gives it to the caller, with what it owns.
    fn into_raw(self) -> Self::Raw;
}

macro_rules! out {
    ($($kind:ty => $raw:ty, $value:ident => $into:expr;)*) => {$(
        impl Out for $kind {
            type Raw = $raw;
            fn into_raw(self) -> $raw {
                let $value = self;
                $into
            }
        }
    )*};
}

out! {
    bool => i16, value => if value { -1 } else { 0 };
    i32 => i32, value => value;
    u32 => u32, value => value;
    isize => isize, value => value;
    f64 => f64, value => value;
    DECIMAL => DECIMAL, value => value;
    BSTR => *const u16, value => value.into_raw();
    VARIANT => ManuallyDrop<VARIANT>, value => ManuallyDrop::new(value);
}

macro_rules! out_number {
    ($($kind:ident)*) => {$(
        impl Out for wua_types::$kind {
            type Raw = i32;
            fn into_raw(self) -> i32 {
                self.into()
            }
        }
    )*};
}

out_number! {
    OperationResultCode InstallationImpact InstallationRebootBehavior DownloadPhase DownloadPriority ServerSelection SearchScope
    UpdateType UpdateOperation DeploymentAction UpdateExceptionContext AutoSelectionMode AutoDownloadMode
    AutomaticUpdatesNotificationLevel AutomaticUpdatesScheduledInstallationDay UpdateServiceRegistrationState
}

/// Marks the interfaces, which all cross the border in the same way.
pub trait Pointer: Interface {}

impl Pointer for IUnknown {}

impl<T: Pointer> Out for T {
    type Raw = *mut c_void;
    fn into_raw(self) -> *mut c_void {
        Interface::into_raw(self)
    }
}

impl<T: Pointer> Out for Option<T> {
    type Raw = *mut c_void;
    fn into_raw(self) -> *mut c_void {
        self.map_or(std::ptr::null_mut(), Interface::into_raw)
    }
}

/// Runs a member. A panic ends here: nothing may unwind into the caller, who is no Rust.
pub fn guard<T>(work: impl FnOnce() -> Answer<T>) -> Answer<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Err(Fault::new(
            HResult::WU_E_UNEXPECTED,
            format!("wuapi.dll has a fault: {text}"),
        ))
    })
}

/// A member that answers nothing, or one of several codes of success.
pub fn done<T: Into<Done>>(work: impl FnOnce() -> Answer<T>) -> HRESULT {
    match guard(work) {
        Ok(done) => done.into().0,
        Err(fault) => fault::raise(&fault),
    }
}

/// How a member without a result succeeded.
#[derive(Debug)]
pub struct Done(HRESULT);

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self(S_OK)
    }
}

impl From<HResult> for Done {
    fn from(code: HResult) -> Self {
        Self(HRESULT(code.as_i32()))
    }
}

/// A member that answers a value.
///
/// # Safety
/// `retval` is NULL or can be written.
pub unsafe fn answer<T: Out>(retval: *mut T::Raw, work: impl FnOnce() -> Answer<T>) -> HRESULT {
    if retval.is_null() {
        return fault::raise(&HResult::E_POINTER.into());
    }
    // SAFETY: by contract; zero is a value of each `Out::Raw`: numbers, DECIMAL, pointers, and VARIANT, where it is VT_EMPTY. What was
    // there before is nobody's: an out parameter comes without a value.
    unsafe { retval.write(mem::zeroed()) };
    match guard(work) {
        Ok(value) => {
            // SAFETY: by contract.
            unsafe { retval.write(value.into_raw()) };
            S_OK
        }
        Err(fault) => fault::raise(&fault),
    }
}

/// The same, where a NULL says that the value is not wanted.
///
/// # Safety
/// `retval` is NULL or can be written.
pub unsafe fn answer_if_wanted(retval: *mut i32, work: impl FnOnce() -> Answer<i32>) -> HRESULT {
    let mut unwanted = 0;
    let retval = if retval.is_null() {
        &raw mut unwanted
    } else {
        retval
    };
    // SAFETY: by contract, or our own variable.
    unsafe { answer(retval, work) }
}

/// The object whose vtable pointer `this` is.
///
/// # Safety
/// `this` is what COM calls the method with, and the vtable is the one of `T` at this offset. Whoever calls a method holds a
/// reference until it returns, also where the method waits and takes messages meanwhile: that is COM's rule.
pub unsafe fn this<'a, T, const OFFSET: isize>(this: *mut c_void) -> &'a T {
    // SAFETY: `implement` lays an object out as pointers to vtables followed by its data; OFFSET leads back to its begin.
    unsafe { &*this.cast::<*const ()>().offset(OFFSET).cast::<T>() }
}

/// A text that the caller keeps. NULL is an empty one; see [`is_null`].
///
/// # Safety
/// The pointer is NULL or a BSTR's, which stays as long as it is borrowed.
pub unsafe fn text(raw: &*const u16) -> &BSTR {
    // SAFETY: `BSTR` is this pointer and nothing else (`repr(transparent)`); what is borrowed is not freed.
    unsafe { &*(&raw const *raw).cast::<BSTR>() }
}

/// Whether a text is NULL and not only empty: a few members care.
pub fn is_null(text: &BSTR) -> bool {
    // SAFETY: as in `text`.
    unsafe { *(&raw const *text).cast::<*const u16>() }.is_null()
}

/// An interface that the caller keeps; none for NULL.
///
/// # Safety
/// The pointer is NULL or one to an interface `T` (or to IUnknown's part of another, where nothing but a query is done with it),
/// which stays as long as it is borrowed.
pub unsafe fn interface<T: Interface>(raw: &*mut c_void) -> Option<&T> {
    // SAFETY: by contract; what is borrowed is not released.
    unsafe { T::from_raw_borrowed(raw) }
}

/// An object of this library that a client gives: other implementations are refused, and not even asked what they are.
pub fn ours<T, I>(given: Option<&I>, what: &str) -> Answer<ComObject<T>>
where
    T: ComObjectInner,
    T::Outer: IUnknownImpl<Impl = T> + 'static,
    I: Interface,
{
    let given = given.ok_or(HResult::E_POINTER)?;
    if module::is_ours(given)
        && let Ok(object) = ComObject::cast_from(given)
    {
        return Ok(object);
    }
    Err(Fault::new(
        HResult::E_INVALIDARG,
        format!("The {what} is not of this library"),
    ))
}

/// A VARIANT_BOOL (rule R4).
pub fn boolean(raw: i16) -> Answer<bool> {
    match raw {
        0 => Ok(false),
        -1 => Ok(true),
        other => Err(Fault::new(
            HResult::E_INVALIDARG,
            format!("{other} is neither TRUE (-1) nor FALSE (0)"),
        )),
    }
}

/// An enumeration's number (rule R4).
pub fn number<T: TryFrom<i32, Error = wua_types::enums::UnknownValue>>(raw: i32) -> Answer<T> {
    Ok(T::try_from(raw)?)
}
