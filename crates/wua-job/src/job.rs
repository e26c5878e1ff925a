//! A job as its callers see it: how far it is, how it ended, and the wishes one can have.

use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;
use wua_types::Update;
use wua_types::event::Operation;

use crate::error::JobError;
use crate::kind::JobKind;
use crate::shared::{AsyncState, Callbacks, Shared, State};
use crate::snapshot::Snapshot;
use crate::stream::JobStream;

/// How long [`Job::end`] waits for the observer after the job completed (rule R22).
const PATIENCE: Duration = Duration::from_secs(10);

/// One running search, download, installation or uninstallation.
///
/// Clones are the same job. Dropping the last one neither stops the work nor silences the observer (rule R24). All
/// methods may be called from any thread, also from inside callbacks, during the work and at any time after it.
pub struct Job<K: JobKind> {
    pub(crate) shared: Arc<Shared<K>>,
}

/// A job that somebody looks at without keeping it, nor what its caller gave along.
pub struct WeakJob<K: JobKind> {
    shared: Weak<Shared<K>>,
}

impl<K: JobKind> WeakJob<K> {
    /// The job, while somebody has it or its work goes on.
    pub fn upgrade(&self) -> Option<Job<K>> {
        self.shared.upgrade().map(|shared| Job { shared })
    }
}

impl<K: JobKind> fmt::Debug for WeakJob<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakJob").field(&self.upgrade()).finish()
    }
}

/// What [`Job::wait_change`] found.
#[derive(Debug)]
pub enum Change<K: JobKind> {
    /// The job is further.
    Newer(Snapshot<K>),
    /// The job has completed, and there is nothing newer.
    Completed,
    /// The time is over, and there is nothing newer yet.
    TimedOut,
}

/// A callback whose work is done by another thread; see [`Job::lend_callback`].
#[derive(Debug)]
pub struct LentCallback<'a, K: JobKind> {
    job: &'a Job<K>,
}

impl<K: JobKind> Drop for LentCallback<'_, K> {
    fn drop(&mut self) {
        *self.job.lent() = None;
    }
}

/// What [`Job::clean_up`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanUp {
    /// The job has completed and the observer is gone.
    Done,
    /// Asked for inside a callback: the observer goes when that returns (`WU_S_MARKED_FOR_DISCONNECT`).
    MarkedForDisconnect,
}

impl<K: JobKind> Job<K> {
    /// The job's own id, also that of its plan, journal and history.
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// What it does.
    pub fn operation(&self) -> Operation {
        self.shared.operation
    }

    /// The updates it works on, as they were when it began; empty for a search.
    pub fn updates(&self) -> &Arc<[Update]> {
        &self.shared.updates
    }

    /// Whether the work is over and its outcome readable. Never turns back (rule R21).
    pub fn is_completed(&self) -> bool {
        self.shared.outcome.get().is_some()
    }

    /// How the job stands now; may be ahead of what the observer was told. After completion the final state, for ever
    /// (rule R20).
    pub fn progress(&self) -> Snapshot<K> {
        self.shared.lock().record.now().clone()
    }

    /// The outcome, once the job has completed. Reading it does not end the job.
    pub fn outcome(&self) -> Option<Arc<K::Outcome>> {
        self.shared.outcome.get().cloned()
    }

    /// What the caller gave along at the start; none after the job was ended (rule R28).
    pub fn async_state(&self) -> Option<AsyncState> {
        self.shared.lock().async_state.clone()
    }

    /// Wishes that the work stops at the next place where that is safe (rule R26). Returns at once; wishing twice, or after
    /// completion, changes nothing.
    ///
    /// # Errors
    /// [`JobError::CannotAbort`] (`WU_E_COULDNOTCANCEL`) if what the job does now must be finished; then nothing was wished.
    pub fn request_abort(&self) -> Result<(), JobError> {
        let hook = self.shared.change(|state| {
            if self.is_completed() || state.abort_requested {
                return Ok(None);
            }
            if !state.record.can_abort() {
                return Err(JobError::CannotAbort);
            }
            state.abort_requested = true;
            Ok(state.on_abort.take())
        })?;
        if let Some(hook) = hook {
            hook();
        }
        Ok(())
    }

    /// Blocks until the job has completed. Does not end it: the outcome stays readable any number of times.
    pub fn wait(&self) -> Arc<K::Outcome> {
        self.shared
            .wait_for(None, |_| self.outcome())
            .expect("without a deadline the wait ends by finding")
    }

    /// Blocks until the job is further than `revision`; none once it has completed and nothing is newer.
    ///
    /// Gives the state of now: what came in between is not told one by one, as the observer and [`stream`](Self::stream) do.
    pub fn next_change(&self, revision: u64) -> Option<Snapshot<K>> {
        match self.change_until(revision, None) {
            Change::Newer(snapshot) => Some(snapshot),
            Change::Completed | Change::TimedOut => None,
        }
    }

    /// As [`next_change`](Self::next_change), for callers that have something else to look after: waits at most `timeout`.
    pub fn wait_change(&self, revision: u64, timeout: Duration) -> Change<K> {
        self.change_until(revision, Instant::now().checked_add(timeout))
    }

    fn change_until(&self, revision: u64, deadline: Option<Instant>) -> Change<K> {
        let change = self.shared.wait_for(deadline, |state| {
            let now = state.record.now();
            if now.revision() > revision {
                return Some(Change::Newer(now.clone()));
            }
            self.is_completed().then_some(Change::Completed)
        });
        change.unwrap_or(Change::TimedOut)
    }

    /// All that the observer is told, as a stream: opens with the state of now, never leaves out the first start or the final
    /// result of an update, merges the rest into the newest (rule R18), and ends when the job has completed.
    pub fn stream(&self) -> JobStream<K> {
        JobStream::new(self.clone())
    }

    /// Ends the job (`EndX`, rule R22): blocks until it has completed, lets go of the caller's state, and gives the outcome.
    ///
    /// Outside the job's callbacks it also waits until the observer was told and dropped, at most until ten seconds after
    /// completion. Inside them it waits for the work alone.
    ///
    /// # Errors
    /// [`JobError::AlreadyEnded`] (`WU_E_INVALID_OPERATION`) for all but the first to get there.
    pub fn end(&self) -> Result<Arc<K::Outcome>, JobError> {
        self.end_with_patience(PATIENCE)
    }

    fn end_with_patience(&self, patience: Duration) -> Result<Arc<K::Outcome>, JobError> {
        let outcome = self.wait();
        let first = self
            .shared
            .change(|state| !std::mem::replace(&mut state.ended, true));
        if !first {
            return Err(JobError::AlreadyEnded);
        }
        if !self.is_inside_a_callback() && !self.wait_for_release(Some(patience)) {
            tracing::warn!(job = %self.id(), "the job was ended while its observer was still busy");
        }
        // Only now, so that a callback which still runs finds what it was given along.
        drop(self.shared.change(|state| state.async_state.take()));
        Ok(outcome)
    }

    /// Waits until the job has completed and its observer was told and dropped (`CleanUp`, rule R23). May be called any number
    /// of times, before and after [`end`](Self::end).
    ///
    /// Inside a callback of the same job it does not wait: no further call is made, not even `completed`, and the observer
    /// is dropped when the running call returned.
    pub fn clean_up(&self) -> CleanUp {
        if self.is_inside_a_callback() {
            self.shared.change(|state| state.disconnect());
            return CleanUp::MarkedForDisconnect;
        }
        self.wait();
        self.wait_for_release(None);
        CleanUp::Done
    }

    /// The same job, for somebody who must not keep it.
    pub fn downgrade(&self) -> WeakJob<K> {
        WeakJob {
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// Whether both are the same job.
    pub fn same_job(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether this is called from inside one of the job's callbacks: on the job's own thread, or on one that it was
    /// [lent](Self::lend_callback) to.
    pub fn is_inside_a_callback(&self) -> bool {
        let here = thread::current().id();
        self.shared.notifier.get() == Some(&here) || *self.lent() == Some(here)
    }

    /// Says that `thread` does the work of the running callback: an observer that hands each call over to a thread of its client, and
    /// waits for it, says so, lest the client's [`end`](Self::end) there wait for its own callback. Holds until the guard is dropped.
    pub fn lend_callback(&self, thread: thread::ThreadId) -> LentCallback<'_, K> {
        *self.lent() = Some(thread);
        LentCallback { job: self }
    }

    fn lent(&self) -> MutexGuard<'_, Option<thread::ThreadId>> {
        self.shared.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is no observer, at most until `patience` after completion; tells whether it is so.
    fn wait_for_release(&self, patience: Option<Duration>) -> bool {
        let completed_at = self.shared.lock().completed_at;
        let deadline = completed_at
            .zip(patience)
            .and_then(|(instant, patience)| instant.checked_add(patience));
        let released = |state: &State<K>| matches!(state.callbacks, Callbacks::Released).then_some(());
        self.shared.wait_for(deadline, released).is_some()
    }
}

impl<K: JobKind> Clone for Job<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: JobKind> fmt::Debug for Job<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id())
            .field("operation", &self.operation())
            .field("is_completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Search;
    use crate::observer::{CallbackError, JobObserver};
    use crate::start::JobBuilder;
    use std::sync::mpsc::channel;

    /// Does one thing in the completed callback.
    struct Once<F>(F);

    impl<F: FnMut(&Job<Search>) + Send> JobObserver<Search> for Once<F> {
        fn completed(&mut self, job: &Job<Search>) -> Result<(), CallbackError> {
            self.0(job);
            Ok(())
        }
    }

    /// A job whose work is over, with its callbacks flowing.
    fn completed(act: impl FnMut(&Job<Search>) + Send + 'static) -> Job<Search> {
        let builder = JobBuilder::<Search>::new(Uuid::nil(), Operation::Search, Arc::new([]));
        let observer: Box<dyn JobObserver<Search>> = Box::new(Once(act));
        let (job, feed, release) = builder.observer(observer).start().expect("a thread starts");
        release.release();
        drop(feed);
        job
    }

    #[test]
    fn r22_end_waits_for_a_stuck_observer_no_longer_than_its_patience() {
        let (go, gate) = channel::<()>();
        let job = completed(move |_| {
            let _ = gate.recv();
        });
        let outcome = job.end_with_patience(Duration::ZERO).expect("ended once");
        assert_eq!(outcome.hresult, wua_types::HResult::WU_E_UNEXPECTED);
        assert!(!matches!(job.shared.lock().callbacks, Callbacks::Released));
        drop(go);
        assert_eq!(job.clean_up(), CleanUp::Done);
    }

    #[test]
    fn a_weak_job_keeps_nothing_of_one_that_is_over_and_given_away() {
        let state: Arc<dyn std::any::Any + Send + Sync> = Arc::new(());
        let builder = JobBuilder::<Search>::new(Uuid::nil(), Operation::Search, Arc::new([]))
            .async_state(Some(Arc::clone(&state)));
        let (job, feed, release) = builder.start().expect("no thread is needed");
        release.release();
        let weak = job.downgrade();
        drop(job);
        assert!(weak.upgrade().is_some_and(|job| !job.is_completed()));
        drop(feed);
        assert!(weak.upgrade().is_none());
        assert_eq!(Arc::strong_count(&state), 1);
    }

    #[test]
    fn r22_end_on_the_thread_that_does_the_callbacks_work_does_not_wait_for_that_callback() {
        let (send, calls) = channel::<std::sync::mpsc::Sender<()>>();
        let client = thread::current().id();
        let job = completed(move |job| {
            let _lent = job.lend_callback(client);
            let (done, is_done) = channel();
            send.send(done).expect("the client listens");
            is_done.recv().expect("the client answers");
        });
        let done = calls.recv().expect("the callback came here");
        assert!(job.end_with_patience(Duration::MAX).is_ok());
        assert_eq!(job.clean_up(), CleanUp::MarkedForDisconnect);
        done.send(()).expect("the callback waits");
        while job.is_inside_a_callback() {
            thread::yield_now();
        }
        assert_eq!(job.clean_up(), CleanUp::Done);
    }

    #[test]
    fn r22_end_inside_a_callback_does_not_wait_for_that_callback() {
        let (send, ends) = channel();
        let job = completed(move |job| {
            let end = job.end_with_patience(Duration::MAX);
            send.send(end.is_ok()).expect("the test listens");
        });
        assert_eq!(ends.recv(), Ok(true));
        assert_eq!(job.clean_up(), CleanUp::Done);
    }
}
