//! What every command works with: the screen, the session, and how long it may take; and how it watches a job.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use serde_json::Value;
use uuid::Uuid;
use wua_client::{AgentClient, Begin};
use wua_engine::handler::Consent;
use wua_engine::{UpdateSession, follow, resume};
use wua_job::{CallbackError, Download, Installation, Job, JobKind, JobObserver, Search, Snapshot, Told};
use wua_types::api::{Access, JobRequest, PlanRequest};
use wua_types::{HResult, Operation, OperationResultCode, PlanHash, SearchResult, Update, UpdateOperation};

use crate::arguments::{Format, Global};
use crate::interrupt::{self, Wake};
use crate::machine;
use crate::problem::Problem;
use crate::progress::{Observer, Story, teller};
use crate::screen::Screen;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) screen: Screen,
    pub(crate) session: UpdateSession,
    /// Who acts in this command's place, where somebody does.
    agent: Option<AgentClient>,
    sockets: Option<PathBuf>,
    deadline: Option<Instant>,
    wakes: Receiver<Wake>,
    sender: Sender<Wake>,
}

/// How watching a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// With the job.
    Ended,
    /// Before it: the caller does not want to wait.
    Left,
}

impl Front {
    /// Opens the machine and takes over Ctrl-C.
    pub(crate) fn open(screen: Screen, global: &Global) -> Result<Self, Problem> {
        let session = machine::open(&global.root)?;
        let agent = agent(global, &session)?;
        let (sender, wakes) = channel();
        interrupt::watch(sender.clone())?;
        let deadline = global.timeout.map(|limit| Instant::now() + limit);
        Ok(Self {
            screen,
            session,
            agent,
            sockets: global.sockets.clone(),
            deadline,
            wakes,
            sender,
        })
    }

    /// Where a job's observer reports its end.
    pub(crate) fn done(&self) -> Sender<Wake> {
        self.sender.clone()
    }

    /// The agent that acts in this command's place, if one does.
    pub(crate) fn agent(&self) -> Option<&AgentClient> {
        self.agent.as_ref()
    }

    /// An agent that can be asked how things stand, if one answers.
    pub(crate) fn watcher(&self) -> Option<AgentClient> {
        let folder = match &self.sockets {
            Some(folder) => folder.as_path(),
            None if self.session.machine().folders.root() == Path::new("/") => Path::new(wua_agent::SOCKETS),
            None => return None,
        };
        let path = folder.join("read.sock");
        let answers = std::os::unix::net::UnixStream::connect(&path).is_ok();
        answers.then(|| AgentClient::new(&path))
    }

    /// Begins a download, here or through the agent.
    pub(crate) fn start_download(
        &self,
        updates: Arc<[Update]>,
        observer: Box<dyn JobObserver<Download>>,
    ) -> Result<Job<Download>, Problem> {
        match &self.agent {
            Some(agent) => self.begin(agent, JobRequest::new(Operation::Download), updates, observer),
            None => Ok(self
                .session
                .create_update_downloader()
                .start(updates, Some(observer))?),
        }
    }

    /// Begins an installation or uninstallation, here or through the agent; held to the plan where one is authorised.
    pub(crate) fn start_change(
        &self,
        operation: UpdateOperation,
        updates: Arc<[Update]>,
        authorized: Option<PlanHash>,
        observer: Box<dyn JobObserver<Installation>>,
    ) -> Result<Job<Installation>, Problem> {
        let Some(agent) = &self.agent else {
            let mut installer = self.session.create_update_installer();
            installer.authorized_plan = authorized;
            return Ok(match operation {
                UpdateOperation::Installation => installer.start_install(updates, Some(observer))?,
                UpdateOperation::Uninstallation => installer.start_uninstall(updates, Some(observer))?,
            });
        };
        let mut request = JobRequest::new(match operation {
            UpdateOperation::Installation => Operation::Install,
            UpdateOperation::Uninstallation => Operation::Uninstall,
        });
        if let Some(authorized) = authorized {
            // The agent keeps the plan for us; that it is the one we know, its hash says.
            agent.plan(&PlanRequest {
                operation,
                updates: updates.iter().map(Update::id).collect(),
                is_forced: false,
                force_quiet: false,
            })?;
            request.plan = Some(authorized.to_string());
        }
        self.begin(agent, request, updates, observer)
    }

    /// Begins a repair, here or through the agent.
    pub(crate) fn start_repair(
        &self,
        consent: Consent,
        observer: Box<dyn JobObserver<Installation>>,
    ) -> Result<Job<Installation>, Problem> {
        match &self.agent {
            Some(agent) => {
                let mut request = JobRequest::new(Operation::Repair);
                request.allow_removals = consent.removals;
                self.begin(agent, request, Arc::from([]), observer)
            }
            None => Ok(self
                .session
                .create_update_installer()
                .start_repair(consent, Some(observer))?),
        }
    }

    fn begin<K: Told>(
        &self,
        agent: &AgentClient,
        mut request: JobRequest,
        updates: Arc<[Update]>,
        observer: Box<dyn JobObserver<K>>,
    ) -> Result<Job<K>, Problem> {
        request.client_application_id = Some(machine::CLIENT.into());
        Ok(agent.begin(Begin {
            id: Uuid::new_v4(),
            request,
            updates,
            observer: Some(observer),
            async_state: None,
        })?)
    }

    /// Fails unless the caller may change the machine.
    pub(crate) fn need_permission(&self, command: &str) -> Result<(), Problem> {
        self.need_access(command, Access::Owner)
    }

    /// Fails unless the caller may do so much, through the agent where there is one.
    pub(crate) fn need_access(&self, command: &str, access: Access) -> Result<(), Problem> {
        if let Some(agent) = &self.agent
            && agent.system()?.access >= access
        {
            return Ok(());
        }
        self.session.machine().handler.may_change().map_err(|failure| {
            let root = self.session.machine().folders.root();
            let as_root = || match self.watcher() {
                Some(_) if access <= Access::Member => format!(
                    "Run it as a member of the group `wua`, or as root: `sudo wua {command} …`. Searching needs no rights."
                ),
                _ => format!("Run it as root: `sudo wua {command} …`. Searching needs no rights."),
            };
            Problem::from(failure).hint(machine::owner_hint(root).unwrap_or_else(as_root))
        })
    }

    /// Finishes jobs whose keeper went away: gives them a new one and waits for it, visibly. At most one runs at a time.
    ///
    /// # Errors
    /// A job cannot go on, or the caller does not want to wait for it.
    pub(crate) fn finish_lost(&self) -> Result<(), Problem> {
        if self.agent.is_some() {
            // The agent's workers see to it.
            return Ok(());
        }
        let machine = self.session.machine();
        let mut finished: Vec<Uuid> = Vec::new();
        loop {
            let Some(&id) = resume::resume_lost(machine)?.first() else {
                return Ok(());
            };
            if finished.contains(&id) {
                let log = machine.folders.job(id).log();
                let what = format!("job {id} was interrupted, and its new keeper ended, too");
                return Err(
                    Problem::new(HResult::WU_E_UNEXPECTED, what).hint(format!("See `{}`.", log.display()))
                );
            }
            finished.push(id);
            self.screen
                .warn(&format!("job {id} was interrupted; it is finished first."));
            // Lines of a stream belong to the command's own jobs.
            let observer: Box<dyn JobObserver<Installation>> = if self.screen.is_text() {
                Observer::new(self.screen, self.done())
            } else {
                Box::new(End { done: self.done() })
            };
            let job = follow::attach_and_revive(machine, id, Some(observer))?;
            if self.watch(&job) == Watched::Left {
                return Err(Problem::new(
                    HResult::WU_E_CALL_CANCELLED,
                    format!("left job {id}, which goes on"),
                )
                .hint(format!("Follow it again with `wua attach {id}`.")));
            }
        }
    }

    /// Gives a lost job a new keeper where the caller may, and says so; does not wait for it.
    pub(crate) fn resume_lost(&self) {
        match resume::resume_lost(self.session.machine()) {
            Ok(jobs) => jobs.iter().for_each(|job| {
                self.screen.warn(&format!(
                    "job {job} was interrupted; it goes on with a new keeper."
                ))
            }),
            Err(failure) => self.screen.warn(&failure.sentence()),
        }
    }

    /// Waits for a job until it ends, or until the caller does not want to any more. The first Ctrl-C, or the end of
    /// `--timeout`, asks the job to stop; the second leaves it, and so does SIGTERM at once.
    pub(crate) fn watch<K: JobKind>(&self, job: &Job<K>) -> Watched {
        let mut deadline = self.deadline;
        let mut interrupted = false;
        loop {
            let wake = match deadline {
                Some(deadline) => self
                    .wakes
                    .recv_timeout(deadline.saturating_duration_since(Instant::now())),
                None => self.wakes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match wake {
                Ok(Wake::Completed) | Err(RecvTimeoutError::Disconnected) => return Watched::Ended,
                Ok(Wake::End) => return Watched::Left,
                Ok(Wake::Interrupt) if interrupted => return Watched::Left,
                Ok(Wake::Interrupt) => {
                    interrupted = true;
                    self.ask_to_stop(job, "Ctrl-C again leaves it.");
                }
                Err(RecvTimeoutError::Timeout) => {
                    deadline = None;
                    self.ask_to_stop(job, "The time is up.");
                }
            }
        }
    }

    fn ask_to_stop<K: JobKind>(&self, job: &Job<K>, then: &str) {
        match job.request_abort() {
            Ok(()) => self.screen.warn(&format!(
                "asked the job to stop; what has begun is finished first. {then}"
            )),
            Err(error) => self
                .screen
                .warn(&format!("{error}; it is finished first. {then}")),
        }
    }

    /// Searches, and waits for the result.
    ///
    /// # Errors
    /// The search failed or was stopped.
    pub(crate) fn search(&self, criteria: &str, refresh: bool) -> Result<SearchResult, Problem> {
        if refresh && let Some(agent) = &self.agent {
            self.refresh_by(agent)?;
            return self.search(criteria, false);
        }
        let mut searcher = self.session.create_update_searcher();
        searcher.refresh = refresh;
        let observer = SearchObserver {
            screen: self.screen,
            told: 0,
            done: self.done(),
        };
        let job = searcher.start(criteria, Some(Box::new(observer)))?;
        if self.watch(&job) == Watched::Left {
            return Err(stopped());
        }
        let result = job.wait();
        match result.result_code {
            OperationResultCode::Aborted => Err(stopped()),
            OperationResultCode::Failed => Err(failed_search(&result, criteria)),
            _ => Ok((*result).clone()),
        }
    }

    /// Has the agent fetch the indexes.
    fn refresh_by(&self, agent: &AgentClient) -> Result<(), Problem> {
        let observer: Box<dyn JobObserver<Installation>> = Box::new(End { done: self.done() });
        let job = self.begin(agent, JobRequest::new(Operation::Search), Arc::from([]), observer)?;
        if self.watch(&job) == Watched::Left {
            return Err(stopped());
        }
        let (outcome, now) = (job.wait(), job.progress());
        if self.screen.is_text() {
            now.warnings()
                .iter()
                .for_each(|warning| self.screen.warn(&crate::text::one_line(&warning.message)));
        }
        match outcome.result_code {
            OperationResultCode::Failed | OperationResultCode::Aborted => {
                Err(Problem::new(outcome.hresult, "the indexes could not be fetched"))
            }
            _ => Ok(()),
        }
    }

    /// Says what a search warned of, where no document will.
    pub(crate) fn tell_warnings(&self, result: &SearchResult) {
        if self.screen.is_text() {
            for warning in &result.warnings {
                self.screen.warn(&crate::text::one_line(&warning.message));
            }
        }
    }

    /// The last word of a command: its document, where one is wanted.
    pub(crate) fn result(&self, document: Value) {
        self.screen.result(document);
    }
}

/// The agent that acts in this command's place: the one that `--sockets` names, or for this machine its own where it lets us in.
fn agent(global: &Global, session: &UpdateSession) -> Result<Option<AgentClient>, Problem> {
    const SOCKET: &str = "control.sock";
    let own = Path::new(wua_agent::SOCKETS);
    let folder = match &global.sockets {
        Some(folder) => folder,
        None if session.machine().folders.root() == Path::new("/") => own,
        None => return Ok(None),
    };
    let path = folder.join(SOCKET);
    if folder == own && session.machine().folders.root() != Path::new("/") {
        let what = format!(
            "the agent at `{}` is this machine's own, and `--root` names another one",
            own.display()
        );
        return Err(Problem::new(HResult::E_INVALIDARG, what));
    }
    match std::os::unix::net::UnixStream::connect(&path) {
        Ok(_) => {
            let agent = AgentClient::new(&path);
            if agent.system()?.machine == session.machine().identity() {
                return Ok(Some(agent));
            }
            let what = format!(
                "the agent at `{}` serves another machine than `--root` names",
                folder.display()
            );
            Err(Problem::new(HResult::E_INVALIDARG, what).hint("Name both, or neither."))
        }
        Err(_) if global.sockets.is_none() => Ok(None),
        Err(error) => {
            let what = format!("the agent at `{}` does not let you act: {error}", path.display());
            Err(Problem::new(wua_engine::store::io_code(&error), what)
                .hint("Is it running? Root and members of the group `wua` may act through it."))
        }
    }
}

fn stopped() -> Problem {
    Problem::new(HResult::WU_E_CALL_CANCELLED, "the search was stopped")
}

fn failed_search(result: &SearchResult, criteria: &str) -> Problem {
    let sentence = result
        .warnings
        .last()
        .map_or_else(|| "the search failed".into(), |warning| warning.message.clone());
    let mut problem = Problem::new(result.hresult, sentence);
    if let Err(error) = wua_types::Criteria::parse(criteria) {
        problem.picture = Some(error.caret());
    }
    problem
}

/// Wakes the command at a job's end, and tells nothing.
struct End {
    done: Sender<Wake>,
}

impl JobObserver<Installation> for End {
    fn completed(&mut self, _: &Job<Installation>) -> Result<(), CallbackError> {
        // The command may be gone after Ctrl-C.
        let _ = self.done.send(Wake::Completed);
        Ok(())
    }
}

/// Tells what a search waits for, and all of it in `--output jsonl`, and wakes the command at its end.
struct SearchObserver {
    screen: Screen,
    /// How many of its warnings were told.
    told: usize,
    done: Sender<Wake>,
}

impl JobObserver<Search> for SearchObserver {
    /// While it runs a search has nothing to tell but what it waits for.
    fn progress(&mut self, _: &Job<Search>, now: &Snapshot<Search>) -> Result<(), CallbackError> {
        let news = now
            .warnings()
            .iter()
            .skip(std::mem::replace(&mut self.told, now.warnings().len()));
        if self.screen.is_text() {
            news.for_each(|warning| self.screen.warn(&crate::text::one_line(&warning.message)));
        }
        Ok(())
    }

    fn completed(&mut self, job: &Job<Search>) -> Result<(), CallbackError> {
        if self.screen.format == Format::Jsonl
            && let Some(outcome) = job.outcome()
        {
            let story = Story {
                job: job.id(),
                operation: Operation::Search,
                updates: &[],
            };
            let mut teller = teller(self.screen, story);
            for warning in &outcome.warnings {
                teller.warning(&warning.message, warning.hresult);
            }
            teller.completed(outcome.result_code, outcome.hresult, false);
        }
        // The command may be gone after Ctrl-C.
        let _ = self.done.send(Wake::Completed);
        Ok(())
    }
}
