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
    0x4cb43d7f_7eee_4906_8698_60da1c38f2fe Session UpdateSession: objects::UpdateSession::default();
    0xb699e5e8_67ff_4177_88b0_3684a3388bfb Searcher UpdateSearcher: objects::UpdateSearcher::default();
    0x5baf654a_5a07_4264_a255_9ff54c7151e7 Downloader UpdateDownloader: objects::UpdateDownloader::default();
    0xd2e0fe7f_d23e_48e1_93c0_6fa8cc346474 Installer UpdateInstaller: objects::UpdateInstaller::default();
    0x13639463_00db_4646_803d_528026140d88 UpdateColl UpdateCollection: objects::UpdateCollection::default();
    0x72c97d74_7c3b_40ae_b77d_abdb22eba6fb StringColl StringCollection: objects::StringCollection::default();
    0x650503cf_9108_4ddc_a2ce_6c2341e1c582 WebProxy WebProxy: objects::WebProxy::default();
    0xc01b9ba0_bea7_41ba_b604_d0a36f469133 SystemInfo SystemInformation: objects::SystemInformation::default();
    0xc2e88c2f_6f5b_4aaa_894b_55c847ad3a2d AgentInfo WindowsUpdateAgentInfo: objects::WindowsUpdateAgentInfo::default();
    0xbfe18e9c_6d87_4450_b37c_e02f0b373803 AutoUpdate AutomaticUpdates: objects::AutomaticUpdates::default();
    0xf8d253d9_89a4_4daa_87b6_1168369f0b21 ServiceManager UpdateServiceManager: objects::UpdateServiceManager::default();
    0x317e92fc_1679_46fd_a0b5_f08914dd8623 InstallationAgent InstallationAgent: objects::InstallationAgent::default();
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
        Self {
            class,
            _lease: Lease::default(),
        }
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
            .map_err(|fault| windows_core::Error::from_hresult(crate::fault::raise(&fault)))?;
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
