//! An observer made of two closures.

use wua_job::{CallbackError, Job, JobKind, JobObserver, Snapshot};

type OnProgress<K> = Box<dyn FnMut(&Job<K>, &Snapshot<K>) + Send>;
type OnCompleted<K> = Box<dyn FnMut(&Job<K>) + Send>;

/// Calls closures; does nothing where there is none.
pub struct Observer<K: JobKind> {
    on_progress: OnProgress<K>,
    on_completed: OnCompleted<K>,
}

impl<K: JobKind> Observer<K> {
    /// Is called for each notice of progress.
    pub fn on_progress(call: impl FnMut(&Job<K>, &Snapshot<K>) + Send + 'static) -> Self {
        Self {
            on_progress: Box::new(call),
            on_completed: Box::new(|_| {}),
        }
    }

    /// Is called at the end, too.
    #[must_use]
    pub fn and_completed(self, call: impl FnMut(&Job<K>) + Send + 'static) -> Self {
        Self {
            on_completed: Box::new(call),
            ..self
        }
    }

    /// As starts take it.
    pub fn boxed(self) -> Option<Box<dyn JobObserver<K>>> {
        Some(Box::new(self))
    }
}

impl<K: JobKind> JobObserver<K> for Observer<K> {
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        (self.on_progress)(job, now);
        Ok(())
    }

    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        (self.on_completed)(job);
        Ok(())
    }
}

impl<K: JobKind> std::fmt::Debug for Observer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}
