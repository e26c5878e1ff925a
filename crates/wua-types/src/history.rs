//! What happened before (`IUpdateHistoryEntry2`): one record for each update and attempt (wua.md 8.1).

use jiff::Timestamp;
use uuid::Uuid;

use crate::category::Category;
use crate::enums::{OperationResultCode, ServerSelection, UpdateOperation};
use crate::hresult::HResult;
use crate::identity::UpdateIdentity;

/// One final result of one update.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateHistoryEntry {
    /// The job that did it.
    pub job: Uuid,
    /// Installed or taken back.
    pub operation: UpdateOperation,
    /// The update.
    #[serde(flatten)]
    pub update_identity: UpdateIdentity,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// The outcome, 2 to 5.
    pub result_code: OperationResultCode,
    /// The reason.
    pub hresult: HResult,
    /// The installer's own number.
    pub unmapped_result_code: i32,
    /// When the result was known.
    pub date: Timestamp,
    /// What happened, for people.
    pub message: String,
    /// Whether the update needed a restart.
    pub reboot_required: bool,
    /// Who asked: the caller's `ClientApplicationID`, `Unknown` if it never said.
    pub client_application_id: String,
    /// The user id the job was begun by.
    pub user_id: u32,
    /// The service that offered it; never the default selection (rule R46).
    pub server_selection: ServerSelection,
    /// That service's id.
    pub service_id: Uuid,
    /// Configuration files whose local version was kept.
    pub kept_configuration: Vec<String>,
    /// The home page.
    pub support_url: Option<String>,
    /// The update's categories.
    pub categories: Vec<Category>,
}
