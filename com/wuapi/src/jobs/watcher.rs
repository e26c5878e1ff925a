//! Tells a client's routines of its job: from the job's own thread, one call at a time (rules R15 to R25, which `wua-job` keeps).

use std::sync::{Arc, OnceLock};
use std::thread;

use windows_core::{ComObject, ComObjectInner, ComObjectInterface, IUnknown};
use wua_job::{CallbackError, Job, JobKind, JobObserver, Snapshot};

use super::apartment::Multithreaded;
use super::callback::{Callback, Routine};
use crate::fault::Answer;

/// The routine for the end.
pub trait Ended: JobKind {
    /// The routine.
    type Completed: Routine;
    /// What it is told: nothing, in an object that is reserved.
    fn completed_args() -> <Self::Completed as Routine>::Args;
}

/// The object of a job, which exists only once the job does: callbacks wait for it (rule R15).
pub type Place<T> = Arc<OnceLock<ComObject<T>>>;

/// The routines that a client gave.
pub struct Routines<P: Routine, C: Routine> {
    progressed: Option<Callback<P>>,
    completed: Option<Callback<C>>,
}

impl<P: Routine, C: Routine> Routines<P, C> {
    /// Keeps them.
    pub fn keep(progressed: Option<&IUnknown>, completed: Option<&IUnknown>) -> Answer<Self> {
        Ok(Self {
            progressed: Callback::keep(progressed)?,
            completed: Callback::keep(completed)?,
        })
    }

    /// Who watches the job for them; nobody where there are none. `place` is filled when the job's start is about to return.
    pub fn watch<K, T>(
        self,
        place: &Place<T>,
        progress_args: fn(&Snapshot<K>) -> P::Args,
    ) -> Option<Box<dyn JobObserver<K>>>
    where
        K: Ended<Completed = C>,
        T: ComObjectInner + Send + Sync + 'static,
        T::Outer: ComObjectInterface<C::Job> + ComObjectInterface<P::Job>,
    {
        if self.progressed.is_none() && self.completed.is_none() {
            return None;
        }
        let place = Arc::clone(place);
        Some(Box::new(Watcher {
            routines: self,
            place,
            progress_args,
            apartment: Apartment(None),
        }))
    }
}

struct Watcher<K: Ended, P: Routine, T: ComObjectInner> {
    routines: Routines<P, K::Completed>,
    place: Place<T>,
    progress_args: fn(&Snapshot<K>) -> P::Args,
    /// Last, so that what is above is let go of inside it.
    apartment: Apartment,
}

/// The apartment of the job's thread.
struct Apartment(Option<Multithreaded>);

// SAFETY: it is empty until the first call. All calls, and the drop after them, come on the job's own thread (the contract of
// JobObserver). Where the job could not begin there was no call: then it is empty when it comes to whatever thread drops it, and is
// filled and emptied there.
unsafe impl Send for Apartment {}

impl<K: Ended, P: Routine, T: ComObjectInner> Watcher<K, P, T> {
    fn enter(&mut self) {
        if self.apartment.0.is_none() {
            // Without an apartment the calls fail, each with its code.
            self.apartment.0 = Multithreaded::enter().ok();
        }
    }

    fn call<R: Routine>(
        &mut self,
        job: &Job<K>,
        routine: impl FnOnce(&Routines<P, K::Completed>) -> Option<&Callback<R>>,
        args: impl FnOnce() -> R::Args + Send + 'static,
    ) -> Result<(), CallbackError>
    where
        T: Send + Sync + 'static,
        T::Outer: ComObjectInterface<R::Job>,
    {
        self.enter();
        let Some(routine) = routine(&self.routines) else {
            return Ok(());
        };
        let (job, object) = (job.clone(), self.place.wait().clone());
        routine.call(move |routine| {
            // The client's own thread may do this while the job's waits; what it calls from there is called inside the callback.
            let _lent = job.lend_callback(thread::current().id());
            routine.call(&object.to_interface(), &args())
        })
    }
}

impl<K, P, T> JobObserver<K> for Watcher<K, P, T>
where
    K: Ended,
    P: Routine,
    T: ComObjectInner + Send + Sync + 'static,
    T::Outer: ComObjectInterface<<K::Completed as Routine>::Job> + ComObjectInterface<P::Job>,
{
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        let (progress_args, now) = (self.progress_args, now.clone());
        self.call(
            job,
            |routines| routines.progressed.as_ref(),
            move || progress_args(&now),
        )
    }

    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        self.call(job, |routines| routines.completed.as_ref(), K::completed_args)
    }
}

impl<K: Ended, P: Routine, T: ComObjectInner> Drop for Watcher<K, P, T> {
    fn drop(&mut self) {
        // To let go of a client's routine takes an apartment.
        self.enter();
    }
}
