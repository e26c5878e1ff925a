//! Jobs whose keeper went away before their end: found, and given a new keeper that goes on under the same id.
//!
//! An operation that is not ended in the state, and whose job nobody holds the machine's lock for, is lost. Whoever takes the
//! lock for it starts its next keeper, so of any number of programs that try at once one does. Looking changes nothing.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::{
    HResult, OperationResultCode, ServerSelection, UpdateHistoryEntry, UpdateId, UpdateIdentity,
    UpdateOperation,
};

use crate::failure::Failure;
use crate::folders::{Folders, JobFolder};
use crate::follow::keeper_of;
use crate::journal::{self, JournalError};
use crate::keeper;
use crate::lock::{self, MachineLock};
use crate::machine::Machine;
use crate::order::Order;
use crate::state::{Consequence, OperationRecord, PublicState, State, StateError};

/// What came of the wish to give a job a new keeper.
#[derive(Debug)]
pub enum Revival {
    /// It has a new keeper.
    Started,
    /// Somebody holds the machine's lock: a keeper of this job, or one of another job that ends first.
    Elsewhere,
    /// Its operation has ended: there is nothing to go on with.
    Over,
    /// The caller may not change the machine.
    NotPermitted(Failure),
}

/// The operations that have begun, have not ended, and that nobody carries out now, oldest first.
///
/// # Errors
/// The state cannot be read.
pub fn lost(folders: &Folders) -> Result<Vec<OperationRecord>, StateError> {
    let mut unfinished = PublicState::read(folders)?.unfinished;
    unfinished.retain(|operation| !is_kept(folders, operation.job));
    Ok(unfinished)
}

/// Whether somebody carries the job out now, or is about to.
fn is_kept(folders: &Folders, job: Uuid) -> bool {
    lock::holder(&folders.lock()).is_some_and(|holder| holder.job == job)
        || keeper_of(&folders.job(job)).is_some_and(|keeper| keeper.is_alive())
}

/// Gives lost jobs new keepers, as far as the caller may and the machine's lock is free; returns those that got one. They run
/// one after the other, so there is usually one at most: call again when it has ended.
///
/// # Errors
/// The state cannot be read, or a lost job cannot go on: its journal is of a newer wua (`WU_E_DS_SCHEMAMISMATCH`; the job stays
/// unfinished), or its folder was removed or damaged (it is closed, and history says so).
pub fn resume_lost(machine: &Arc<Machine>) -> Result<Vec<Uuid>, Failure> {
    let lost = lost(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot tell what is unfinished", error))?;
    let mut resumed = Vec::new();
    for operation in lost {
        if let Revival::Started = revive(machine, operation.job)? {
            resumed.push(operation.job);
        }
    }
    Ok(resumed)
}

/// Gives one job a new keeper if it is lost. Returns at once.
///
/// # Errors
/// As [`resume_lost`].
pub fn revive(machine: &Arc<Machine>, job: Uuid) -> Result<Revival, Failure> {
    if let Err(failure) = machine.handler.may_change() {
        return Ok(Revival::NotPermitted(failure));
    }
    let path = machine.folders.lock();
    let lock = MachineLock::take(&path, job).map_err(|error| {
        let what = format!("cannot lock `{}`", path.display());
        Failure::because(crate::store::io_code(&error), what, error)
    })?;
    let Some(lock) = lock else {
        return Ok(Revival::Elsewhere);
    };
    // Only now it is sure that nobody else ends it in this moment.
    let unreadable =
        |error: StateError| Failure::because(error.code(), format!("cannot look at job {job}"), error);
    let mut state = State::open(&machine.folders).map_err(unreadable)?;
    let Some((operation, false)) = state.operation(job).map_err(unreadable)? else {
        return Ok(Revival::Over);
    };
    // The results that a killed keeper recorded last, nobody else may know of yet.
    state.publish_or_log();
    let folder = machine.folders.job(job);
    if let Err(error) = Order::read(&folder.order())
        && !put_order_back(&state, &folder, job).map_err(unreadable)?
    {
        let failure = Failure::because(
            HResult::WU_E_UNEXPECTED,
            format!(
                "job {job} was interrupted, and cannot be finished since what it was to do is gone; what it did is not known, and \
                 `wua doctor` tells how the machine stands"
            ),
            error,
        );
        close(&mut state, &operation, &failure).map_err(unreadable)?;
        return Err(failure);
    }
    match journal::past(&folder.journal(), job) {
        // A keeper begins another one, and goes by the events and the machine's states.
        Ok(_) | Err(JournalError::Foreign { .. }) => {}
        Err(error) => {
            let what = format!("job {job} was interrupted and cannot be finished by this wua");
            return Err(Failure::because(error.code(), what, error));
        }
    }
    drop(state);
    keeper::start(machine, job, lock).map_err(|source| {
        let what = format!("cannot start a new keeper for job {job}");
        Failure::because(HResult::WU_E_UNEXPECTED, what, source)
    })?;
    Ok(Revival::Started)
}

/// Makes the job's folder again from what the state remembers, where its order is gone or damaged; whether that could be done.
fn put_order_back(state: &State, folder: &JobFolder, job: Uuid) -> Result<bool, StateError> {
    let order: Option<Order> = state
        .order(job)?
        .and_then(|text| serde_json::from_str(&text).ok());
    let Some(order) = order else { return Ok(false) };
    tracing::warn!(%job, "the job's order is gone; it is written again from the state");
    let put = match std::fs::remove_file(folder.order()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => order.write(folder),
    };
    put.map(|()| true).map_err(|source| StateError::Io {
        action: "write",
        path: folder.order(),
        source,
    })
}

/// Ends an operation that nobody can finish: history says so for every update that it has no result of.
fn close(state: &mut State, operation: &OperationRecord, failure: &Failure) -> Result<(), StateError> {
    let known = state.titles(operation.job)?;
    for title in operation.titles.iter().filter(|title| !known.contains(*title)) {
        let entry = UpdateHistoryEntry {
            job: operation.job,
            operation: if operation.operation == UpdateOperation::Uninstallation.to_string() {
                UpdateOperation::Uninstallation
            } else {
                UpdateOperation::Installation
            },
            // The updates' ids went with the job's folder.
            update_identity: UpdateIdentity {
                update_id: UpdateId(Uuid::nil()),
                revision_number: 0,
            },
            title: title.clone(),
            description: String::new(),
            result_code: OperationResultCode::Failed,
            hresult: failure.code(),
            unmapped_result_code: 0,
            date: Timestamp::now(),
            message: failure.sentence(),
            reboot_required: false,
            client_application_id: String::new(),
            user_id: rustix::process::getuid().as_raw(),
            server_selection: ServerSelection::Others,
            service_id: Uuid::nil(),
            kept_configuration: Vec::new(),
            support_url: None,
            categories: Vec::new(),
        };
        state.record(&[(entry, Consequence::None)])?;
    }
    state.end(operation.job)
}
