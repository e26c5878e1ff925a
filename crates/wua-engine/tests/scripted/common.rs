//! What the themes share: named updates, and results in a form that is easy to compare.

use std::sync::Arc;

use wua_job::{InstallationJob, Job, JobKind, Snapshot};
use wua_testkit::{TestMachine, UpdateBuilder};
use wua_types::{HResult, InstallationResult, OperationResultCode, Update};

pub(crate) use wua_types::OperationResultCode::{Aborted, Failed, Succeeded, SucceededWithErrors};

/// A code with its reason.
pub(crate) type End = (OperationResultCode, HResult);

pub(crate) const FINE: End = (Succeeded, HResult::S_OK);
pub(crate) const CANCELLED: End = (Aborted, HResult::WU_E_CALL_CANCELLED);
pub(crate) const BROKEN: End = (Failed, HResult::WU_E_UH_INSTALLERFAILURE);
pub(crate) const UNTRIED: End = (Failed, HResult::WU_E_UPDATE_NOT_PROCESSED);
pub(crate) const LOST: End = (Failed, HResult::WU_E_UNEXPECTED);

/// Plain updates, one for each name.
pub(crate) fn updates(names: &[&str]) -> Vec<Update> {
    names
        .iter()
        .map(|name| UpdateBuilder::new(name).build())
        .collect()
}

/// Begins the installation of updates whose content is here, with nobody to be called.
#[track_caller]
pub(crate) fn begin(machine: &TestMachine, updates: &[Update]) -> InstallationJob {
    machine.stock(updates);
    machine
        .installer()
        .start_install(collection(updates), None)
        .expect("begins")
}

/// How a whole and its updates ended.
pub(crate) fn ends(result: &InstallationResult) -> (End, Vec<End>) {
    let each = result
        .updates
        .iter()
        .map(|update| (update.result_code, update.hresult));
    ((result.result_code, result.hresult), each.collect())
}

/// Blocks until a job stands as wanted.
pub(crate) fn wait_until<K: JobKind>(job: &Job<K>, wanted: impl Fn(&Snapshot<K>) -> bool) {
    let mut now = job.progress();
    while !wanted(&now) {
        now = job
            .next_change(now.revision())
            .expect("the job comes to stand as wanted before it ends");
    }
}

/// The updates as starts take them.
pub(crate) fn collection(updates: &[Update]) -> Arc<[Update]> {
    updates.into()
}
