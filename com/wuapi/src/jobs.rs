//! TEMPORARY: what the jobs part is called by. Each answers E_NOTIMPL until it is written.
//!
//! Checks of locking down (rule R11, 1) and of a NULL result (3) are done before these are called; NULL jobs are not.

use windows::Win32::System::Variant::VARIANT;
use windows_core::IUnknown;
use wua_types::{HResult, UpdateOperation};

use crate::api::{
    IDownloadJob, IDownloadResult, IInstallationJob, IInstallationResult, ISearchJob, ISearchResult,
};
use crate::fault::{Answer, Fault};
use crate::objects::{DownloadSnapshot, InstallSnapshot, SearchSnapshot};

/// The job that an installer has begun last, to tell "busy by myself" from "busy by another" (rule R13).
#[derive(Debug, Default)]
pub struct OwnJob {}

fn not_yet<T>() -> Answer<T> {
    Err(Fault::new(HResult(0x8000_4001), "The jobs are not written yet"))
}

/// `BeginSearch`.
pub fn begin_search(
    _: SearchSnapshot,
    _on_completed: Option<&IUnknown>,
    _state: &VARIANT,
) -> Answer<ISearchJob> {
    not_yet()
}

/// `EndSearch`.
pub fn end_search(_: Option<&ISearchJob>) -> Answer<ISearchResult> {
    not_yet()
}

/// `Search`.
pub fn search(snapshot: SearchSnapshot) -> Answer<ISearchResult> {
    let result = crate::agent::client()?.search(&snapshot.criteria)?;
    Ok(crate::objects::SearchResult::new(&result).into())
}

/// `BeginDownload`.
pub fn begin_download(
    _: DownloadSnapshot,
    _on_progress_changed: Option<&IUnknown>,
    _on_completed: Option<&IUnknown>,
    _state: &VARIANT,
) -> Answer<IDownloadJob> {
    not_yet()
}

/// `EndDownload`.
pub fn end_download(_: Option<&IDownloadJob>) -> Answer<IDownloadResult> {
    not_yet()
}

/// `Download`.
pub fn download(_: DownloadSnapshot) -> Answer<IDownloadResult> {
    not_yet()
}

/// `BeginInstall` and `BeginUninstall`.
pub fn begin_installation(
    _: InstallSnapshot,
    _: &OwnJob,
    _on_progress_changed: Option<&IUnknown>,
    _on_completed: Option<&IUnknown>,
    _state: &VARIANT,
) -> Answer<IInstallationJob> {
    not_yet()
}

/// `EndInstall` and `EndUninstall`.
pub fn end_installation(_: UpdateOperation, _: Option<&IInstallationJob>) -> Answer<IInstallationResult> {
    not_yet()
}

/// `Install` and `Uninstall`.
pub fn install(_: InstallSnapshot, _: &OwnJob) -> Answer<IInstallationResult> {
    not_yet()
}
