//! Where updates come from: the trait that a package manager or an update server implements.

use std::fmt;
use std::sync::atomic::AtomicBool;

use wua_types::{KeptBack, Update, UpdateException, UpdateService};

use crate::failure::Failure;
use crate::store::ContentStore;

/// What a search asks of a source.
pub struct SearchRequest<'a> {
    /// Fetch the source's indexes first. Without it a search changes nothing on the machine.
    pub refresh: bool,
    /// The content that is here already; decides `is_downloaded`.
    pub store: &'a ContentStore,
    /// Asked at safe points; true ends the search with `WU_E_CALL_CANCELLED` (rule R26).
    pub abort: &'a AtomicBool,
    /// Told, in a sentence, what the search waits for; called again only when that changes.
    pub waiting: &'a dyn Fn(&str),
}

impl fmt::Debug for SearchRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchRequest")
            .field("refresh", &self.refresh)
            .field("store", &self.store)
            .field("abort", &self.abort)
            .finish_non_exhaustive()
    }
}

/// What a source offers this machine now.
#[derive(Debug, Default)]
pub struct Found {
    /// Updates that are not installed and can be, as the package manager itself would take them.
    pub updates: Vec<Update>,
    /// What is newer but not offered, and why.
    pub kept_back: Vec<KeptBack>,
    /// What went wrong without ending the search; any makes the result `SucceededWithErrors`, save those whose code is a
    /// success.
    pub warnings: Vec<UpdateException>,
}

/// Where updates come from.
pub trait UpdateSource: Send + Sync {
    /// The service this source is, as the service manager lists it (rule R47).
    fn service(&self) -> UpdateService;

    /// Finds what is offered. Blocks; needs no privilege unless `refresh` is asked for.
    ///
    /// # Errors
    /// A [`Failure`] where nothing useful can be said at all; what is incomplete is a warning in [`Found`].
    fn search(&self, request: &SearchRequest<'_>) -> Result<Found, Failure>;
}
