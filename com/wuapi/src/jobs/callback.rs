//! A client's routines: found by the typed interface or else by IDispatch (rule R31), and called in the client's own apartment.
//!
//! What another apartment is called with is marshalled, and Wine 8 marshals the jobs of this library into proxies, whose identity is
//! another one and whose DECIMALs do not travel. So a call into the client's apartment carries nothing: it reaches a [`Landing`] of
//! ours, which finds there what to call the routine with.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows::Win32::Foundation::{RPC_E_DISCONNECTED, S_OK};
use windows::Win32::System::Com::{DISPPARAMS, EXCEPINFO, IDispatch};
use windows::Win32::System::Ole::{IContinue, IContinue_Impl};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{HRESULT, IUnknown, Interface, implement};
use wua_job::CallbackError;
use wua_types::HResult;

use crate::api::{
    IDownloadCompletedCallback, IDownloadCompletedCallbackArgs, IDownloadJob,
    IDownloadProgressChangedCallback, IDownloadProgressChangedCallbackArgs, IInstallationCompletedCallback,
    IInstallationCompletedCallbackArgs, IInstallationJob, IInstallationProgressChangedCallback,
    IInstallationProgressChangedCallbackArgs, ISearchCompletedCallback, ISearchCompletedCallbackArgs,
    ISearchJob,
};
use crate::border;
use crate::fault::{Answer, Fault};
use crate::git::Kept;

unsafe extern "C" {
    /// Calls a routine by its vtable; see `shield/shield.cpp`.
    fn wua_call_typed(callback: *mut c_void, job: *mut c_void, args: *mut c_void) -> HRESULT;
    /// Calls a routine by IDispatch.
    fn wua_call_dispatch(
        callback: *mut c_void,
        given: *const DISPPARAMS,
        answer: *mut VARIANT,
        exception: *mut EXCEPINFO,
    ) -> HRESULT;
}

/// One of the five interfaces that clients implement: IUnknown and one routine, which is called with a job and what there is to tell.
pub trait Routine: Interface + 'static {
    /// The job it is told of.
    type Job: Interface;
    /// What it is told.
    type Args: Interface;
}

macro_rules! routines {
    ($($callback:ident($job:ident, $args:ident);)*) => {$(
        impl Routine for $callback {
            type Job = $job;
            type Args = $args;
        }
    )*};
}

routines! {
    ISearchCompletedCallback(ISearchJob, ISearchCompletedCallbackArgs);
    IDownloadProgressChangedCallback(IDownloadJob, IDownloadProgressChangedCallbackArgs);
    IDownloadCompletedCallback(IDownloadJob, IDownloadCompletedCallbackArgs);
    IInstallationProgressChangedCallback(IInstallationJob, IInstallationProgressChangedCallbackArgs);
    IInstallationCompletedCallback(IInstallationJob, IInstallationCompletedCallbackArgs);
}

/// A routine of a client's, for any thread that is in an apartment.
#[derive(Debug)]
pub struct Callback<R: Routine> {
    landing: Kept<IContinue>,
    next: Next<R>,
}

/// What a [`Landing`] does next; without anything to do it lets go of the routine.
type Next<R> = Arc<Mutex<Option<Work<R>>>>;

/// What is done with a routine in its apartment.
pub struct Work<R>(Box<Call<R>>);

type Call<R> = dyn FnOnce(&Form<R>) -> Answer<HRESULT> + Send;

impl<R> std::fmt::Debug for Work<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Work").finish_non_exhaustive()
    }
}

impl<R: Routine> Callback<R> {
    /// Keeps what a client gave; NULL is none. To be called in the client's apartment.
    pub fn keep(given: Option<&IUnknown>) -> Answer<Option<Self>> {
        let Some(given) = given else { return Ok(None) };
        let routine = if let Ok(typed) = given.cast() {
            Form::Typed(typed)
        } else if let Ok(dispatch) = given.cast() {
            Form::LateBound(dispatch)
        } else {
            let what = "A callback has neither its own interface nor IDispatch";
            return Err(Fault::new(HResult::E_NOINTERFACE, what));
        };
        let next = Next::default();
        let landing = Landing {
            routine: RefCell::new(Some(routine)),
            next: Arc::clone(&next),
        };
        let landing = Kept::new(&landing.into())?;
        Ok(Some(Self { landing, next }))
    }

    /// Does work with the routine, in its apartment; blocks until that is done.
    pub fn call(
        &self,
        work: impl FnOnce(&Form<R>) -> Answer<HRESULT> + Send + 'static,
    ) -> Result<(), CallbackError> {
        *self.next() = Some(Work(Box::new(work)));
        let called = self.land();
        // Where there was no way into the apartment it is still there.
        *self.next() = None;
        called.map_err(|fault| CallbackError { hresult: fault.code })
    }

    fn next(&self) -> MutexGuard<'_, Option<Work<R>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self) -> Answer<()> {
        let landing = self.landing.get()?;
        // SAFETY: the interface is for this apartment; it takes no arguments.
        unsafe { landing.FContinue()? };
        Ok(())
    }
}

impl<R: Routine> Drop for Callback<R> {
    fn drop(&mut self) {
        // In the client's apartment, and before it is told that the job has let go. An apartment that is gone has done so itself.
        let _ = self.land();
    }
}

/// Where calls arrive in a client's apartment: it holds the routine and does what is next. Nothing of its own crosses apartments.
#[implement(IContinue, Agile = false)]
struct Landing<R>
where
    R: Routine,
{
    /// Until it is let go of.
    routine: RefCell<Option<Form<R>>>,
    next: Next<R>,
}

impl<R: Routine> IContinue_Impl for Landing_Impl<R> {
    fn FContinue(&self) -> windows_core::Result<()> {
        let called = border::guard(|| {
            let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Work(work)) = next else {
                self.routine.take();
                return Ok(S_OK);
            };
            match &*self.routine.borrow() {
                Some(routine) => work(routine),
                None => Ok(RPC_E_DISCONNECTED),
            }
        });
        called.unwrap_or_else(|fault| HRESULT(fault.code.as_i32())).ok()
    }
}

/// How a routine is called.
#[derive(Debug)]
pub enum Form<R> {
    /// By its own interface.
    Typed(R),
    /// As scripts give it.
    LateBound(IDispatch),
}

impl<R: Routine> Form<R> {
    /// Calls it, in its apartment.
    pub fn call(&self, job: &R::Job, args: &R::Args) -> Answer<HRESULT> {
        match self {
            Self::Typed(routine) => {
                // SAFETY: the interface was queried for, so its vtable has the routine; the arguments live for the call.
                Ok(unsafe { wua_call_typed(routine.as_raw(), job.as_raw(), args.as_raw()) })
            }
            Self::LateBound(routine) => late_bound(routine, job, args),
        }
    }
}

/// Calls DISPID 0 with the job and the arguments, the last one first, as Automation wants them.
fn late_bound(routine: &IDispatch, job: &impl Interface, args: &impl Interface) -> Answer<HRESULT> {
    let mut given = [
        VARIANT::from(args.cast::<IDispatch>()?),
        VARIANT::from(job.cast::<IDispatch>()?),
    ];
    let parameters = DISPPARAMS {
        rgvarg: given.as_mut_ptr(),
        cArgs: 2,
        ..DISPPARAMS::default()
    };
    let mut exception = EXCEPINFO::default();
    let mut answer = VARIANT::default();
    // SAFETY: `given` has two arguments and outlives the call; the rest can be written.
    let called = unsafe { wua_call_dispatch(routine.as_raw(), &parameters, &mut answer, &mut exception) };
    for text in [
        &mut exception.bstrSource,
        &mut exception.bstrDescription,
        &mut exception.bstrHelpFile,
    ] {
        // SAFETY: each is taken once; `exception` is not used afterwards.
        drop(unsafe { std::mem::ManuallyDrop::take(text) });
    }
    Ok(called)
}
