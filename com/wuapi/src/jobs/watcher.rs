//! Tells a client's routines of its job: on the job's own thread, one call at a time (rules R15 to R25, which `wua-job` keeps).

use std::sync::{Arc, OnceLock};

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

// SAFETY: it is empty until the first call, and all calls and the drop come on the job's own thread (the contract of JobObserver).
unsafe impl Send for Apartment {}

impl<K: Ended, P: Routine, T: ComObjectInner> Watcher<K, P, T> {
    fn enter(&mut self) {
        if self.apartment.0.is_none() {
            // Without an apartment the calls fail, each with its code.
            self.apartment.0 = Multithreaded::enter().ok();
        }
    }

    fn call<R: Routine>(
        job: &Job<K>,
        place: &Place<T>,
        routine: &Callback<R>,
        args: &R::Args,
    ) -> Result<(), CallbackError>
    where
        T::Outer: ComObjectInterface<R::Job>,
    {
        let object: R::Job = place.wait().to_interface();
        // The client's own thread does the work while this one waits; what it calls from there is called inside the callback.
        let _lent = routine.home().map(|home| job.lend_callback(home));
        routine.call(&object, args)
    }
}

impl<K, P, T> JobObserver<K> for Watcher<K, P, T>
where
    K: Ended,
    P: Routine,
    T: ComObjectInner + Send + Sync,
    T::Outer: ComObjectInterface<<K::Completed as Routine>::Job> + ComObjectInterface<P::Job>,
{
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        self.enter();
        match &self.routines.progressed {
            Some(routine) => Self::call(job, &self.place, routine, &(self.progress_args)(now)),
            None => Ok(()),
        }
    }

    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        self.enter();
        match &self.routines.completed {
            Some(routine) => Self::call(job, &self.place, routine, &K::completed_args()),
            None => Ok(()),
        }
    }
}

impl<K: Ended, P: Routine, T: ComObjectInner> Drop for Watcher<K, P, T> {
    fn drop(&mut self) {
        // To let go of a client's routine takes an apartment.
        self.enter();
    }
}
