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

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use uuid::Uuid;
use wua_engine::folders::JobFolder;
use wua_engine::follow;
use wua_engine::jobs::{self, JobState};
use wua_engine::{Failure, Machine, resume};
use wua_job::{Download, Installation, Job, Snapshot, Told};
use wua_types::api::{Access, JobDocument, OutcomeDocument, WarningDocument};
use wua_types::quote::without_quote;
use wua_types::{HResult, Operation, StartedUpdate, UpdateInstallationResult};

use crate::caller::Caller;
use crate::machine::too_much;
use crate::order::Order;
use crate::problem::Problem;
use crate::worker::read_order;
use crate::workers::{self, MayStart, Workers};

/// How many jobs of members run at once, and how many jobs of one caller.
const AT_ONCE: (usize, usize) = (16, 6);

/// How old an order may be that is begun only now, after an agent's end.
const STALE: SignedDuration = SignedDuration::from_mins(10);

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
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    pub(crate) fn is_at(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

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
            Stage::Refused(problem) => Err(problem.clone().for_access(access)),
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
        updates: StartedUpdate::all(job.updates()),
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
            _ => Err(taken(id)),
        }
    }

    /// Writes the order down and starts the job's worker.
    ///
    /// # Errors
    /// The id is taken, there are too many jobs, or nothing can be written down.
    pub(crate) fn begin(&self, id: Uuid, order: Order) -> Result<Arc<Entry>, Problem> {
        let entry = {
            let mut known = self.lock();
            match known.get(&id).map(|entry| (entry, &entry.order)) {
                // Two who ask for the same at once get the same.
                Some((entry, Some(other))) if other.is_same(&order) => return Ok(Arc::clone(entry)),
                Some(_) => return Err(taken(id)),
                None if self.machine.folders.job(id).path().exists() => return Err(taken(id)),
                None => {}
            }
            let of_members = || {
                known
                    .values()
                    .filter_map(|entry| entry.order.as_ref().filter(|_| entry.is_running()))
            };
            let of_caller = of_members().filter(|other| other.uid() == order.uid()).count();
            let members = of_members().filter(|other| !other.is_owners()).count();
            // The machine's owner and its schedule are never kept out by others.
            if of_caller >= AT_ONCE.1 || (!order.is_owners() && members >= AT_ONCE.0) {
                let changes =
                    |operation: Operation| !matches!(operation, Operation::Search | Operation::Download);
                let busy = known
                    .values()
                    .find(|entry| changes(entry.operation) && entry.is_running());
                // It would be refused for that in any case, a moment later (rule R13).
                if let Some(busy) = busy.filter(|_| changes(order.request().operation)) {
                    let what = format!("job {} is changing this machine", busy.id);
                    return Err(Problem::new(HResult::WU_E_INSTALL_NOT_ALLOWED, what));
                }
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
        self.tend(&entry, MayStart::Yes)?;
        Ok(entry)
    }

    /// Forgets a job that was refused, so that the same may be tried again.
    pub(crate) fn forget(&self, entry: &Arc<Entry>) {
        let mut known = self.lock();
        if !known
            .get(&entry.id)
            .is_some_and(|other| Arc::ptr_eq(other, entry))
        {
            // Somebody was faster, and the id may be that of a new try.
            return;
        }
        if let Err(error) = fs::remove_dir_all(self.machine.folders.agent_job(entry.id).path()) {
            tracing::warn!(job = %entry.id, %error, "the folder of a refused job stays");
        }
        known.remove(&entry.id);
    }

    /// Takes up the jobs that an earlier agent left: what has begun goes on, and so does what was written down just before.
    pub(crate) fn restore(&self) -> Result<(), Problem> {
        let folder = self.machine.folders.agent_jobs();
        let ids = fs::read_dir(folder).into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<Uuid>().ok());
        for id in ids {
            let folder = self.machine.folders.agent_job(id);
            let Ok(order) = read_order(&folder) else { continue };
            let state = jobs::summary(&folder, id).map(|job| job.state);
            if matches!(state, Some(JobState::Completed { .. })) || workers::has_ended(&folder) {
                continue;
            }
            let is_old = Timestamp::now().duration_since(order.since()) > STALE;
            if state.is_none() && is_old {
                // Whoever asked for it does not wait any more.
                workers::give_up(&folder, id, "it was not begun in its time");
                continue;
            }
            let entry = Entry::new(id, order.request().operation, Some(order), Stage::Waiting);
            self.lock().insert(id, Arc::clone(&entry));
            self.tend(&entry, MayStart::Yes)?;
        }
        // Jobs that others began and that lost their keepers.
        resume::resume_lost(&self.machine)?;
        Ok(())
    }

    /// A job of the machine, whoever began it; none where there is no such. Only looks: nothing is begun by it.
    pub(crate) fn get(&self, id: Uuid) -> Result<Option<Arc<Entry>>, Problem> {
        if let Some(entry) = self.lock().get(&id)
            && (entry.order.is_some() || entry.is_running())
        {
            return Ok(Some(Arc::clone(entry)));
        }
        let folder = self.machine.folders.agent_job(id);
        let entry = match read_order(&folder) {
            Ok(_) if jobs::summary(&folder, id).is_none() => return Ok(None),
            Ok(order) => Entry::new(id, order.request().operation, Some(order), Stage::Waiting),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(found) = jobs::summary(&self.machine.folders.job(id), id) else {
                    return Ok(None);
                };
                // Looked at anew each time once it has ended: a job that lost its keeper may have gone on since.
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
            if let Some(faster) = known.get(&id).filter(|faster| faster.is_running()) {
                return Ok(Some(Arc::clone(faster)));
            }
            known.insert(id, Arc::clone(&entry));
            if known.len() > KEPT {
                // They are found again on the disk.
                known.retain(|_, entry| entry.is_running() || Arc::strong_count(entry) > 1);
            }
        }
        if entry.order.is_some() {
            self.tend(&entry, MayStart::No)?;
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

    /// Follows a job in a thread of its own, and gives it workers where it may have some.
    fn tend(&self, entry: &Arc<Entry>, may_start: MayStart) -> Result<(), Problem> {
        let (machine, news, entry) = (
            Arc::clone(&self.machine),
            Arc::clone(&self.news),
            Arc::clone(entry),
        );
        thread::Builder::new()
            .name("agent-follow".into())
            .spawn(move || {
                let workers = Workers::new(&machine, entry.id, may_start);
                let followed = match entry.operation {
                    Operation::Download => workers.follow(&entry, Followed::Download),
                    _ => workers.follow(&entry, Followed::Installation),
                };
                if let Err(problem) = followed {
                    let reason = problem.document().detail;
                    tracing::info!(job = %entry.id, code = %problem.code(), reason, "a job was not begun");
                    entry.stage.send_replace(Stage::Refused(problem));
                }
                if may_start == MayStart::Yes {
                    clear(&machine);
                    news.notify_one();
                }
            })
            .map_err(|error| Problem::new(HResult::E_OUTOFMEMORY, error.to_string()))?;
        Ok(())
    }
}

fn taken(id: Uuid) -> Problem {
    let what = format!("the id {id} is that of another job");
    Problem::new(HResult::WU_E_INVALID_OPERATION, what)
        .next("Make up a new id; only the same request may be repeated under the same one.")
        .of_job(Some(id))
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
