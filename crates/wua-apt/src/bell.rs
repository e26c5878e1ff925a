//! Waking up: when files of a folder change, when a process ends, and at least every heartbeat. Also how a process is
//! recognised: its pid and start time together are never used twice.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long nothing may be heard before a waiting one looks around by itself.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(250);

/// Rings when a file of the folder changes or the process ends. Where the system gives one of them not, the heartbeat
/// alone is left.
pub(crate) struct Bell {
    files: Option<OwnedFd>,
    end: Option<OwnedFd>,
}

impl Bell {
    pub(crate) fn new(folder: &Path, pid: u32) -> Self {
        let files = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok();
        let files = files.filter(|files| {
            let wanted = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(files, folder, wanted).is_ok()
        });
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let end = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self { files, end }
    }

    /// From here on the process's end is no news: its descriptor would ring for ever.
    pub(crate) fn ignore_end(&mut self) {
        self.end = None;
    }

    /// Waits until it rings. Whether it was for the process's end.
    pub(crate) fn wait(&self) -> bool {
        let mut descriptors: Vec<_> = self
            .files
            .iter()
            .chain(&self.end)
            .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
            .collect();
        wait_for(&mut descriptors);
        let has_ended = self.end.is_some() && descriptors.last().is_some_and(|end| !end.revents().is_empty());
        if let Some(files) = &self.files {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(files, &mut buffer);
            while events.next().is_ok() {}
        }
        has_ended
    }
}

/// Waits for one of `descriptors`, at most a heartbeat. Signals and errors end the wait early: all callers look again.
fn wait_for(descriptors: &mut [PollFd<'_>]) {
    let heartbeat = Timespec {
        tv_sec: 0,
        tv_nsec: HEARTBEAT.subsec_nanos().into(),
    };
    let _ = poll(descriptors, Some(&heartbeat));
}

/// Waits a heartbeat, or less if the process ends: the way to wait for somebody else.
pub(crate) fn wait_for_process(pid: Option<u32>) {
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    match pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        Some(end) => wait_for(&mut [PollFd::new(&end, PollFlags::IN)]),
        None => wait_for(&mut []),
    }
}

/// The fields of `/proc/PID/stat` after the program's name, which may hold blanks and parentheses itself.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> = text
        .rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .map(Into::into)
        .collect();
    // A zombie does nothing any more.
    fields
        .first()
        .is_some_and(|state| !matches!(state.as_str(), "Z" | "X"))
        .then_some(fields)
}

pub(crate) fn start_time(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

pub(crate) fn session(pid: u32) -> Option<u32> {
    stat(pid)?.get(3)?.parse().ok()
}

pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}
