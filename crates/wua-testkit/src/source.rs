//! A source that offers what it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;
use wua_engine::UpdateSource;
use wua_engine::failure::Failure;
use wua_engine::source::{Found, SearchRequest};
use wua_types::{Update, UpdateService};

type Search = dyn Fn(&SearchRequest<'_>) -> Result<Found, Failure> + Send + Sync;

/// The id of the service that a scripted source is.
pub const SERVICE: Uuid = uuid::uuid!("0d6f8f2e-51b5-4c0e-8b55-3f6d6f1f3a11");

/// A source whose answers a test writes.
pub struct ScriptedSource {
    search: Box<Search>,
    searches: AtomicUsize,
}

impl ScriptedSource {
    /// A source that answers each search by `search`.
    pub fn new(
        search: impl Fn(&SearchRequest<'_>) -> Result<Found, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            search: Box::new(search),
            searches: AtomicUsize::new(0),
        }
    }

    /// A source that always offers `updates`.
    pub fn offering(updates: Vec<Update>) -> Self {
        Self::new(move |_| {
            Ok(Found {
                updates: updates.clone(),
                ..Found::default()
            })
        })
    }

    /// How often it was asked.
    pub fn searches(&self) -> usize {
        self.searches.load(Ordering::SeqCst)
    }
}

impl UpdateSource for ScriptedSource {
    fn service(&self) -> UpdateService {
        UpdateService {
            id: SERVICE,
            name: "Scripted".into(),
            is_managed: false,
            can_register_with_au: true,
            is_registered_with_au: true,
            is_default_au_service: true,
            offers_windows_updates: false,
            is_scan_package_service: false,
            service_url: String::new(),
        }
    }

    fn search(&self, request: &SearchRequest<'_>) -> Result<Found, Failure> {
        self.searches.fetch_add(1, Ordering::SeqCst);
        (self.search)(request)
    }
}

impl std::fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedSource")
            .field("searches", &self.searches())
            .finish_non_exhaustive()
    }
}
