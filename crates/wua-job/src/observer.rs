//! What a caller implements to be told about a job, and what its answers mean.

use wua_types::HResult;

use crate::job::Job;
use crate::kind::JobKind;
use crate::snapshot::Snapshot;

/// Is told about a job. Called one at a time and in order, on the job's own thread, never on the thread that started it
/// and never before the start returned (rules R15 and R16); dropped on that thread once `completed` returned (R24).
///
/// Both calls may call anything of any job. An error is logged and else ignored, as is a panic; after one of the codes
/// that say the receiver is gone, the call that answered it is not made again (R25).
pub trait JobObserver<K: JobKind>: Send {
    /// The job is further than before. `now` is how it stood when this notice was made; `job` may be ahead of it.
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        let _ = (job, now);
        Ok(())
    }

    /// The job has ended: last, once, and with the outcome already readable.
    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        let _ = job;
        Ok(())
    }
}

/// An observer could not take a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the observer answered {hresult}")]
pub struct CallbackError {
    /// Its code.
    pub hresult: HResult,
}

impl CallbackError {
    /// Whether the code says that there is nobody to call any more (rule R25).
    pub fn is_gone(self) -> bool {
        matches!(
            self.hresult,
            HResult::RPC_E_DISCONNECTED
                | HResult::RPC_E_SERVER_DIED
                | HResult::RPC_E_SERVER_DIED_DNE
                | HResult::RPC_S_SERVER_UNAVAILABLE
                | HResult::CO_E_OBJNOTCONNECTED
        )
    }
}
