//! What follows when apt does not want what was authorised, or wants nothing at all: who is to blame, who runs again,
//! and whether the batch was simply too small (rule B1).

use std::collections::BTreeSet;

use wua_engine::handler::BatchContext;
use wua_types::{HResult, PlannedChange};

use crate::apply::{LOG_END, Next};
use crate::confirm::{ConfirmError, ConfirmedPackage};
use crate::driver::{Driver, Ended};
use crate::gate::{self, Authorised, Difference, SeenStep};
use crate::last_words;
use crate::outcome;
use crate::run::printed;

/// The gate refused apt's plan: nothing was touched in this run.
pub(crate) fn refused(
    driver: &mut Driver<'_, '_>,
    group: &[usize],
    differences: &[Difference],
    cx: &mut dyn BatchContext,
) -> Next {
    let owner = |difference: &Difference| {
        driver
            .batch
            .plan
            .iter()
            .position(|planned| planned.changes.iter().any(|change| is_about(difference, change)))
    };
    let owners: Vec<_> = differences
        .iter()
        .map(|difference| (difference, owner(difference)))
        .collect();
    let others: Option<BTreeSet<_>> = owners
        .iter()
        .map(|(difference, owner)| {
            owner.filter(|owner| difference.is_extra && is_planned(driver, *owner, difference))
        })
        .collect();
    let touched = driver
        .watch
        .packages
        .iter()
        .any(|package| package.steps.done() > 0);
    if let Some(others) = others
        && !touched
        && others.iter().all(|other| !driver.batch.members.contains(other))
    {
        return Next::NeedsAlso(others.into_iter().collect());
    }
    let mut rest = Vec::new();
    for &update in group {
        let own: Vec<_> = owners
            .iter()
            .filter(|(_, owner)| *owner == Some(update))
            .map(|(own, _)| *own)
            .collect();
        match own.is_empty() {
            true => rest.push(update),
            false => driver.tell(update, outcome::refusal(refusal_code(&own), sentences(&own)), cx),
        }
    }
    match rest.len() {
        0 => Next::Settled,
        left if left < group.len() => Next::Again(rest),
        1 => {
            let all: Vec<_> = differences.iter().collect();
            driver.tell(rest[0], outcome::refusal(refusal_code(&all), sentences(&all)), cx);
            Next::Settled
        }
        _ => Next::Apart(rest),
    }
}

/// apt ended before the gate: its solver said no, or it wants an archive that nobody authorised and that is not here. A
/// simulation tells which.
pub(crate) fn no_gate(
    driver: &mut Driver<'_, '_>,
    group: &[usize],
    authorised: &[Authorised],
    plan: Result<Vec<ConfirmedPackage>, ConfirmError>,
    ended: &Ended,
    cx: &mut dyn BatchContext,
) -> Next {
    if let Ok(plan) = &plan {
        let steps = plan.iter().map(|package| {
            let step = SeenStep {
                old: package.from.clone(),
                new: package.to.clone(),
                file: None,
            };
            ((package.name.clone(), package.architecture.clone()), step)
        });
        // The same version once more is in no simulated plan.
        let shown: Vec<_> = authorised
            .iter()
            .filter(|step| step.old != step.new)
            .cloned()
            .collect();
        let differences = gate::compare(&shown, steps.collect());
        if !differences.is_empty() {
            return refused(driver, group, &differences, cx);
        }
    }
    if group.len() > 1 {
        return Next::Apart(group.to_vec());
    }
    let errors = last_words::of_apt(&printed(driver.batch.folder, &ended.tag, LOG_END));
    let message = match plan {
        Err(error) => error.to_string(),
        Ok(_) if errors.is_empty() => "apt-get ended without a plan and without a word".into(),
        Ok(_) => format!("apt-get refused: {}", errors.join(" / ")),
    };
    for &update in group {
        driver.tell(
            update,
            outcome::refusal(outcome::refused_by_apt(&errors), message.clone()),
            cx,
        );
    }
    Next::Settled
}

fn is_about(difference: &Difference, change: &PlannedChange) -> bool {
    change.name == difference.name && change.architecture == difference.architecture
}

fn is_planned(driver: &Driver<'_, '_>, update: usize, difference: &Difference) -> bool {
    let changes = &driver.batch.plan[update].changes;
    changes
        .iter()
        .any(|change| is_about(difference, change) && change.to == difference.wanted)
}

fn refusal_code(differences: &[&Difference]) -> HResult {
    if differences.iter().any(|difference| difference.is_altered) {
        HResult::WU_E_DM_INCORRECTFILEHASH
    } else if differences.iter().any(|difference| difference.is_extra) {
        HResult::WU_E_INVALID_RELATIONSHIP
    } else {
        HResult::WU_E_NOT_APPLICABLE
    }
}

fn sentences(differences: &[&Difference]) -> String {
    let sentences: Vec<_> = differences
        .iter()
        .map(|difference| difference.sentence.as_str())
        .collect();
    format!("not as planned: {}; nothing was touched", sentences.join(", "))
}
