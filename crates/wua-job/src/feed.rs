//! The other side of a job: where news of the work comes in.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use wua_types::{HResult, UpdateResult as _};

use crate::job::Job;
use crate::kind::JobKind;
use crate::record::Ignored;
use crate::shared::AbortHook;
use crate::snapshot::Warning;

/// Feeds a job. Held by the worker, or by the follower of a keeper's event file.
///
/// No method waits for a callback. Dropping the feed completes the job with `WU_E_UNEXPECTED` (rule R17), so a worker
/// that panics leaves nobody waiting.
#[must_use = "dropping the feed ends the job as failed"]
pub struct JobFeed<K: JobKind> {
    job: Job<K>,
}

impl<K: JobKind> JobFeed<K> {
    pub(crate) fn new(job: Job<K>) -> Self {
        Self { job }
    }

    /// The job that is fed.
    pub fn job(&self) -> &Job<K> {
        &self.job
    }

    /// Tells how far the work is.
    ///
    /// A result code of "in progress" starts the current update; "not started" says that it has not begun, as while waiting
    /// for a lock. A final one is shown together with the result, which [`update_finished`](Self::update_finished) has to
    /// bring next. The total shown never falls, and is 100 only when every update has its result.
    pub fn progress(&self, now: K::Progress) {
        let ignored = self.job.shared.change(|state| match state.record.progress(now) {
            Ok(news) => {
                news.into_iter().for_each(|news| state.post(news));
                None
            }
            Err(ignored) => Some(ignored),
        });
        self.log(ignored, "progress");
    }

    /// Tells the final result of update `index`. The first one counts.
    pub fn update_finished(&self, index: usize, result: K::UpdateResult) {
        let ignored = self
            .job
            .shared
            .change(|state| match state.record.finish(index, result) {
                Ok(news) => {
                    state.post(news);
                    None
                }
                Err(ignored) => Some(ignored),
            });
        self.log(ignored, "update_finished");
    }

    /// Tells something to know that ends nothing.
    pub fn warning(&self, message: impl Into<String>, hresult: HResult) {
        let warning = Warning {
            message: message.into(),
            hresult,
        };
        self.job.shared.change(|state| {
            let news = state.record.warn(warning);
            state.post(news);
        });
    }

    /// Whether the caller wishes the work to stop (rule R26).
    pub fn abort_requested(&self) -> bool {
        self.job.shared.lock().abort_requested
    }

    /// Calls `hook` when the caller wishes the work to stop: once, on the thread that asks, or at once where the wish came
    /// before. A later hook replaces an earlier one; none is called after completion.
    pub fn on_abort(&self, hook: impl FnOnce() + Send + 'static) {
        let hook: AbortHook = Box::new(hook);
        let (due, _replaced) = self.job.shared.change(|state| {
            if state.abort_requested {
                (Some(hook), None)
            } else {
                (None, state.on_abort.replace(hook))
            }
        });
        if let Some(hook) = due {
            hook();
        }
    }

    /// Completes the job. Results of single updates that were not told before are told now, each by a notice of its own;
    /// then the outcome is readable, and then the observer hears of it.
    pub fn complete(self, outcome: K::Outcome) {
        self.finish(outcome);
    }

    fn finish(&self, outcome: K::Outcome) {
        let shared = &self.job.shared;
        let _hook = shared.change(|state| {
            for (index, result) in K::update_results(&outcome).iter().enumerate() {
                if result.result_code().is_final()
                    && let Ok(news) = state.record.finish(index, result.clone())
                {
                    state.post(news);
                }
            }
            state.completed_at = Some(Instant::now());
            // The feed is the only one to set it, and does so once: here or when it is dropped.
            let _ = shared.outcome.set(Arc::new(outcome));
            state.on_abort.take()
        });
    }

    fn log(&self, ignored: Option<Ignored>, what: &str) {
        if let Some(reason) = ignored {
            tracing::warn!(job = %self.job.id(), what, %reason, "a job was fed something that cannot be");
        }
    }
}

impl<K: JobKind> Drop for JobFeed<K> {
    fn drop(&mut self) {
        if !self.job.is_completed() {
            tracing::error!(job = %self.job.id(), "the work of a job went away without saying how it ended");
            let results = self.job.shared.lock().record.results_of_lost_work();
            self.finish(K::failed(HResult::WU_E_UNEXPECTED, results));
        }
    }
}

impl<K: JobKind> fmt::Debug for JobFeed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFeed").field("job", &self.job).finish()
    }
}
