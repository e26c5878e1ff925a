//! The workers of a job, one after the other, and following what they say.
//!
//! A worker holds its claim as long as it lives. The next one is started only when nobody holds it, and a job is given up only by whoever
//! holds it, so that nothing is done twice, and nothing after it was said to have failed.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;
use wua_engine::event_file::EventWriter;
use wua_engine::folders::JobFolder;
use wua_engine::follow::{self, Lines};
use wua_engine::{Failure, Machine, detached};
use wua_job::{Job, JobBuilder, Told};
use wua_types::{EventLine, HResult, JobEvent, OperationResultCode, StartedUpdate, Update};

use crate::jobs::{Entry, Followed, Stage};
use crate::problem::Problem;
use crate::worker::claim;

/// How many workers one job gets.
const WORKERS: usize = 3;

/// How long a worker may take to claim its job.
const SIGNATURE: Duration = Duration::from_secs(20);

/// How often a worker's claim and first word are looked for: the kernel tells nobody of a lock, and the file may not be there yet.
const LOOK: Duration = Duration::from_millis(10);

/// Whether a job may be given workers, or is only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayStart {
    Yes,
    No,
}

/// The workers of one job.
pub(crate) struct Workers<'a> {
    machine: &'a Machine,
    job: Uuid,
    folder: JobFolder,
    may_start: MayStart,
    started: usize,
}

enum First {
    Started(Vec<StartedUpdate>),
    Refused(Problem),
}

impl<'a> Workers<'a> {
    pub(crate) fn new(machine: &'a Machine, job: Uuid, may_start: MayStart) -> Self {
        Self {
            machine,
            job,
            folder: machine.folders.agent_job(job),
            may_start,
            started: 0,
        }
    }

    /// Waits for the first word, and feeds the job until its end. Blocks.
    ///
    /// # Errors
    /// The job was refused, or nobody carries it out.
    pub(crate) fn follow<K: Told>(
        mut self,
        entry: &Entry,
        as_followed: fn(Job<K>) -> Followed,
    ) -> Result<(), Problem> {
        let updates = match self.first_word().map_err(|error| self.failed(error))? {
            First::Started(updates) => updates,
            First::Refused(problem) => return Err(problem),
        };
        let updates: Arc<[Update]> = updates.into_iter().map(StartedUpdate::into_update).collect();
        let (job, feed, release) = JobBuilder::<K>::new(entry.id(), entry.operation(), updates)
            .start()
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        release.release();
        entry.is_at(Stage::Begun(as_followed(job.clone())));
        let folder = self.folder.clone();
        follow::feed_from(&folder, feed, |_| self.next().map(|()| true));
        if let Some(outcome) = job.outcome() {
            let ending = K::tell_outcome(&outcome);
            tracing::info!(job = %entry.id(), result = %ending.result_code, code = %ending.hresult, "a job has ended");
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Problem {
        let what = format!("job {} cannot be carried out", self.job);
        Failure::because(HResult::WU_E_UNEXPECTED, what, error).into()
    }

    /// Gives the job its next worker, where it has none. Returns when that has claimed the job, or is gone already.
    fn next(&mut self) -> io::Result<()> {
        if self.is_claimed()? {
            return Ok(());
        }
        if self.may_start == MayStart::No {
            return Err(io::Error::other("nobody carries it out now"));
        }
        if self.started == WORKERS {
            let why = "its workers went away one after the other; see keeper.log in the job's folder";
            give_up(&self.folder, self.job, why);
            return Err(io::Error::other(why));
        }
        self.started += 1;
        let (before, begun) = (follow::keeper_of(&self.folder), Instant::now());
        detached::start_worker(self.machine, self.job)?;
        while follow::keeper_of(&self.folder) == before && !self.is_claimed()? && begun.elapsed() < SIGNATURE
        {
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn is_claimed(&self) -> io::Result<bool> {
        Ok(claim(&self.folder)?.is_none())
    }

    fn first_word(&mut self) -> io::Result<First> {
        let mut lines: Vec<EventLine> = Vec::new();
        let mut file: Option<Lines> = None;
        loop {
            // Whether somebody is there is looked at before what was said, so that a last word is not missed.
            let is_claimed = self.is_claimed()?;
            if file.is_none() {
                file = Lines::open(&self.folder).ok();
            }
            if let Some(file) = &mut file {
                lines.extend(file.read()?);
            }
            let first = lines.iter().find_map(|line| match &line.event {
                JobEvent::Started { updates, .. } => Some(First::Started(updates.clone())),
                JobEvent::Completed { hresult, .. } => Some(First::Refused(refusal(&lines, *hresult))),
                _ => None,
            });
            if let Some(first) = first {
                return Ok(first);
            }
            if !is_claimed {
                self.next()?;
            }
            thread::sleep(LOOK);
        }
    }
}

/// Says for ever that the job was not done. Nothing where a worker has it after all.
pub(crate) fn give_up(folder: &JobFolder, job: Uuid, why: &str) {
    let said = || -> io::Result<()> {
        let Some(_claim) = claim(folder)? else {
            return Ok(());
        };
        let mut writer = EventWriter::open(folder, job)?;
        writer.say(JobEvent::Warning {
            message: why.to_owned(),
            hresult: HResult::WU_E_UNEXPECTED,
        })?;
        writer.say(JobEvent::Completed {
            result_code: OperationResultCode::Failed,
            hresult: HResult::WU_E_UNEXPECTED,
            reboot_required: false,
        })
    };
    if let Err(error) = said() {
        tracing::error!(%job, %error, "it is not written down that a job was given up");
    }
}

/// Whether the job's end was said.
pub(crate) fn has_ended(folder: &JobFolder) -> bool {
    let lines = Lines::open(folder).and_then(|mut lines| lines.read());
    lines.is_ok_and(|lines| {
        lines
            .iter()
            .any(|line| matches!(line.event, JobEvent::Completed { .. }))
    })
}

/// Why a job ended before it began.
fn refusal(lines: &[EventLine], hresult: HResult) -> Problem {
    let reason = lines.iter().rev().find_map(|line| match &line.event {
        JobEvent::Warning { message, .. } => Some(message.clone()),
        _ => None,
    });
    Problem::new(hresult, reason.unwrap_or_else(|| "the job was not begun".into()))
}
