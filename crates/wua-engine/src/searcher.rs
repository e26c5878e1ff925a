//! Finding updates (`IUpdateSearcher`): what the source offers, what wua installed, the administrator's flags, the criteria.
//!
//! A search needs no privilege and changes nothing, unless it is asked to refresh the source's indexes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use uuid::Uuid;
use wua_job::{JobBuilder, JobObserver, Search, SearchJob};
use wua_types::criteria::Criteria;
use wua_types::{
    Category, HResult, InstallationBehavior, Operation, OperationResultCode, SearchResult, ServerSelection,
    Update, UpdateException, UpdateExceptionContext,
};

use crate::failure::Failure;
use crate::machine::Machine;
use crate::source::{Found, SearchRequest};
use crate::start_error::StartError;
use crate::state::{InstalledRecord, PublicState};
use crate::store::{Content, ContentStore};
use crate::system;

/// Finds updates. Settings changed while a search runs do not reach it (rule R6).
#[derive(Clone, Debug)]
pub struct UpdateSearcher {
    machine: Arc<Machine>,
    /// Fetch the source's indexes before looking (`--refresh`).
    pub refresh: bool,
    /// Which service to ask.
    pub server_selection: ServerSelection,
    /// The service to ask, looked at only where the selection is [`ServerSelection::Others`].
    pub service_id: Uuid,
}

impl UpdateSearcher {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self {
            machine,
            refresh: false,
            server_selection: ServerSelection::Default,
            service_id: Uuid::nil(),
        }
    }

    /// Begins a search (`BeginSearch`). Criteria that are not valid are reported by the job's result (rule R12).
    ///
    /// # Errors
    /// The job's thread could not be started.
    pub fn start(
        &self,
        criteria: &str,
        observer: Option<Box<dyn JobObserver<Search>>>,
    ) -> Result<SearchJob, StartError> {
        let (job, feed, release) = JobBuilder::new(Uuid::new_v4(), Operation::Search, Arc::from([]))
            .observer(observer)
            .start()?;
        let abort = Arc::new(AtomicBool::new(false));
        let wish = Arc::clone(&abort);
        feed.on_abort(move || wish.store(true, Ordering::Relaxed));
        let (searcher, criteria) = (self.clone(), criteria.to_owned());
        thread::Builder::new()
            .name("wua-search".into())
            .spawn(move || {
                let waiting = |what: &str| feed.warning(what, HResult::S_FALSE);
                let result = searcher.run(&criteria, &abort, &waiting);
                feed.complete(result);
            })
            .map_err(|source| StartError::Io {
                action: "start the thread of a search".into(),
                source,
            })?;
        release.release();
        Ok(job)
    }

    /// Searches and waits for the result (`Search`). A search that fails has the result code `Failed`, its code, and the reason
    /// as a warning.
    pub fn search(&self, criteria: &str) -> SearchResult {
        self.run(criteria, &AtomicBool::new(false), &|_| ())
    }

    fn run(&self, criteria: &str, abort: &AtomicBool, waiting: &dyn Fn(&str)) -> SearchResult {
        match self.find(criteria, abort, waiting) {
            _ if abort.load(Ordering::Relaxed) => {
                empty(OperationResultCode::Aborted, HResult::WU_E_CALL_CANCELLED)
            }
            Ok(result) => result,
            Err(failure) => {
                let mut result = empty(OperationResultCode::Failed, failure.code());
                result.warnings.push(UpdateException {
                    message: failure.sentence(),
                    hresult: failure.code(),
                    context: UpdateExceptionContext::General,
                });
                result
            }
        }
    }

    fn find(
        &self,
        criteria: &str,
        abort: &AtomicBool,
        waiting: &dyn Fn(&str),
    ) -> Result<SearchResult, Failure> {
        let criteria =
            Criteria::parse(criteria).map_err(|error| Failure::new(error.code(), error.to_string()))?;
        self.resolve_service()?;
        let state = PublicState::read(&self.machine.folders).map_err(|error| {
            Failure::because(
                error.code(),
                "cannot tell which updates are hidden or installed",
                error,
            )
        })?;
        let store = self.machine.store();
        let mut found = if self.refresh || criteria.wants_not_installed() {
            self.machine.source.search(&SearchRequest {
                refresh: self.refresh,
                store: &store,
                abort,
                waiting,
            })?
        } else {
            Found::default()
        };
        if criteria.wants_installed() {
            found.updates.extend(self.installed(&state, &store)?);
        }
        for product in criteria.unsupported_products() {
            found.warnings.push(UpdateException {
                message: format!("no service of this machine knows the product `{product}`"),
                hresult: HResult::WU_S_SEARCH_CRITERIA_NOT_SUPPORTED,
                context: UpdateExceptionContext::SearchIncomplete,
            });
        }
        for update in &mut found.updates {
            update.is_hidden = state.is_hidden(update.id());
            update.eula_accepted |= state.eula_accepted.contains(&update.id());
        }
        found.updates.retain(|update| criteria.matches(update));
        found
            .updates
            .sort_by(|one, other| (&one.title, one.id()).cmp(&(&other.title, other.id())));
        let incomplete = found.warnings.iter().any(|warning| warning.hresult.is_failure());
        Ok(SearchResult {
            result_code: if incomplete {
                OperationResultCode::SucceededWithErrors
            } else {
                OperationResultCode::Succeeded
            },
            hresult: if incomplete {
                HResult::WU_S_UPDATE_ERROR
            } else {
                HResult::S_OK
            },
            root_categories: root_categories(&found.updates),
            updates: found.updates,
            warnings: found.warnings,
            kept_back: found.kept_back,
        })
    }

    /// Which service the selection means (wua.md 2.17). This machine has one, and no managed server.
    fn resolve_service(&self) -> Result<(), Failure> {
        let unknown = |id: Uuid| {
            Failure::new(
                HResult::WU_E_DS_UNKNOWNSERVICE,
                format!("there is no update service `{id}`"),
            )
        };
        match self.server_selection {
            ServerSelection::Default => Ok(()),
            ServerSelection::Others if self.service_id == self.machine.source.service().id => Ok(()),
            ServerSelection::Others => Err(unknown(self.service_id)),
            ServerSelection::ManagedServer => Err(Failure::new(
                HResult::WU_E_PT_SUS_SERVER_NOT_SET,
                "this machine has no managed update server",
            )),
            ServerSelection::WindowsUpdate => {
                Err(unknown(uuid::uuid!("9482f4b4-e343-43b6-b170-9a65bc822c77")))
            }
        }
    }

    /// What wua installed and is still there in that version, as updates (rule U1).
    fn installed(&self, state: &PublicState, store: &ContentStore) -> Result<Vec<Update>, Failure> {
        let records: Vec<_> = state.installed.iter().map(|record| &record.installed).collect();
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let there = self.machine.handler.still_installed(&records)?;
        let (boot, contents) = (system::boot_id(), crate::undo::contents(store));
        let present = state.installed.iter().zip(there).filter(|(_, there)| *there);
        Ok(present
            .map(|(record, _)| as_installed(record, store, &contents, boot.as_deref()))
            .collect())
    }
}

/// The update as it is now that it is installed.
fn as_installed(
    record: &InstalledRecord,
    store: &ContentStore,
    contents: &[Content],
    boot: Option<&str>,
) -> Update {
    let mut update = record.installed.update.clone();
    let undo = crate::undo::look(&record.installed, contents);
    mark_installed(&mut update);
    update.is_downloaded = update
        .packages_to_have()
        .iter()
        .all(|change| match &change.content {
            Some(content) => store.has(&content.sha256),
            None => true,
        });
    update.is_uninstallable = undo.is_possible();
    update.undo_is_repacked = undo.uses_repacked();
    update.uninstallation_behavior = undo.is_possible().then(|| {
        InstallationBehavior::quiet(update.installation_behavior.map_or_else(
            || wua_types::InstallationRebootBehavior::NeverReboots,
            |behavior| behavior.reboot_behavior,
        ))
    });
    update.uninstallation_notes = undo.note();
    update.reboot_required = boot.is_some() && record.restart_asked_in_boot.as_deref() == boot;
    update
}

fn mark_installed(update: &mut Update) {
    update.is_installed = true;
    update.bundled_updates.iter_mut().for_each(mark_installed);
}

fn root_categories(updates: &[Update]) -> Vec<Category> {
    let mut categories: Vec<Category> = updates
        .iter()
        .flat_map(|update| update.categories.iter().cloned())
        .collect();
    categories.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
    categories.dedup();
    categories
}

fn empty(result_code: OperationResultCode, hresult: HResult) -> SearchResult {
    SearchResult {
        result_code,
        hresult,
        updates: Vec::new(),
        root_categories: Vec::new(),
        warnings: Vec::new(),
        kept_back: Vec::new(),
    }
}
