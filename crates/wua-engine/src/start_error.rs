//! Why a job was not begun. The order of the checks is rule R11's; what comes after them is reported by the job itself.

use std::io;

use uuid::Uuid;
use wua_job::JobError;
use wua_types::HResult;

use crate::failure::Failure;
use crate::state::StateError;
use crate::store::StoreError;

/// Why a download, installation or uninstallation was not begun. Nothing was changed, and no callback will run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The caller may not do that.
    #[error("you may not change this machine")]
    NotPermitted(#[source] Failure),
    /// The collection is empty.
    #[error("no updates were given")]
    NoUpdate,
    /// An update that must be installed alone is not alone.
    #[error("`{title}` must be installed alone")]
    ExclusiveConflict {
        /// The update that must be alone.
        title: String,
    },
    /// No update's licence was accepted.
    #[error("the licence terms of these updates were not accepted")]
    EulasDeclined,
    /// No update can be taken back.
    #[error("none of these updates can be taken back: {reason}")]
    UninstallNotAllowed {
        /// Why not.
        reason: String,
    },
    /// The administrator wants the pending restart first (rule R37).
    #[error("the machine must be restarted first, says its policy")]
    RestartFirst,
    /// The battery might be empty before the work is done.
    #[error("the machine runs on battery at {percent} %, and its policy wants {wanted} %")]
    LowBattery {
        /// Its charge.
        percent: u8,
        /// The least that the policy begins with.
        wanted: u8,
    },
    /// The machine is going down.
    #[error("the machine is going down")]
    ShutdownInProgress,
    /// The same installer object is already at work (rule R13).
    #[error("this installer is already at work")]
    InProgress,
    /// Another installation runs on the machine (rule R13).
    #[error("another installation is running on this machine: {holder}")]
    Busy {
        /// Whose.
        holder: String,
        /// The job, where it is known; it can be attached to.
        job: Option<Uuid>,
    },
    /// The id that the caller chose is that of another job.
    #[error("the id {0} is that of another job")]
    IdTaken(Uuid),
    /// An earlier job was interrupted and cannot be finished.
    #[error(transparent)]
    Unfinished(Failure),
    /// wua's own files are in the way.
    #[error("cannot {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// Why not.
        source: io::Error,
    },
    /// What is remembered of the machine cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The content store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job's own machinery failed.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl StartError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::NotPermitted(failure) | Self::Unfinished(failure) => failure.code(),
            Self::NoUpdate => HResult::WU_E_NO_UPDATE,
            Self::ExclusiveConflict { .. } => HResult::WU_E_EXCLUSIVE_INSTALL_CONFLICT,
            Self::EulasDeclined => HResult::WU_E_EULAS_DECLINED,
            Self::UninstallNotAllowed { .. } => HResult::WU_E_UNINSTALL_NOT_ALLOWED,
            Self::RestartFirst | Self::Busy { .. } => HResult::WU_E_INSTALL_NOT_ALLOWED,
            Self::LowBattery { .. } => HResult::WU_E_LOW_BATTERY,
            Self::ShutdownInProgress => HResult::ERROR_SHUTDOWN_IN_PROGRESS,
            Self::IdTaken(_) => HResult::WU_E_INVALID_OPERATION,
            Self::InProgress => HResult::WU_E_OPERATIONINPROGRESS,
            Self::Io { source, .. } => crate::store::io_code(source),
            Self::State(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Job(error) => error.code(),
        }
    }
}
