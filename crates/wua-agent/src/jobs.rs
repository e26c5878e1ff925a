//! The agent's jobs: begun by a worker, followed by its event file, shown as [`wua_job`] jobs. Jobs that others began on the machine
//! are followed by their keepers' files.
//!
//! What a job is to do stands in its folder before its worker starts, so a restarted agent finds all of them there.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use uuid::Uuid;
use wua_engine::folders::JobFolder;
use wua_engine::follow::{self, Lines};
use wua_engine::jobs::{self, JobState};
use wua_engine::{Failure, Machine, detached};
use wua_job::{Download, Installation, Job, JobBuilder, Snapshot, Told};
use wua_types::api::{Access, JobDocument, OutcomeDocument, WarningDocument};
use wua_types::quote::without_quote;
use wua_types::{
    EventLine, HResult, JobEvent, Operation, StartedUpdate, Update, UpdateIdentity, UpdateInstallationResult,
};

use crate::caller::Caller;
use crate::machine::too_much;
use crate::order::Order;
use crate::problem::Problem;
use crate::worker::read_order;

/// How many jobs of the agent's run at once, and how many of them for one caller.
const AT_ONCE: (usize, usize) = (16, 6);

/// How many workers one job gets.
const WORKERS: usize = 3;

/// How long a worker may take to its first word, and a request waits for it.
const FIRST_WORD: Duration = Duration::from_secs(60);

/// How long a worker may take to say that it is there.
const SIGNATURE: Duration = Duration::from_secs(10);

/// How often a worker's first word is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// How many jobs are held in memory before those that ended go.
const KEPT: usize = 50;

/// How many ended jobs are remembered.
const REMEMBERED: usize = 200;

/// A job of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Followed {
    Installation(Job<Installation>),
    Download(Job<Download>),
}

/// How far the agent is with a job.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Its worker has not said yet what it works on.
    Waiting,
    Begun(Followed),
    /// It was not begun.
    Refused(Problem),
}

/// A job that the agent follows.
#[derive(Debug)]
pub(crate) struct Entry {
    id: Uuid,
    operation: Operation,
    /// What it was begun with; none for jobs that others began.
    order: Option<Order>,
    stage: watch::Sender<Stage>,
}

impl Entry {
    fn new(id: Uuid, operation: Operation, order: Option<Order>, stage: Stage) -> Arc<Self> {
        Arc::new(Self {
            id,
            operation,
            order,
            stage: watch::Sender::new(stage),
        })
    }

    /// Waits until it is known what the job works on, or that it was refused; at most until its worker's time is over.
    pub(crate) async fn begun(&self) -> Stage {
        let mut stage = self.stage.subscribe();
        let begun = stage.wait_for(|stage| !matches!(stage, Stage::Waiting)).await;
        begun.map_or(Stage::Waiting, |stage| stage.clone())
    }

    /// The job as it stands, once it is known what it works on.
    pub(crate) async fn document(&self, access: Access) -> Result<JobDocument, Problem> {
        match &self.begun().await {
            Stage::Refused(problem) => Err(problem.clone()),
            Stage::Waiting => Err(Problem::new(
                HResult::WU_E_TIME_OUT,
                "the job's worker has said nothing yet",
            )),
            Stage::Begun(Followed::Installation(job)) => Ok(document(job, &job.progress(), access)),
            Stage::Begun(Followed::Download(job)) => Ok(document(job, &job.progress(), access)),
        }
    }

    /// Waits for the job's end; how it stands then.
    pub(crate) async fn ended(&self) -> Result<JobDocument, Problem> {
        match self.begun().await {
            Stage::Begun(Followed::Installation(job)) => job.stream().for_each(async |_| ()).await,
            Stage::Begun(Followed::Download(job)) => job.stream().for_each(async |_| ()).await,
            Stage::Waiting | Stage::Refused(_) => {}
        }
        self.document(Access::Owner).await
    }

    fn is_running(&self) -> bool {
        match &*self.stage.borrow() {
            Stage::Waiting => true,
            Stage::Refused(_) => false,
            Stage::Begun(Followed::Installation(job)) => !job.is_completed(),
            Stage::Begun(Followed::Download(job)) => !job.is_completed(),
        }
    }
}

/// A job as it stood at `now`, or as it ended; what programs printed is for the machine's owner alone.
pub(crate) fn document<K: Told>(job: &Job<K>, now: &Snapshot<K>, access: Access) -> JobDocument {
    let outcome = job.outcome();
    let now = match &outcome {
        Some(_) => &job.progress(),
        None => now,
    };
    let named = |(index, update): (usize, &Update)| StartedUpdate {
        index,
        id: update.id(),
        title: update.title.clone(),
    };
    let shown = |text: &str| match access {
        Access::Owner => text.to_owned(),
        Access::Read | Access::Member => without_quote(text).to_owned(),
    };
    let warning = |warning: &wua_job::Warning| WarningDocument {
        message: shown(&warning.message),
        hresult: warning.hresult,
    };
    let result = |result: &K::UpdateResult| {
        let told = K::tell_result(result);
        UpdateInstallationResult {
            message: shown(&told.message),
            ..told
        }
    };
    let mut progress = K::tell_progress(now);
    if access < Access::Owner
        && let Some(waiting) = &mut progress.truth_mut().waiting_for
    {
        waiting.detail = None;
    }
    JobDocument {
        job: job.id(),
        operation: job.operation(),
        updates: job.updates().iter().enumerate().map(named).collect(),
        progress,
        results: now.update_results().map(result).collect(),
        warnings: now.warnings().iter().map(warning).collect(),
        outcome: outcome.map(|outcome| {
            let ending = K::tell_outcome(&outcome);
            OutcomeDocument {
                result_code: ending.result_code,
                hresult: ending.hresult,
                reboot_required: ending.reboot_required,
            }
        }),
    }
}

/// All jobs that the agent knows.
#[derive(Debug)]
pub(crate) struct Jobs {
    machine: Arc<Machine>,
    /// Who is told when a job has ended.
    news: Arc<Notify>,
    known: Mutex<HashMap<Uuid, Arc<Entry>>>,
}

impl Jobs {
    pub(crate) fn new(machine: Arc<Machine>, news: Arc<Notify>) -> Self {
        Self {
            machine,
            news,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Entry>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job that has the id, if it was begun with just this request by this caller.
    ///
    /// # Errors
    /// The id belongs to another job.
    pub(crate) fn same(
        &self,
        id: Uuid,
        caller: Caller,
        request: &wua_types::api::JobRequest,
    ) -> Result<Option<Arc<Entry>>, Problem> {
        let Some(entry) = self.get(id)? else {
            return Ok(None);
        };
        match &entry.order {
            Some(order) if order.uid() == caller.uid() && order.request() == request => Ok(Some(entry)),
            _ => Err(Problem::new(
                HResult::WU_E_INVALID_OPERATION,
                format!("the id {id} is that of another job"),
            )
            .next("Make up a new id; only the same request may be repeated under the same one.")
            .of_job(Some(id))),
        }
    }

    /// Writes the order down and starts the job's worker.
    ///
    /// # Errors
    /// The id is taken, there are too many jobs, or nothing can be written down.
    pub(crate) fn begin(&self, id: Uuid, order: Order) -> Result<Arc<Entry>, Problem> {
        let entry = {
            let mut known = self.lock();
            if known.contains_key(&id) {
                let what = format!("the id {id} is that of another job");
                return Err(Problem::new(HResult::WU_E_INVALID_OPERATION, what));
            }
            let running = || known.values().filter(|entry| entry.is_running());
            let of_caller = |entry: &&Arc<Entry>| {
                entry
                    .order
                    .as_ref()
                    .is_some_and(|other| other.uid() == order.uid())
            };
            if running().count() >= AT_ONCE.0 || running().filter(of_caller).count() >= AT_ONCE.1 {
                return Err(too_much("too many jobs run at once"));
            }
            let folder = self.machine.folders.agent_job(id);
            write_down(&folder, &order).map_err(|error| {
                let what = "cannot write down what is to be done";
                Failure::because(wua_engine::store::io_code(&error), what, error)
            })?;
            let operation = order.request().operation;
            tracing::info!(job = %id, operation = operation.word(), uid = order.uid(), "a job begins");
            let entry = Entry::new(id, operation, Some(order), Stage::Waiting);
            known.insert(id, Arc::clone(&entry));
            entry
        };
        self.tend(&entry)?;
        Ok(entry)
    }

    /// Forgets a job that was refused, so that the same may be tried again.
    pub(crate) fn forget(&self, entry: &Entry) {
        let mut known = self.lock();
        if let Err(error) = fs::remove_dir_all(self.machine.folders.agent_job(entry.id).path()) {
            tracing::warn!(job = %entry.id, %error, "the folder of a refused job stays");
        }
        known.remove(&entry.id);
    }

    /// Takes up the jobs that an earlier agent left.
    pub(crate) fn restore(&self) -> Result<(), Problem> {
        for job in jobs::list(&self.machine.folders)? {
            if !matches!(job.state, JobState::Completed { .. }) {
                // One that cannot be taken up is in nobody's way.
                if let Err(problem) = self.get(job.job) {
                    tracing::warn!(job = %job.job, problem = problem.document().detail, "a job is not taken up");
                }
            }
        }
        Ok(())
    }

    /// A job of the machine, whoever began it; none where there is no such.
    pub(crate) fn get(&self, id: Uuid) -> Result<Option<Arc<Entry>>, Problem> {
        if let Some(entry) = self.lock().get(&id) {
            return Ok(Some(Arc::clone(entry)));
        }
        let folder = self.machine.folders.agent_job(id);
        let entry = match read_order(&folder) {
            Ok(order) => Entry::new(id, order.request().operation, Some(order), Stage::Waiting),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(found) = jobs::summary(&self.machine.folders.job(id), id) else {
                    return Ok(None);
                };
                let job = follow::attach(&self.machine.folders, id, None)?;
                Entry::new(
                    id,
                    found.operation,
                    None,
                    Stage::Begun(Followed::Installation(job)),
                )
            }
            Err(error) => {
                let what = format!("cannot look at job {id}");
                return Err(Failure::because(wua_engine::store::io_code(&error), what, error).into());
            }
        };
        {
            let mut known = self.lock();
            if let Some(faster) = known.get(&id) {
                return Ok(Some(Arc::clone(faster)));
            }
            known.insert(id, Arc::clone(&entry));
            if known.len() > KEPT {
                // They are found again on the disk.
                known.retain(|_, entry| entry.is_running() || Arc::strong_count(entry) > 1);
            }
        }
        if entry.order.is_some() {
            self.tend(&entry)?;
        }
        Ok(Some(entry))
    }

    /// Asks a job to stop; its owner or the machine's may.
    ///
    /// # Errors
    /// It is another member's.
    pub(crate) fn request_abort(&self, entry: &Entry, caller: Caller) -> Result<(), Problem> {
        let is_own = entry
            .order
            .as_ref()
            .is_some_and(|order| order.uid() == caller.uid());
        if !is_own && caller.access() < Access::Owner {
            return Err(
                Problem::new(HResult::E_ACCESSDENIED, "the job was begun by somebody else")
                    .next("Whoever began it, or root, can stop it.")
                    .of_job(Some(entry.id)),
            );
        }
        // The wish is a file, so that it also reaches a job that says nothing yet, and a later worker.
        if entry.is_running() {
            let own = self.machine.folders.agent_job(entry.id);
            let folder = match entry.order {
                Some(_) => own,
                None => self.machine.folders.job(entry.id),
            };
            fs::File::create(folder.abort()).map_err(|error| {
                Failure::because(
                    wua_engine::store::io_code(&error),
                    "cannot ask the job to stop",
                    error,
                )
            })?;
        }
        Ok(())
    }

    /// Follows a job in a thread of its own, and gives it workers.
    fn tend(&self, entry: &Arc<Entry>) -> Result<(), Problem> {
        let (machine, news, entry) = (
            Arc::clone(&self.machine),
            Arc::clone(&self.news),
            Arc::clone(entry),
        );
        thread::Builder::new()
            .name("agent-follow".into())
            .spawn(move || {
                let folder = machine.folders.agent_job(entry.id);
                let mut workers = Workers {
                    machine: &machine,
                    job: entry.id,
                    started: 0,
                };
                let followed = match entry.operation {
                    Operation::Download => {
                        follow_worker::<Download>(&entry, &folder, &mut workers, Followed::Download)
                    }
                    _ => follow_worker::<Installation>(&entry, &folder, &mut workers, Followed::Installation),
                };
                if let Err(problem) = followed {
                    let reason = problem.document().detail;
                    tracing::info!(job = %entry.id, code = %problem.code(), reason, "a job was not begun");
                    entry.stage.send_replace(Stage::Refused(problem));
                }
                clear(&machine);
                news.notify_one();
            })
            .map_err(|error| Problem::new(HResult::E_OUTOFMEMORY, error.to_string()))?;
        Ok(())
    }
}

/// The workers of one job, one after the other.
struct Workers<'a> {
    machine: &'a Machine,
    job: Uuid,
    started: usize,
}

impl Workers<'_> {
    /// Starts one more; there are not many. Returns when it has signed, so that the one before is not taken for it.
    fn next(&mut self, folder: &JobFolder) -> io::Result<()> {
        if self.started == WORKERS {
            return Err(io::Error::other(
                "its workers went away one after the other; see keeper.log in the job's folder",
            ));
        }
        self.started += 1;
        let (before, begun) = (follow::keeper_of(folder), Instant::now());
        detached::start_worker(self.machine, self.job)?;
        while follow::keeper_of(folder) == before && begun.elapsed() < SIGNATURE {
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// Waits for the worker's first word, and feeds the job until its end.
fn follow_worker<K: Told>(
    entry: &Entry,
    folder: &JobFolder,
    workers: &mut Workers<'_>,
    as_followed: fn(Job<K>) -> Followed,
) -> Result<(), Problem> {
    let failed = |error: io::Error| {
        let what = format!("job {} cannot be carried out", entry.id);
        Problem::from(Failure::because(HResult::WU_E_UNEXPECTED, what, error))
    };
    let updates = match first_word(folder, workers).map_err(failed)? {
        First::Started(updates) => updates,
        First::Refused(problem) => return Err(problem),
    };
    let named = |update: StartedUpdate| {
        let identity = UpdateIdentity {
            update_id: update.id,
            revision_number: 1,
        };
        Update::new(identity, update.title)
    };
    let updates: Arc<[Update]> = updates.into_iter().map(named).collect();
    let (job, feed, release) = JobBuilder::<K>::new(entry.id, entry.operation, updates)
        .start()
        .map_err(|error| Problem::new(error.code(), error.to_string()))?;
    release.release();
    entry.stage.send_replace(Stage::Begun(as_followed(job.clone())));
    follow::feed_from(folder, feed, |_| {
        workers.next(folder)?;
        Ok(true)
    });
    if let Some(outcome) = job.outcome() {
        let ending = K::tell_outcome(&outcome);
        tracing::info!(job = %entry.id, result = %ending.result_code, code = %ending.hresult, "a job has ended");
    }
    Ok(())
}

enum First {
    Started(Vec<StartedUpdate>),
    Refused(Problem),
}

fn first_word(folder: &JobFolder, workers: &mut Workers<'_>) -> io::Result<First> {
    let mut begun = Instant::now();
    let mut lines: Vec<EventLine> = Vec::new();
    let mut file: Option<Lines> = None;
    if follow::keeper_of(folder).is_none_or(|worker| !worker.is_alive()) && !has_ended(folder) {
        workers.next(folder)?;
    }
    loop {
        let worker = follow::keeper_of(folder);
        if file.is_none() {
            file = Lines::open(folder).ok();
        }
        if let Some(file) = &mut file {
            lines.extend(file.read()?);
        }
        let first = lines.iter().find_map(|line| match &line.event {
            JobEvent::Started { updates, .. } => Some(First::Started(updates.clone())),
            JobEvent::Completed { hresult, .. } => Some(First::Refused(refusal(&lines, *hresult))),
            _ => None,
        });
        if let Some(first) = first {
            return Ok(first);
        }
        let gone = worker.is_some_and(|worker| !worker.is_alive());
        if (gone && begun.elapsed() > Duration::from_secs(1)) || begun.elapsed() > FIRST_WORD {
            begun = Instant::now();
            workers.next(folder)?;
        }
        thread::sleep(LOOK);
    }
}

fn has_ended(folder: &JobFolder) -> bool {
    let lines = Lines::open(folder).and_then(|mut lines| lines.read());
    lines.is_ok_and(|lines| {
        lines
            .iter()
            .any(|line| matches!(line.event, JobEvent::Completed { .. }))
    })
}

/// Why a job ended before it began.
fn refusal(lines: &[EventLine], hresult: HResult) -> Problem {
    let reason = lines.iter().rev().find_map(|line| match &line.event {
        JobEvent::Warning { message, .. } => Some(message.clone()),
        _ => None,
    });
    Problem::new(hresult, reason.unwrap_or_else(|| "the job was not begun".into()))
}

fn write_down(folder: &JobFolder, order: &Order) -> io::Result<()> {
    let path = folder.path();
    if let Some(all) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(all)?;
    }
    fs::DirBuilder::new().mode(0o755).create(path)?;
    let mut file = tempfile::NamedTempFile::new_in(path)?;
    file.write_all(&serde_json::to_vec(order)?)?;
    file.as_file().sync_all()?;
    file.persist(folder.request())?;
    fs::File::open(path)?.sync_all()
}

/// Removes what is remembered of jobs that ended long ago.
fn clear(machine: &Machine) {
    let Ok(all) = jobs::list(&machine.folders) else {
        return;
    };
    let ended = all
        .iter()
        .filter(|job| matches!(job.state, JobState::Completed { .. }))
        .map(|job| machine.folders.agent_job(job.job))
        .filter(|folder| folder.path().is_dir());
    for folder in ended.skip(REMEMBERED) {
        if let Err(error) = fs::remove_dir_all(folder.path()) {
            tracing::warn!(%error, "what is remembered of an old job stays");
        }
    }
}
