//! What can be said of the whole machine (`ISystemInformation`, `IUpdateInstaller::IsBusy`).

use std::sync::Arc;

use crate::failure::Failure;
use crate::lock::{self, Holder};
use crate::machine::Machine;
use crate::resume;
use crate::state::{OperationRecord, PublicState};

/// What can be said of the machine now. Read anew each time; nothing in it is a reservation.
#[derive(Clone, Debug)]
pub struct SystemInformation {
    /// The packages that ask for a restart; none where no restart is needed. May be empty: somebody asked without saying who.
    pub restart_required: Option<Vec<String>>,
    /// The job of wua's that is changing the machine.
    pub busy: Option<Holder>,
    /// Another program that holds the package database, as `NAME (PID)`.
    pub lock_holder: Option<String>,
    /// Operations whose results are not known.
    pub unfinished: Vec<OperationRecord>,
    /// Those of them that nobody carries out now; the next command that acts finishes them.
    pub lost: Vec<OperationRecord>,
}

impl SystemInformation {
    /// Looks at the machine.
    ///
    /// # Errors
    /// Its state cannot be read.
    pub fn read(machine: &Arc<Machine>) -> Result<Self, Failure> {
        let state = PublicState::read(&machine.folders)
            .map_err(|error| Failure::because(error.code(), "cannot tell what wua is doing", error))?;
        let busy = lock::holder(&machine.folders.lock());
        Ok(Self {
            restart_required: machine.handler.restart_required()?,
            lock_holder: if busy.is_none() {
                machine.handler.lock_holder()
            } else {
                None
            },
            lost: resume::lost(&machine.folders)
                .map_err(|error| Failure::because(error.code(), "cannot tell what was interrupted", error))?,
            unfinished: state.unfinished,
            busy,
        })
    }
}

/// The id of the machine's running boot; none where the kernel does not tell.
pub fn boot_id() -> Option<String> {
    Some(
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()?
            .trim()
            .to_owned(),
    )
}
