//! `wua history`: what was done, and what has begun and not ended.

use serde_json::json;
use wua_engine::jobs::list;
use wua_engine::state::PublicState;
use wua_types::HResult;

use crate::documents;
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::report::{explain, outcome_word};
use crate::text::{moment, one_line};

pub(crate) fn run(front: &Front, limit: u32, job: Option<uuid::Uuid>) -> Result<Exit, Problem> {
    let state = PublicState::read(&front.session.machine().folders)?;
    let wanted = |candidate: uuid::Uuid| job.is_none_or(|job| job == candidate);
    let entries: Vec<_> = state
        .history
        .into_iter()
        .filter(|entry| wanted(entry.job))
        .take(limit as usize)
        .collect();
    let unfinished: Vec<_> = state
        .unfinished
        .into_iter()
        .filter(|operation| wanted(operation.job))
        .collect();
    if let Some(job) = job
        && entries.is_empty()
        && unfinished.is_empty()
        && !list(&front.session.machine().folders)?
            .iter()
            .any(|known| known.job == job)
    {
        let problem = Problem::new(HResult::WU_E_UNKNOWN_ID, format!("no job {job} is known here"));
        return Err(problem.hint("`wua jobs` lists the jobs, `wua history` what each of them did."));
    }
    let screen = front.screen;
    if screen.is_text() {
        if entries.is_empty() && unfinished.is_empty() {
            screen.line("Nothing was done yet.");
        }
        for operation in &unfinished {
            screen.heading(&format!(
                "unfinished: {} of {} since {}, job {}",
                operation.operation,
                one_line(&operation.titles.join(", ")),
                moment(operation.begun),
                operation.job
            ));
        }
        let mut last_job = None;
        for entry in &entries {
            if last_job != Some(entry.job) {
                last_job = Some(entry.job);
                let by = match entry.client_application_id.as_str() {
                    "" => String::new(),
                    client => format!("  by {client}"),
                };
                screen.heading(&format!("job {}{by}", entry.job));
            }
            let restart = if entry.reboot_required {
                "  restart needed"
            } else {
                ""
            };
            screen.line(format!(
                "  {}  {:<9} {} {}{restart}",
                moment(entry.date),
                entry.operation.word(),
                outcome_word(entry.result_code),
                one_line(&entry.title)
            ));
            // Without the next step, which comes last and may take several lines: it was for then.
            explain(entry.result_code, entry.hresult, &entry.message, screen.width())
                .into_iter()
                .take_while(|line| !line.trim_start().starts_with("next:"))
                .for_each(|line| screen.line(line));
            for path in &entry.kept_configuration {
                screen.line(format!("          kept your {path}"));
            }
        }
    }
    front.result(json!({
        "entries": entries.iter().map(documents::history_entry).collect::<Vec<_>>(),
        "unfinished": unfinished,
    }));
    Ok(Exit::Done)
}
