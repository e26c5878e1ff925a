//! The exit codes of design.md section 3.

use wua_types::{HResult, OperationResultCode};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    SomeFailed = 1,
    Usage = 2,
    Permission = 3,
    NothingToDo = 4,
    Failed = 5,
    Aborted = 6,
    DoneRestartNeeded = 10,
    SomeFailedRestartNeeded = 11,
}

impl Exit {
    /// The exit code of a command that could not do anything, from the reason.
    pub(crate) fn of_reason(code: HResult) -> Self {
        match code {
            HResult::E_ACCESSDENIED => Self::Permission,
            HResult::WU_E_INVALID_CRITERIA
            | HResult::E_INVALIDARG
            | HResult::WU_E_ITEMNOTFOUND
            | HResult::WU_E_UNKNOWN_ID
            | HResult::WU_E_NO_UPDATE => Self::Usage,
            HResult::WU_E_CALL_CANCELLED | HResult::WU_E_TIME_OUT => Self::Aborted,
            _ => Self::Failed,
        }
    }

    /// The exit code of a job by its result.
    pub(crate) fn of_result(code: OperationResultCode, restart: bool) -> Self {
        match (code, restart) {
            (OperationResultCode::Succeeded, false) => Self::Done,
            (OperationResultCode::Succeeded, true) => Self::DoneRestartNeeded,
            (OperationResultCode::SucceededWithErrors, false) => Self::SomeFailed,
            (OperationResultCode::SucceededWithErrors, true) => Self::SomeFailedRestartNeeded,
            (OperationResultCode::Aborted, _) => Self::Aborted,
            _ => Self::Failed,
        }
    }
}
