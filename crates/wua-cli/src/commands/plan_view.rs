//! `--what-if`: the plan, its hash, and every reason for leaving something out.

use serde_json::{Value, json};
use wua_engine::planner::Planned;
use wua_engine::space::Forecast;
use wua_types::{InstallPlan, KeptBack, PlannedChange, Update, UpdateOperation};

use crate::front::Front;
use crate::problem::Problem;
use crate::report::finished_line;
use crate::selection::NOT_SELECTED;
use crate::text::{bytes, count, one_line};

/// Prints the plan and what is left out of it.
pub(crate) fn tell(
    front: &Front,
    updates: &[Update],
    planned: &Planned,
    left_out: &[(Update, Vec<String>)],
    kept_back: &[KeptBack],
) -> Result<(), Problem> {
    let space = front
        .session
        .create_update_installer()
        .forecast_space(&planned.plan, updates)?;
    if front.screen.is_text() {
        tell_text(front, updates, planned, left_out, kept_back, &space);
    }
    front.result(document(updates, planned, left_out, kept_back, &space));
    Ok(())
}

fn tell_text(
    front: &Front,
    updates: &[Update],
    planned: &Planned,
    left_out: &[(Update, Vec<String>)],
    kept_back: &[KeptBack],
    space: &[Forecast],
) {
    let screen = front.screen;
    let plan = &planned.plan;
    let changed = plan
        .updates
        .iter()
        .filter(|update| !update.changes.is_empty())
        .count();
    screen.heading(&format!(
        "Would {} {} in {}",
        plan.operation,
        count(changed, "update"),
        batches(plan.batches.len())
    ));
    for (number, batch) in plan.batches.iter().enumerate() {
        if plan.batches.len() > 1 {
            screen.line(format!("  batch {}", number + 1));
        }
        for place in batch {
            let update = &plan.updates[*place];
            screen.line(format!("  {}", one_line(&update.title)));
            for change in &update.changes {
                screen.line(format!("      {}", phrase(change)));
            }
            if let Some(note) = undo_note(plan, &updates[*place]) {
                screen.line(format!("      note: {note}"));
            }
        }
    }
    let missing = to_download(plan, updates);
    if missing > 0 {
        screen.line(format!("  {} to download first", bytes(missing)));
    }
    for forecast in space.iter().filter(|_| changed > 0) {
        let what = format!(
            "needs {} on the file system of {}",
            bytes(forecast.needed),
            forecast.folder.display()
        );
        let short = if forecast.is_short() {
            ": not enough, it would be refused"
        } else {
            ""
        };
        screen.line(format!(
            "  {what}, where {} are free{short}",
            bytes(forecast.free)
        ));
    }
    for (place, result) in &planned.known {
        for line in finished_line(&updates[*place], result, screen.width()) {
            screen.line(line);
        }
    }
    let is_told = |reasons: &[String]| reasons != [NOT_SELECTED];
    let (told, others): (Vec<_>, Vec<_>) = left_out.iter().partition(|(_, reasons)| is_told(reasons));
    if !told.is_empty() {
        screen.heading("Left out");
        for (update, reasons) in told {
            screen.line(format!("  {}: {}", one_line(&update.title), reasons.join("; ")));
        }
    }
    if !others.is_empty() {
        screen.line(format!("{} more not selected", others.len()));
    }
    super::search::tell_kept_back(screen, kept_back);
    screen.line(format!("plan {}", plan.hash()));
}

/// What to know before an update is taken back.
fn undo_note<'a>(plan: &InstallPlan, update: &'a Update) -> Option<&'a str> {
    let is_undo = plan.operation == UpdateOperation::Uninstallation;
    update.uninstallation_notes.as_deref().filter(|_| is_undo)
}

/// Bytes that have to be fetched before the plan can be carried out.
fn to_download(plan: &InstallPlan, updates: &[Update]) -> u64 {
    if plan.operation == UpdateOperation::Uninstallation {
        // What goes back comes from the store alone.
        return 0;
    }
    plan.batches
        .iter()
        .flatten()
        .map(|place| updates[*place].min_download_size)
        .sum()
}

fn batches(count: usize) -> String {
    if count == 1 {
        "1 batch".into()
    } else {
        format!("{count} batches")
    }
}

fn phrase(change: &PlannedChange) -> String {
    let label = change.label();
    match (&change.from, &change.to) {
        (Some(from), Some(to)) if from == to => format!("{label} {to} again"),
        (Some(from), Some(to)) => format!("{label} {from} -> {to}"),
        (None, Some(to)) => format!("{label} new, {to}"),
        (Some(from), None) => format!("{label} {from} removed"),
        (None, None) => label,
    }
}

fn document(
    updates: &[Update],
    planned: &Planned,
    left_out: &[(Update, Vec<String>)],
    kept_back: &[KeptBack],
    space: &[Forecast],
) -> Value {
    let plan = &planned.plan;
    let known: Vec<Value> = planned
        .known
        .iter()
        .map(|(place, result)| {
            let update = &updates[*place];
            json!({
                "id": update.id(), "title": update.title, "result_code": result.result_code,
                "hresult": result.hresult, "message": result.message,
            })
        })
        .collect();
    let filtered: serde_json::Map<String, Value> = left_out
        .iter()
        .map(|(update, reasons)| {
            let mut object = crate::documents::update(update);
            object.insert("filtered_reasons".into(), json!(reasons));
            (update.id().to_string(), Value::Object(object))
        })
        .collect();
    json!({
        "operation": plan.operation.word(),
        "plan_hash": plan.hash().to_string(),
        "updates": plan.updates.iter().zip(updates).filter(|(planned, _)| !planned.changes.is_empty()).map(|(planned, update)| json!({
            "id": planned.identity.update_id, "title": planned.title, "changes": planned.changes,
            "note": undo_note(plan, update),
        })).collect::<Vec<_>>(),
        "space": space,
        "download_size": to_download(plan, updates),
        "batches": plan.batches.iter().map(|batch| batch.iter().map(|place| updates[*place].id()).collect::<Vec<_>>())
            .collect::<Vec<_>>(),
        "without_change": known,
        "filtered_updates": filtered,
        "kept_back": kept_back,
    })
}
