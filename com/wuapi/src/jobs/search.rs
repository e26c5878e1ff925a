//! Searches. The agent answers one in a single reply; the job around it, with its abort and its routine, is made here.

use std::sync::{Arc, Mutex};
use std::thread;

use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{ComObject, IUnknown, implement};
use wua_client::{AgentClient, Begin, ClientError};
use wua_job::{Download, Job, JobBuilder, JobFeed, JobKind as _, Search};
use wua_types::api::{Access, JobRequest};
use wua_types::{
    HResult, Operation, OperationResultCode, SearchResult, SearchScope, ServerSelection, UpdateException,
    UpdateExceptionContext,
};

use super::state::{AsyncState, state_of};
use super::watcher::{Ended, Place, Routines};
use super::{clean_up, end, request_abort};
use crate::agent;
use crate::api::{
    ISearchCompletedCallback, ISearchCompletedCallbackArgs, ISearchCompletedCallbackArgs_Impl, ISearchJob,
    ISearchJob_Impl, ISearchResult,
};
use crate::border;
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::{self, Lease};
use crate::objects::{self, SearchSnapshot, lock};

/// What is searched for where a client says nothing (rule R50).
const DEFAULT_CRITERIA: &str = "( IsInstalled = 0 and IsHidden = 0 )";

/// `BeginSearch` (rules R11 and R12): all that can be wrong with the search itself comes with its end.
pub fn begin_search(
    order: SearchSnapshot,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<ISearchJob> {
    Ok(begin(order, on_completed, state)?.to_interface())
}

fn begin(
    order: SearchSnapshot,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<ComObject<SearchJob>> {
    let state = AsyncState::keep(state)?;
    let routines = Routines::<ISearchCompletedCallback, _>::keep(None, on_completed)?;
    if order.options.online {
        objects::end_pending_registrations();
    }
    // From here on there are threads of ours.
    module::stay()?;
    let client = agent::client()?;
    let place = Place::<SearchJob>::default();
    let (job, feed, release) = JobBuilder::<Search>::new(Uuid::new_v4(), Operation::Search, Arc::from([]))
        .observer(routines.watch(&place, |_| objects_of_no_progress()))
        .async_state(Some(Arc::new(state) as Arc<_>))
        .start()?;
    let object = ComObject::new(SearchJob {
        job,
        _lease: Lease::default(),
    });
    thread::Builder::new()
        .name("wua-search".into())
        .spawn(move || run(&client, &order, feed))
        .map_err(|error| Fault::new(HResult::E_OUTOFMEMORY, format!("No thread for a search: {error}")))?;
    let _ = place.set(object.clone());
    release.release();
    Ok(object)
}

/// A search has no progress: nobody calls this.
fn objects_of_no_progress() -> ISearchCompletedCallbackArgs {
    CompletedArgs::default().into()
}

/// `Search`: the same, and its end.
pub fn search(order: SearchSnapshot) -> Answer<ISearchResult> {
    let job = begin(order, None, &VARIANT::default())?;
    told(&*end(&job.job)?)
}

/// `EndSearch` (rule R22). A search that could not be run is an error of this call.
pub fn end_search(job: Option<&ISearchJob>) -> Answer<ISearchResult> {
    let job: ComObject<SearchJob> = border::ours(job, "job")?;
    told(&*end(&job.job)?)
}

fn told(outcome: &SearchResult) -> Answer<ISearchResult> {
    if outcome.result_code == OperationResultCode::Failed || outcome.hresult == HResult::WU_E_SERVICE_STOP {
        let what = outcome.warnings.first().map(|warning| warning.message.clone());
        return Err(Fault {
            code: outcome.hresult,
            text: what.filter(|text| !text.is_empty()),
        });
    }
    Ok(objects::SearchResult::new(outcome).into())
}

/// Whether somebody wishes the search to stop, and the refreshing job that would have to.
#[derive(Clone, Debug, Default)]
struct Wish(Arc<Mutex<(bool, Option<Job<Download>>)>>);

impl Wish {
    fn stop(&self) {
        // The job is told outside the lock: that asks the agent.
        let refreshing = {
            let mut wish = lock(&self.0);
            wish.0 = true;
            wish.1.take()
        };
        if let Some(job) = refreshing {
            // One that has ended meanwhile need not stop.
            let _ = job.request_abort();
        }
    }

    fn is_wished(&self) -> bool {
        lock(&self.0).0
    }

    fn refreshing(&self, job: &Job<Download>) {
        let wished = {
            let mut wish = lock(&self.0);
            wish.1 = Some(job.clone());
            wish.0
        };
        if wished {
            self.stop();
        }
    }
}

fn run(client: &AgentClient, order: &SearchSnapshot, feed: JobFeed<Search>) {
    let wish = Wish::default();
    let hook = wish.clone();
    feed.on_abort(move || hook.stop());
    let outcome = find(client, order, &wish).unwrap_or_else(|fault| failed(&fault));
    let outcome = if wish.is_wished() { aborted() } else { outcome };
    feed.complete(outcome);
}

fn failed(fault: &Fault) -> SearchResult {
    let warning = UpdateException {
        message: fault.text.clone().unwrap_or_default(),
        hresult: fault.code,
        context: UpdateExceptionContext::General,
    };
    SearchResult {
        warnings: vec![warning],
        ..Search::failed(fault.code, Vec::new())
    }
}

fn aborted() -> SearchResult {
    SearchResult {
        result_code: OperationResultCode::Aborted,
        ..Search::failed(HResult::WU_E_CALL_CANCELLED, Vec::new())
    }
}

fn find(client: &AgentClient, order: &SearchSnapshot, wish: &Wish) -> Answer<SearchResult> {
    check(client, order)?;
    let criteria = match order.criteria.trim() {
        "" => DEFAULT_CRITERIA,
        criteria => criteria,
    };
    // What does not parse is known without the network.
    let warning = if order.options.online {
        refresh(client, order, criteria, wish)?
    } else {
        None
    };
    if wish.is_wished() {
        return Ok(aborted());
    }
    let mut found = client.search(criteria)?;
    if order.options.search_scope == SearchScope::CurrentUserOnly {
        // All updates here are the machine's (`PerUser` is FALSE).
        found.updates.clear();
    }
    if let Some(warning) = warning {
        found.warnings.push(warning);
        if found.result_code == OperationResultCode::Succeeded {
            found.result_code = OperationResultCode::SucceededWithErrors;
        }
    }
    Ok(found)
}

/// Checks scope and server selection (wua.md 2.17). The machine's package archives are what the default, and Windows Update's place, are here.
fn check(client: &AgentClient, order: &SearchSnapshot) -> Answer<()> {
    match order.options.search_scope {
        SearchScope::Default | SearchScope::MachineOnly | SearchScope::CurrentUserOnly => {}
        _ => return Err(HResult::WU_E_UNSUPPORTED_SEARCHSCOPE.into()),
    }
    match order.options.server_selection {
        ServerSelection::ManagedServer => Err(HResult::WU_E_PT_SUS_SERVER_NOT_SET.into()),
        ServerSelection::Others => {
            let is_known = client
                .services()?
                .iter()
                .any(|service| service.id == order.options.service_id);
            if is_known {
                Ok(())
            } else {
                Err(HResult::WU_E_DS_UNKNOWNSERVICE.into())
            }
        }
        ServerSelection::Default | ServerSelection::WindowsUpdate => Ok(()),
    }
}

/// Has the agent fetch the indexes, where the caller may. What went wrong with that ends no search.
fn refresh(
    client: &AgentClient,
    order: &SearchSnapshot,
    criteria: &str,
    wish: &Wish,
) -> Answer<Option<UpdateException>> {
    if client.system()?.access < Access::Member {
        return Ok(None);
    }
    // Criteria that do not parse are refused before anything is fetched.
    wua_types::criteria::Criteria::parse(criteria)
        .map_err(|error| Fault::new(HResult::WU_E_INVALID_CRITERIA, error.to_string()))?;
    let mut request = JobRequest::new(Operation::Search);
    request
        .client_application_id
        .clone_from(&order.client_application_id);
    let incomplete = |message: String, hresult: HResult| {
        Some(UpdateException {
            message,
            hresult,
            context: UpdateExceptionContext::SearchIncomplete,
        })
    };
    let begun = client.begin(Begin::<Download> {
        id: Uuid::new_v4(),
        request,
        updates: Arc::from([]),
        observer: None,
        async_state: None,
    });
    let job = match begun {
        Ok(job) => job,
        Err(error @ ClientError::NotThere(_)) => return Err(error.into()),
        Err(error) => return Ok(incomplete(error.to_string(), error.code())),
    };
    wish.refreshing(&job);
    let outcome = job.wait();
    if outcome.hresult == HResult::WU_E_SERVICE_STOP {
        return Err(outcome.hresult.into());
    }
    let warning = job
        .progress()
        .warnings()
        .first()
        .map(|warning| (warning.message.clone(), warning.hresult));
    Ok(match warning {
        Some((message, hresult)) => incomplete(message, hresult),
        None if outcome.result_code == OperationResultCode::Failed => {
            incomplete("the package indexes could not be fetched".into(), outcome.hresult)
        }
        None => None,
    })
}

/// `ISearchJob`.
#[implement(ISearchJob, ISupportErrorInfo)]
#[derive(Debug)]
pub struct SearchJob {
    job: Job<Search>,
    _lease: Lease,
}

scripted!(SearchJob_Impl => ISearchJob);

impl ISearchJob_Impl for SearchJob_Impl {
    fn async_state(&self) -> Answer<VARIANT> {
        state_of(self.job.async_state())
    }

    fn is_completed(&self) -> Answer<bool> {
        Ok(self.job.is_completed())
    }

    fn clean_up(&self) -> Answer<HResult> {
        clean_up(&self.job)
    }

    fn request_abort(&self) -> Answer<()> {
        request_abort(&self.job)
    }
}

/// What the routine for the end is told.
#[implement(ISearchCompletedCallbackArgs, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct CompletedArgs {
    _lease: Lease,
}

scripted!(CompletedArgs_Impl => ISearchCompletedCallbackArgs);

impl ISearchCompletedCallbackArgs_Impl for CompletedArgs_Impl {}

impl Ended for Search {
    type Completed = ISearchCompletedCallback;
    fn completed_args() -> ISearchCompletedCallbackArgs {
        CompletedArgs::default().into()
    }
}
