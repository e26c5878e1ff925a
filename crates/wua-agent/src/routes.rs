//! The API's resources. Each handler takes a request apart, calls what knows, and answers; whom it lets in stands in its
//! arguments.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use serde_json::json;
use wua_engine::jobs::{self, JobSummary};
use wua_engine::state::{PublicState, State};
use wua_engine::{SystemInformation, UpdateServiceManager};
use wua_types::api::{
    CodeDocument, JobDocument, JobRequest, PlanDocument, PlanRequest, SettingsDocument, SystemDocument,
    UpdateStateDocument,
};
use wua_types::quote::without_quote;
use wua_types::{HResult, PlanHash, SearchResult, Update, UpdateHistoryEntry, UpdateId, UpdateService};

use crate::OPENAPI;
use crate::ask::{EVERYTHING, Question};
use crate::caller::{Caller, Member, Owner};
use crate::jobs::Stage;
use crate::machine::Agent;
use crate::metrics::Numbers;
use crate::order::{Order, check_updates};
use crate::problem::Problem;
use crate::request::{Body, Id, Params};
use crate::{events, settings, states};

type Answer<T> = Result<Json<T>, Problem>;
type Ours = Shared<Arc<Agent>>;

/// The most bytes of a request's document.
const LONGEST_BODY: usize = 1 << 20;

/// How long a request waits until its job has begun.
const BEGINNING: Duration = Duration::from_secs(120);

/// The most entries of the history in one answer.
const MOST_ENTRIES: usize = 1000;

/// The resources of the API.
pub(crate) fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/system", get(system))
        .route("/health", get(health))
        .route("/updates", get(updates))
        .route("/updates/{id}", get(update))
        .route("/updates/{id}/state", get(update_state))
        .route("/updates/{id}/hidden", put(set_hidden))
        .route("/updates/{id}/eula-accepted", put(accept_eula))
        .route("/plans", post(make_plan))
        .route("/jobs", get(list_jobs))
        .route("/jobs/{id}", get(job).put(begin_job))
        .route("/jobs/{id}/events", get(job_events))
        .route("/jobs/{id}/abort", post(abort_job))
        .route("/history", get(history))
        .route("/services", get(services))
        .route("/services/{id}/automatic", put(register_service))
        .route("/settings", get(read_settings).patch(change_settings))
        .route("/store", get(store))
        .route("/metrics", get(metrics))
        .route("/codes", get(codes))
        .route("/codes/{code}", get(code))
        .fallback(async || {
            Problem::new(HResult::WU_E_ITEMNOTFOUND, "there is no such resource")
                .next("`GET /openapi.json` lists all of them.")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(HResult::E_INVALIDARG, "this resource does not know that method")
                .status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(axum::extract::DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(agent)
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn system(Shared(agent): Ours, caller: Caller) -> Answer<SystemDocument> {
    let look = |agent: &Agent| {
        let installer = agent.session.create_update_installer();
        let system = SystemInformation::read(agent.machine())?;
        Ok((system, installer.reboot_required_before_installation()))
    };
    let (found, restart_required_before_installation) = agent.aside(caller, look).await?;
    let packages = found.restart_required;
    Ok(Json(SystemDocument {
        version: env!("CARGO_PKG_VERSION").into(),
        access: caller.access(),
        machine: agent.machine().identity(),
        restart_required: packages.is_some(),
        restart_packages: packages.unwrap_or_default(),
        restart_required_before_installation,
        busy: found.busy.map(|holder| holder.job),
        lock_holder: found.lock_holder,
        unfinished: found.unfinished.iter().map(|operation| operation.job).collect(),
        stale_services: agent.standing().stale_services,
    }))
}

async fn health(Shared(agent): Ours, caller: Caller) -> Answer<serde_json::Value> {
    let findings: serde_json::Value = agent.ask(caller, &Question::Doctor).await?;
    Ok(Json(json!({ "findings": findings })))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    criteria: String,
}

async fn updates(
    Shared(agent): Ours,
    caller: Caller,
    Params(search): Params<Search>,
) -> Answer<SearchResult> {
    let question = Question::Search {
        criteria: search.criteria,
    };
    Ok(Json(agent.ask(caller, &question).await?))
}

async fn update(Shared(agent): Ours, caller: Caller, Id(id): Id) -> Answer<Update> {
    Ok(Json(find(&agent, caller, UpdateId(id)).await?))
}

async fn update_state(Shared(agent): Ours, caller: Caller, Id(id): Id) -> Answer<UpdateStateDocument> {
    let id = UpdateId(id);
    let state = states::of(&agent, caller, id).await?;
    Ok(Json(state.ok_or_else(|| no_update(id))?))
}

async fn find(agent: &Agent, caller: Caller, id: UpdateId) -> Result<Update, Problem> {
    let question = Question::Search {
        criteria: EVERYTHING.into(),
    };
    let found: SearchResult = agent.ask(caller, &question).await?;
    found
        .updates
        .into_iter()
        .find(|update| update.id() == id)
        .ok_or_else(|| no_update(id))
}

fn no_update(id: UpdateId) -> Problem {
    Problem::new(
        HResult::WU_E_ITEMNOTFOUND,
        format!("this machine has no update {id} now"),
    )
    .next("Search again: the archives may have a newer version.")
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    hidden: bool,
}

async fn set_hidden(
    Shared(agent): Ours,
    _: Owner,
    caller: Caller,
    Id(id): Id,
    Body(wish): Body<Hidden>,
) -> Result<StatusCode, Problem> {
    let id = UpdateId(id);
    if !wish.hidden {
        // What is hidden may not be offered any more.
        let unhide =
            move |agent: &Agent| Ok(State::open(agent.folders())?.set_hidden(&[(id, String::new())], false)?);
        agent.aside(caller, unhide).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let update = find(&agent, caller, id).await?;
    if update.is_mandatory || update.deadline.is_some() {
        let what = format!(
            "`{}` cannot be hidden: it is mandatory or has a deadline",
            update.title
        );
        return Err(Problem::new(HResult::WU_E_DS_DECLINENOTALLOWED, what).status(StatusCode::CONFLICT));
    }
    let hide =
        move |agent: &Agent| Ok(State::open(agent.folders())?.set_hidden(&[(id, update.title)], true)?);
    agent.aside(caller, hide).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn accept_eula(Shared(agent): Ours, member: Member, Id(id): Id) -> Result<StatusCode, Problem> {
    let update = find(&agent, member.caller(), UpdateId(id)).await?;
    let accept = |agent: &Agent| Ok(State::open(agent.folders())?.accept_eula(&[update])?);
    agent.aside(member.caller(), accept).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Planning is looking; that the plan is kept for the caller to authorise is what takes a member.
async fn make_plan(
    Shared(agent): Ours,
    caller: Caller,
    Body(request): Body<PlanRequest>,
) -> Answer<PlanDocument> {
    check_updates(&request.updates, true)?;
    let question = Question::Plan {
        request: request.clone(),
    };
    let mut plan: PlanDocument = agent.ask(caller, &question).await?;
    let hash: PlanHash = plan.plan.hash();
    if let Ok(member) = Member::try_from(caller) {
        agent.plans.keep(member, request, hash);
        plan.can_be_authorized = true;
    }
    Ok(Json(plan))
}

async fn list_jobs(Shared(agent): Ours, caller: Caller) -> Answer<serde_json::Value> {
    let jobs: Vec<JobSummary> = agent
        .aside(caller, |agent| Ok(jobs::list(agent.folders())?))
        .await?;
    Ok(Json(json!({ "jobs": jobs })))
}

fn unknown_job(id: uuid::Uuid) -> Problem {
    Problem::new(
        HResult::WU_E_UNKNOWN_ID,
        format!("there is no job {id} on this machine"),
    )
    .next("`wua jobs` and `GET /jobs` list the jobs there are.")
}

async fn job(Shared(agent): Ours, caller: Caller, Id(id): Id) -> Answer<JobDocument> {
    let entry = agent.aside(caller, move |agent| agent.jobs.get(id)).await?;
    Ok(Json(
        entry
            .ok_or_else(|| unknown_job(id))?
            .document(caller.access())
            .await?,
    ))
}

/// Begins a job. The answer comes when it is known what it works on, so that what is refused is refused here.
async fn begin_job(
    Shared(agent): Ours,
    member: Member,
    Id(id): Id,
    Body(request): Body<JobRequest>,
) -> Result<(StatusCode, Json<JobDocument>), Problem> {
    let caller = member.caller();
    let asked = request.clone();
    let before = agent
        .aside(caller, move |agent| agent.jobs.same(id, caller, &asked))
        .await?;
    let (status, entry) = match before {
        Some(entry) => (StatusCode::OK, entry),
        None => {
            let order = Order::authorize(caller, request, &agent.plans)?;
            let entry = agent
                .aside(caller, move |agent| agent.jobs.begin(id, order))
                .await?;
            (StatusCode::CREATED, entry)
        }
    };
    let begun = tokio::time::timeout(BEGINNING, entry.begun()).await;
    let begun = begun.map_err(|_| {
        Problem::new(
            HResult::WU_E_TIME_OUT,
            "the job was not begun in time; it may still be",
        )
        .next("Repeat the same request, which is harmless, or look with `GET /jobs/ID`.")
        .of_job(Some(id))
    })?;
    if let Stage::Refused(problem) = begun {
        let forget = move |agent: &Agent| {
            agent.jobs.forget(&entry);
            Ok(())
        };
        agent.aside(caller, forget).await?;
        return Err(problem.for_access(caller.access()));
    }
    Ok((status, Json(entry.document(caller.access()).await?)))
}

async fn job_events(Shared(agent): Ours, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    let leave = agent.stream(caller)?;
    let entry = agent.aside(caller, move |agent| agent.jobs.get(id)).await?;
    let events = events::of(entry.ok_or_else(|| unknown_job(id))?, caller.access());
    // The leave ends with the stream.
    let events = events.map(move |event| {
        let _ = &leave;
        event
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

async fn abort_job(Shared(agent): Ours, member: Member, Id(id): Id) -> Result<StatusCode, Problem> {
    agent
        .aside(member.caller(), move |agent| {
            let entry = agent.jobs.get(id)?.ok_or_else(|| unknown_job(id))?;
            agent.jobs.request_abort(&entry, member.caller())
        })
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    criteria: String,
    #[serde(default)]
    start: usize,
    #[serde(default = "fifty")]
    count: usize,
}

fn fifty() -> usize {
    50
}

#[derive(serde::Serialize)]
struct History {
    total: usize,
    entries: Vec<UpdateHistoryEntry>,
}

async fn history(Shared(agent): Ours, caller: Caller, Params(page): Params<Page>) -> Answer<History> {
    let read = move |agent: &Agent| {
        // More than the public history ever has.
        let count = page.count.min(MOST_ENTRIES);
        let mut entries = agent.session.query_history(&page.criteria, page.start, count)?;
        for entry in &mut entries {
            // What programs printed is the machine's owner's.
            entry.message = without_quote(&entry.message).to_owned();
        }
        let total = PublicState::read(agent.folders())?.history.len();
        Ok(History { total, entries })
    };
    Ok(Json(agent.aside(caller, read).await?))
}

async fn services(Shared(agent): Ours, caller: Caller) -> Answer<serde_json::Value> {
    let list = |agent: &Agent| Ok(manager(agent).services()?);
    let services: Vec<UpdateService> = agent.aside(caller, list).await?;
    Ok(Json(json!({ "services": services })))
}

fn manager(agent: &Agent) -> UpdateServiceManager {
    agent.session.create_update_service_manager()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    registered: bool,
}

async fn register_service(
    Shared(agent): Ours,
    _: Owner,
    caller: Caller,
    Id(id): Id,
    Body(wish): Body<Registered>,
) -> Result<StatusCode, Problem> {
    let register = move |agent: &Agent| Ok(manager(agent).register_service_with_au(id, wish.registered)?);
    agent.aside(caller, register).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read_settings(Shared(agent): Ours, caller: Caller) -> Answer<SettingsDocument> {
    Ok(Json(agent.aside(caller, settings::document).await?))
}

async fn change_settings(
    Shared(agent): Ours,
    _: Owner,
    caller: Caller,
    Body(wishes): Body<serde_json::Map<String, serde_json::Value>>,
) -> Answer<SettingsDocument> {
    agent
        .aside(caller, move |agent| {
            Ok(settings::change(agent.machine(), wishes)?)
        })
        .await?;
    agent.news.notify_one();
    read_settings(Shared(agent), caller).await
}

async fn store(Shared(agent): Ours, caller: Caller) -> Answer<serde_json::Value> {
    let mut contents = agent
        .aside(caller, |agent| Ok(agent.machine().store().list()?))
        .await?;
    contents.sort_by(|one, other| one.label.cmp(&other.label));
    let total: u64 = contents.iter().map(|content| content.size).sum();
    Ok(Json(json!({ "total_size": total, "contents": contents })))
}

async fn metrics(Shared(agent): Ours, caller: Caller) -> Result<Response, Problem> {
    let question = Question::Search {
        criteria: String::new(),
    };
    let found: SearchResult = agent.ask(caller, &question).await?;
    let text = agent
        .aside(caller, |agent| Ok(Numbers::read(agent, found)?.text()))
        .await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn codes() -> Json<serde_json::Value> {
    let codes: Vec<CodeDocument> = HResult::ALL.iter().map(CodeDocument::from).collect();
    Json(json!({ "codes": codes }))
}

async fn code(axum::extract::Path(text): axum::extract::Path<String>) -> Answer<CodeDocument> {
    let code: HResult = text
        .parse()
        .map_err(|_| Problem::new(HResult::E_INVALIDARG, "this is no result code"))?;
    code.info()
        .map(|info| Json(CodeDocument::from(info)))
        .ok_or_else(|| Problem::new(HResult::WU_E_ITEMNOTFOUND, format!("no code {code} is known")))
}
