//! `WebProxy`: how a session reaches the network. It is kept and given back; what is fetched is fetched by the machine's agent,
//! which has its own configuration.

use std::sync::Mutex;

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, ComObject, IUnknown, implement};
use wua_types::HResult;

use crate::api::{IStringCollection, IUpdateLockdown, IUpdateLockdown_Impl, IWebProxy, IWebProxy_Impl};
use crate::border;
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::Lease;
use crate::objects::lockdown::Lockdown;
use crate::objects::{StringCollection, lock};
use crate::value::Text;

/// What a proxy is set to.
#[derive(Clone, Debug)]
struct Settings {
    address: Text,
    bypass_list: Option<Vec<Text>>,
    bypass_proxy_on_local: bool,
    user_name: Text,
    auto_detect: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Text::default(),
            bypass_list: None,
            bypass_proxy_on_local: false,
            user_name: Text::default(),
            // As the system does it, until a program says otherwise.
            auto_detect: true,
        }
    }
}

/// The object.
#[implement(IWebProxy, IUpdateLockdown, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct WebProxy {
    settings: Mutex<Settings>,
    lockdown: Lockdown,
    _lease: Lease,
}

scripted!(WebProxy_Impl => IWebProxy);

impl WebProxy {
    /// A copy of a proxy of ours that a client gives to a property: what becomes of the client's own does not matter any more.
    pub fn copy_of_client(given: Option<&IWebProxy>) -> Answer<ComObject<Self>> {
        let given: ComObject<Self> = border::ours(given, "web proxy")?;
        Ok(ComObject::new(Self {
            settings: Mutex::new(lock(&given.settings).clone()),
            lockdown: given.lockdown.passed_on(),
            _lease: Lease::default(),
        }))
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) -> Answer<()> {
        self.lockdown.permits()?;
        change(&mut lock(&self.settings));
        Ok(())
    }
}

impl IWebProxy_Impl for WebProxy_Impl {
    fn address(&self) -> Answer<BSTR> {
        Ok(lock(&self.settings).address.to_bstr())
    }

    fn put_address(&self, value: &BSTR) -> Answer<()> {
        self.change(|settings| settings.address = value.into())
    }

    /// A view that nobody can change; NULL before the first.
    fn bypass_list(&self) -> Answer<Option<IStringCollection>> {
        Ok(lock(&self.settings)
            .bypass_list
            .clone()
            .map(StringCollection::view))
    }

    fn put_bypass_list(&self, value: Option<&IStringCollection>) -> Answer<()> {
        let list = StringCollection::of_client(value)?.texts();
        self.change(|settings| settings.bypass_list = Some(list))
    }

    fn bypass_proxy_on_local(&self) -> Answer<bool> {
        Ok(lock(&self.settings).bypass_proxy_on_local)
    }

    fn put_bypass_proxy_on_local(&self, value: bool) -> Answer<()> {
        self.change(|settings| settings.bypass_proxy_on_local = value)
    }

    fn read_only(&self) -> Answer<bool> {
        Ok(false)
    }

    fn user_name(&self) -> Answer<BSTR> {
        Ok(lock(&self.settings).user_name.to_bstr())
    }

    fn put_user_name(&self, value: &BSTR) -> Answer<()> {
        self.change(|settings| settings.user_name = value.into())
    }

    /// Nothing here would use a password, so none is kept.
    fn set_password(&self, _: &BSTR) -> Answer<()> {
        self.change(|_| {})
    }

    fn prompt_for_credentials(&self, _: Option<&IUnknown>, _: &BSTR) -> Answer<()> {
        Err(HResult::WU_E_NO_UI_SUPPORT.into())
    }

    fn prompt_for_credentials_from_hwnd(&self, _: isize, _: &BSTR) -> Answer<()> {
        Err(HResult::WU_E_NO_UI_SUPPORT.into())
    }

    fn auto_detect(&self) -> Answer<bool> {
        Ok(lock(&self.settings).auto_detect)
    }

    fn put_auto_detect(&self, value: bool) -> Answer<()> {
        self.change(|settings| settings.auto_detect = value)
    }
}

impl IUpdateLockdown_Impl for WebProxy_Impl {
    fn lock_down(&self, flags: i32) -> Answer<()> {
        self.lockdown.lock_down(flags)
    }
}
