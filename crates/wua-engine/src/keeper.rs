//! The keeper: the one who carries a job out. It holds the machine's lock, drives the batches, writes history, and says what
//! happens in the job's event file. Whoever began the job only follows that file.
//!
//! It runs as a process of its own, in a session of its own and with no terminal, so that the caller's end, a closed terminal
//! or Ctrl-C change nothing. Nothing here waits for a follower.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use uuid::Uuid;
use wua_types::{HResult, JobEvent, OperationResultCode};

use crate::aggregate::{Stopped, aggregate};
use crate::event_file::EventWriter;
use crate::failure::Failure;
use crate::folders::JobFolder;
use crate::handler::{Batch, BatchEnd};
use crate::lock::MachineLock;
use crate::machine::{Keeper, Machine};
use crate::order::Order;
use crate::process::ProcessId;
use crate::reporter::Reporter;
use crate::state::State;

/// Starts the keeper of a job whose order is written, and hands it the machine's lock. Returns at once.
///
/// # Errors
/// The program or thread cannot be started; the lock is let go.
pub fn start(machine: &Arc<Machine>, job: Uuid, lock: MachineLock) -> io::Result<()> {
    let folder = machine.folders.job(job);
    match &machine.keeper {
        Keeper::Thread => {
            sign(&folder, ProcessId::own())?;
            let (machine, lock) = (Arc::clone(machine), lock.hand_over());
            thread::Builder::new().name("wua-keeper".into()).spawn(move || {
                let kept = catch_unwind(AssertUnwindSafe(|| run(&machine, job, lock)));
                match kept {
                    Ok(Ok(())) => return,
                    Ok(Err(failure)) => {
                        tracing::error!(%job, failure = %failure.sentence(), "a job was not kept");
                    }
                    Err(_) => tracing::error!(%job, "the keeper of a job panicked"),
                }
                // The process lives on, so followers would wait for ever.
                if let Err(error) = sign(&folder, ProcessId::NOBODY) {
                    tracing::error!(%job, %error, "the followers of a lost job are not told");
                }
            })?;
            Ok(())
        }
        Keeper::Process { program } => {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(folder.log())?;
            // `setsid --fork` gives the keeper a session of its own and leaves it to no parent; the lock travels as its
            // standard input, since an open file is the one thing that a child inherits without unsafe code.
            let status = Command::new("setsid")
                .arg("--fork")
                .arg(program)
                .arg("--root")
                .arg(machine.folders.root())
                .args(["job", "run", &job.to_string()])
                .stdin(Stdio::from(lock.hand_over()))
                .stdout(Stdio::from(log.try_clone()?))
                .stderr(Stdio::from(log))
                .process_group(0)
                .status()?;
            if status.success() {
                Ok(())
            } else {
                Err(io::Error::other(format!("`setsid` ended with {status}")))
            }
        }
    }
}

/// Says who keeps the job, so that followers notice if it goes away.
fn sign(folder: &JobFolder, keeper: ProcessId) -> io::Result<()> {
    let text = serde_json::to_vec(&keeper)?;
    let new = folder.keeper().with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, folder.keeper())
}

/// Carries a job out, from its order to its last event. Blocks until the end. `lock` is the open file through which the machine's
/// lock is held.
///
/// # Errors
/// The job could not be begun, or nothing can be written down; what was done until then is in its event file.
pub fn run(machine: &Machine, job: Uuid, lock: File) -> Result<(), Failure> {
    let folder = machine.folders.job(job);
    let cannot = |what: &'static str| {
        move |error: io::Error| {
            Failure::because(crate::store::io_code(&error), format!("cannot {what}"), error)
        }
    };
    let lock = MachineLock::inherit(lock, &machine.folders.lock(), job)
        .map_err(cannot("take over the machine's lock"))?;
    sign(&folder, ProcessId::own()).map_err(cannot("say who keeps the job"))?;
    let order = Order::read(&folder.order()).map_err(cannot("read what is to be done"))?;
    let mut events = EventWriter::open(&folder.events(), job).map_err(cannot("open the event file"))?;
    let state = State::open(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot open the history", error))
        .inspect_err(|failure| events.give_up(failure))?;
    let mut reporter = Reporter::new(&order, events, state, folder.abort());
    reporter.started();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        drive(machine, &order, &folder, &mut reporter)
    }));
    let outcome = match ended {
        Ok(stopped) => aggregate(&reporter.results(), stopped),
        Err(_) => {
            reporter.end_lost();
            (OperationResultCode::Failed, HResult::WU_E_UNEXPECTED)
        }
    };
    let reboot_required = reporter.results().iter().any(|result| result.reboot_required);
    let completed = JobEvent::Completed {
        result_code: outcome.0,
        hresult: outcome.1,
        reboot_required,
    };
    reporter.completed(completed, lock);
    Ok(())
}

/// Runs the batches, one after the other, until all is done or nothing more can be.
fn drive(machine: &Machine, order: &Order, folder: &JobFolder, reporter: &mut Reporter<'_>) -> Stopped {
    for (place, result) in &order.known {
        reporter.finish(*place, result.clone());
    }
    let store = machine.store();
    let mut batches: VecDeque<Vec<usize>> = order.plan.batches.iter().cloned().collect();
    let mut number = 0;
    while let Some(mut members) = batches.pop_front() {
        if reporter.abort_wished() {
            batches.push_front(members);
            return stop_at_request(reporter, &batches);
        }
        reporter.begin_batch(&members, !batches.is_empty());
        let batch = Batch {
            operation: order.plan.operation,
            plan: &order.plan.updates,
            members: &members,
            number,
            folder: folder.path(),
            store: &store,
        };
        number += 1;
        let end = machine.handler.apply(&batch, reporter);
        reporter.end_batch();
        match end {
            Ok(BatchEnd::Done) => {
                let unsaid = Failure::new(HResult::WU_E_UPDATE_NOT_PROCESSED, "nothing was said about it");
                reporter.end_rest(&unsaid, &members);
            }
            Ok(BatchEnd::NeedsAlso(more)) => {
                let new: Vec<usize> = more
                    .into_iter()
                    .filter(|update| !members.contains(update))
                    .collect();
                // What has its result already, was refused, or is none of the plan's cannot be added.
                let waits = |update: &usize| batches.iter().any(|batch| batch.contains(update));
                if new.is_empty() || !new.iter().all(waits) {
                    let stuck = Failure::new(
                        HResult::WU_E_INVALID_RELATIONSHIP,
                        "the package manager wants more than was planned",
                    );
                    reporter.end_rest(&stuck, &members);
                    continue;
                }
                batches
                    .iter_mut()
                    .for_each(|batch| batch.retain(|update| !new.contains(update)));
                batches.retain(|batch| !batch.is_empty());
                members.extend(new);
                members.sort_unstable();
                members.dedup();
                batches.push_front(members);
            }
            Err(failure) if failure.code() == HResult::WU_E_CALL_CANCELLED => {
                batches.push_front(members);
                return stop_at_request(reporter, &batches);
            }
            Err(failure) => {
                // What dooms one batch dooms those after it (rule R33).
                reporter.end_rest(&failure, &members);
                let doomed = Failure::new(
                    HResult::WU_E_UPDATE_NOT_PROCESSED,
                    format!("not tried after: {}", failure.sentence()),
                );
                reporter.end_rest(&doomed, &batches.drain(..).flatten().collect::<Vec<_>>());
            }
        }
    }
    // A handler may have stopped inside its last batch.
    if reporter.abort_wished() {
        Stopped::AtRequest
    } else {
        Stopped::No
    }
}

fn stop_at_request(reporter: &mut Reporter<'_>, batches: &VecDeque<Vec<usize>>) -> Stopped {
    for place in batches.iter().flatten() {
        reporter.abort(*place);
    }
    Stopped::AtRequest
}

/// Whether a result belongs into history: an update that an abort kept from being begun does not (rule R46).
pub(crate) fn is_recorded(code: OperationResultCode, begun: bool) -> bool {
    begun || code != OperationResultCode::Aborted
}
