//! How work ended: one result for each update, and the whole (wua.md 4.1 and 4.2).

use crate::category::Category;
use crate::enums::{OperationResultCode, UpdateExceptionContext};
use crate::hresult::HResult;
use crate::update::Update;

/// How the installation or uninstallation of one update stands or ended (`IUpdateInstallationResult`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateInstallationResult {
    /// The outcome.
    pub result_code: OperationResultCode,
    /// The reason, `S_OK` while there is none.
    pub hresult: HResult,
    /// Whether this update needs a restart.
    pub reboot_required: bool,
    /// The installer's own number, unmapped (for packages: the exit status of the failing maintainer script).
    pub unmapped_result_code: i32,
    /// What happened, for people; empty where all went well.
    pub message: String,
    /// Configuration files whose local version was kept, as paths on the machine.
    pub kept_configuration: Vec<String>,
}

impl UpdateInstallationResult {
    /// A result with a code, a reason and a message, and nothing else.
    pub fn new(result_code: OperationResultCode, hresult: HResult, message: impl Into<String>) -> Self {
        Self {
            result_code,
            hresult,
            reboot_required: false,
            unmapped_result_code: 0,
            message: message.into(),
            kept_configuration: Vec::new(),
        }
    }
}

/// How the download of one update stands or ended (`IUpdateDownloadResult`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateDownloadResult {
    /// The outcome.
    pub result_code: OperationResultCode,
    /// The reason, `S_OK` while there is none.
    pub hresult: HResult,
    /// What happened, for people; empty where all went well.
    pub message: String,
}

impl UpdateDownloadResult {
    /// A result with a code, a reason and a message.
    pub fn new(result_code: OperationResultCode, hresult: HResult, message: impl Into<String>) -> Self {
        Self {
            result_code,
            hresult,
            message: message.into(),
        }
    }
}

/// What results of updates have in common; rule R32 needs no more.
pub trait UpdateResult: Clone {
    /// The result of an update that nobody has looked at yet.
    fn not_started() -> Self;
    /// The result of an update that never got its turn, or lost it.
    fn ended(result_code: OperationResultCode, hresult: HResult, message: &str) -> Self;
    /// The outcome.
    fn result_code(&self) -> OperationResultCode;
    /// Replaces the outcome while the work goes on (not started, in progress).
    fn set_result_code(&mut self, code: OperationResultCode);
    /// The reason.
    fn hresult(&self) -> HResult;
}

macro_rules! update_result {
    ($name:ident) => {
        impl UpdateResult for $name {
            fn not_started() -> Self {
                Self::new(OperationResultCode::NotStarted, HResult::S_OK, "")
            }
            fn ended(result_code: OperationResultCode, hresult: HResult, message: &str) -> Self {
                Self::new(result_code, hresult, message)
            }
            fn result_code(&self) -> OperationResultCode {
                self.result_code
            }
            fn set_result_code(&mut self, code: OperationResultCode) {
                self.result_code = code;
            }
            fn hresult(&self) -> HResult {
                self.hresult
            }
        }
    };
}
update_result!(UpdateInstallationResult);
update_result!(UpdateDownloadResult);

/// How a whole installation or uninstallation ended (`IInstallationResult`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstallationResult {
    /// The outcome of the whole (rule R32).
    pub result_code: OperationResultCode,
    /// Its reason.
    pub hresult: HResult,
    /// Whether any update needs a restart.
    pub reboot_required: bool,
    /// One result for each update, in the order of the collection.
    pub updates: Vec<UpdateInstallationResult>,
}

/// How a whole download ended (`IDownloadResult`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DownloadResult {
    /// The outcome of the whole (rule R32).
    pub result_code: OperationResultCode,
    /// Its reason.
    pub hresult: HResult,
    /// One result for each update, in the order of the collection.
    pub updates: Vec<UpdateDownloadResult>,
}

/// Something that went wrong without ending the work (`IUpdateException`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateException {
    /// A sentence for people.
    pub message: String,
    /// Its code.
    pub hresult: HResult,
    /// Where it comes from.
    pub context: UpdateExceptionContext,
}

/// An update that the machine could have but is not offered, and why (rule U2).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptBack {
    /// The source package and its newer version.
    pub title: String,
    /// The binary packages concerned.
    pub packages: Vec<String>,
    /// Why, as a sentence.
    pub reason: String,
    /// The packages that would have to be removed.
    pub removals: Vec<String>,
}

/// How a search ended (`ISearchResult`).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SearchResult {
    /// Succeeded, succeeded with errors (see the warnings), failed or aborted.
    pub result_code: OperationResultCode,
    /// The reason of a failed search.
    pub hresult: HResult,
    /// The updates found, by title and then id (rule R44).
    pub updates: Vec<Update>,
    /// The categories of the updates found.
    pub root_categories: Vec<Category>,
    /// What went wrong without ending the search.
    pub warnings: Vec<UpdateException>,
    /// What is newer but not offered.
    pub kept_back: Vec<KeptBack>,
}
