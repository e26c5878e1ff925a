//! `wua jobs`, `attach` and `abort`, and the hidden `job run` that makes this program a keeper.

use std::fs::File;
use std::os::fd::AsFd as _;

use uuid::Uuid;
use wua_engine::jobs::{JobState, JobSummary, list, request_abort};
use wua_engine::{follow, hand_over, keeper};
use wua_job::{Download, Installation, Job};
use wua_types::{HResult, Operation};

use crate::documents;
use crate::exit_code::Exit;
use crate::front::{Front, Watched};
use crate::problem::Problem;
use crate::progress::{Observer, Shown};
use crate::report::outcome_word;
use crate::text::{count, moment, one_line, shorten};

pub(crate) fn jobs(front: &Front) -> Result<Exit, Problem> {
    let jobs = list(&front.session.machine().folders)?;
    if front.screen.is_text() {
        if jobs.is_empty() {
            front.screen.line("No jobs yet.");
        }
        for job in &jobs {
            rows(job, front.screen.width())
                .iter()
                .for_each(|row| front.screen.line(row));
        }
        if jobs.iter().any(|job| job.state == JobState::Lost) {
            front
                .screen
                .line("Interrupted jobs go on with `wua attach JOB`, or with the next command that acts.");
        }
    }
    front.result(documents::jobs(&jobs));
    Ok(Exit::Done)
}

/// A job on one line; where that leaves too little room for its updates, they get a line of their own.
fn rows(job: &JobSummary, width: usize) -> Vec<String> {
    let state = match &job.state {
        JobState::Running { percent_complete, .. } => format!("{:<7}", percent_complete.to_string()),
        JobState::Completed { result_code, .. } => outcome_word(*result_code),
        JobState::Lost => "interrupted".into(),
    };
    let what = match &*job.titles {
        _ if job.operation == Operation::Repair => "the packages".into(),
        [title] => one_line(title),
        titles => count(titles.len(), "update"),
    };
    let head = format!(
        "{}  {}  {:<9} {state}",
        job.job,
        moment(job.begun),
        job.operation.word()
    );
    let room = width.saturating_sub(console::measure_text_width(&head) + 1);
    if room >= 20 {
        vec![format!("{head} {}", shorten(&what, room))]
    } else {
        vec![
            head.trim_end().into(),
            format!("    {}", shorten(&what, width.saturating_sub(4))),
        ]
    }
}

pub(crate) fn attach(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    front.resume_lost();
    let folders = &front.session.machine().folders;
    let is_kept = folders.job(job).path().is_dir();
    // Downloads and searches have no keeper: who began them through the agent, follows them there.
    if let Some(agent) = front.watcher().filter(|_| !is_kept) {
        let observer = Observer::new(front.screen, front.done());
        return match agent.job(job)?.operation {
            Operation::Download => follow_to_end::<Download>(front, &agent.attach(job, Some(observer))?),
            _ => follow_to_end::<Installation>(front, &agent.attach(job, Some(observer))?),
        };
    }
    let observer = Observer::new(front.screen, front.done());
    let job = follow::attach_and_revive(front.session.machine(), job, Some(observer))?;
    follow_to_end(front, &job)
}

fn follow_to_end<K: Shown>(front: &Front, job: &Job<K>) -> Result<Exit, Problem> {
    if front.watch(job) == Watched::Left {
        let id = job.id();
        return Err(Problem::new(
            HResult::WU_E_CALL_CANCELLED,
            format!("left job {id}, which goes on"),
        )
        .hint(format!("Follow it again with `wua attach {id}`.")));
    }
    let ending = K::tell_outcome(&job.wait());
    let now = job.progress();
    let results: Vec<_> = now.update_results().map(K::tell_result).collect();
    let done = results
        .iter()
        .filter(|result| result.result_code.is_success())
        .count();
    front
        .screen
        .aside(format!("{done} of {} done.", count(results.len(), "update")));
    let updates: Vec<_> = job
        .updates()
        .iter()
        .zip(&results)
        .map(|(update, result)| documents::attached(update, result))
        .collect();
    front.result(serde_json::json!({
        "job": job.id(),
        "result_code": ending.result_code,
        "hresult": ending.hresult,
        "reboot_required": ending.reboot_required,
        "updates": updates,
    }));
    Ok(Exit::of_result(ending.result_code, ending.reboot_required))
}

pub(crate) fn abort(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    let folders = &front.session.machine().folders;
    let found = match front.agent() {
        Some(agent) => {
            agent.request_abort(job)?;
            list(folders)?.into_iter().find(|known| known.job == job)
        }
        None => Some(request_abort(folders, job)?),
    };
    // The wish is written down, so that also a new keeper sees it.
    front.resume_lost();
    let has_ended = |job: JobSummary| matches!(job.state, JobState::Completed { .. });
    let running = !found.is_some_and(has_ended);
    front.screen.aside(if running {
        format!("Asked job {job} to stop at the next safe point; what has begun is finished first.")
    } else {
        format!("Job {job} has ended already.")
    });
    front.result(serde_json::json!({ "job": job, "asked": running }));
    Ok(Exit::Done)
}

/// Carries out a job. The machine's lock comes as standard input, held, or is fetched from whoever started the job's unit; what is
/// said goes to the job's log.
pub(crate) fn run(front: &Front, job: Uuid) -> Result<Exit, Problem> {
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let lock = hand_over::obtain(&front.session.machine().folders, job, input)?;
    keeper::run(front.session.machine(), job, lock)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_types::OperationResultCode;

    #[test]
    fn a_job_fits_on_a_screen_of_eighty_columns() {
        let completed = |result_code| JobState::Completed {
            result_code,
            hresult: HResult::S_OK,
            reboot_required: false,
            ended: jiff::Timestamp::UNIX_EPOCH,
        };
        for state in [completed(OperationResultCode::Failed), JobState::Lost] {
            let job = JobSummary {
                job: Uuid::nil(),
                operation: Operation::Uninstall,
                begun: jiff::Timestamp::UNIX_EPOCH,
                titles: vec![
                    "harbour 2.0 with a rather long name that goes on and on and does not want to end".into(),
                ],
                state,
            };
            for (width, lines) in [(80, 2), (120, 1)] {
                let rows = rows(&job, width);
                assert_eq!(rows.len(), lines);
                assert!(
                    rows.iter().all(|row| console::measure_text_width(row) <= width),
                    "{rows:#?}"
                );
            }
        }
    }
}
