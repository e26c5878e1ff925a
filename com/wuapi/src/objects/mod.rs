//! The objects of the API: what each member does. One file an object, or a family of small ones.

mod agent_info;
mod automatic_updates;
mod category;
mod client_id;
mod collection;
mod downloader;
mod history;
mod installer;
mod lockdown;
mod proxy;
mod search_result;
mod searcher;
mod service;
mod service_manager;
mod session;
mod settings;
mod small;
mod strings;
mod system;
mod update;
mod updates;
mod wanted;

pub use agent_info::WindowsUpdateAgentInfo;
pub use automatic_updates::AutomaticUpdates;
pub use category::CategoryCollection;
pub use downloader::{DownloadSnapshot, UpdateDownloader};
pub use installer::{InstallSnapshot, UpdateInstaller};
pub use proxy::WebProxy;
pub use search_result::SearchResult;
pub use searcher::{SearchSnapshot, UpdateSearcher};
pub use service_manager::{UpdateServiceManager, end_pending_registrations};
pub use session::UpdateSession;
pub use small::{DownloadContentCollection, InstallationBehavior, UpdateExceptionCollection, UpdateIdentity};
pub use strings::StringCollection;
pub use system::{InstallationAgent, SystemInformation};
pub use update::{Found, Update};
pub use updates::UpdateCollection;

use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_core::BSTR;
use wua_types::HResult;

use crate::fault::Answer;

/// A place in a collection (wua.md 2.0 C).
pub fn place(index: i32, count: usize) -> Answer<usize> {
    usize::try_from(index)
        .ok()
        .filter(|place| *place < count)
        .ok_or_else(|| HResult::WU_E_INVALIDINDEX.into())
}

/// Locks. A panic that poisoned the lock was answered where it happened; what it left is whole, as members change one thing.
pub fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text for a client.
pub fn bstr(text: &str) -> BSTR {
    // NULL and empty are the same to clients; some scripts compare with NULL.
    if text.is_empty() {
        BSTR::new()
    } else {
        BSTR::from(text)
    }
}
