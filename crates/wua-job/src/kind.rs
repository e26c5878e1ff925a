//! The three kinds of job, and what differs between them: progress, the result of one update, the outcome.

use std::fmt::Debug;

use wua_types::{
    DownloadProgress, DownloadResult, HResult, InstallationProgress, InstallationResult, OperationResultCode,
    Percent, Progress, SearchResult, UpdateDownloadResult, UpdateInstallationResult, UpdateResult,
};

use crate::job::Job;

/// A kind of job.
pub trait JobKind: Sized + Debug + Send + Sync + 'static {
    /// How far it is.
    type Progress: Progress + Debug + Send + Sync + 'static;
    /// How one of its updates stands.
    type UpdateResult: UpdateResult + Debug + Send + Sync + 'static;
    /// How the whole ended.
    type Outcome: Debug + Send + Sync + 'static;

    /// The results of single updates that an outcome carries, in the order of the collection.
    fn update_results(outcome: &Self::Outcome) -> &[Self::UpdateResult];

    /// The outcome of a job whose work went away without saying how it ended.
    fn failed(hresult: HResult, updates: Vec<Self::UpdateResult>) -> Self::Outcome;
}

/// Installs or uninstalls.
#[derive(Clone, Copy, Debug)]
pub struct Installation;

/// Downloads.
#[derive(Clone, Copy, Debug)]
pub struct Download;

/// Searches. Has no updates yet, so its progress says nothing but its warnings.
#[derive(Clone, Copy, Debug)]
pub struct Search;

/// A running installation or uninstallation (`IInstallationJob`).
pub type InstallationJob = Job<Installation>;
/// A running download (`IDownloadJob`).
pub type DownloadJob = Job<Download>;
/// A running search (`ISearchJob`).
pub type SearchJob = Job<Search>;

impl JobKind for Installation {
    type Progress = InstallationProgress;
    type UpdateResult = UpdateInstallationResult;
    type Outcome = InstallationResult;

    fn update_results(outcome: &InstallationResult) -> &[UpdateInstallationResult] {
        &outcome.updates
    }

    fn failed(hresult: HResult, updates: Vec<UpdateInstallationResult>) -> InstallationResult {
        let reboot_required = updates.iter().any(|update| update.reboot_required);
        InstallationResult {
            result_code: OperationResultCode::Failed,
            hresult,
            reboot_required,
            updates,
        }
    }
}

impl JobKind for Download {
    type Progress = DownloadProgress;
    type UpdateResult = UpdateDownloadResult;
    type Outcome = DownloadResult;

    fn update_results(outcome: &DownloadResult) -> &[UpdateDownloadResult] {
        &outcome.updates
    }

    fn failed(hresult: HResult, updates: Vec<UpdateDownloadResult>) -> DownloadResult {
        DownloadResult {
            result_code: OperationResultCode::Failed,
            hresult,
            updates,
        }
    }
}

impl JobKind for Search {
    type Progress = NoProgress;
    type UpdateResult = NoUpdateResult;
    type Outcome = SearchResult;

    fn update_results(_: &SearchResult) -> &[NoUpdateResult] {
        &[]
    }

    fn failed(hresult: HResult, _: Vec<NoUpdateResult>) -> SearchResult {
        SearchResult {
            result_code: OperationResultCode::Failed,
            hresult,
            updates: Vec::new(),
            root_categories: Vec::new(),
            warnings: Vec::new(),
            kept_back: Vec::new(),
        }
    }
}

/// The progress of a search: none, as in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn nothing_done() -> Self {
        Self
    }
    fn current_update_index(&self) -> usize {
        0
    }
    fn result_code(&self) -> OperationResultCode {
        OperationResultCode::NotStarted
    }
    fn percent_complete(&self) -> Percent {
        Percent::ZERO
    }
    fn can_abort(&self) -> bool {
        true
    }
    fn with_percent_complete(self, _: Percent) -> Self {
        self
    }
    fn not_behind(self, _: &Self) -> Self {
        self
    }
    fn with_current(self, _: usize, _: OperationResultCode) -> Self {
        self
    }
}

/// The result of one update of a search: a search has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUpdateResult;

impl UpdateResult for NoUpdateResult {
    fn not_started() -> Self {
        Self
    }
    fn ended(_: OperationResultCode, _: HResult, _: &str) -> Self {
        Self
    }
    fn result_code(&self) -> OperationResultCode {
        OperationResultCode::NotStarted
    }
    fn set_result_code(&mut self, _: OperationResultCode) {}
    fn hresult(&self) -> HResult {
        HResult::S_OK
    }
}
