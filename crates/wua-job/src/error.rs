//! Why a request to a job was refused.

use wua_types::HResult;

/// Why a request to a job was refused. None of these changes the job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The index names none of the job's updates.
    #[error("there is no update {index} in this job: it has {count}")]
    NoSuchUpdate {
        /// The index asked for, from 0.
        index: usize,
        /// How many updates the job has.
        count: usize,
    },
    /// The job was ended before, and ends only once (rule R22).
    #[error("this job was already ended")]
    AlreadyEnded,
    /// What the job does now must be finished (rule R26).
    #[error("what this job does now cannot be stopped any more")]
    CannotAbort,
    /// The thread that would call the observer could not be started.
    #[error("the thread that delivers this job's progress could not be started")]
    NoNotifier(#[source] std::io::Error),
}

impl JobError {
    /// The code that programs of the Windows Update Agent API know.
    pub fn code(&self) -> HResult {
        match self {
            Self::NoSuchUpdate { .. } => HResult::WU_E_INVALIDINDEX,
            Self::AlreadyEnded => HResult::WU_E_INVALID_OPERATION,
            Self::CannotAbort => HResult::WU_E_COULDNOTCANCEL,
            Self::NoNotifier(_) => HResult::E_OUTOFMEMORY,
        }
    }
}
