//! Bringing updates' archives into the content store (`IUpdateDownloader`), and with them those of the installed versions.
//!
//! A download runs in the calling process, in a thread of its own; it needs no keeper, since nothing is lost when it ends
//! early: what is complete stays in the store, what is partial is resumed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use uuid::Uuid;
use wua_job::{Download, DownloadJob, JobBuilder, JobFeed, JobObserver};
use wua_types::{
    DownloadPhase, DownloadProgress, DownloadResult, HResult, Operation, OperationResultCode, Percent, Phase,
    Progress, Truth, Update, UpdateDownloadResult, WaitingFor,
};

use crate::aggregate::{Stopped, aggregate};
use crate::beat::beating;
use crate::durations::Durations;
use crate::failure::Failure;
use crate::handler::DownloadContext;
use crate::machine::Machine;
use crate::space;
use crate::start_error::StartError;
use crate::state::State;
use crate::transfer::Transfer;

/// Downloads updates. Settings changed while a download runs do not reach it (rule R6).
#[derive(Clone, Debug)]
pub struct UpdateDownloader {
    machine: Arc<Machine>,
    /// The id of the next job, where its caller chose one.
    pub job_id: Option<Uuid>,
    /// Download also what is installed.
    pub is_forced: bool,
}

impl UpdateDownloader {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self {
            machine,
            job_id: None,
            is_forced: false,
        }
    }

    /// Begins a download (`BeginDownload`). Returns before anything is fetched; the observer is called afterwards only.
    ///
    /// # Errors
    /// Rule R11: `E_ACCESSDENIED`, `WU_E_NO_UPDATE`, `WU_E_EULAS_DECLINED`; then there is no job.
    pub fn start(
        &self,
        updates: Arc<[Update]>,
        observer: Option<Box<dyn JobObserver<Download>>>,
    ) -> Result<DownloadJob, StartError> {
        self.machine
            .handler
            .may_change()
            .map_err(StartError::NotPermitted)?;
        if updates.is_empty() {
            return Err(StartError::NoUpdate);
        }
        if updates.iter().all(|update| !update.eula_accepted) {
            return Err(StartError::EulasDeclined);
        }
        let (job, feed, release) = JobBuilder::new(
            self.job_id.unwrap_or_else(Uuid::new_v4),
            Operation::Download,
            Arc::clone(&updates),
        )
        .observer(observer)
        .start()?;
        let downloader = self.clone();
        thread::Builder::new()
            .name("wua-download".into())
            .spawn(move || downloader.run(&updates, feed))
            .map_err(|source| StartError::Io {
                action: "start the thread of a download".into(),
                source,
            })?;
        release.release();
        Ok(job)
    }

    /// Downloads and waits for the result (`Download`).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn download(&self, updates: Arc<[Update]>) -> Result<Arc<DownloadResult>, StartError> {
        Ok(self.start(updates, None)?.wait())
    }

    fn run(&self, updates: &Arc<[Update]>, feed: JobFeed<Download>) {
        let durations = Durations::of(&self.machine.folders);
        let mut reporter = Reporter::new(updates, &feed, &durations);
        let mut wanted = Vec::new();
        for (index, update) in updates.iter().enumerate() {
            match self.known_result(update) {
                Some(result) => reporter.finish(index, result),
                None => wanted.push(index),
            }
        }
        if !wanted.is_empty() {
            let chosen: Vec<Update> = wanted.iter().map(|index| updates[*index].clone()).collect();
            let shared = Mutex::new(reporter);
            let mut part = Part {
                reporter: &shared,
                feed: &feed,
                places: &wanted,
            };
            let fetched = beating(
                || lock(&shared).again(),
                || {
                    self.check_space(&chosen)?;
                    let store = self.machine.store();
                    self.machine.handler.download(&chosen, &store, &mut part)
                },
            );
            reporter = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Err(failure) = fetched {
                reporter.end_rest(&failure);
            }
            self.learn(&reporter);
        }
        let unsaid = Failure::new(
            HResult::WU_E_UPDATE_NOT_PROCESSED,
            "the download ended without a word about it",
        );
        reporter.end_rest(&unsaid);
        let results = reporter.results();
        let stopped = if feed.abort_requested() {
            Stopped::AtRequest
        } else {
            Stopped::No
        };
        let (result_code, hresult) = aggregate(&results, stopped);
        feed.complete(DownloadResult {
            result_code,
            hresult,
            updates: results,
        });
    }

    /// Remembers how fast it was.
    fn learn(&self, reporter: &Reporter<'_>) {
        let Some(observation) = reporter.transfer.observation() else {
            return;
        };
        let learned = State::open(&self.machine.folders).and_then(|mut state| state.learn(&[observation]));
        if let Err(error) = learned {
            tracing::warn!(%error, "how fast this download was is not learned");
        }
    }

    /// Refuses what there is no room for, before anything is fetched.
    fn check_space(&self, updates: &[Update]) -> Result<(), Failure> {
        let needs = space::of_download(updates, &self.machine.folders);
        space::check(&space::forecast(&needs, space::probe)?)
    }

    /// The result of an update that needs no work (rule R36, wua.md 2.13).
    fn known_result(&self, update: &Update) -> Option<UpdateDownloadResult> {
        let title = &update.title;
        if !update.eula_accepted {
            Some(UpdateDownloadResult::new(
                OperationResultCode::Failed,
                HResult::WU_E_EULAS_DECLINED,
                format!("the licence terms of `{title}` were not accepted"),
            ))
        } else if update.is_installed && !self.is_forced {
            Some(UpdateDownloadResult::new(
                OperationResultCode::Succeeded,
                HResult::WU_S_ALREADY_INSTALLED,
                "",
            ))
        } else {
            None
        }
    }
}

/// Turns what the handler says into a download's progress and results.
struct Reporter<'a> {
    feed: &'a JobFeed<Download>,
    here: Vec<u64>,
    total: Vec<u64>,
    phases: Vec<DownloadPhase>,
    results: Vec<Option<UpdateDownloadResult>>,
    last: DownloadProgress,
    /// What is being done, apart from waiting.
    busy_with: Phase,
    begun: Instant,
    transfer: Transfer,
}

impl<'a> Reporter<'a> {
    fn new(updates: &[Update], feed: &'a JobFeed<Download>, durations: &Durations) -> Self {
        Self {
            feed,
            here: vec![0; updates.len()],
            total: updates.iter().map(|update| update.max_download_size).collect(),
            phases: vec![DownloadPhase::Initializing; updates.len()],
            results: vec![None; updates.len()],
            busy_with: Phase::Starting,
            last: DownloadProgress::nothing_done(),
            begun: Instant::now(),
            transfer: Transfer::new(durations),
        }
    }

    fn bytes(&mut self, index: usize, here: u64, total: u64, phase: Phase) {
        if self.results.get(index).is_none_or(Option::is_some) {
            return;
        }
        // A transfer that begins anew is told once it is further than the one before: nothing falls.
        self.total[index] = total.max(self.here[index]);
        self.here[index] = here.clamp(self.here[index], self.total[index]);
        let told = match phase {
            Phase::Verifying | Phase::Saving => DownloadPhase::Verifying,
            Phase::Downloading => DownloadPhase::Downloading,
            _ => DownloadPhase::Initializing,
        };
        self.phases[index] = self.phases[index].max(told);
        self.show(index, OperationResultCode::InProgress, phase);
    }

    fn finish(&mut self, index: usize, result: UpdateDownloadResult) {
        if self.results.get(index).is_none_or(Option::is_some) || !result.result_code.is_final() {
            return;
        }
        match result.result_code {
            OperationResultCode::Aborted => {}
            // What did not come is not waited for any more.
            OperationResultCode::Failed => self.total[index] = self.here[index],
            _ => {
                self.here[index] = self.total[index];
                self.phases[index] = DownloadPhase::Verifying;
            }
        }
        let code = result.result_code;
        self.results[index] = Some(result.clone());
        self.show(index, code, Phase::Finishing);
        self.feed.update_finished(index, result);
    }

    fn show(&mut self, index: usize, result_code: OperationResultCode, phase: Phase) {
        let sum = |bytes: &[u64]| bytes.iter().copied().fold(0, u64::saturating_add);
        let (here, total) = (sum(&self.here), sum(&self.total));
        let all_final = self.results.iter().all(Option::is_some);
        let aborted = self
            .results
            .iter()
            .flatten()
            .any(|result| result.result_code == OperationResultCode::Aborted);
        let now = self.begun.elapsed();
        self.transfer.bytes(now, here);
        let estimate = self.transfer.read(now, total, all_final);
        let whole = match (all_final, aborted) {
            (true, false) => Percent::FULL,
            _ => Percent::of(here, total).min(Percent::ALMOST),
        };
        let own = match result_code {
            OperationResultCode::Aborted => Percent::of(self.here[index], self.total[index]),
            code if code.is_final() => Percent::FULL,
            _ => Percent::of(self.here[index], self.total[index]).min(Percent::ALMOST),
        };
        self.last = DownloadProgress {
            current_update_index: index,
            current_update_percent_complete: own,
            percent_complete: whole.max(self.last.percent_complete),
            result_code,
            current_update_download_phase: self.phases[index],
            current_update_bytes_downloaded: self.here[index],
            current_update_bytes_to_download: self.total[index],
            total_bytes_downloaded: here,
            total_bytes_to_download: total,
            truth: estimate.in_place_of(Truth {
                phase,
                can_abort: true,
                safe_to_power_off: true,
                ..Truth::default()
            }),
        };
        self.busy_with = phase;
        self.feed.progress(self.last.clone());
    }

    /// Says the same again, at the time it is now.
    fn again(&mut self) {
        let sum = |bytes: &[u64]| bytes.iter().copied().fold(0, u64::saturating_add);
        let estimate = self.transfer.read(self.begun.elapsed(), sum(&self.total), false);
        self.last.truth = estimate.in_place_of(self.last.truth.clone());
        self.feed.progress(self.last.clone());
    }

    fn waiting(&mut self, what: Option<WaitingFor>) {
        let phase = if what.is_some() {
            Phase::Waiting
        } else {
            self.busy_with
        };
        self.last.truth.phase = phase;
        self.last.truth.waiting_for = what;
        self.feed.progress(self.last.clone());
    }

    /// Gives every update without a result the one that follows from the reason the work ended.
    fn end_rest(&mut self, failure: &Failure) {
        let aborted = self.feed.abort_requested();
        for index in 0..self.results.len() {
            let result = if aborted {
                UpdateDownloadResult::new(OperationResultCode::Aborted, HResult::WU_E_CALL_CANCELLED, "")
            } else {
                UpdateDownloadResult::new(OperationResultCode::Failed, failure.code(), failure.sentence())
            };
            self.finish(index, result);
        }
    }

    fn results(&self) -> Vec<UpdateDownloadResult> {
        self.results.iter().flatten().cloned().collect()
    }
}

fn lock<'a, 'b>(reporter: &'a Mutex<Reporter<'b>>) -> MutexGuard<'a, Reporter<'b>> {
    reporter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The updates that the handler works on, with its numbers turned into the job's.
struct Part<'a, 'b> {
    reporter: &'a Mutex<Reporter<'b>>,
    feed: &'a JobFeed<Download>,
    places: &'a [usize],
}

impl DownloadContext for Part<'_, '_> {
    fn abort_requested(&self) -> bool {
        self.feed.abort_requested()
    }

    fn bytes(&mut self, update: usize, here: u64, total: u64, phase: Phase) {
        if let Some(place) = self.places.get(update) {
            lock(self.reporter).bytes(*place, here, total, phase);
        }
    }

    fn waiting(&mut self, what: Option<WaitingFor>) {
        lock(self.reporter).waiting(what);
    }

    fn finished(&mut self, update: usize, result: UpdateDownloadResult) {
        if let Some(place) = self.places.get(update) {
            lock(self.reporter).finish(*place, result);
        }
    }

    fn warning(&mut self, code: HResult, message: String) {
        self.feed.warning(message, code);
    }
}
