//! How a job comes into being, and the guard that keeps its callbacks back until its start has returned (rule R15).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;
use wua_types::Update;
use wua_types::event::Operation;

use crate::error::JobError;
use crate::feed::JobFeed;
use crate::job::Job;
use crate::kind::JobKind;
use crate::mailbox::Mailbox;
use crate::notifier;
use crate::observer::JobObserver;
use crate::shared::{AsyncState, Callbacks, Shared};

/// A job about to be made.
#[must_use = "no job is made before `start`"]
pub struct JobBuilder<K: JobKind> {
    id: Uuid,
    operation: Operation,
    updates: Arc<[Update]>,
    observer: Option<Box<dyn JobObserver<K>>>,
    async_state: Option<AsyncState>,
}

/// A job just made: for its caller, for its worker, and the last act of its start.
pub type Started<K> = (Job<K>, JobFeed<K>, Release<K>);

impl<K: JobKind> JobBuilder<K> {
    /// A job that does `operation` with `updates`, and tells nobody.
    pub fn new(id: Uuid, operation: Operation, updates: Arc<[Update]>) -> Self {
        Self {
            id,
            operation,
            updates,
            observer: None,
            async_state: None,
        }
    }

    /// Whom to tell, if anybody.
    pub fn observer(mut self, observer: impl Into<Option<Box<dyn JobObserver<K>>>>) -> Self {
        self.observer = observer.into();
        self
    }

    /// What the caller gives along, to be handed back by [`Job::async_state`] until the job is ended (rule R28).
    pub fn async_state(mut self, state: impl Into<Option<Arc<dyn Any + Send + Sync>>>) -> Self {
        self.async_state = state.into();
        self
    }

    /// Makes the job. The feed goes to whoever does the work; the job to the caller; the release is the last act of the call
    /// that starts the job. A job with an observer has a thread of its own, one without has none.
    ///
    /// # Errors
    /// [`JobError::NoNotifier`] if that thread could not be started. Then there is no job, and the observer is dropped.
    pub fn start(self) -> Result<Started<K>, JobError> {
        let Self {
            id,
            operation,
            updates,
            observer,
            async_state,
        } = self;
        let callbacks = if observer.is_some() {
            Callbacks::Held(Mailbox::new())
        } else {
            Callbacks::Released
        };
        let job = Job {
            shared: Arc::new(Shared::new(id, operation, updates, callbacks)),
        };
        job.shared.change(|state| state.async_state = async_state);
        if let Some(observer) = observer {
            notifier::spawn(&job, observer).map_err(JobError::NoNotifier)?;
        }
        Ok((job.clone(), JobFeed::new(job.clone()), Release { job }))
    }
}

impl<K: JobKind> fmt::Debug for JobBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobBuilder")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("has_observer", &self.observer.is_some())
            .finish_non_exhaustive()
    }
}

/// Holds a job's callbacks back. Dropped without [`release`](Self::release), as where the start fails after all, no callback
/// is ever made and the observer is dropped (rule R11).
#[must_use = "without a release the observer is never called"]
pub struct Release<K: JobKind> {
    job: Job<K>,
}

impl<K: JobKind> Release<K> {
    /// Lets callbacks begin.
    pub fn release(self) {
        self.job.shared.change(|state| {
            state.callbacks = match std::mem::replace(&mut state.callbacks, Callbacks::Released) {
                Callbacks::Held(mailbox) => Callbacks::Flowing(mailbox),
                other => other,
            };
        });
    }
}

impl<K: JobKind> Drop for Release<K> {
    fn drop(&mut self) {
        self.job.shared.change(|state| {
            if let Callbacks::Held(_) = state.callbacks {
                state.disconnect();
            }
        });
    }
}

impl<K: JobKind> fmt::Debug for Release<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("job", &self.job).finish()
    }
}
