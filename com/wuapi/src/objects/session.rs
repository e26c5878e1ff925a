//! `UpdateSession`: where programs begin. What it makes begins with its settings and keeps them, whatever becomes of it (rule R5).

use std::sync::Mutex;

use windows::Win32::Globalization::{GetUserDefaultUILanguage, IsValidLocale, LCID_SUPPORTED};
use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, ComObject, implement};
use wua_types::HResult;

use crate::api::{
    IUpdateDownloader, IUpdateHistoryEntryCollection, IUpdateInstaller, IUpdateInstaller4, IUpdateSearcher,
    IUpdateSearcher3, IUpdateServiceManager2, IUpdateSession_Impl, IUpdateSession2_Impl, IUpdateSession3,
    IUpdateSession3_Impl, IWebProxy,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::objects::client_id::ClientId;
use crate::objects::{
    UpdateDownloader, UpdateInstaller, UpdateSearcher, UpdateServiceManager, WebProxy, history, lock,
};

/// The object. Its proxy and locale are kept and given back; the agent fetches by its own configuration, in one language. So of what
/// rule R5 has copied into the objects that a session makes, only the application's id has an effect there.
#[implement(IUpdateSession3, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateSession {
    client_id: ClientId,
    web_proxy: Mutex<ComObject<WebProxy>>,
    user_locale: Mutex<u32>,
    _lease: Lease,
}

scripted!(UpdateSession_Impl => IUpdateSession3);

impl Default for UpdateSession {
    fn default() -> Self {
        Self {
            client_id: ClientId::default(),
            web_proxy: Mutex::new(ComObject::new(WebProxy::default())),
            // SAFETY: it only tells a number.
            user_locale: Mutex::new(unsafe { GetUserDefaultUILanguage() }.into()),
            _lease: Lease::default(),
        }
    }
}

impl IUpdateSession_Impl for UpdateSession_Impl {
    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(self.client_id.get())
    }

    fn put_client_application_id(&self, value: &BSTR) -> Answer<()> {
        self.client_id.put(value);
        Ok(())
    }

    fn read_only(&self) -> Answer<bool> {
        Ok(false)
    }

    fn web_proxy(&self) -> Answer<IWebProxy> {
        Ok(lock(&self.web_proxy).to_interface())
    }

    fn put_web_proxy(&self, value: Option<&IWebProxy>) -> Answer<()> {
        let proxy = WebProxy::copy_of_client(value)?;
        let before = std::mem::replace(&mut *lock(&self.web_proxy), proxy);
        drop(before);
        Ok(())
    }

    fn create_update_searcher(&self) -> Answer<IUpdateSearcher> {
        let searcher: IUpdateSearcher3 = UpdateSearcher::of_session(self.client_id.clone()).into();
        Ok(searcher.into())
    }

    fn create_update_downloader(&self) -> Answer<IUpdateDownloader> {
        Ok(UpdateDownloader::of_session(self.client_id.clone()).into())
    }

    fn create_update_installer(&self) -> Answer<IUpdateInstaller> {
        let installer: IUpdateInstaller4 = UpdateInstaller::of_session(self.client_id.clone()).into();
        Ok(installer.into())
    }
}

impl IUpdateSession2_Impl for UpdateSession_Impl {
    fn user_locale(&self) -> Answer<u32> {
        Ok(*lock(&self.user_locale))
    }

    fn put_user_locale(&self, value: u32) -> Answer<()> {
        // SAFETY: it only looks a number up.
        if !unsafe { IsValidLocale(value, LCID_SUPPORTED) }.as_bool() {
            return Err(Fault::new(HResult::E_INVALIDARG, format!("{value} is no locale")));
        }
        *lock(&self.user_locale) = value;
        Ok(())
    }
}

impl IUpdateSession3_Impl for UpdateSession_Impl {
    fn create_update_service_manager(&self) -> Answer<IUpdateServiceManager2> {
        Ok(UpdateServiceManager::of_session(self.client_id.clone()).into())
    }

    fn query_history(
        &self,
        criteria: &BSTR,
        start_index: i32,
        count: i32,
    ) -> Answer<IUpdateHistoryEntryCollection> {
        history::query(&criteria.to_string(), start_index, count)
    }
}
