//! Jobs in words: a job's notices as [`JobEvent`]s, and back. Event files and an agent's API carry a job this way, so what a
//! follower in another process sees is the same job.

use std::collections::BTreeSet;

use wua_types::event::AnyProgress;
use wua_types::{
    DownloadResult, HResult, InstallationResult, JobEvent, OperationResultCode, UpdateDownloadResult,
    UpdateInstallationResult, UpdateResult as _,
};

use crate::feed::JobFeed;
use crate::job::Job;
use crate::kind::{Download, Installation, JobKind};
use crate::snapshot::Snapshot;

/// How a whole job ended, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The outcome of the whole (rule R32).
    pub result_code: OperationResultCode,
    /// Its reason.
    pub hresult: HResult,
    /// Whether any update needs a restart.
    pub reboot_required: bool,
}

/// A kind of job that can be told in events, and be understood from them.
pub trait Told: JobKind {
    /// Progress, as events carry it.
    fn tell_progress(progress: &Self::Progress) -> AnyProgress;
    /// Progress out of an event; none where it is that of another kind.
    fn hear_progress(progress: AnyProgress) -> Option<Self::Progress>;
    /// The result of one update, as events carry it.
    fn tell_result(result: &Self::UpdateResult) -> UpdateInstallationResult;
    /// The result of one update out of an event.
    fn hear_result(result: UpdateInstallationResult) -> Self::UpdateResult;
    /// How it ended, as events carry it.
    fn tell_outcome(outcome: &Self::Outcome) -> Ending;
    /// The outcome, from its end and the results of its updates.
    fn hear_outcome(ending: Ending, updates: Vec<Self::UpdateResult>) -> Self::Outcome;
}

impl Told for Installation {
    fn tell_progress(progress: &Self::Progress) -> AnyProgress {
        AnyProgress::Installation(progress.clone())
    }
    fn hear_progress(progress: AnyProgress) -> Option<Self::Progress> {
        match progress {
            AnyProgress::Installation(progress) => Some(progress),
            AnyProgress::Download(_) => None,
        }
    }
    fn tell_result(result: &UpdateInstallationResult) -> UpdateInstallationResult {
        result.clone()
    }
    fn hear_result(result: UpdateInstallationResult) -> UpdateInstallationResult {
        result
    }
    fn tell_outcome(outcome: &InstallationResult) -> Ending {
        Ending {
            result_code: outcome.result_code,
            hresult: outcome.hresult,
            reboot_required: outcome.reboot_required,
        }
    }
    fn hear_outcome(ending: Ending, updates: Vec<UpdateInstallationResult>) -> InstallationResult {
        InstallationResult {
            result_code: ending.result_code,
            hresult: ending.hresult,
            reboot_required: ending.reboot_required,
            updates,
        }
    }
}

impl Told for Download {
    fn tell_progress(progress: &Self::Progress) -> AnyProgress {
        AnyProgress::Download(progress.clone())
    }
    fn hear_progress(progress: AnyProgress) -> Option<Self::Progress> {
        match progress {
            AnyProgress::Download(progress) => Some(progress),
            AnyProgress::Installation(_) => None,
        }
    }
    fn tell_result(result: &UpdateDownloadResult) -> UpdateInstallationResult {
        UpdateInstallationResult::new(result.result_code, result.hresult, result.message.clone())
    }
    fn hear_result(result: UpdateInstallationResult) -> UpdateDownloadResult {
        UpdateDownloadResult::new(result.result_code, result.hresult, result.message)
    }
    fn tell_outcome(outcome: &DownloadResult) -> Ending {
        Ending {
            result_code: outcome.result_code,
            hresult: outcome.hresult,
            reboot_required: false,
        }
    }
    fn hear_outcome(ending: Ending, updates: Vec<UpdateDownloadResult>) -> DownloadResult {
        DownloadResult {
            result_code: ending.result_code,
            hresult: ending.hresult,
            updates,
        }
    }
}

/// Feeds a job what an event says of it; how it ended, where the event is its end. The feed's end is the caller's.
pub fn hear<K: Told>(event: JobEvent, feed: &JobFeed<K>) -> Option<Ending> {
    match event {
        JobEvent::Started { .. } => {}
        JobEvent::Progress(now) => {
            if let Some(now) = K::hear_progress(now) {
                feed.progress(now);
            }
        }
        JobEvent::UpdateFinished { index, result, .. } => {
            feed.update_finished(index, K::hear_result(result));
        }
        JobEvent::Warning { message, hresult } => feed.warning(message, hresult),
        JobEvent::Completed {
            result_code,
            hresult,
            reboot_required,
        } => {
            return Some(Ending {
                result_code,
                hresult,
                reboot_required,
            });
        }
    }
    None
}

/// Turns a job's notices into events, each once: a final progress of an update before its result, the end last. What it said
/// before it remembers, so it may be given any later snapshot.
#[derive(Debug, Default)]
pub struct Narrator {
    finished: BTreeSet<usize>,
    warnings: usize,
    /// The revision that was told last.
    told: Option<u64>,
}

impl Narrator {
    /// One that begins after `snapshot`, whose results and warnings the listener knows.
    pub fn after<K: JobKind>(snapshot: &Snapshot<K>) -> Self {
        let results = snapshot.update_results().enumerate();
        let is_final = |(_, result): &(usize, &K::UpdateResult)| result.result_code().is_final();
        Self {
            finished: results.filter(is_final).map(|(index, _)| index).collect(),
            warnings: snapshot.warnings().len(),
            told: Some(snapshot.revision()),
        }
    }

    /// One that goes on where another one ended, which had said `said`.
    pub fn having_said<'a>(said: impl IntoIterator<Item = &'a JobEvent>) -> Self {
        let mut narrator = Self::default();
        for event in said {
            match event {
                JobEvent::Warning { .. } => narrator.warnings += 1,
                JobEvent::UpdateFinished { index, .. } => drop(narrator.finished.insert(*index)),
                JobEvent::Started { .. } | JobEvent::Progress(_) | JobEvent::Completed { .. } => {}
            }
        }
        narrator
    }

    /// What is new in `now`.
    pub fn tell<K: Told>(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Vec<JobEvent> {
        let mut events = Vec::new();
        for warning in now.warnings().iter().skip(self.warnings) {
            events.push(JobEvent::Warning {
                message: warning.message.clone(),
                hresult: warning.hresult,
            });
        }
        self.warnings = self.warnings.max(now.warnings().len());
        if self.told.is_none_or(|told| now.revision() > told) {
            events.push(JobEvent::Progress(K::tell_progress(now)));
            self.told = Some(now.revision());
        }
        for (index, result) in now.update_results().enumerate() {
            if result.result_code().is_final() && self.finished.insert(index) {
                events.push(JobEvent::UpdateFinished {
                    index,
                    id: job.updates()[index].id(),
                    result: K::tell_result(result),
                });
            }
        }
        events
    }

    /// The rest, and the end. Nothing where the job has not completed.
    pub fn end<K: Told>(&mut self, job: &Job<K>) -> Vec<JobEvent> {
        let Some(outcome) = job.outcome() else {
            return Vec::new();
        };
        let mut events = self.tell(job, &job.progress());
        let ending = K::tell_outcome(&outcome);
        events.push(JobEvent::Completed {
            result_code: ending.result_code,
            hresult: ending.hresult,
            reboot_required: ending.reboot_required,
        });
        events
    }
}
