//! What became of a job that cannot go on: the machine was started anew while it ran, or keeper after keeper died. The
//! machine's states decide (apt.md 10.2); every result says that it was found so.

use wua_types::{HResult, OperationResultCode, PlannedChange, UpdateInstallationResult, UpdateResult as _};

use crate::aggregate::Stopped;
use crate::handler::InstalledUpdate;
use crate::machine::Machine;
use crate::order::Order;
use crate::reporter::Reporter;

/// What every message of this module begins with.
const FOUND: &str = "found after restart";

/// What the machine shows of an update.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Made,
    Untouched,
    Between,
    Unreadable,
}

/// Ends a job that a restart of the machine interrupted: what is made succeeded, what is as before was stopped.
pub(crate) fn after_restart(machine: &Machine, order: &Order, reporter: &mut Reporter<'_>) -> Stopped {
    let (aborted, stop) = (OperationResultCode::Aborted, HResult::WU_E_SERVICE_STOP);
    let mut stopped = Stopped::No;
    for place in 0..order.updates.len() {
        if reporter.is_finished(place) {
            continue;
        }
        let message = match look(machine, order, place, reporter) {
            Shown::Untouched if reporter.is_begun(place) => {
                "the machine went down before this update was changed"
            }
            Shown::Untouched => "the machine went down before this update had its turn",
            shown => {
                found(reporter, place, shown);
                continue;
            }
        };
        stopped = Stopped::ByService;
        reporter.finish(
            place,
            UpdateInstallationResult::ended(aborted, stop, &format!("{FOUND}: {message}")),
        );
    }
    stopped
}

/// Ends a job that no keeper could bring to its end.
pub(crate) fn after_crashes(machine: &Machine, order: &Order, reporter: &mut Reporter<'_>) -> Stopped {
    for place in 0..order.updates.len() {
        if !reporter.is_finished(place) {
            let shown = look(machine, order, place, reporter);
            found(reporter, place, shown);
        }
    }
    Stopped::No
}

fn found(reporter: &mut Reporter<'_>, place: usize, shown: Shown) {
    let (failed, unknown) = (OperationResultCode::Failed, HResult::WU_E_UNEXPECTED);
    let (code, hresult, message) = match shown {
        Shown::Made => (
            OperationResultCode::Succeeded,
            HResult::S_OK,
            "it is completely made",
        ),
        Shown::Untouched if reporter.is_begun(place) => (
            failed,
            unknown,
            "it is as before; one keeper of the job after the other ended suddenly",
        ),
        Shown::Untouched => (
            failed,
            HResult::WU_E_UPDATE_NOT_PROCESSED,
            "one keeper of the job after the other ended suddenly before this update had its turn",
        ),
        Shown::Between => (failed, unknown, "it is half made; `wua repair` heals that"),
        Shown::Unreadable => (failed, unknown, "the machine's state cannot be read"),
    };
    reporter.finish(
        place,
        UpdateInstallationResult::ended(code, hresult, &format!("{FOUND}: {message}")),
    );
}

/// Reads an update's states back. What was never begun is as before, whatever the machine shows.
fn look(machine: &Machine, order: &Order, place: usize, reporter: &Reporter<'_>) -> Shown {
    if !reporter.is_begun(place) {
        return Shown::Untouched;
    }
    let changes = &order.plan.updates[place].changes;
    let is_there = |name: &PlannedChange, version: &Option<String>| {
        let wanted = PlannedChange {
            to: version.clone(),
            ..name.clone()
        };
        let one = InstalledUpdate {
            update: order.updates[place].clone(),
            changes: vec![wanted],
        };
        let answer = machine.handler.still_installed(&[&one]);
        answer.map(|answer| answer.first() == Some(&true))
    };
    // A version of none is there when the other is not.
    let stands = |side: fn(&PlannedChange) -> (&Option<String>, &Option<String>)| {
        changes.iter().try_fold(true, |all, change| {
            let (wanted, other) = side(change);
            let holds = match wanted {
                Some(_) => is_there(change, wanted)?,
                None => !is_there(change, other)?,
            };
            Ok::<_, crate::Failure>(all && holds)
        })
    };
    match (
        stands(|change| (&change.to, &change.from)),
        stands(|change| (&change.from, &change.to)),
    ) {
        (Ok(true), _) => Shown::Made,
        (Ok(false), Ok(true)) => Shown::Untouched,
        (Ok(false), Ok(false)) => Shown::Between,
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(job = %order.job, place, error = %error.sentence(), "states cannot be read back");
            Shown::Unreadable
        }
    }
}
