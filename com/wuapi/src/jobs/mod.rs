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

use windows_core::ComObject;
use wua_job::{CleanUp, Job, JobKind};
use wua_types::HResult;

use crate::fault::Answer;
use crate::objects::Update;

/// `EndX` (rule R22). A client's single-threaded apartment stays awake meanwhile, inside its routines, too.
fn end<K: JobKind>(job: &Job<K>) -> Answer<Arc<K::Outcome>> {
    if job.is_inside_a_callback() {
        apartment::pumping(|| job.wait())?;
        return Ok(job.end()?);
    }
    Ok(apartment::pumping(|| job.end())??)
}

/// `CleanUp` (rule R23).
fn clean_up<K: JobKind>(job: &Job<K>) -> Answer<HResult> {
    let done = if job.is_inside_a_callback() {
        job.clean_up()
    } else {
        apartment::pumping(|| job.clean_up())?
    };
    Ok(match done {
        CleanUp::Done => HResult::S_OK,
        CleanUp::MarkedForDisconnect => HResult::WU_S_MARKED_FOR_DISCONNECT,
    })
}

/// `RequestAbort` (rule R26).
fn request_abort<K: JobKind>(job: &Job<K>) -> Answer<()> {
    Ok(apartment::pumping(|| job.request_abort())??)
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
