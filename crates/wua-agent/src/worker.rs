//! The worker of one job: a process of its own that carries out what the agent wrote down. It plans, calls the engine, and says
//! what happens in the job's event file, which the agent follows.
//!
//! The agent may be stopped meanwhile. A worker that dies is replaced by the agent; the next one goes on where the machine stands.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;
use wua_engine::event_file::EventWriter;
use wua_engine::folders::JobFolder;
use wua_engine::follow::{self, Lines};
use wua_engine::handler::Consent;
use wua_engine::process::ProcessId;
use wua_engine::{Failure, UpdateSession, keeper};
use wua_job::{CallbackError, Job, JobKind, JobObserver, Narrator, Snapshot, Told};
use wua_types::{JobEvent, Operation, OperationResultCode, StartedUpdate, Update};

use crate::ask;
use crate::order::Order;
use crate::problem::Problem;

/// How often it is looked whether the job shall stop; the wish is a file.
const LOOK: Duration = Duration::from_millis(100);

/// Carries out the job that the agent wrote down. Blocks until its end.
///
/// # Errors
/// There is no such job, or nothing can be written down.
pub fn work(mut session: UpdateSession, job: Uuid) -> Result<(), Failure> {
    let folder = session.machine().folders.agent_job(job);
    let cannot = |error: io::Error| {
        let what = format!("cannot carry out job {job}");
        Failure::because(wua_engine::store::io_code(&error), what, error)
    };
    // Two of them would do everything twice: the second one waits for the first one's end.
    let claim = claim_file(&folder).map_err(cannot)?;
    claim.lock().map_err(cannot)?;
    let order = read_order(&folder).map_err(cannot)?;
    keeper::sign(&folder, ProcessId::own()).map_err(cannot)?;
    let said: Vec<JobEvent> = match Lines::open(&folder).and_then(|mut lines| lines.read()) {
        Ok(lines) => lines.into_iter().map(|line| line.event).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(cannot(error)),
    };
    if said
        .iter()
        .any(|event| matches!(event, JobEvent::Completed { .. }))
    {
        return Ok(());
    }
    session.set_user_id(order.uid());
    if let Some(client) = &order.request().client_application_id {
        session.set_client_application_id(client);
    }
    let voice = Voice::new(EventWriter::open(&folder, job).map_err(cannot)?, &said);
    if let Err(problem) = carry_out(&session, job, &order, &folder, &voice) {
        voice.refuse(&problem);
    }
    voice.result().map_err(cannot)
}

fn claim_file(folder: &JobFolder) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.claim())
}

/// The claim on a job, as long as it is kept; none while a worker has it.
pub(crate) fn claim(folder: &JobFolder) -> io::Result<Option<File>> {
    let file = claim_file(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(crate) fn read_order(folder: &JobFolder) -> io::Result<Order> {
    Ok(serde_json::from_slice(&std::fs::read(folder.request())?)?)
}

fn carry_out(
    session: &UpdateSession,
    job: Uuid,
    order: &Order,
    folder: &JobFolder,
    voice: &Voice,
) -> Result<(), Problem> {
    let machine = session.machine();
    let request = order.request();
    let acts = !matches!(request.operation, Operation::Search | Operation::Download);
    if acts && has_begun(session, job, order, folder) {
        // An earlier worker came as far as the keeper.
        let followed = follow::attach_and_revive(machine, job, Some(voice.observer()))?;
        wait(&followed, folder);
        return Ok(());
    }
    if request.operation == Operation::Search {
        return refresh(session, folder, voice);
    }
    let updates = || -> Result<Arc<[Update]>, Problem> { Ok(ask::find(session, order.updates())?.0.into()) };
    if acts {
        // What is being installed is not to be found, so this comes first.
        session.create_update_installer().check_busy()?;
    }
    if request.operation == Operation::Download {
        let mut downloader = session.create_update_downloader();
        downloader.job_id = Some(job);
        downloader.is_forced = request.is_forced;
        let started = downloader.start(updates()?, Some(voice.observer()))?;
        wait(&started, folder);
        return Ok(());
    }
    let hand_over = |error: io::Error| {
        let code = wua_engine::store::io_code(&error);
        Problem::from(Failure::because(
            code,
            "cannot write down that the job begins",
            error,
        ))
    };
    File::create(folder.handing_over()).map_err(hand_over)?;
    let mut installer = session.create_update_installer();
    installer.job_id = Some(job);
    installer.is_forced = request.is_forced;
    installer.force_quiet = request.force_quiet;
    installer.authorized_plan = order.plan();
    let started = match request.operation {
        Operation::Uninstall => installer.start_uninstall(updates()?, Some(voice.observer()))?,
        Operation::Repair => {
            let consent = Consent {
                removals: request.allow_removals,
            };
            installer.start_repair(consent, Some(voice.observer()))?
        }
        Operation::Search | Operation::Download | Operation::Install => {
            installer.start_install(updates()?, Some(voice.observer()))?
        }
    };
    wait(&started, folder);
    Ok(())
}

/// Whether the job's keeper was begun by an earlier worker of this order, and not by somebody else under the same id.
fn has_begun(session: &UpdateSession, job: Uuid, order: &Order, folder: &JobFolder) -> bool {
    let kept = wua_engine::order::Order::read(&session.machine().folders.job(job).order());
    folder.handing_over().exists() && kept.is_ok_and(|kept| kept.user_id == order.uid())
}

/// Fetches the indexes and looks once, so that whoever searches next finds what there is.
fn refresh(session: &UpdateSession, folder: &JobFolder, voice: &Voice) -> Result<(), Problem> {
    let mut searcher = session.create_update_searcher();
    searcher.refresh = true;
    let job = searcher.start("", None)?;
    voice.say(JobEvent::Started {
        operation: Operation::Search,
        plan_hash: None,
        updates: Vec::new(),
    });
    wait(&job, folder);
    let result = job.wait();
    for warning in &result.warnings {
        voice.say(JobEvent::Warning {
            message: warning.message.clone(),
            hresult: warning.hresult,
        });
    }
    voice.say(JobEvent::Completed {
        result_code: result.result_code,
        hresult: result.hresult,
        reboot_required: false,
    });
    Ok(())
}

/// Waits for the job's end and until all of it was said, and passes on the wish to stop it.
fn wait<K: JobKind>(job: &Job<K>, folder: &JobFolder) {
    let mut asked = false;
    while !job.is_completed() {
        if !asked && folder.abort().exists() {
            asked = true;
            // One that cannot be stopped any more ends by itself.
            let _ = job.request_abort();
        }
        job.wait_change(u64::MAX, LOOK);
    }
    job.clean_up();
}

/// What the worker says, in the job's event file.
#[derive(Clone)]
struct Voice {
    shared: Arc<Mutex<Speech>>,
}

struct Speech {
    writer: EventWriter,
    narrator: Narrator,
    has_started: bool,
    failed: Option<io::Error>,
}

impl Voice {
    fn new(writer: EventWriter, said: &[JobEvent]) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Speech {
                writer,
                narrator: Narrator::having_said(said),
                has_started: said.iter().any(|event| matches!(event, JobEvent::Started { .. })),
                failed: None,
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Speech> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, event: JobEvent) {
        self.lock().say(event);
    }

    /// Says why the job was not begun: its end without a beginning.
    fn refuse(&self, problem: &Problem) {
        let mut speech = self.lock();
        speech.say(JobEvent::Warning {
            message: problem.document().detail,
            hresult: problem.code(),
        });
        speech.say(JobEvent::Completed {
            result_code: OperationResultCode::Failed,
            hresult: problem.code(),
            reboot_required: false,
        });
    }

    fn observer<K: Told>(&self) -> Box<dyn JobObserver<K>> {
        Box::new(self.clone())
    }

    /// Whether all could be said.
    fn result(&self) -> io::Result<()> {
        self.lock().failed.take().map_or(Ok(()), Err)
    }
}

impl Speech {
    fn say(&mut self, event: JobEvent) {
        if let Err(error) = self.writer.say(event) {
            self.failed.get_or_insert(error);
        }
    }

    fn tell<K: Told>(&mut self, job: &Job<K>, events: impl FnOnce(&mut Narrator) -> Vec<JobEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.say(JobEvent::Started {
                operation: job.operation(),
                plan_hash: None,
                updates: StartedUpdate::all(job.updates()),
            });
        }
        for event in events(&mut self.narrator) {
            self.say(event);
        }
    }
}

impl<K: Told> JobObserver<K> for Voice {
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        self.lock().tell(job, |narrator| narrator.tell(job, now));
        Ok(())
    }

    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        self.lock().tell(job, |narrator| narrator.end(job));
        Ok(())
    }
}
