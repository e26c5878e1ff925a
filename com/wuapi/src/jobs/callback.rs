//! A client's routines: found by the typed interface or else by IDispatch (rule R31), kept for other threads, and called.

use std::ffi::c_void;
use std::thread::{self, ThreadId};

use windows::Win32::System::Com::{DISPPARAMS, EXCEPINFO, IDispatch};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{HRESULT, IUnknown, Interface};
use wua_job::CallbackError;
use wua_types::HResult;

use super::apartment;
use crate::api::{
    IDownloadCompletedCallback, IDownloadCompletedCallbackArgs, IDownloadJob,
    IDownloadProgressChangedCallback, IDownloadProgressChangedCallbackArgs, IInstallationCompletedCallback,
    IInstallationCompletedCallbackArgs, IInstallationJob, IInstallationProgressChangedCallback,
    IInstallationProgressChangedCallbackArgs, ISearchCompletedCallback, ISearchCompletedCallbackArgs,
    ISearchJob,
};
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

/// A routine of a client's, for any thread.
#[derive(Debug)]
pub struct Callback<R: Routine> {
    form: Form<R>,
    /// The thread that will run it, where the client has a single-threaded apartment.
    home: Option<ThreadId>,
}

#[derive(Debug)]
enum Form<R: Routine> {
    Typed(Kept<R>),
    LateBound(Kept<IDispatch>),
}

impl<R: Routine> Callback<R> {
    /// Keeps what a client gave; NULL is none.
    pub fn keep(given: Option<&IUnknown>) -> Answer<Option<Self>> {
        let Some(given) = given else { return Ok(None) };
        let form = if let Ok(typed) = given.cast::<R>() {
            Form::Typed(Kept::new(&typed)?)
        } else if let Ok(dispatch) = given.cast::<IDispatch>() {
            Form::LateBound(Kept::new(&dispatch)?)
        } else {
            let what = "A callback has neither its own interface nor IDispatch";
            return Err(Fault::new(HResult::E_NOINTERFACE, what));
        };
        let home = apartment::is_single_threaded().then(|| thread::current().id());
        Ok(Some(Self { form, home }))
    }

    /// The thread that does its work, if that is not the one that calls it.
    pub fn home(&self) -> Option<ThreadId> {
        self.home
    }

    /// Calls it; blocks until the client is done.
    pub fn call(&self, job: &R::Job, args: &R::Args) -> Result<(), CallbackError> {
        let code = match &self.form {
            Form::Typed(routine) => routine.get().map(|routine| {
                // SAFETY: the interface was queried for, so its vtable has the routine; the arguments live for the call.
                unsafe { wua_call_typed(routine.as_raw(), job.as_raw(), args.as_raw()) }
            }),
            Form::LateBound(routine) => routine.get().and_then(|routine| late_bound(&routine, job, args)),
        };
        let hresult = match code {
            Ok(code) => HResult::from_i32(code.0),
            Err(fault) => fault.code,
        };
        if hresult.is_failure() {
            Err(CallbackError { hresult })
        } else {
            Ok(())
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
