//! Why the agent did not do what it was asked.

use wua_types::HResult;
use wua_types::api::ProblemDocument;

/// Why a call of the agent failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers, or the connection broke.
    #[error("the agent does not answer: {0}")]
    NotThere(String),
    /// It answered what this client does not understand.
    #[error("the agent's answer is not understood: {0}")]
    NotUnderstood(String),
    /// It said why not.
    #[error("{}", .0.detail)]
    Problem(Box<ProblemDocument>),
    /// The job's own machinery failed.
    #[error(transparent)]
    Job(#[from] wua_job::JobError),
}

impl ClientError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::NotThere(_) => HResult::WU_E_SERVICE_STOP,
            Self::NotUnderstood(_) => HResult::WU_E_UNEXPECTED,
            Self::Problem(problem) => problem.hresult,
            Self::Job(error) => error.code(),
        }
    }

    /// What the agent says is to be done next, where it knows better than the code.
    pub fn next_step(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.next_step.as_deref(),
            _ => self.code().next_step(),
        }
    }
}
