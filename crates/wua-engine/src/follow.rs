//! Following a job through its event file: from its first event to its end, as it happens, from any process.
//!
//! Wakes on changes of the job's folder and on the end of its keeper; looks by itself only where the kernel has no watch left
//! to give. A keeper that goes away without a last word
//! ends the following: what it had done until then is told, the rest is unknown.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use uuid::Uuid;
use wua_job::{Installation, InstallationJob, JobBuilder, JobFeed, JobObserver};
use wua_types::event::AnyProgress;
use wua_types::{
    EventLine, HResult, InstallationResult, JobEvent, Operation, OperationResultCode, Update, UpdateIdentity,
    UpdateInstallationResult, UpdateResult as _,
};

use crate::failure::Failure;
use crate::folders::{Folders, JobFolder};
use crate::process::ProcessId;

/// How long a keeper may take to say that it is there.
const KEEPER_START: Duration = Duration::from_secs(20);

/// How often a follower looks that nobody wakes.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Joins a job that somebody began: the same job, seen from here.
///
/// # Errors
/// There is no such job, or its event file cannot be read.
pub fn attach(
    folders: &Folders,
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
    let first = lines.read().map_err(cannot)?.into_iter().next();
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
    let named = |update: wua_types::StartedUpdate| {
        Update::new(
            UpdateIdentity {
                update_id: update.id,
                revision_number: 1,
            },
            update.title,
        )
    };
    let updates: Arc<[Update]> = updates.into_iter().map(named).collect();
    let verb = if operation == Operation::Uninstall {
        Operation::Uninstall
    } else {
        Operation::Install
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
        .spawn(move || follow(&folder, feed))
        .map_err(|error| failed(&error))?;
    release.release();
    Ok(handle)
}

/// Passes the caller's wish to stop on to the job's keeper, also one that came before.
pub(crate) fn pass_on_aborts(folder: &JobFolder, feed: &JobFeed<Installation>) {
    let abort = folder.abort();
    feed.on_abort(move || {
        if let Err(error) = File::create(&abort) {
            tracing::error!(%error, "the wish to abort could not be passed on");
        }
    });
}

/// Feeds a job from its event file until its end. Blocks.
pub fn follow(folder: &JobFolder, feed: JobFeed<Installation>) {
    pass_on_aborts(folder, &feed);
    let mut told = Told::default();
    if let Err(error) = follow_until_end(folder, &feed, &mut told) {
        feed.warning(
            format!("the job cannot be followed any more: {error}"),
            HResult::WU_E_UNEXPECTED,
        );
    }
    let updates: Vec<UpdateInstallationResult> = feed
        .job()
        .progress()
        .update_results()
        .map(|result| {
            if result.result_code.is_final() {
                result.clone()
            } else {
                lost()
            }
        })
        .collect();
    let (result_code, hresult, reboot_required) = told.completed.unwrap_or_else(|| {
        let reboot_required = updates.iter().any(|update| update.reboot_required);
        (
            OperationResultCode::Failed,
            HResult::WU_E_UNEXPECTED,
            reboot_required,
        )
    });
    feed.complete(InstallationResult {
        result_code,
        hresult,
        reboot_required,
        updates,
    });
}

fn lost() -> UpdateInstallationResult {
    UpdateInstallationResult::ended(
        OperationResultCode::Failed,
        HResult::WU_E_UNEXPECTED,
        "the job's keeper went away before the result was known",
    )
}

/// What the events have said about the whole.
#[derive(Default)]
struct Told {
    completed: Option<(OperationResultCode, HResult, bool)>,
}

fn follow_until_end(folder: &JobFolder, feed: &JobFeed<Installation>, told: &mut Told) -> io::Result<()> {
    let watch = watch(folder)
        .inspect_err(|error| tracing::warn!(%error, "a job's folder cannot be watched"))
        .ok();
    let begun = Instant::now();
    let mut lines: Option<Lines> = None;
    loop {
        // The keeper is looked at before its file, so that its last word is not missed; and after its handle was opened, so
        // that the handle is not that of a later process with its number.
        let keeper = keeper_of(folder);
        let end = keeper
            .and_then(|keeper| Pid::from_raw(keeper.pid.cast_signed()))
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let gone = keeper.is_some_and(|keeper| !keeper.is_alive());
        if lines.is_none() {
            lines = match Lines::open(folder) {
                Ok(lines) => Some(lines),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        if let Some(lines) = &mut lines {
            for line in lines.read()? {
                tell(line, feed, told);
                if told.completed.is_some() {
                    return Ok(());
                }
            }
        }
        if gone {
            return Ok(());
        }
        if keeper.is_none() && begun.elapsed() > KEEPER_START {
            return Err(io::Error::other(
                "its keeper did not start; see keeper.log in the job's folder",
            ));
        }
        // Where nobody wakes us, we look ourselves.
        let limit = (watch.is_none() || end.is_none()).then_some(LOOK);
        let handles = watch.iter().chain(&end);
        let mut sources: Vec<PollFd<'_>> = handles.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut sources, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        watch.as_ref().map_or(Ok(()), drain)?;
    }
}

fn watch(folder: &JobFolder) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let news = inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, folder.path(), news)?;
    Ok(watch)
}

/// Forgets what woke us; the files themselves tell what is new.
fn drain(watch: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        match rustix::io::read(watch.as_fd(), &mut buffer[..]) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Who keeps the job; none before it said so.
pub fn keeper_of(folder: &JobFolder) -> Option<ProcessId> {
    serde_json::from_slice(&std::fs::read(folder.keeper()).ok()?).ok()
}

fn tell(line: EventLine, feed: &JobFeed<Installation>, told: &mut Told) {
    match line.event {
        JobEvent::Started { .. } | JobEvent::Progress(AnyProgress::Download(_)) => {}
        JobEvent::Progress(AnyProgress::Installation(now)) => feed.progress(now),
        JobEvent::UpdateFinished { index, result, .. } => feed.update_finished(index, result),
        JobEvent::Warning { message, hresult } => feed.warning(message, hresult),
        JobEvent::Completed {
            result_code,
            hresult,
            reboot_required,
        } => {
            told.completed = Some((result_code, hresult, reboot_required));
        }
    }
}

/// The complete lines of a growing event file. Lines that cannot be understood are logged and passed over.
pub(crate) struct Lines {
    file: File,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn open(folder: &JobFolder) -> io::Result<Self> {
        Ok(Self {
            file: File::open(folder.events())?,
            rest: Vec::new(),
        })
    }

    pub(crate) fn read(&mut self) -> io::Result<Vec<EventLine>> {
        self.file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let complete: Vec<u8> = self.rest.drain(..=end).collect();
        let mut lines = Vec::new();
        for text in complete
            .split(|byte| *byte == b'\n')
            .filter(|text| !text.is_empty())
        {
            match serde_json::from_slice(text) {
                Ok(line) => lines.push(line),
                Err(error) => tracing::warn!(%error, "a line of an event file cannot be understood"),
            }
        }
        Ok(lines)
    }
}
