//! The documents of the agent's API, as its service and its clients share them. The API itself is told in
//! `crates/wua-agent/src/openapi.json`.

use jiff::Timestamp;
use uuid::Uuid;

use crate::enums::{
    AutomaticUpdatesNotificationLevel, AutomaticUpdatesScheduledInstallationDay, OperationResultCode,
    UpdateOperation,
};
use crate::event::{AnyProgress, Operation, StartedUpdate};
use crate::hresult::{CodeInfo, HResult};
use crate::identity::UpdateId;
use crate::plan::InstallPlan;
use crate::result::{KeptBack, UpdateInstallationResult};
use crate::update::Update;

/// What a job is to do: the body of `PUT /jobs/{id}`. Either `plan` or `updates` says on what; a repair and a search need neither.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// What to do. `search` fetches the indexes and looks; the others change the machine or its content store.
    pub operation: Operation,
    /// The updates, in the caller's order; what exactly changes is planned as the job's first phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<UpdateId>,
    /// The hash of a plan that the same caller had made by `POST /plans`; nothing but this plan is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// `IsForced`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_forced: bool,
    /// `ForceQuiet`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_quiet: bool,
    /// Whether a repair may remove packages where nothing else helps.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_removals: bool,
    /// Who asks, for the history (rule R5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_application_id: Option<String>,
}

impl JobRequest {
    /// A request of `operation` on nothing yet.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            updates: Vec::new(),
            plan: None,
            is_forced: false,
            force_quiet: false,
            allow_removals: false,
            client_application_id: None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What to plan: the body of `POST /plans`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Install or take back.
    pub operation: UpdateOperation,
    /// The updates, in the caller's order.
    pub updates: Vec<UpdateId>,
    /// `IsForced`.
    #[serde(default)]
    pub is_forced: bool,
    /// `ForceQuiet`.
    #[serde(default)]
    pub force_quiet: bool,
}

/// A plan, as `POST /plans` answers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlanDocument {
    /// What is authorised by `PUT /jobs/{id}`.
    pub hash: String,
    /// What would be done.
    pub plan: InstallPlan,
    /// Results that are known without any work, by place in the collection.
    pub known: Vec<KnownResult>,
    /// What is newer and not part of any update.
    pub kept_back: Vec<KeptBack>,
    /// Whether the agent keeps the plan for this caller to authorise; not at the socket for reading.
    pub can_be_authorized: bool,
}

/// The result of an update that a plan has no work for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownResult {
    /// Its place in the collection.
    pub index: usize,
    /// The result.
    #[serde(flatten)]
    pub result: UpdateInstallationResult,
}

/// A warning of a job.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WarningDocument {
    /// A sentence.
    pub message: String,
    /// Its code.
    pub hresult: HResult,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutcomeDocument {
    /// The outcome of the whole (rule R32).
    pub result_code: OperationResultCode,
    /// Its reason.
    pub hresult: HResult,
    /// Whether any update needs a restart.
    pub reboot_required: bool,
}

/// A job as it stands: `GET /jobs/{id}`, and the first event of its stream.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct JobDocument {
    /// Its id.
    pub job: Uuid,
    /// What it does.
    pub operation: Operation,
    /// Its updates, in the caller's order.
    pub updates: Vec<StartedUpdate>,
    /// How far it is.
    pub progress: AnyProgress,
    /// How each update stands, in the order of `updates`.
    pub results: Vec<UpdateInstallationResult>,
    /// What there is to know that ended nothing.
    pub warnings: Vec<WarningDocument>,
    /// How it ended; none while it runs.
    pub outcome: Option<OutcomeDocument>,
}

/// Why something was not done (RFC 9457), with what wua tells of every error.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProblemDocument {
    /// `urn:wua:` and the result code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The sentence and its cause.
    pub detail: String,
    /// The result code.
    pub hresult: HResult,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// The job that stands in the way, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Uuid>,
}

/// The machine as a whole: `GET /system`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SystemDocument {
    /// The version of the agent.
    pub version: String,
    /// Which machine it serves: to tell it from others that are here.
    pub machine: String,
    /// What the caller may do through this socket.
    pub access: Access,
    /// Whether a restart is needed.
    pub restart_required: bool,
    /// The packages that ask for it.
    pub restart_packages: Vec<String>,
    /// Whether nothing is installed before it (`RebootRequiredBeforeInstallation`).
    pub restart_required_before_installation: bool,
    /// The job that changes the machine now.
    pub busy: Option<Uuid>,
    /// Another program that holds the package database, as `NAME (PID)`.
    pub lock_holder: Option<String>,
    /// Jobs that have begun and not ended.
    pub unfinished: Vec<Uuid>,
    /// Services that still use replaced files, as of the schedule's last look.
    pub stale_services: Vec<String>,
}

impl SystemDocument {
    /// Whether something changes the machine's packages now, so that an installation would have to wait (`IsBusy`).
    pub fn is_busy(&self) -> bool {
        self.busy.is_some() || self.lock_holder.is_some()
    }
}

/// How one update stands right now: `GET /updates/{id}/state`. What a front asks again that follows the API, where the members of a
/// found update are not all of the time of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateStateDocument {
    /// `IsInstalled`.
    pub is_installed: bool,
    /// `IsDownloaded`.
    pub is_downloaded: bool,
    /// `IsHidden`.
    pub is_hidden: bool,
    /// `EulaAccepted`.
    pub eula_accepted: bool,
    /// `RebootRequired`.
    pub reboot_required: bool,
}

impl From<&Update> for UpdateStateDocument {
    fn from(update: &Update) -> Self {
        Self {
            is_installed: update.is_installed,
            is_downloaded: update.is_downloaded,
            is_hidden: update.is_hidden,
            eula_accepted: update.eula_accepted,
            reboot_required: update.reboot_required,
        }
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Look.
    Read,
    /// Refresh, download, install, and stop one's own jobs.
    Member,
    /// Everything.
    Owner,
}

/// A result code, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CodeDocument {
    /// The code.
    pub code: HResult,
    /// As a signed number, as scripts see it.
    pub decimal: i32,
    /// Its name in the API.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The likely cause.
    pub cause: Option<&'static str>,
    /// What to do.
    pub next_step: Option<&'static str>,
}

impl From<&'static CodeInfo> for CodeDocument {
    fn from(info: &'static CodeInfo) -> Self {
        Self {
            code: info.value,
            decimal: info.value.as_i32(),
            name: info.name,
            meaning: info.meaning,
            cause: info.cause,
            next_step: info.next_step,
        }
    }
}

/// The settings of automatic updates: `GET /settings`. What each key means, the schedule knows.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SettingsDocument {
    /// Every key.
    pub settings: Vec<SettingDocument>,
    /// The same in the API's own terms.
    pub automatic_updates: AutomaticUpdatesDocument,
    /// What will happen next; none before the schedule's first look.
    pub next: Option<NextDocument>,
    /// When updates were last looked for (`LastSearchSuccessDate`).
    pub last_check: Option<Timestamp>,
    /// When an automatic installation last succeeded (`LastInstallationSuccessDate`).
    pub last_installation: Option<Timestamp>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SettingDocument {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
    /// Where that comes from.
    pub origin: SettingOrigin,
}

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingOrigin {
    /// The administrator's policy. It cannot be changed through the API.
    Policy,
    /// It was set through the API.
    Settings,
    /// Nobody said anything.
    Default,
}

/// The settings that `IAutomaticUpdatesSettings` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AutomaticUpdatesDocument {
    /// `NotificationLevel`.
    pub notification_level: AutomaticUpdatesNotificationLevel,
    /// `ScheduledInstallationDay`.
    pub scheduled_installation_day: AutomaticUpdatesScheduledInstallationDay,
    /// `ScheduledInstallationTime`: an hour, 0 to 23.
    pub scheduled_installation_time: i32,
    /// Whether nothing is done for now (`Pause`, `Resume`); the key `paused_until` says until when.
    pub paused: bool,
}

/// What the schedule will do next.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NextDocument {
    /// What is being done; `wait` for nothing.
    pub what: String,
    /// Why, a plain sentence.
    pub why: String,
    /// When it is decided again at the latest.
    pub at: Option<Timestamp>,
}
