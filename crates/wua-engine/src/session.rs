//! The entrance (`IUpdateSession`): makes the objects that search, download and install on one machine.

use std::sync::Arc;

use wua_types::UpdateHistoryEntry;
use wua_types::criteria::{CriteriaError, HistoryCriteria};

use crate::downloader::UpdateDownloader;
use crate::installer::UpdateInstaller;
use crate::machine::Machine;
use crate::searcher::UpdateSearcher;
use crate::service_manager::UpdateServiceManager;
use crate::state::{PublicState, StateError};

/// The client id of callers who never said one (rule R5).
pub const UNKNOWN_CLIENT: &str = "Unknown";

/// A caller's session with one machine. What it makes carries the client id it has at that moment (rule R5).
#[derive(Clone, Debug)]
pub struct UpdateSession {
    machine: Arc<Machine>,
    client_application_id: String,
    user_id: u32,
}

/// Why history could not be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The criteria are not valid.
    #[error(transparent)]
    Criteria(#[from] CriteriaError),
    /// No entries were asked for (`WU_E_INVALIDINDEX`, rule R45).
    #[error("a history of no entries was asked for")]
    NoEntries,
    /// History cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl HistoryError {
    /// The result code.
    pub fn code(&self) -> wua_types::HResult {
        match self {
            Self::Criteria(error) => error.code(),
            Self::NoEntries => wua_types::HResult::WU_E_INVALIDINDEX,
            Self::State(error) => error.code(),
        }
    }
}

impl UpdateSession {
    /// A session with `machine` by a caller who has not said who it is.
    pub fn new(machine: Arc<Machine>) -> Self {
        Self {
            machine,
            client_application_id: UNKNOWN_CLIENT.into(),
            user_id: rustix::process::getuid().as_raw(),
        }
    }

    /// Says for which user a service acts; recorded in history in place of the process's own.
    pub fn set_user_id(&mut self, user_id: u32) {
        self.user_id = user_id;
    }

    /// Says who the caller is; recorded in history. Nothing returns to `Unknown`.
    pub fn set_client_application_id(&mut self, id: &str) {
        self.client_application_id = if id.is_empty() {
            UNKNOWN_CLIENT.into()
        } else {
            id.into()
        };
    }

    /// The machine.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// A searcher.
    pub fn create_update_searcher(&self) -> UpdateSearcher {
        UpdateSearcher::new(Arc::clone(&self.machine))
    }

    /// A downloader.
    pub fn create_update_downloader(&self) -> UpdateDownloader {
        UpdateDownloader::new(Arc::clone(&self.machine))
    }

    /// An installer.
    pub fn create_update_installer(&self) -> UpdateInstaller {
        UpdateInstaller::new(
            Arc::clone(&self.machine),
            self.client_application_id.clone(),
            self.user_id,
        )
    }

    /// The manager of update services.
    pub fn create_update_service_manager(&self) -> UpdateServiceManager {
        UpdateServiceManager::new(Arc::clone(&self.machine))
    }

    /// Final results, newest first, from `start` on, at most `count` (rule R45). Only `UpdateID='guid'` is a criterion; an
    /// empty text means all.
    ///
    /// # Errors
    /// `WU_E_INVALID_CRITERIA`, `WU_E_INVALIDINDEX` for a count of 0, or the state's own code.
    pub fn query_history(
        &self,
        criteria: &str,
        start: usize,
        count: usize,
    ) -> Result<Vec<UpdateHistoryEntry>, HistoryError> {
        let criteria = HistoryCriteria::parse(criteria)?;
        if count == 0 {
            return Err(HistoryError::NoEntries);
        }
        let state = PublicState::read(&self.machine.folders)?;
        let fitting = state
            .history
            .into_iter()
            .filter(|entry| criteria.matches(entry.update_identity.update_id));
        Ok(fitting.skip(start).take(count).collect())
    }

    /// How many final results are recorded.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn total_history_count(&self) -> Result<usize, StateError> {
        Ok(PublicState::read(&self.machine.folders)?.history.len())
    }
}
