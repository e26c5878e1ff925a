//! The keeper: the one who carries a job out. It holds the machine's lock, drives the batches, writes history, and says what
//! happens in the job's event file. Whoever began the job only follows that file.
//!
//! It runs as a process of its own, in a session of its own and with no terminal, so that the caller's end, a closed terminal
//! or Ctrl-C change nothing. Nothing here waits for a follower.
//!
//! A keeper may die at any moment. The next one for the same job reads the journal and goes on where it ended, with the same
//! results and events; [`crate::resume`] starts it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;
use wua_types::{HResult, JobEvent, OperationResultCode, UpdateOperation};

use crate::aggregate::{Stopped, aggregate};
use crate::cleaning;
use crate::detached;
use crate::event_file::EventWriter;
use crate::failure::Failure;
use crate::folders::JobFolder;
use crate::follow::Lines;
use crate::found_again;
use crate::hand_over::Offer;
use crate::handler::{Batch, BatchEnd};
use crate::heal::{self, Healer};
use crate::inhibitor::Inhibitor;
use crate::journal::{Journal, Past};
use crate::lock::MachineLock;
use crate::machine::{Keeper, Machine};
use crate::order::Order;
use crate::process::ProcessId;
use crate::reporter::Reporter;
use crate::seam;
use crate::service_unit;
use crate::state::State;

/// How many keepers may begin one after the other without a single result.
const KEEPERS_WITHOUT_PROGRESS: usize = 3;

/// How long systemd may take from starting a keeper to the keeper's having the lock.
const UNIT_START: Duration = Duration::from_secs(30);

/// Starts the keeper of a job whose order is written, and hands it the machine's lock. Returns as soon as it runs; where systemd
/// runs the machine, the keeper is a unit of its own.
///
/// # Errors
/// The program or thread cannot be started; the lock is let go.
pub fn start(machine: &Arc<Machine>, job: Uuid, lock: MachineLock) -> io::Result<()> {
    let folder = machine.folders.job(job);
    seam::at("spawn-keeper")?;
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
            if service_unit::runs(machine.folders.root()) {
                return start_unit(machine, program, job, lock);
            }
            // The lock travels as its standard input, since an open file is the one thing that a child inherits without unsafe code.
            let words = ["job", "run", &job.to_string()];
            detached::run(
                program,
                machine.folders.root(),
                &words,
                lock.hand_over().into(),
                &log,
            )
        }
    }
}

/// Starts the keeper as a unit of systemd's. Blocks until it holds the lock.
fn start_unit(machine: &Machine, program: &Path, job: Uuid, lock: MachineLock) -> io::Result<()> {
    let offer = Offer::open(&machine.folders, job)?;
    let root = machine.folders.root();
    let unit = service_unit::start(program, root, job, &machine.folders.job(job))?;
    // A keeper that comes too late must not begin what its caller takes for not begun: it is stopped before the lock is free.
    offer
        .give(&lock, UNIT_START)
        .inspect_err(|_| service_unit::stop(&unit))?;
    // Our copy alone goes; the keeper's holds the lock.
    drop(lock.hand_over());
    Ok(())
}

/// Says who keeps the job, so that followers notice if it goes away.
///
/// # Errors
/// The disk said no.
pub fn sign(folder: &JobFolder, keeper: ProcessId) -> io::Result<()> {
    seam::at("keeper-sign")?;
    let text = serde_json::to_vec(&keeper)?;
    let new = folder.keeper().with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, folder.keeper())
}

/// Carries a job out, from its order, or from where an earlier keeper left it, to its last event. Blocks until the end. `lock` is
/// the open file through which the machine's lock is held.
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
    let said = match Lines::open(&folder).and_then(|mut lines| lines.read()) {
        Ok(said) => said,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(cannot("read the event file")(error)),
    };
    let mut events = EventWriter::open(&folder, job).map_err(cannot("open the event file"))?;
    let (journal, past) = Journal::open(&folder.journal(), job, &order.plan.hash().to_string())
        .map_err(|error| Failure::because(error.code(), "cannot keep the job", error))
        .inspect_err(|failure| events.give_up(failure))?;
    let state = State::open(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot open the history", error))
        .inspect_err(|failure| events.give_up(failure))?;
    let is_completed = said
        .iter()
        .any(|line| matches!(line.event, JobEvent::Completed { .. }));
    let forecast = machine.handler.forecast(&order.plan.updates);
    let mut reporter = Reporter::new(&order, events, state, journal, folder.abort(), forecast);
    if !said
        .iter()
        .any(|line| matches!(line.event, JobEvent::Started { .. }))
    {
        reporter.started();
    }
    reporter.restore(&past, &said)?;
    if is_completed {
        // All was said; only the operation was not closed.
        return reporter
            .close()
            .map_err(|error| Failure::because(error.code(), "cannot close the operation", error));
    }
    reporter.keep_speaking();
    let inhibitor = Inhibitor::hold(machine.folders.root());
    let ended = catch_unwind(AssertUnwindSafe(|| match order.repair {
        Some(_) if past.keepers_without_progress >= KEEPERS_WITHOUT_PROGRESS => {
            reporter.end_lost();
            (OperationResultCode::Failed, HResult::WU_E_UNEXPECTED)
        }
        Some(consent) => heal::carry_out(machine, consent, &folder, &past, &mut reporter),
        None => {
            let stopped = drive(machine, &order, &folder, &past, &mut reporter);
            aggregate(&reporter.results(), stopped)
        }
    }));
    drop(inhibitor);
    // The lock is still held. A store that cannot be cleared is no fault of the job's.
    if let Err(failure) = cleaning::clean_after(machine, job) {
        tracing::warn!(%job, failure = %failure.sentence(), "the store is not cleared");
    }
    let outcome = match ended {
        Ok(outcome) => outcome,
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
fn drive(
    machine: &Machine,
    order: &Order,
    folder: &JobFolder,
    past: &Past,
    reporter: &mut Reporter<'_>,
) -> Stopped {
    for (place, result) in &order.known {
        reporter.finish(*place, result.clone());
    }
    let mut healer = Healer::new(machine, folder);
    let mut number = past.next_number;
    let mut batches = still_to_do(order, past, reporter);
    let is_restarted = past.is_of_an_earlier_boot(crate::system::boot_id().as_deref());
    let is_hopeless = past.keepers_without_progress >= KEEPERS_WITHOUT_PROGRESS;
    let goes_on = !is_restarted && !is_hopeless;
    // A run that an earlier keeper of this boot began may still be going on: it is followed first. Where it is not gone on with, the
    // repair waits for it, unless that is what ends keepers.
    let is_open = past.open.is_some() && goes_on;
    let may_heal = past.keepers_without_progress <= KEEPERS_WITHOUT_PROGRESS;
    if !is_open && may_heal && !batches.is_empty() && !reporter.abort_wished() {
        match healer.before(number, reporter) {
            Ok(has_run) => number += usize::from(has_run),
            Err(failure) if !goes_on => {
                tracing::warn!(failure = %failure.sentence(), "states are read back as they are");
            }
            Err(failure) if failure.code() == HResult::WU_E_CALL_CANCELLED => {
                return stop_at_request(reporter, &batches);
            }
            Err(failure) => {
                let members = batches.pop_front().unwrap_or_default();
                doom(&failure, &members, &mut batches, reporter);
            }
        }
    }
    if is_restarted {
        return found_again::after_restart(machine, order, reporter);
    }
    if is_hopeless {
        return found_again::after_crashes(machine, order, reporter);
    }
    let store = machine.store();
    while let Some(mut members) = batches.pop_front() {
        if reporter.abort_wished() {
            batches.push_front(members);
            return stop_at_request(reporter, &batches);
        }
        let begun = reporter.begin_batch(number, &members, !batches.is_empty());
        let batch = Batch {
            operation: order.plan.operation,
            plan: &order.plan.updates,
            members: &members,
            number,
            folder: folder.path(),
            store: &store,
        };
        let end = begun.and_then(|()| machine.handler.apply(&batch, reporter));
        reporter.end_batch();
        if !matches!(end, Ok(BatchEnd::NeedsAlso(_))) {
            reporter.begun_before(false);
        }
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
                    reporter.begun_before(false);
                    reporter.seal_batch(number);
                    number += 1;
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
                number += 1;
                continue;
            }
            Err(failure) if failure.code() == HResult::WU_E_CALL_CANCELLED => {
                batches.push_front(members);
                return stop_at_request(reporter, &batches);
            }
            Err(failure) => {
                doom(&failure, &members, &mut batches, reporter);
            }
        }
        reporter.seal_batch(number);
        number += 1;
        keep_ways_back(machine, order, &members, reporter);
        if reporter.has_failed(&members) {
            number += usize::from(healer.after(number, reporter));
        }
    }
    // A handler may have stopped inside its last batch.
    if reporter.abort_wished() {
        Stopped::AtRequest
    } else {
        Stopped::No
    }
}

/// What failed and is there all the same, unpacked and not configured, can be taken back.
fn keep_ways_back(machine: &Machine, order: &Order, members: &[usize], reporter: &mut Reporter<'_>) {
    if order.plan.operation != UpdateOperation::Installation {
        return;
    }
    for &place in members {
        if !reporter.has_failed(&[place]) {
            continue;
        }
        let update = order.installed(place);
        let answer = machine.handler.still_installed(&[&update]);
        if answer.is_ok_and(|there| there == [true]) {
            reporter.keep_way_back(place);
        }
    }
}

/// What dooms one batch dooms those after it (rule R33).
fn doom(failure: &Failure, members: &[usize], rest: &mut VecDeque<Vec<usize>>, reporter: &mut Reporter<'_>) {
    reporter.end_rest(failure, members);
    let doomed = Failure::new(
        HResult::WU_E_UPDATE_NOT_PROCESSED,
        format!("not tried after: {}", failure.sentence()),
    );
    reporter.end_rest(&doomed, &rest.drain(..).flatten().collect::<Vec<_>>());
}

/// The batches without those updates that have their result. What an earlier keeper began comes first, and is finished even if
/// an abort is wished for.
fn still_to_do(order: &Order, past: &Past, reporter: &mut Reporter<'_>) -> VecDeque<Vec<usize>> {
    let open = past.open.as_deref().unwrap_or_default();
    let rest = |batch: &[usize], is_open: bool| -> Vec<usize> {
        let places = batch.iter().copied();
        places
            .filter(|place| !reporter.is_finished(*place) && open.contains(place) == is_open)
            .collect()
    };
    let first = rest(open, true);
    let is_begun = !first.is_empty();
    let others = order.plan.batches.iter().map(|batch| rest(batch, false));
    let batches = std::iter::once(first)
        .chain(others)
        .filter(|batch| !batch.is_empty())
        .collect();
    reporter.begun_before(is_begun);
    batches
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
