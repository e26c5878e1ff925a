//! Jobs: what a client begins, follows and ends. The contract is `wua-job`'s; here are its objects, and the client's routines.

mod apartment;
mod callback;
mod download;
mod install;
mod search;
mod state;
mod watcher;

pub use download::{begin_download, download, end_download};
pub use install::{OwnJob, begin_installation, end_installation, install};
pub use search::{begin_search, end_search, search};

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use windows_core::{ComObject, ComObjectInner, IUnknownImpl, Interface};
use wua_job::{CleanUp, Job, JobKind};
use wua_types::HResult;

use crate::fault::{Answer, Fault};
use crate::objects::Update;

/// `EndX` (rule R22), for whom it is no callback's: a client's single-threaded apartment stays awake.
fn end<K: JobKind>(job: &Job<K>) -> Answer<Arc<K::Outcome>> {
    if is_inside(job) {
        return Ok(job.end()?);
    }
    Ok(apartment::pumping(|| job.end())??)
}

/// `CleanUp` (rule R23).
fn clean_up<K: JobKind>(job: &Job<K>) -> Answer<HResult> {
    let done = if is_inside(job) {
        job.clean_up()
    } else {
        apartment::pumping(|| job.clean_up())?
    };
    Ok(match done {
        CleanUp::Done => HResult::S_OK,
        CleanUp::MarkedForDisconnect => HResult::WU_S_MARKED_FOR_DISCONNECT,
    })
}

/// Whether a client calls from inside one of the job's callbacks. A single-threaded client's thread is lent to the callback a moment
/// longer than it runs: until the job's own thread has heard that it returned, and has let go of what it called, for which the
/// client has to take calls. So what passes by itself was outside.
fn is_inside<K: JobKind>(job: &Job<K>) -> bool {
    if apartment::is_single_threaded() {
        // Looks, not time: callbacks that are run meanwhile may take theirs.
        for _ in 0..LOOKS {
            if !job.is_inside_a_callback() {
                return false;
            }
            let _ = apartment::pumping(|| thread::sleep(Duration::from_millis(5)));
        }
    }
    job.is_inside_a_callback()
}

/// How often is looked whether the job's own thread has heard that a callback returned: for a quarter of a second.
const LOOKS: u32 = 50;

/// `RequestAbort` (rule R26).
fn request_abort<K: JobKind>(job: &Job<K>) -> Answer<()> {
    Ok(job.request_abort()?)
}

/// The updates of a job that begins: without any there is none.
fn some(updates: Vec<ComObject<Update>>) -> Answer<Vec<ComObject<Update>>> {
    if updates.is_empty() {
        Err(HResult::WU_E_NO_UPDATE.into())
    } else {
        Ok(updates)
    }
}

/// A place of an update that a client asks for.
fn index(given: i32) -> Answer<usize> {
    usize::try_from(given).map_err(|_| HResult::WU_E_INVALIDINDEX.into())
}

/// A job that a client gives back: it must be one that it got from here. Routines in other apartments get it as it is (`marshal`).
fn ours<T, I>(given: Option<&I>) -> Answer<ComObject<T>>
where
    T: ComObjectInner,
    T::Outer: IUnknownImpl<Impl = T> + 'static,
    I: Interface,
{
    ComObject::cast_from(given.ok_or(HResult::E_POINTER)?)
        .map_err(|_| Fault::new(HResult::E_INVALIDARG, "The job is not of this library"))
}
