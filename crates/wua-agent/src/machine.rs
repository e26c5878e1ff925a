//! What the agent's parts share: the machine that it serves, and the limits of what it does at once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use wua_engine::{Folders, Keeper, Machine, UpdateSession};
use wua_types::HResult;
use wua_types::api::Access;

use crate::caller::Caller;
use crate::jobs::Jobs;
use crate::order::Plans;
use crate::problem::Problem;
use crate::scheduler::Standing;
use crate::seats::{Seat, Seats};
use crate::states::States;

/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is served at once for one kind of callers. Readers, members and the machine's owner have shares of their own, so that none
/// of them keeps another from what it may do; and so has each user in its share.
#[derive(Debug)]
struct Share {
    /// Questions that are answered at once; each takes a processor, and up to some tens of megabytes.
    questions: Semaphore,
    /// Looks at the disk at once.
    looks: Semaphore,
    /// Questions and looks that wait or are answered.
    asked: Seats,
    /// Streams of events.
    streams: Seats,
}

impl Share {
    fn new() -> Self {
        Self {
            questions: Semaphore::new(2),
            looks: Semaphore::new(4),
            asked: Seats::new(256, 32),
            streams: Seats::new(64, 16),
        }
    }
}

/// The agent of one machine.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) session: UpdateSession,
    pub(crate) jobs: Jobs,
    pub(crate) plans: Plans,
    pub(crate) states: States,
    /// Something happened that the schedule wants to know.
    pub(crate) news: Arc<Notify>,
    standing: Mutex<Standing>,
    readers: Share,
    members: Share,
    owners: Share,
}

impl Agent {
    pub(crate) fn new(session: UpdateSession) -> Self {
        let news = Arc::new(Notify::new());
        Self {
            jobs: Jobs::new(Arc::clone(session.machine()), Arc::clone(&news)),
            session,
            plans: Plans::default(),
            states: States::default(),
            news,
            standing: Mutex::default(),
            readers: Share::new(),
            members: Share::new(),
            owners: Share::new(),
        }
    }

    fn share(&self, access: Access) -> &Share {
        match access {
            Access::Read => &self.readers,
            Access::Member => &self.members,
            Access::Owner => &self.owners,
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

    /// Waits for the turn of a caller's question.
    pub(crate) async fn turn(&self, caller: Caller) -> Result<Turn<'_>, Problem> {
        let share = self.share(caller.access());
        Turn::of(share, &share.questions, caller).await
    }

    /// Leave to serve one more stream, as long as it is kept.
    pub(crate) fn stream(&self, caller: Caller) -> Result<Seat, Problem> {
        let seat = self.share(caller.access()).streams.take(caller.uid());
        seat.ok_or_else(|| too_much("too many streams are open"))
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

    /// Does what blocks, such as looking at the disk, aside from the connections, when it is this caller's turn.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let share = self.share(caller.access());
        let _turn = Turn::of(share, &share.looks, caller).await?;
        let agent = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&agent))
            .await
            .unwrap_or_else(|error| Err(Problem::new(HResult::WU_E_UNEXPECTED, error.to_string())))
    }
}

/// A caller's turn, as long as it is kept.
pub(crate) struct Turn<'a> {
    _asked: Seat,
    _turn: SemaphorePermit<'a>,
}

impl<'a> Turn<'a> {
    async fn of(share: &Share, turns: &'a Semaphore, caller: Caller) -> Result<Self, Problem> {
        let busy = || too_much("too much is asked at once");
        let asked = share.asked.take(caller.uid()).ok_or_else(busy)?;
        match tokio::time::timeout(PATIENCE, turns.acquire()).await {
            Ok(Ok(turn)) => Ok(Self {
                _asked: asked,
                _turn: turn,
            }),
            _ => Err(busy()),
        }
    }
}

/// Something is refused because there is too much of it now.
pub(crate) fn too_much(what: &str) -> Problem {
    Problem::new(HResult::WU_E_TIME_OUT, what)
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .next("Try again in a moment.")
}
