//! The jobs of a machine, running and past, as their folders tell.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::event::AnyProgress;
use wua_types::{EventLine, HResult, JobEvent, Operation, OperationResultCode, Percent};

use crate::aggregate::{Stopped, aggregate};
use crate::failure::Failure;
use crate::folders::{Folders, JobFolder};
use crate::follow::{Lines, keeper_of};

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// It runs.
    Running {
        /// How much of it is done.
        percent_complete: Percent,
        /// The process that keeps it.
        keeper_pid: u32,
    },
    /// It ended.
    Completed {
        /// The outcome.
        result_code: OperationResultCode,
        /// Its reason.
        hresult: HResult,
        /// Whether it asked for a restart.
        reboot_required: bool,
        /// When.
        ended: Timestamp,
    },
    /// Its keeper went away before the end; [`crate::resume`] goes on with it.
    Lost,
}

/// One job of a machine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JobSummary {
    /// Its id.
    pub job: Uuid,
    /// What it does.
    pub operation: Operation,
    /// When it began.
    pub begun: Timestamp,
    /// Its updates' titles.
    pub titles: Vec<String>,
    /// How it stands.
    #[serde(flatten)]
    pub state: JobState,
}

/// All jobs that have said anything, newest first: those that changed the machine, and those that were begun through the agent.
///
/// # Errors
/// A folder of jobs cannot be read; a machine that had no job yet has none.
pub fn list(folders: &Folders) -> Result<Vec<JobSummary>, Failure> {
    let mut ids = ids_in(&folders.jobs())?;
    ids.extend(ids_in(&folders.agent_jobs())?);
    let mut jobs: Vec<JobSummary> = ids
        .into_iter()
        .filter_map(|job| find(folders, job).map(|(_, job)| job))
        .collect();
    jobs.sort_by_key(|job| (std::cmp::Reverse(job.begun), job.job));
    Ok(jobs)
}

/// One job, with the folder in which it speaks: its keeper's, or for one without a keeper that of the agent's worker.
fn find(folders: &Folders, job: Uuid) -> Option<(JobFolder, JobSummary)> {
    [folders.job(job), folders.agent_job(job)]
        .into_iter()
        .find_map(|folder| summary(&folder, job).map(|job| (folder, job)))
}

fn ids_in(folder: &Path) -> Result<BTreeSet<Uuid>, Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => {
            let what = format!("cannot read the jobs in `{}`", folder.display());
            return Err(Failure::because(crate::store::io_code(&error), what, error));
        }
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// How the job stands that speaks in `folder`; none where it has said nothing.
pub fn summary(folder: &JobFolder, job: Uuid) -> Option<JobSummary> {
    // The keeper is looked at before its file, so that a job that ends just now does not seem lost.
    let keeper = keeper_of(folder).filter(|keeper| keeper.is_alive());
    let mut lines = Lines::ends(folder).ok()?;
    let is_end = |line: &EventLine| matches!(line.event, JobEvent::Completed { .. });
    if keeper.is_none() && !lines.last().is_some_and(is_end) {
        // Whether only the last word is missing, all of it tells.
        lines = Lines::open(folder).and_then(|mut lines| lines.read()).ok()?;
    }
    let is_begin = |line: &&EventLine| matches!(line.event, JobEvent::Started { .. });
    let first = lines.iter().find(is_begin)?.clone();
    let JobEvent::Started {
        operation, updates, ..
    } = first.event
    else {
        return None;
    };
    let percent_complete = lines.iter().rev().find_map(|line| match &line.event {
        JobEvent::Progress(AnyProgress::Installation(now)) => Some(now.percent_complete),
        JobEvent::Progress(AnyProgress::Download(now)) => Some(now.percent_complete),
        _ => None,
    });
    let results: Vec<_> = lines
        .iter()
        .filter_map(|line| match &line.event {
            JobEvent::UpdateFinished { result, .. } => Some(result.clone()),
            _ => None,
        })
        .collect();
    let state = match (lines.last().map(|line| (&line.event, line.time)), keeper) {
        (
            Some((
                JobEvent::Completed {
                    result_code,
                    hresult,
                    reboot_required,
                },
                ended,
            )),
            _,
        ) => JobState::Completed {
            result_code: *result_code,
            hresult: *hresult,
            reboot_required: *reboot_required,
            ended,
        },
        (_, Some(keeper)) => JobState::Running {
            percent_complete: percent_complete.unwrap_or(Percent::ZERO),
            keeper_pid: keeper.pid,
        },
        (Some((_, ended)), None) if results.len() == updates.len() => {
            // Only the keeper's last word is missing.
            let (result_code, hresult) = aggregate(&results, Stopped::AtRequest);
            JobState::Completed {
                result_code,
                hresult,
                reboot_required: results.iter().any(|result| result.reboot_required),
                ended,
            }
        }
        (_, None) => JobState::Lost,
    };
    let titles = updates.into_iter().map(|update| update.title).collect();
    Some(JobSummary {
        job,
        operation,
        begun: first.time,
        titles,
        state,
    })
}

/// Asks a running job to stop at the next safe point.
///
/// # Errors
/// `WU_E_UNKNOWN_ID` for no such job; `E_ACCESSDENIED` where the caller may not write to the job's folder. A job that has ended is
/// left as it is, without an error (rule R26).
pub fn request_abort(folders: &Folders, job: Uuid) -> Result<JobSummary, Failure> {
    let (folder, found) = find(folders, job).ok_or_else(|| {
        Failure::new(
            HResult::WU_E_UNKNOWN_ID,
            format!("there is no job {job} on this machine"),
        )
    })?;
    // A lost job hears of it from its next keeper.
    if !matches!(found.state, JobState::Completed { .. }) {
        std::fs::File::create(folder.abort()).map_err(|error| {
            Failure::because(
                crate::store::io_code(&error),
                format!("cannot ask job {job} to stop"),
                error,
            )
        })?;
    }
    Ok(found)
}
