//! Update services (`IUpdateServiceManager2`): who offers updates, and whom automatic updates ask.
//!
//! A machine has the one service of its package manager, registered from the start (rule R47). Services that need an
//! authorisation cabinet do not exist here; adding one answers with the documented code.

use std::sync::Arc;

use uuid::Uuid;
use wua_types::{HResult, UpdateService, UpdateServiceRegistrationState};

use crate::machine::Machine;
use crate::state::{PublicState, State, StateError};

/// Why a service could not be added, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such service.
    #[error("there is no update service `{0}` on this machine")]
    Unknown(Uuid),
    /// Services cannot be added on this platform.
    #[error("update service `{0}` cannot be added: this machine knows no way to reach it")]
    CannotAdd(Uuid),
    /// It is the only one left.
    #[error("update service `{0}` is the only one of this machine and stays")]
    LastOne(Uuid),
    /// The change cannot be recorded.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ServiceError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Unknown(_) => HResult::WU_E_DS_UNKNOWNSERVICE,
            Self::CannotAdd(_) => HResult::WU_E_DS_INVALIDOPERATION,
            Self::LastOne(_) => HResult::WU_E_DS_NEEDWINDOWSSERVICE,
            Self::State(error) => error.code(),
        }
    }
}

/// The manager of update services.
#[derive(Clone, Debug)]
pub struct UpdateServiceManager {
    machine: Arc<Machine>,
}

impl UpdateServiceManager {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    /// All services.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn services(&self) -> Result<Vec<UpdateService>, ServiceError> {
        let state = PublicState::read(&self.machine.folders)?;
        let mut service = self.machine.source.service();
        if let Some((_, registered)) = state.services.iter().find(|(id, _)| *id == service.id) {
            service.is_registered_with_au = *registered;
            service.is_default_au_service = *registered;
        }
        Ok(vec![service])
    }

    /// Whether a service is known.
    pub fn query_service_registration(&self, id: Uuid) -> UpdateServiceRegistrationState {
        if self.machine.source.service().id == id {
            UpdateServiceRegistrationState::Registered
        } else {
            UpdateServiceRegistrationState::NotRegistered
        }
    }

    /// Adds a service.
    ///
    /// # Errors
    /// `WU_E_DS_INVALIDOPERATION` unless it is there already: this machine has no way to reach another one.
    pub fn add_service(&self, id: Uuid) -> Result<UpdateService, ServiceError> {
        let services = self.services()?;
        services
            .into_iter()
            .find(|service| service.id == id)
            .ok_or(ServiceError::CannotAdd(id))
    }

    /// Removes a service.
    ///
    /// # Errors
    /// `WU_E_DS_UNKNOWNSERVICE`, or `WU_E_DS_NEEDWINDOWSSERVICE` for the only one.
    pub fn remove_service(&self, id: Uuid) -> Result<(), ServiceError> {
        self.known(id)?;
        Err(ServiceError::LastOne(id))
    }

    /// Lets automatic updates use a service, or not.
    ///
    /// # Errors
    /// `WU_E_DS_UNKNOWNSERVICE`, or the state's own code where the caller may not write it.
    pub fn register_service_with_au(&self, id: Uuid, registered: bool) -> Result<(), ServiceError> {
        self.known(id)?;
        State::open(&self.machine.folders)?.register_with_au(id, registered)?;
        Ok(())
    }

    fn known(&self, id: Uuid) -> Result<(), ServiceError> {
        if self.machine.source.service().id == id {
            Ok(())
        } else {
            Err(ServiceError::Unknown(id))
        }
    }
}
