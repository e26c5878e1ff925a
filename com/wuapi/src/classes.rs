//! The classes that programs can create, and the factories that create them.

use std::ffi::c_void;
use std::mem;

use windows::Win32::Foundation::{CLASS_E_NOAGGREGATION, E_POINTER};
use windows::Win32::System::Com::{IClassFactory, IClassFactory_Impl};
use windows_core::{BOOL, GUID, IUnknown, Interface, Ref, implement};

use crate::fault::Answer;
use crate::module::Lease;
use crate::objects;

/// A class that programs can create.
#[derive(Debug)]
pub struct Class {
    /// Its name in the type library.
    pub name: &'static str,
    /// Its id.
    pub clsid: GUID,
    /// Its name for scripts, after `Microsoft.Update.`.
    pub progid: &'static str,
    create: fn() -> Answer<IUnknown>,
}

macro_rules! classes {
    ($($clsid:literal $progid:ident $name:ident: $create:expr;)*) => {
        /// All of them.
        pub const CLASSES: &[Class] = &[$(Class {
            name: stringify!($name),
            clsid: GUID::from_u128($clsid),
            progid: stringify!($progid),
            create: || Ok($create.into()),
        }),*];
    };
}

classes! {
    0x13639463_00db_4646_803d_528026140d88 UpdateColl UpdateCollection: objects::UpdateCollection::default();
    0x72c97d74_7c3b_40ae_b77d_abdb22eba6fb StringColl StringCollection: objects::StringCollection::default();
    0x650503cf_9108_4ddc_a2ce_6c2341e1c582 WebProxy WebProxy: objects::WebProxy::default();
    0xc2e88c2f_6f5b_4aaa_894b_55c847ad3a2d AgentInfo WindowsUpdateAgentInfo: objects::WindowsUpdateAgentInfo::default();
}

/// The class of an id.
pub fn find(clsid: &GUID) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.clsid == *clsid)
}

/// The factory of a class.
#[implement(IClassFactory)]
#[derive(Debug)]
pub struct Factory {
    class: &'static Class,
    _lease: Lease,
}

impl Factory {
    /// A factory of that class.
    pub fn new(class: &'static Class) -> Self {
        Self { class, _lease: Lease::default() }
    }
}

impl IClassFactory_Impl for Factory_Impl {
    fn CreateInstance(
        &self,
        outer: Ref<'_, IUnknown>,
        iid: *const GUID,
        object: *mut *mut c_void,
    ) -> windows_core::Result<()> {
        if iid.is_null() || object.is_null() {
            return Err(E_POINTER.into());
        }
        // SAFETY: it is not NULL, and the caller's to be written to.
        unsafe { object.write(std::ptr::null_mut()) };
        if !outer.is_null() {
            return Err(CLASS_E_NOAGGREGATION.into());
        }
        let created = crate::border::guard(self.class.create)
            .map_err(|fault| windows_core::Error::from_hresult(crate::fault::remember(fault)))?;
        // SAFETY: both pointers were checked.
        unsafe { created.query(iid, object).ok() }
    }

    fn LockServer(&self, lock: BOOL) -> windows_core::Result<()> {
        match lock.as_bool() {
            true => mem::forget(Lease::default()),
            false => Lease::take_back(),
        }
        Ok(())
    }
}
