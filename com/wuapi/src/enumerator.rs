//! `IEnumVARIANT`, which `For Each` walks along: a snapshot of a collection (rule R3).

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windows::Win32::Foundation::{E_POINTER, S_FALSE, S_OK};
use windows::Win32::System::Com::IDispatch;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{
    ComObject, ComObjectInner, ComObjectInterface, GUID, HRESULT, IUnknown, IUnknown_Vtbl, IUnknownImpl,
    Interface, RuntimeName, implement,
};

use crate::border;
use crate::module::Lease;
use crate::value::Text;

/// Something that can be walked along.
pub trait Row: Send + Sync + 'static {
    /// How many elements it has.
    fn len(&self) -> usize;
    /// One of them, below `len`.
    fn at(&self, index: usize) -> VARIANT;
}

impl Row for Vec<Text> {
    fn len(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> VARIANT {
        VARIANT::from(self[index].to_bstr())
    }
}

impl<T> Row for Vec<ComObject<T>>
where
    T: ComObjectInner + Send + Sync + 'static,
    T::Outer: ComObjectInterface<IUnknown>,
{
    fn len(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> VARIANT {
        let object: IUnknown = self[index].to_interface();
        // Every object of the API is IDispatch.
        object
            .cast::<IDispatch>()
            .map_or_else(|_| VARIANT::from(object), VARIANT::from)
    }
}

// The crate's own vtable writes Clone's result through NULL.
windows_core::imp::define_interface!(
    IEnumVARIANT,
    IEnumVARIANT_Vtbl,
    0x00020404_0000_0000_c000_000000000046
);
windows_core::imp::interface_hierarchy!(IEnumVARIANT, IUnknown);
impl RuntimeName for IEnumVARIANT {}
impl border::Pointer for IEnumVARIANT {}

/// The vtable, in the order of oaidl.idl.
#[repr(C)]
pub struct IEnumVARIANT_Vtbl {
    base: IUnknown_Vtbl,
    next: unsafe extern "system" fn(*mut c_void, u32, *mut VARIANT, *mut u32) -> HRESULT,
    skip: unsafe extern "system" fn(*mut c_void, u32) -> HRESULT,
    reset: unsafe extern "system" fn(*mut c_void) -> HRESULT,
    clone: unsafe extern "system" fn(*mut c_void, *mut *mut c_void) -> HRESULT,
}

/// Walks along a collection as it was.
#[implement(IEnumVARIANT)]
pub struct Enumerator {
    row: Arc<dyn Row>,
    place: AtomicUsize,
    _lease: Lease,
}

impl Enumerator {
    /// An enumerator before the first element, as `_NewEnum` answers it.
    pub fn over(row: impl Row) -> IUnknown {
        Self::at(Arc::new(row), 0).into()
    }

    fn at(row: Arc<dyn Row>, place: usize) -> IEnumVARIANT {
        Self {
            row,
            place: place.into(),
            _lease: Lease::default(),
        }
        .into()
    }

    /// Moves on by up to `count`; from where, and how far.
    fn advance(&self, count: usize) -> (usize, usize) {
        let end = self.row.len();
        let step = |place: usize| Some(end.min(place.saturating_add(count)));
        let place = self
            .place
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .unwrap_or(end);
        (place, count.min(end - place))
    }
}

impl IEnumVARIANT_Vtbl {
    /// The vtable of the object `T`, which is always [`Enumerator_Impl`].
    pub const fn new<T: IUnknownImpl<Impl = Enumerator>, const OFFSET: isize>() -> Self {
        unsafe extern "system" fn next<T: IUnknownImpl<Impl = Enumerator>, const OFFSET: isize>(
            this: *mut c_void,
            count: u32,
            elements: *mut VARIANT,
            fetched: *mut u32,
        ) -> HRESULT {
            // SAFETY: COM's contract.
            let this = unsafe { border::this::<T, OFFSET>(this) }.get_impl();
            if elements.is_null() || (fetched.is_null() && count != 1) {
                return E_POINTER;
            }
            let given = border::guard(|| {
                let (place, given) = this.advance(count as usize);
                for offset in 0..given {
                    // SAFETY: the caller's array has `count` elements, which hold nothing yet.
                    unsafe { elements.add(offset).write(this.row.at(place + offset)) };
                }
                Ok(given as u32)
            });
            let given = given.unwrap_or(0);
            if !fetched.is_null() {
                // SAFETY: it can be written.
                unsafe { fetched.write(given) };
            }
            if given == count { S_OK } else { S_FALSE }
        }
        unsafe extern "system" fn skip<T: IUnknownImpl<Impl = Enumerator>, const OFFSET: isize>(
            this: *mut c_void,
            count: u32,
        ) -> HRESULT {
            // SAFETY: COM's contract.
            let this = unsafe { border::this::<T, OFFSET>(this) }.get_impl();
            let (_, skipped) = this.advance(count as usize);
            if skipped == count as usize { S_OK } else { S_FALSE }
        }
        unsafe extern "system" fn reset<T: IUnknownImpl<Impl = Enumerator>, const OFFSET: isize>(
            this: *mut c_void,
        ) -> HRESULT {
            // SAFETY: COM's contract.
            let this = unsafe { border::this::<T, OFFSET>(this) }.get_impl();
            this.place.store(0, Ordering::Relaxed);
            S_OK
        }
        unsafe extern "system" fn clone<T: IUnknownImpl<Impl = Enumerator>, const OFFSET: isize>(
            this: *mut c_void,
            copy: *mut *mut c_void,
        ) -> HRESULT {
            // SAFETY: COM's contract.
            let this = unsafe { border::this::<T, OFFSET>(this) }.get_impl();
            let place = this.place.load(Ordering::Relaxed);
            // SAFETY: NULL or writable.
            unsafe { border::answer(copy, || Ok(Enumerator::at(this.row.clone(), place))) }
        }
        Self {
            base: IUnknown_Vtbl::new::<T, OFFSET>(),
            next: next::<T, OFFSET>,
            skip: skip::<T, OFFSET>,
            reset: reset::<T, OFFSET>,
            clone: clone::<T, OFFSET>,
        }
    }

    /// Whether that is this interface.
    pub fn matches(iid: &GUID) -> bool {
        *iid == IEnumVARIANT::IID
    }
}
