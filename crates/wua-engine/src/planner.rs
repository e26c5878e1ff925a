//! From wishes to a plan: what exactly is going to happen to each update, decided before anything is touched.
//!
//! The package manager is asked for the exact changes, once more only where something is not downloaded; the rest is pure. Updates that are not going to be changed
//! get their result here.

use std::sync::Arc;

use wua_types::plan::PlanPolicy;
use wua_types::{
    HResult, InstallPlan, OperationResultCode, PlannedChange, PlannedUpdate, Update,
    UpdateInstallationResult, UpdateOperation,
};

use crate::batches::batches;
use crate::failure::Failure;
use crate::handler::{InstalledUpdate, Refusal, Resolution, ResolvedUpdate};
use crate::machine::Machine;
use crate::state::PublicState;
use crate::store::{Content, ContentStore};
use crate::undo;

/// A plan, and the results that are known without any work.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is going to happen.
    pub plan: InstallPlan,
    /// Updates that are not going to be changed: their places and results.
    pub known: Vec<(usize, UpdateInstallationResult)>,
}

/// Whether an installation's archives have to be in the content store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCheck {
    /// An update without them fails with `WU_E_DM_NOTDOWNLOADED`.
    Required,
    /// They are going to be; for showing a plan before anything is fetched.
    Assumed,
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
    content: ContentCheck,
) -> Result<Planned, Failure> {
    let state = PublicState::read(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot tell what is installed", error))?;
    let store = machine.store();
    let contents = match operation {
        UpdateOperation::Installation => Vec::new(),
        UpdateOperation::Uninstallation => undo::contents(&store),
    };
    let mut known = Vec::new();
    let mut places = Vec::new();
    let mut recorded = Vec::new();
    for (place, update) in updates.iter().enumerate() {
        match precheck(operation, update, policy, &state, &contents) {
            Ok(record) => {
                places.push(place);
                recorded.extend(record);
            }
            Err(refusal) => known.push((place, result_of(refusal))),
        }
    }
    let mut resolved: Vec<ResolvedUpdate> = vec![ResolvedUpdate::default(); updates.len()];
    let together = loop {
        let resolution = match operation {
            _ if places.is_empty() => Resolution::default(),
            UpdateOperation::Installation => {
                let chosen: Vec<Update> = places.iter().map(|place| updates[*place].clone()).collect();
                machine.handler.resolve_install(&chosen, policy.forced)?
            }
            UpdateOperation::Uninstallation => machine.handler.resolve_uninstall(&recorded, &store)?,
        };
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
        let asked = std::mem::take(&mut places);
        let mut lacking = false;
        for (answer, place) in answers.zip(&asked) {
            let required = operation == UpdateOperation::Installation && content == ContentCheck::Required;
            let answer = answer.and_then(|changes| match missing_archives(&changes, &store) {
                missing if required && !missing.is_empty() => {
                    lacking = true;
                    let message = format!("not downloaded: the archives of {}", missing.join(", "));
                    Err(Refusal::new(HResult::WU_E_DM_NOTDOWNLOADED, message))
                }
                _ => Ok(changes),
            });
            match answer {
                Ok(changes) => {
                    resolved[*place] = changes;
                    places.push(*place);
                }
                Err(refusal) => known.push((*place, result_of(refusal))),
            }
        }
        if !lacking {
            let together = resolution.together.iter();
            break together
                .filter_map(|(one, other)| Some((*asked.get(*one)?, *asked.get(*other)?)))
                .filter_map(|(one, other)| {
                    let within = |place: usize| places.iter().position(|planned| *planned == place);
                    Some((within(one)?, within(other)?))
                })
                .collect::<Vec<_>>();
        }
        // What remains may have counted on what is not here: the package manager is asked again without it.
        places
            .iter()
            .for_each(|place| resolved[*place] = ResolvedUpdate::default());
    };
    let seconds: Vec<f64> = places
        .iter()
        .map(|place| expected_seconds(resolved[*place].changes.len(), resolved[*place].unpacked_bytes))
        .collect();
    let longest = f64::from(machine.policy.install.longest_batch_seconds);
    let batches = batches(&seconds, &together, longest)
        .into_iter()
        .map(|batch| batch.into_iter().map(|index| places[index]).collect())
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

/// The packages whose archives are not in the store.
fn missing_archives(resolved: &ResolvedUpdate, store: &ContentStore) -> Vec<String> {
    let is_missing =
        |change: &&PlannedChange| change.archive.as_ref().is_some_and(|sha256| !store.has(sha256));
    resolved
        .changes
        .iter()
        .filter(is_missing)
        .map(|change| format!("`{}`", change.label()))
        .collect()
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

/// What one package costs before a byte of it is unpacked, for cutting batches: starting scripts, updating the package database.
const PACKAGE_SECONDS: f64 = 0.15;
/// Bytes that an ordinary disk and decompressor unpack in a second.
const BYTES_PER_SECOND: f64 = 25e6;

/// Seconds that an update is supposed to take. Not what this machine learned: the same plan is cut in the same way each time.
fn expected_seconds(packages: usize, unpacked_bytes: u64) -> f64 {
    PACKAGE_SECONDS * packages as f64 + unpacked_bytes as f64 / BYTES_PER_SECOND
}
