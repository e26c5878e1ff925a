//! From wishes to a plan: what exactly is going to happen to each update, decided before anything is touched.
//!
//! The package manager is asked once for the exact changes; everything else is pure. Updates that are not going to be changed
//! get their result here.

use std::sync::Arc;

use wua_types::plan::PlanPolicy;
use wua_types::{
    HResult, InstallPlan, OperationResultCode, PlannedUpdate, Update, UpdateInstallationResult,
    UpdateOperation,
};

use crate::batches::batches;
use crate::failure::Failure;
use crate::handler::{InstalledUpdate, Refusal, ResolvedUpdate};
use crate::machine::Machine;
use crate::meter::expected_seconds;
use crate::state::PublicState;
use crate::store::Content;
use crate::undo;

/// A plan, and the results that are known without any work.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is going to happen.
    pub plan: InstallPlan,
    /// Updates that are not going to be changed: their places and results.
    pub known: Vec<(usize, UpdateInstallationResult)>,
}

/// Plans an installation or uninstallation of `updates`. Touches nothing; blocks as long as the package manager's solver.
///
/// # Errors
/// The package manager cannot be asked, or what wua remembers cannot be read.
pub fn plan(
    machine: &Arc<Machine>,
    operation: UpdateOperation,
    updates: &[Update],
    policy: PlanPolicy,
) -> Result<Planned, Failure> {
    let mut known = Vec::new();
    let mut places = Vec::new();
    let mut chosen = Vec::new();
    let mut recorded = Vec::new();
    let state = PublicState::read(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot tell what is installed", error))?;
    let store = machine.store();
    let contents = match operation {
        UpdateOperation::Installation => Vec::new(),
        UpdateOperation::Uninstallation => undo::contents(&store),
    };
    for (place, update) in updates.iter().enumerate() {
        match precheck(operation, update, policy, &state, &contents) {
            Ok(record) => {
                places.push(place);
                chosen.push(update.clone());
                recorded.extend(record);
            }
            Err(refusal) => known.push((place, result_of(refusal))),
        }
    }
    let resolution = match operation {
        _ if chosen.is_empty() => crate::handler::Resolution::default(),
        UpdateOperation::Installation => machine.handler.resolve_install(&chosen, policy.forced, &store)?,
        UpdateOperation::Uninstallation => machine.handler.resolve_uninstall(&recorded, &store)?,
    };
    let mut resolved: Vec<ResolvedUpdate> = vec![ResolvedUpdate::default(); updates.len()];
    let mut planned_places = Vec::new();
    let unanswered = || {
        Err(Refusal::new(
            HResult::WU_E_UPDATE_NOT_PROCESSED,
            "the package manager said nothing about it",
        ))
    };
    let answers = resolution
        .updates
        .into_iter()
        .chain(std::iter::repeat_with(unanswered));
    for (answer, place) in answers.zip(&places) {
        match answer {
            Ok(changes) => {
                resolved[*place] = changes;
                planned_places.push(*place);
            }
            Err(refusal) => known.push((*place, result_of(refusal))),
        }
    }
    let together: Vec<(usize, usize)> = resolution
        .together
        .iter()
        .filter_map(|(one, other)| Some((*places.get(*one)?, *places.get(*other)?)))
        .filter_map(|(one, other)| {
            let within = |place: usize| planned_places.iter().position(|planned| *planned == place);
            Some((within(one)?, within(other)?))
        })
        .collect();
    let seconds: Vec<f64> = planned_places
        .iter()
        .map(|place| expected_seconds(resolved[*place].changes.len(), resolved[*place].unpacked_bytes))
        .collect();
    let longest = f64::from(machine.policy.install.longest_batch_seconds);
    let batches = batches(&seconds, &together, longest)
        .into_iter()
        .map(|batch| batch.into_iter().map(|index| planned_places[index]).collect())
        .collect();
    let planned = updates
        .iter()
        .zip(resolved)
        .map(|(update, resolved)| PlannedUpdate {
            identity: update.identity,
            title: update.title.clone(),
            changes: resolved.changes,
            unpacked_bytes: resolved.unpacked_bytes,
        });
    known.sort_by_key(|(place, _)| *place);
    Ok(Planned {
        plan: InstallPlan {
            machine: machine.handler.machine(),
            operation,
            updates: planned.collect(),
            policy,
            batches,
        },
        known,
    })
}

/// Rules R36 and R38 and the caller's switches: what is decided without asking the package manager. For an uninstallation,
/// gives what was recorded when the update was installed.
fn precheck(
    operation: UpdateOperation,
    update: &Update,
    policy: PlanPolicy,
    state: &PublicState,
    contents: &[Content],
) -> Result<Option<InstalledUpdate>, Refusal> {
    let title = &update.title;
    if operation == UpdateOperation::Uninstallation {
        let record = state
            .installed
            .iter()
            .find(|record| record.installed.update.id() == update.id());
        let refused = |reason| Err(Refusal::new(HResult::WU_E_UNINSTALL_NOT_ALLOWED, reason));
        return match record.map(|record| (record, undo::look(&record.installed, contents))) {
            Some((record, undo)) if undo.is_possible() => Ok(Some(record.installed.clone())),
            Some((_, undo)) => refused(undo.note().unwrap_or_default()),
            None if update.is_installed => refused(format!("wua did not install `{title}`")),
            None => Err(Refusal::new(
                HResult::WU_S_ALREADY_UNINSTALLED,
                format!("`{title}` is not installed"),
            )),
        };
    }
    if !update.eula_accepted {
        return Err(Refusal::new(
            HResult::WU_E_EULAS_DECLINED,
            format!("the licence terms of `{title}` were not accepted"),
        ));
    }
    let asks = update
        .installation_behavior
        .is_some_and(|behavior| behavior.can_request_user_input);
    if asks && policy.force_quiet {
        return Err(Refusal::new(
            HResult::WU_E_UH_DOESNOTSUPPORTACTION,
            format!("`{title}` cannot be installed silently"),
        ));
    }
    Ok(None)
}

fn result_of(refusal: Refusal) -> UpdateInstallationResult {
    let code = if refusal.code.is_success() {
        OperationResultCode::Succeeded
    } else {
        OperationResultCode::Failed
    };
    UpdateInstallationResult::new(code, refusal.code, refusal.message)
}
