//! `UpdateDownloader`: what to download, and how. The download itself is in `jobs`.

use std::sync::Mutex;

use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, IUnknown, implement};
use wua_types::DownloadPriority;

use crate::api::{
    IDownloadJob, IDownloadResult, IUpdateCollection, IUpdateDownloader, IUpdateDownloader_Impl,
    IUpdateLockdown, IUpdateLockdown_Impl,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::jobs;
use crate::module::Lease;
use crate::objects::client_id::ClientId;
use crate::objects::lockdown::Lockdown;
use crate::objects::wanted::Wanted;
use crate::objects::{Update, lock};

/// A download about to begin: the downloader's properties as they are then.
#[derive(Clone, Debug)]
pub struct DownloadSnapshot {
    /// Who asks.
    pub client_application_id: Option<String>,
    /// `IsForced`.
    pub is_forced: bool,
    /// `Updates`; empty where none were set.
    pub updates: Vec<ComObject<Update>>,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    is_forced: bool,
    /// Kept and given back: the agent fetches one job at a time.
    priority: DownloadPriority,
}

/// The object.
#[implement(IUpdateDownloader, IUpdateLockdown, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateDownloader {
    client_id: ClientId,
    options: Mutex<Options>,
    updates: Wanted,
    lockdown: Lockdown,
    _lease: Lease,
}

scripted!(UpdateDownloader_Impl => IUpdateDownloader);

impl UpdateDownloader {
    /// One that a session makes.
    pub fn of_session(client_id: ClientId) -> Self {
        let options = Options {
            is_forced: false,
            priority: DownloadPriority::Normal,
        };
        Self {
            client_id,
            options: Mutex::new(options),
            updates: Wanted::default(),
            lockdown: Lockdown::default(),
            _lease: Lease::default(),
        }
    }

    fn snapshot(&self) -> Answer<DownloadSnapshot> {
        self.lockdown.permits()?;
        Ok(DownloadSnapshot {
            client_application_id: self.client_id.name(),
            is_forced: lock(&self.options).is_forced,
            updates: self.updates.updates(),
        })
    }
}

impl Default for UpdateDownloader {
    fn default() -> Self {
        Self::of_session(ClientId::default())
    }
}

impl IUpdateDownloader_Impl for UpdateDownloader_Impl {
    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(self.client_id.get())
    }

    fn put_client_application_id(&self, value: &BSTR) -> Answer<()> {
        self.client_id.put(value);
        Ok(())
    }

    fn is_forced(&self) -> Answer<bool> {
        Ok(lock(&self.options).is_forced)
    }

    fn put_is_forced(&self, value: bool) -> Answer<()> {
        self.lockdown.permits()?;
        lock(&self.options).is_forced = value;
        Ok(())
    }

    fn priority(&self) -> Answer<DownloadPriority> {
        Ok(lock(&self.options).priority)
    }

    fn put_priority(&self, value: DownloadPriority) -> Answer<()> {
        lock(&self.options).priority = value;
        Ok(())
    }

    fn updates(&self) -> Answer<Option<IUpdateCollection>> {
        Ok(self.updates.get(&self.lockdown))
    }

    fn put_updates(&self, value: Option<&IUpdateCollection>) -> Answer<()> {
        self.updates.put(value)
    }

    fn begin_download(
        &self,
        on_progress_changed: Option<&IUnknown>,
        on_completed: Option<&IUnknown>,
        state: &VARIANT,
    ) -> Answer<IDownloadJob> {
        jobs::begin_download(self.snapshot()?, on_progress_changed, on_completed, state)
    }

    fn download(&self) -> Answer<IDownloadResult> {
        jobs::download(self.snapshot()?)
    }

    fn end_download(&self, value: Option<&IDownloadJob>) -> Answer<IDownloadResult> {
        self.lockdown.permits()?;
        jobs::end_download(value)
    }
}

impl IUpdateLockdown_Impl for UpdateDownloader_Impl {
    fn lock_down(&self, flags: i32) -> Answer<()> {
        self.lockdown.lock_down(flags)
    }
}
