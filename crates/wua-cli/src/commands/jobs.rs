//! `wua jobs`, `attach` and `abort`, and the hidden `job run` that makes this program a keeper.

use std::fs::File;
use std::os::fd::AsFd as _;

use uuid::Uuid;
use wua_engine::jobs::{JobState, JobSummary, list, request_abort};
use wua_engine::{follow, keeper};
use wua_types::HResult;

use crate::documents;
use crate::exit_code::Exit;
use crate::front::{Front, Watched};
use crate::problem::Problem;
use crate::progress::Observer;
use crate::report::outcome_word;
use crate::text::{count, moment, shorten};

pub(crate) fn jobs(front: &Front) -> Result<Exit, Problem> {
    let jobs = list(&front.session.machine().folders)?;
    if front.screen.is_text() {
        if jobs.is_empty() {
            front.screen.line("No jobs yet.");
        }
        for job in &jobs {
            front.screen.line(row(job, front.screen.width()));
        }
    }
    front.result(documents::jobs(&jobs));
    Ok(Exit::Done)
}

fn row(job: &JobSummary, width: usize) -> String {
    let state = match &job.state {
        JobState::Running { percent_complete, .. } => format!("{:<7}", percent_complete.to_string()),
        JobState::Completed { result_code, .. } => outcome_word(*result_code),
        JobState::Lost => "lost   ".into(),
    };
    let what = if job.titles.len() == 1 { job.titles[0].clone() } else { count(job.titles.len(), "update") };
    let what = shorten(&what, width.saturating_sub(79).max(12));
    format!("{}  {}  {:<9} {state} {what}", job.job, moment(job.begun), job.operation.word())
}

pub(crate) fn attach(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    let observer = Observer::new(front.screen, front.done());
    let job = follow::attach(&front.session.machine().folders, job, Some(observer))?;
    if front.watch(&job) == Watched::Left {
        let id = job.id();
        return Err(Problem::new(HResult::WU_E_CALL_CANCELLED, format!("left job {id}, which goes on"))
            .hint(format!("Follow it again with `wua attach {id}`.")));
    }
    let outcome = job.wait();
    let done = outcome.updates.iter().filter(|update| update.result_code.is_success()).count();
    front.screen.aside(format!("{done} of {} done.", count(outcome.updates.len(), "update")));
    let updates: Vec<_> = job
        .updates()
        .iter()
        .zip(&outcome.updates)
        .map(|(update, result)| documents::attached(update, result))
        .collect();
    front.result(serde_json::json!({
        "job": job.id(),
        "result_code": outcome.result_code,
        "hresult": outcome.hresult,
        "reboot_required": outcome.reboot_required,
        "updates": updates,
    }));
    Ok(Exit::of_result(outcome.result_code, outcome.reboot_required))
}

pub(crate) fn abort(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    let found = request_abort(&front.session.machine().folders, job)?;
    let running = matches!(found.state, JobState::Running { .. });
    front.screen.aside(if running {
        format!("Asked job {job} to stop at the next safe point; what has begun is finished first.")
    } else {
        format!("Job {job} has ended already.")
    });
    front.result(serde_json::json!({ "job": job, "asked": running }));
    Ok(Exit::Done)
}

/// Carries out a job. The machine's lock comes as standard input, held; what is said goes to the job's log.
pub(crate) fn run(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    let lock = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    keeper::run(front.session.machine(), job, lock)?;
    Ok(Exit::Done)
}
