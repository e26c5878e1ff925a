//! What every command works with: the screen, the session, and how long it may take; and how it watches a job.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use serde_json::Value;
use uuid::Uuid;
use wua_engine::{UpdateSession, follow, resume};
use wua_job::{CallbackError, Installation, Job, JobKind, JobObserver, Search, Snapshot};
use wua_types::{HResult, Operation, OperationResultCode, SearchResult};

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
        let (sender, wakes) = channel();
        interrupt::watch(sender.clone())?;
        let deadline = global.timeout.map(|limit| Instant::now() + limit);
        Ok(Self {
            screen,
            session,
            deadline,
            wakes,
            sender,
        })
    }

    /// Where a job's observer reports its end.
    pub(crate) fn done(&self) -> Sender<Wake> {
        self.sender.clone()
    }

    /// Fails unless the caller may change the machine.
    pub(crate) fn need_permission(&self, command: &str) -> Result<(), Problem> {
        self.session.machine().handler.may_change().map_err(|failure| {
            let root = self.session.machine().folders.root();
            let as_root = || format!("Run it as root: `sudo wua {command} …`. Searching needs no rights.");
            Problem::from(failure).hint(machine::owner_hint(root).unwrap_or_else(as_root))
        })
    }

    /// Finishes jobs whose keeper went away: gives them a new one and waits for it, visibly. At most one runs at a time.
    ///
    /// # Errors
    /// A job cannot go on, or the caller does not want to wait for it.
    pub(crate) fn finish_lost(&self) -> Result<(), Problem> {
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
