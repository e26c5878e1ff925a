//! Following a job through its event file: from its first event to its end, as it happens, from any process.
//!
//! Wakes on changes of the job's folder and on the end of its keeper; looks by itself only where the kernel has no watch left
//! to give. When a keeper goes away without a last word, a follower with rights starts the next one, and any other waits for
//! somebody who does; what comes of neither ends the following: what was done until then is told, the rest is unknown.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use uuid::Uuid;
use wua_job::{Ending, Installation, InstallationJob, JobBuilder, JobFeed, JobObserver, Told, hear};
use wua_types::{
    EventLine, HResult, JobEvent, Operation, OperationResultCode, StartedUpdate, Update, UpdateResult,
};

use crate::aggregate::{Stopped, aggregate};
use crate::ear::Ear;
use crate::failure::Failure;
use crate::folders::{Folders, JobFolder};
use crate::lock;
use crate::machine::Machine;
use crate::process::ProcessId;
use crate::resume::{self, Revival};
use crate::state::PublicState;

/// How long a keeper may take to say that it is there.
const KEEPER_START: Duration = Duration::from_secs(20);

/// How long a follower that cannot start a keeper waits for one that somebody else does.
const KEEPER_RETURN: Duration = Duration::from_secs(60);

/// How many keepers a follower starts for a job that loses one after the other.
const REVIVALS: usize = 3;

/// How often a follower looks that nobody wakes.
const LOOK: Duration = Duration::from_millis(250);

/// The most bytes of one line.
const LONGEST: u64 = 16 << 20;

/// How many bytes of the end of an event file tell how a job stands.
const END: u64 = 64 * 1024;

/// How often somebody who attaches looks for a new keeper's first word.
const FIRST_WORD: Duration = Duration::from_millis(20);

/// Joins a job that somebody began: the same job, seen from here. It is only looked at.
///
/// # Errors
/// There is no such job, or its event file cannot be read.
pub fn attach(
    folders: &Folders,
    job: Uuid,
    observer: Option<Box<dyn JobObserver<Installation>>>,
) -> Result<InstallationJob, Failure> {
    join(folders, None, job, observer)
}

/// Joins a job that somebody began, and gives it a new keeper where it has lost its own and the caller may.
///
/// # Errors
/// As [`attach`].
pub fn attach_and_revive(
    machine: &Arc<Machine>,
    job: Uuid,
    observer: Option<Box<dyn JobObserver<Installation>>>,
) -> Result<InstallationJob, Failure> {
    let folder = machine.folders.job(job);
    let begun = Instant::now();
    // A new keeper may just be going to say its first word.
    while folder.order().exists() && !has_begun(&folder) && begun.elapsed() < KEEPER_START {
        match resume::revive(machine, job)? {
            Revival::Started | Revival::Elsewhere => thread::sleep(FIRST_WORD),
            Revival::Over | Revival::NotPermitted(_) => break,
        }
    }
    join(&machine.folders, Some(Arc::clone(machine)), job, observer)
}

fn has_begun(folder: &JobFolder) -> bool {
    let lines = Lines::open(folder).and_then(|mut lines| lines.read());
    lines.is_ok_and(|lines| {
        lines
            .iter()
            .any(|line| matches!(line.event, JobEvent::Started { .. }))
    })
}

fn join(
    folders: &Folders,
    machine: Option<Arc<Machine>>,
    job: Uuid,
    observer: Option<Box<dyn JobObserver<Installation>>>,
) -> Result<InstallationJob, Failure> {
    let folder = folders.job(job);
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(
            HResult::WU_E_UNKNOWN_ID,
            format!("there is no job {job} on this machine"),
        ),
        _ => Failure::because(
            crate::store::io_code(&error),
            format!("cannot follow job {job}"),
            error,
        ),
    };
    let mut lines = Lines::open(&folder).map_err(cannot)?;
    let is_begin = |line: &EventLine| matches!(line.event, JobEvent::Started { .. });
    let first = lines.read().map_err(cannot)?.into_iter().find(is_begin);
    let Some(EventLine {
        event: JobEvent::Started {
            operation, updates, ..
        },
        ..
    }) = first
    else {
        return Err(Failure::new(
            HResult::WU_E_INVALIDINDEX,
            format!("job {job} has not begun yet; try again"),
        ));
    };
    let updates: Arc<[Update]> = updates.into_iter().map(StartedUpdate::into_update).collect();
    let verb = match operation {
        Operation::Uninstall | Operation::Repair => operation,
        Operation::Search | Operation::Download | Operation::Install => Operation::Install,
    };
    let failed = |error: &dyn std::error::Error| {
        Failure::new(
            HResult::E_OUTOFMEMORY,
            format!("cannot follow job {job}: {error}"),
        )
    };
    let (handle, feed, release) = JobBuilder::new(job, verb, updates)
        .observer(observer)
        .start()
        .map_err(|error| failed(&error))?;
    // Before the caller has the job, so that a wish has reached the keeper when the request returns.
    pass_on_aborts(&folder, &feed);
    thread::Builder::new()
        .name("wua-follow".into())
        .spawn(move || match machine {
            Some(machine) => follow_and_revive(&machine, job, feed),
            None => follow(&folder, feed),
        })
        .map_err(|error| failed(&error))?;
    release.release();
    Ok(handle)
}

/// Passes the caller's wish to stop on to the job's keeper, also one that came before.
pub(crate) fn pass_on_aborts<K: Told>(folder: &JobFolder, feed: &JobFeed<K>) {
    let abort = folder.abort();
    feed.on_abort(move || {
        if let Err(error) = File::create(&abort) {
            tracing::error!(%error, "the wish to abort could not be passed on");
        }
    });
}

/// Feeds a job from its event file until its end. Blocks.
pub fn follow(folder: &JobFolder, feed: JobFeed<Installation>) {
    feed_from(folder, feed, |_| Ok(false));
}

/// Feeds a job from its event file until its end, and gives it a new keeper where it loses its own and the caller may. Blocks.
pub fn follow_and_revive(machine: &Arc<Machine>, job: Uuid, feed: JobFeed<Installation>) {
    let mut started = 0;
    feed_from(&machine.folders.job(job), feed, |gone_for| {
        if started == REVIVALS {
            return Err(io::Error::other(
                "its keepers went away one after the other; see keeper.log in the job's folder",
            ));
        }
        match resume::revive(machine, job).map_err(|failure| io::Error::other(failure.sentence()))? {
            Revival::Started => {
                started += 1;
                Ok(true)
            }
            Revival::Over => Ok(false),
            Revival::Elsewhere
                if lock::holder(&machine.folders.lock()).is_some_and(|holder| holder.job == job) =>
            {
                Ok(true)
            }
            Revival::Elsewhere | Revival::NotPermitted(_) if gone_for < KEEPER_RETURN => {
                Ok(is_unfinished(machine, job))
            }
            Revival::Elsewhere | Revival::NotPermitted(_) => Err(io::Error::other(
                "its keeper went away; `wua attach` with the rights to change the machine goes on with it",
            )),
        }
    });
}

fn is_unfinished(machine: &Machine, job: Uuid) -> bool {
    PublicState::read(&machine.folders)
        .is_ok_and(|state| state.unfinished.iter().any(|operation| operation.job == job))
}

/// Feeds a job of any kind from the event file in `folder`, until its end. Blocks. `revive` is asked, with how long the keeper has
/// been gone, whether to wait for another.
pub fn feed_from<K: Told>(
    folder: &JobFolder,
    feed: JobFeed<K>,
    revive: impl FnMut(Duration) -> io::Result<bool>,
) {
    pass_on_aborts(folder, &feed);
    let mut ending = None;
    if let Err(error) = follow_until_end(folder, &feed, &mut ending, revive) {
        feed.warning(
            format!("the job cannot be followed any more: {error}"),
            HResult::WU_E_UNEXPECTED,
        );
    }
    let mut is_whole = true;
    let updates: Vec<K::UpdateResult> = feed
        .job()
        .progress()
        .update_results()
        .map(|result| {
            if result.result_code().is_final() {
                result.clone()
            } else {
                is_whole = false;
                lost()
            }
        })
        .collect();
    let ending = ending.unwrap_or_else(|| {
        let asks_for_restart = |update: &K::UpdateResult| K::tell_result(update).reboot_required;
        let (result_code, hresult) = if is_whole {
            // Only the keeper's last word is missing.
            aggregate(&updates, Stopped::AtRequest)
        } else {
            (OperationResultCode::Failed, HResult::WU_E_UNEXPECTED)
        };
        Ending {
            result_code,
            hresult,
            reboot_required: updates.iter().any(asks_for_restart),
        }
    });
    feed.complete(K::hear_outcome(ending, updates));
}

fn lost<R: UpdateResult>() -> R {
    R::ended(
        OperationResultCode::Failed,
        HResult::WU_E_UNEXPECTED,
        "the job's keeper went away before the result was known",
    )
}

fn follow_until_end<K: Told>(
    folder: &JobFolder,
    feed: &JobFeed<K>,
    ending: &mut Option<Ending>,
    mut revive: impl FnMut(Duration) -> io::Result<bool>,
) -> io::Result<()> {
    let news = inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO;
    let mut ear = Ear::at(&[folder.path()], news);
    let keeper_file = folder.keeper();
    let keeper_name = keeper_file.file_name().map(OsStr::as_encoded_bytes);
    let begun = Instant::now();
    let mut gone_since: Option<Instant> = None;
    let mut lines: Option<Lines> = None;
    let mut keeper = None;
    loop {
        // The keeper is looked at before its file, so that its last word is not missed.
        keeper = keeper.filter(Keeper::is_alive).or_else(|| Keeper::of(folder));
        let gone = keeper.as_ref().is_some_and(|keeper| !keeper.is_alive());
        if lines.is_none() {
            lines = match Lines::open(folder) {
                Ok(lines) => Some(lines),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        if let Some(lines) = &mut lines {
            for line in lines.read()? {
                *ending = hear(line.event, feed);
                if ending.is_some() {
                    return Ok(());
                }
            }
        }
        if gone {
            let since = *gone_since.get_or_insert_with(Instant::now);
            if !revive(since.elapsed())? {
                return Ok(());
            }
        } else {
            gone_since = None;
        }
        if keeper.is_none() && begun.elapsed() > KEEPER_START {
            return Err(io::Error::other(
                "its keeper did not start; see keeper.log in the job's folder",
            ));
        }
        // Where nobody wakes us, we look ourselves.
        let end = keeper
            .as_ref()
            .and_then(|keeper| keeper.end.as_ref())
            .filter(|_| !gone);
        let limit = (!ear.hears() || end.is_none()).then_some(LOOK);
        let mut may_be_another = !ear.hears();
        ear.wait(end, limit, |name| {
            may_be_another |= name.is_none_or(|name| Some(name.to_bytes()) == keeper_name);
        })?;
        if may_be_another {
            keeper = None;
        }
    }
}

/// Who keeps the job, with a handle that tells of its end: it costs one call a look, and a job has thousands of them.
struct Keeper {
    id: ProcessId,
    /// None where it had ended before, or the system gives none.
    end: Option<OwnedFd>,
}

impl Keeper {
    /// The keeper that a job's folder names; none before one said so.
    fn of(folder: &JobFolder) -> Option<Self> {
        let id = keeper_of(folder)?;
        let end = Pid::from_raw(id.pid.cast_signed())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            // Looked at after it was opened, so that it is not the handle of a later process with the number.
            .filter(|_| id.is_alive());
        Some(Self { id, end })
    }

    fn is_alive(&self) -> bool {
        match &self.end {
            Some(end) => {
                let mut end = [PollFd::new(end, PollFlags::IN)];
                poll(&mut end, Some(&Timespec::default())).is_ok_and(|ended| ended == 0)
            }
            None => self.id.is_alive(),
        }
    }
}

/// Who keeps the job; none before it said so.
pub fn keeper_of(folder: &JobFolder) -> Option<ProcessId> {
    serde_json::from_slice(&std::fs::read(folder.keeper()).ok()?).ok()
}

/// The complete lines of a growing event file. Lines that cannot be understood are logged and passed over.
#[derive(Debug)]
pub struct Lines {
    file: File,
    rest: Vec<u8>,
}

impl Lines {
    /// Opens the event file, or the public one where the caller may not read all.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(folder: &JobFolder) -> io::Result<Self> {
        // Whoever may not read all reads what is published.
        let file = File::open(folder.events()).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => File::open(folder.public_events()),
            _ => Err(error),
        })?;
        Ok(Self {
            file,
            rest: Vec::new(),
        })
    }

    /// The first line and the last ones of the file in `folder`, all where that is not much: how a job stands, without the whole
    /// story.
    ///
    /// # Errors
    /// There is no file, or it cannot be read.
    pub fn ends(folder: &JobFolder) -> io::Result<Vec<EventLine>> {
        let mut file = Self::open(folder)?.file;
        let length = file.metadata()?.len();
        if length <= 2 * END {
            return Self {
                file,
                rest: Vec::new(),
            }
            .read();
        }
        let mut first = String::new();
        BufReader::new(&mut file).take(LONGEST).read_line(&mut first)?;
        file.seek(SeekFrom::End(-(END as i64)))?;
        let mut last = Vec::new();
        file.read_to_end(&mut last)?;
        // What stands before the first whole line is the end of another one.
        let whole = last
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(last.len(), |end| end + 1);
        Ok(parsed(first.as_bytes()).chain(parsed(&last[whole..])).collect())
    }

    /// The lines that came since the last call.
    ///
    /// # Errors
    /// The disk said no.
    pub fn read(&mut self) -> io::Result<Vec<EventLine>> {
        self.file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let complete: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(parsed(&complete).collect())
    }
}

/// The lines of a text that can be understood.
fn parsed(text: &[u8]) -> impl Iterator<Item = EventLine> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| {
        serde_json::from_slice(line)
            .inspect_err(|error| tracing::warn!(%error, "a line of an event file cannot be understood"))
            .ok()
    })
}
