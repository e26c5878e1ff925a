//! The agent's resources as calls.

use std::any::Any;
use std::fmt::Display;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use ureq::config::Config;
use ureq::http::{Method, Request, Response};
use ureq::unversioned::transport::TcpConnector;
use ureq::{Agent, Error};
use uuid::Uuid;
use wua_job::{Job, JobBuilder, JobObserver, Told};
use wua_types::api::{
    JobDocument, JobRequest, PlanDocument, PlanRequest, ProblemDocument, SettingsDocument, SystemDocument,
    UpdateStateDocument,
};
use wua_types::{HResult, SearchResult, Update, UpdateHistoryEntry, UpdateId, UpdateService};

use crate::bridge::{BridgeFile, Loopback};
use crate::error::ClientError;
use crate::follow;
#[cfg(unix)]
use crate::socket::SocketConnector;

/// How long a bridge may take to accept a connection, and to take a request.
const CONNECT: Duration = Duration::from_secs(5);
const SEND: Duration = Duration::from_secs(30);

/// How long the agent may be silent while it works on an answer; a search waits for its turn.
const ANSWER: Duration = Duration::from_secs(330);

/// How long the rest of an answer may take, once it has begun.
const REST: Duration = Duration::from_secs(120);

/// How long a stream may be silent: the agent says something every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// The most bytes of an answer.
const LONGEST: u64 = 256 << 20;

/// The most bytes of a refusal.
const LONGEST_PROBLEM: u64 = 1 << 20;

/// A caller's connection to an agent.
#[derive(Clone, Debug)]
pub struct AgentClient {
    agent: Agent,
    way: Way,
}

/// How an agent is reached.
#[derive(Clone, Debug)]
enum Way {
    #[cfg(unix)]
    Socket,
    Bridge {
        file: Arc<Path>,
    },
}

/// What an answer is like, and with it how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A document, which may take its time to begin, and has then to come.
    Document,
    /// Events, which begin soon and may go on for hours, but are never silent for long.
    Stream,
}

/// What a job is begun with.
pub struct Begin<K: wua_job::JobKind> {
    /// Its id, chosen by the caller.
    pub id: Uuid,
    /// What to do. `updates` is filled in from the collection below unless there is a plan.
    pub request: JobRequest,
    /// The updates, as the caller knows them: what the job's callbacks and results are about.
    pub updates: Arc<[Update]>,
    /// Who is told.
    pub observer: Option<Box<dyn JobObserver<K>>>,
    /// What the caller gives along (rule R28).
    pub async_state: Option<Arc<dyn Any + Send + Sync>>,
}

impl<K: wua_job::JobKind> std::fmt::Debug for Begin<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begin")
            .field("id", &self.id)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A page of the history.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct History {
    /// How many entries there are in all.
    pub total: usize,
    /// The entries asked for, newest first.
    pub entries: Vec<UpdateHistoryEntry>,
}

#[derive(serde::Deserialize)]
struct Services {
    services: Vec<UpdateService>,
}

impl AgentClient {
    /// A client of the agent that listens at the socket `path`. Connects with the first call.
    #[cfg(unix)]
    pub fn new(path: &Path) -> Self {
        let connector = SocketConnector { path: path.into() };
        Self {
            agent: Agent::with_parts(config(), connector, Loopback),
            way: Way::Socket,
        }
    }

    /// A client of the agent that `wua bridge` joins to this user's loopback address. `file` is the bridge's: JSON with `port` and
    /// `token`, and `proof` where its answers have to carry one. It is read again with every request, so a bridge that is started
    /// later, or again, is found. Works where there are no Unix sockets.
    ///
    /// A bridge that cannot be found or reached is [`ClientError::NotThere`]. Connecting takes five seconds at the most.
    pub fn through_bridge(file: &Path) -> Self {
        Self {
            agent: Agent::with_parts(config(), TcpConnector::default(), Loopback),
            way: Way::Bridge { file: file.into() },
        }
    }

    /// The machine as a whole, and what the caller may do.
    ///
    /// # Errors
    /// As of every call: [`ClientError`], whose code is the agent's, or `WU_E_SERVICE_STOP` where none answers.
    pub fn system(&self) -> Result<SystemDocument, ClientError> {
        self.get("/system")
    }

    /// Searches; blocks until the result is there. Never fetches indexes.
    ///
    /// # Errors
    /// As [`system`](Self::system); `WU_E_INVALID_CRITERIA`.
    pub fn search(&self, criteria: &str) -> Result<SearchResult, ClientError> {
        self.get(&format!("/updates?criteria={}", encoded(criteria)))
    }

    /// One update whole.
    ///
    /// # Errors
    /// As [`system`](Self::system); `WU_E_ITEMNOTFOUND`.
    pub fn update(&self, id: UpdateId) -> Result<Update, ClientError> {
        self.get(&format!("/updates/{id}"))
    }

    /// Hides an update, or brings it back.
    ///
    /// # Errors
    /// As [`system`](Self::system); `E_ACCESSDENIED`, `WU_E_ITEMNOTFOUND`, and `WU_E_DS_DECLINENOTALLOWED` for what is mandatory or
    /// has a deadline.
    pub fn set_hidden(&self, id: UpdateId, hidden: bool) -> Result<(), ClientError> {
        self.put(&format!("/updates/{id}/hidden"), &json!({ "hidden": hidden }))
    }

    /// Plans; touches nothing.
    ///
    /// # Errors
    /// As [`system`](Self::system).
    pub fn plan(&self, request: &PlanRequest) -> Result<PlanDocument, ClientError> {
        self.call(Method::POST, "/plans", request)
    }

    /// Results, newest first.
    ///
    /// # Errors
    /// As [`system`](Self::system).
    pub fn history(&self, criteria: &str, start: usize, count: usize) -> Result<History, ClientError> {
        self.get(&format!(
            "/history?criteria={}&start={start}&count={count}",
            encoded(criteria)
        ))
    }

    /// Who offers updates.
    ///
    /// # Errors
    /// As [`system`](Self::system).
    pub fn services(&self) -> Result<Vec<UpdateService>, ClientError> {
        let Services { services } = self.get("/services")?;
        Ok(services)
    }

    /// Lets automatic updates use a service, or not (`RegisterServiceWithAU`, `UnregisterServiceWithAU`).
    ///
    /// # Errors
    /// As [`system`](Self::system); `E_ACCESSDENIED`, `WU_E_DS_UNKNOWNSERVICE`.
    pub fn register_service_with_au(&self, id: Uuid, registered: bool) -> Result<(), ClientError> {
        let wish = json!({ "registered": registered });
        self.put(&format!("/services/{id}/automatic"), &wish)
    }

    /// What is done by itself, and what will happen next.
    ///
    /// # Errors
    /// As [`system`](Self::system).
    pub fn settings(&self) -> Result<SettingsDocument, ClientError> {
        self.get("/settings")
    }

    /// Changes settings: each key to its value, or with null back to what holds without it. All or nothing.
    ///
    /// # Errors
    /// As [`system`](Self::system); `E_INVALIDARG`, `E_ACCESSDENIED`.
    pub fn change_settings(&self, wishes: &Map<String, Value>) -> Result<SettingsDocument, ClientError> {
        self.call(Method::PATCH, "/settings", wishes)
    }

    /// One job as it stands.
    ///
    /// # Errors
    /// As [`system`](Self::system); `WU_E_UNKNOWN_ID`.
    pub fn job(&self, id: Uuid) -> Result<JobDocument, ClientError> {
        self.get(&format!("/jobs/{id}"))
    }

    /// How one update, or one inside a bundle, stands right now. Cheap: it may be asked for each property.
    ///
    /// # Errors
    /// As [`system`](Self::system); `WU_E_ITEMNOTFOUND` where it is not offered any more and not installed.
    pub fn update_state(&self, id: UpdateId) -> Result<UpdateStateDocument, ClientError> {
        self.get(&format!("/updates/{id}/state"))
    }

    /// Accepts an update's licence terms.
    ///
    /// # Errors
    /// As [`system`](Self::system); `WU_E_ITEMNOTFOUND`.
    pub fn accept_eula(&self, id: UpdateId) -> Result<(), ClientError> {
        self.send(Method::PUT, &format!("/updates/{id}/eula-accepted"), None)
            .map(drop)
    }

    /// Asks a job to stop at the next safe point.
    ///
    /// # Errors
    /// As [`system`](Self::system); `E_ACCESSDENIED` for another member's job.
    pub fn request_abort(&self, id: Uuid) -> Result<(), ClientError> {
        self.send(Method::POST, &format!("/jobs/{id}/abort"), None)
            .map(drop)
    }

    /// Begins a job, and follows it. Returns when the agent knows what it works on; what is refused is refused here.
    ///
    /// # Errors
    /// As [`system`](Self::system), and the codes of rule R11.
    pub fn begin<K: Told>(&self, begin: Begin<K>) -> Result<Job<K>, ClientError> {
        let mut request = begin.request;
        if request.plan.is_none() {
            request.updates = begin.updates.iter().map(Update::id).collect();
        }
        let path = format!("/jobs/{}", begin.id);
        let begun = Instant::now();
        let known: JobDocument = loop {
            match self.call(Method::PUT, &path, &request) {
                // Whether it was heard is not known; to say it again is harmless.
                Err(ClientError::NotThere(_)) if begun.elapsed() < follow::PATIENCE => {
                    thread::sleep(follow::AGAIN);
                }
                answer => break answer?,
            }
        };
        let builder = JobBuilder::new(begin.id, known.operation, begin.updates);
        self.join(builder.observer(begin.observer).async_state(begin.async_state))
    }

    /// Follows a job that somebody began.
    ///
    /// # Errors
    /// As [`job`](Self::job).
    pub fn attach<K: Told>(
        &self,
        id: Uuid,
        observer: Option<Box<dyn JobObserver<K>>>,
    ) -> Result<Job<K>, ClientError> {
        let known = self.job(id)?;
        let updates = known
            .updates
            .into_iter()
            .map(wua_types::StartedUpdate::into_update)
            .collect();
        self.join(JobBuilder::new(id, known.operation, updates).observer(observer))
    }

    fn join<K: Told>(&self, builder: JobBuilder<K>) -> Result<Job<K>, ClientError> {
        let (job, feed, release) = builder.start()?;
        let id = job.id();
        let client = self.clone();
        feed.on_abort(move || client.pass_on_abort(id));
        let client = self.clone();
        thread::Builder::new()
            .name("wua-client".into())
            .spawn(move || follow::follow(&client, id, feed))
            .map_err(|error| ClientError::NotThere(error.to_string()))?;
        release.release();
        Ok(job)
    }

    /// Tells the agent that a job is wished to stop; one that is away hears of it once it is back, as the job goes on there.
    fn pass_on_abort(self, id: Uuid) {
        let not_passed_on = move |error: &dyn Display| tracing::error!(%id, %error, "the wish to stop the job did not reach the agent");
        match self.request_abort(id) {
            Ok(()) => return,
            Err(ClientError::NotThere(_)) => {}
            Err(error) => return not_passed_on(&error),
        }
        let begun = Instant::now();
        let keep_telling = move || {
            loop {
                thread::sleep(follow::AGAIN);
                match self.request_abort(id) {
                    Err(ClientError::NotThere(_)) if begun.elapsed() < follow::PATIENCE => {}
                    answer => return answer.unwrap_or_else(|error| not_passed_on(&error)),
                }
            }
        };
        let thread = thread::Builder::new().name("wua-abort".into());
        if let Err(error) = thread.spawn(keep_telling) {
            not_passed_on(&error);
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        understood(&self.send(Method::GET, path, None)?)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(not_understood)?;
        understood(&self.send(method, path, Some(body))?)
    }

    fn put(&self, path: &str, wish: &Value) -> Result<(), ClientError> {
        self.send(Method::PUT, path, Some(wish.to_string().into_bytes()))
            .map(drop)
    }

    fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Vec<u8>, ClientError> {
        let response = self.request(Kind::Document, method, path, body)?;
        whole(response.into_body().into_reader(), LONGEST)
    }

    /// Sends a request. An answer that is a problem is an error.
    pub(crate) fn request(
        &self,
        kind: Kind,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<ureq::Body>, ClientError> {
        let bridge = match &self.way {
            #[cfg(unix)]
            Way::Socket => None,
            Way::Bridge { file } => Some(BridgeFile::read(file)?),
        };
        let authority = bridge
            .as_ref()
            .map_or_else(|| "wua".into(), BridgeFile::authority);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{authority}{path}"));
        if let Some(bridge) = &bridge {
            request = request.header("authorization", bridge.authorization());
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.unwrap_or_default()).map_err(not_understood)?;
        let timed = self.agent.configure_request(request);
        let timed = match kind {
            Kind::Document => timed
                .timeout_recv_response(Some(ANSWER))
                .timeout_recv_body(Some(REST)),
            Kind::Stream => timed
                .timeout_recv_response(Some(SILENCE))
                .timeout_per_read(Some(SILENCE)),
        };
        let response = self.agent.run(timed.build()).map_err(failed)?;
        if let Some(bridge) = &bridge {
            bridge.check(response.headers())?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let text = whole(response.into_body().into_reader(), LONGEST_PROBLEM)?;
        let problem: ProblemDocument = understood(&text)?;
        // The bridge is there, and says that the agent is not.
        if bridge.is_some() && problem.hresult == HResult::WU_E_SERVICE_STOP {
            return Err(ClientError::NotThere(problem.detail));
        }
        Err(ClientError::Problem(Box::new(problem)))
    }
}

/// What holds for every request. Nothing of it comes from the environment, such as a proxy; nobody is sent elsewhere.
fn config() -> Config {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(64 * 1024)
        .timeout_connect(Some(CONNECT))
        .timeout_send_request(Some(SEND))
        .timeout_send_body(Some(SEND))
        .build()
}

/// An answer, whole: not longer than `limit`, and not taking longer than its time even where every part of it comes in time.
fn whole(from: impl Read, limit: u64) -> Result<Vec<u8>, ClientError> {
    let begun = Instant::now();
    let (mut from, mut text, mut part) = (from.take(limit + 1), Vec::new(), vec![0; 64 * 1024]);
    loop {
        match from.read(&mut part) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ClientError::NotThere(error.to_string())),
        }
        if begun.elapsed() > REST {
            return Err(ClientError::NotThere(
                "the rest of its answer takes too long".into(),
            ));
        }
    }
    if text.len() as u64 > limit {
        return Err(ClientError::NotUnderstood(format!(
            "it is longer than {limit} bytes"
        )));
    }
    Ok(text)
}

/// A connection that fails, or speaks no HTTP.
fn failed(error: Error) -> ClientError {
    match error {
        Error::Protocol(_) | Error::Http(_) | Error::LargeResponseHeader(..) | Error::TooManyRedirects => {
            not_understood(error)
        }
        error => ClientError::NotThere(error.to_string()),
    }
}

fn not_understood(error: impl ToString) -> ClientError {
    ClientError::NotUnderstood(error.to_string())
}

fn understood<T: DeserializeOwned>(text: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(text).map_err(not_understood)
}

/// A text as part of an address: everything but letters and digits is written as `%` and two digits.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
