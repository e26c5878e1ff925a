//! What the agent's parts share: the machine that it serves, and the limits of what it does at once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::process::Command;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use wua_engine::{Folders, Keeper, Machine, UpdateSession};
use wua_types::HResult;
use wua_types::api::Access;

use crate::jobs::Jobs;
use crate::order::Plans;
use crate::problem::Problem;
use crate::scheduler::Standing;

/// How many questions are answered at once at each socket; each takes a processor, and up to some tens of megabytes.
const AT_ONCE: usize = 2;

/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many streams of events are served at once at each socket.
const STREAMS: usize = 64;

/// What is served at once. Those who may only look have a share of their own, so that they keep nobody from acting.
#[derive(Debug)]
struct Limits {
    turns: Semaphore,
    streams: Arc<Semaphore>,
}

impl Limits {
    fn new() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

/// The agent of one machine.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) session: UpdateSession,
    pub(crate) jobs: Jobs,
    pub(crate) plans: Plans,
    /// Something happened that the schedule wants to know.
    pub(crate) news: Arc<Notify>,
    standing: Mutex<Standing>,
    readers: Limits,
    members: Limits,
}

impl Agent {
    pub(crate) fn new(session: UpdateSession) -> Self {
        let news = Arc::new(Notify::new());
        Self {
            jobs: Jobs::new(Arc::clone(session.machine()), Arc::clone(&news)),
            session,
            plans: Plans::default(),
            news,
            standing: Mutex::default(),
            readers: Limits::new(),
            members: Limits::new(),
        }
    }

    fn limits(&self, access: Access) -> &Limits {
        match access {
            Access::Read => &self.readers,
            Access::Member | Access::Owner => &self.members,
        }
    }

    pub(crate) fn machine(&self) -> &Arc<Machine> {
        self.session.machine()
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.machine().folders
    }

    /// What the schedule came to last.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn tell_standing(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Waits for the turn of a question.
    pub(crate) async fn turn(&self, access: Access) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(PATIENCE, self.limits(access).turns.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(too_much("too many questions at once")),
        }
    }

    /// Leave to serve one more stream, as long as it is kept.
    pub(crate) fn stream(&self, access: Access) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.limits(access).streams)
            .try_acquire_owned()
            .map_err(|_| too_much("too many streams are open"))
    }

    /// wua's own program on this machine, in an environment that is made, not inherited.
    pub(crate) fn own_program(&self) -> Command {
        // A program that was replaced meanwhile is still to be had from the kernel.
        let own = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let program = match &self.machine().keeper {
            Keeper::Process { program } if program.exists() => program.clone(),
            _ => own,
        };
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .arg("--root")
            .arg(self.folders().root());
        command
    }

    /// Does what blocks, such as looking at the disk, aside from the connections.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let agent = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&agent))
            .await
            .unwrap_or_else(|error| Err(Problem::new(HResult::WU_E_UNEXPECTED, error.to_string())))
    }
}

/// Something is refused because there is too much of it now.
pub(crate) fn too_much(what: &str) -> Problem {
    Problem::new(HResult::WU_E_TIME_OUT, what)
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .next("Try again in a moment.")
}
