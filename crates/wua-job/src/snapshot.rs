//! Frozen pictures of a job (rules R9, R10 and R20), made without copying the results of its updates.
//!
//! Every change of a job has a revision. A result is written once, beside the revision that brought it, into a table
//! that all snapshots of the job share; a snapshot shows what its own revision already knew.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use wua_types::{HResult, OperationResultCode, UpdateResult};

use crate::error::JobError;
use crate::kind::JobKind;

/// How a job stood at one moment. Never changes, stays valid after the job is gone, and is cheap to clone.
///
/// Reads as the job's progress value: `snapshot.percent_complete`.
pub struct Snapshot<K: JobKind> {
    picture: Arc<Picture<K>>,
}

struct Picture<K: JobKind> {
    revision: u64,
    progress: K::Progress,
    results: Arc<Results<K::UpdateResult>>,
    warnings: Arc<[Warning]>,
}

/// Something to know that ends nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A sentence for people.
    pub message: String,
    /// Its code.
    pub hresult: HResult,
}

impl<K: JobKind> Snapshot<K> {
    pub(crate) fn new(
        revision: u64,
        progress: K::Progress,
        results: Arc<Results<K::UpdateResult>>,
        warnings: Arc<[Warning]>,
    ) -> Self {
        Self {
            picture: Arc::new(Picture {
                revision,
                progress,
                results,
                warnings,
            }),
        }
    }

    /// The number of the change that this is the picture of; rises with each change, from 0.
    pub fn revision(&self) -> u64 {
        self.picture.revision
    }

    /// How one update stood: not started, in progress, or its final result (rule R10).
    ///
    /// # Errors
    /// [`JobError::NoSuchUpdate`] (`WU_E_INVALIDINDEX`).
    pub fn update_result(&self, index: usize) -> Result<&K::UpdateResult, JobError> {
        let results = &self.picture.results;
        results
            .at(index, self.picture.revision)
            .ok_or(JobError::NoSuchUpdate {
                index,
                count: results.count(),
            })
    }

    /// How all updates stood, in the order of the collection.
    pub fn update_results(&self) -> impl ExactSizeIterator<Item = &K::UpdateResult> {
        let Picture {
            results, revision, ..
        } = &*self.picture;
        results.slots.iter().map(|slot| results.shown(slot, *revision))
    }

    /// The warnings so far, oldest first.
    pub fn warnings(&self) -> &[Warning] {
        &self.picture.warnings
    }

    pub(crate) fn shared_warnings(&self) -> &Arc<[Warning]> {
        &self.picture.warnings
    }
}

impl<K: JobKind> Deref for Snapshot<K> {
    type Target = K::Progress;
    fn deref(&self) -> &K::Progress {
        &self.picture.progress
    }
}

impl<K: JobKind> Clone for Snapshot<K> {
    fn clone(&self) -> Self {
        Self {
            picture: Arc::clone(&self.picture),
        }
    }
}

impl<K: JobKind> fmt::Debug for Snapshot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.picture.revision)
            .field("progress", &self.picture.progress)
            .finish_non_exhaustive()
    }
}

/// How each update of a job stands and since which revision. Written by the job's record alone, one step at a time.
pub(crate) struct Results<R> {
    slots: Box<[Slot<R>]>,
    not_started: R,
    in_progress: R,
}

struct Slot<R> {
    started: OnceLock<u64>,
    finished: OnceLock<(u64, R)>,
}

impl<R: UpdateResult> Results<R> {
    pub(crate) fn new(count: usize) -> Self {
        let slot = |_| Slot {
            started: OnceLock::new(),
            finished: OnceLock::new(),
        };
        let mut in_progress = R::not_started();
        in_progress.set_result_code(OperationResultCode::InProgress);
        Self {
            slots: (0..count).map(slot).collect(),
            not_started: R::not_started(),
            in_progress,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// How update `index` stood at `revision`; none where there is no such update.
    pub(crate) fn at(&self, index: usize, revision: u64) -> Option<&R> {
        self.slots.get(index).map(|slot| self.shown(slot, revision))
    }

    fn shown<'a>(&'a self, slot: &'a Slot<R>, revision: u64) -> &'a R {
        match (slot.finished.get(), slot.started.get()) {
            (Some((since, result)), _) if *since <= revision => result,
            (_, Some(since)) if *since <= revision => &self.in_progress,
            _ => &self.not_started,
        }
    }

    /// Notes that update `index` is being worked on since `revision`; a later word on the same is ignored.
    pub(crate) fn start(&self, index: usize, revision: u64) {
        if let Some(slot) = self.slots.get(index) {
            let _ = slot.started.set(revision);
        }
    }

    /// Notes the final result of update `index`; a later word on the same is ignored.
    pub(crate) fn finish(&self, index: usize, revision: u64, result: R) {
        if let Some(slot) = self.slots.get(index) {
            let _ = slot.finished.set((revision, result));
        }
    }
}
