//! Waking up: when files grow, when a process ends, and at least every heartbeat. Also how a process is recognised: its pid
//! and start time together are never used twice.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wua_engine::ear::{Ear, wait_for_end};

/// How long nothing may be heard before a waiting one looks around by itself.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(250);

/// Rings when one of some files grows or the process ends. Where the system gives one of them not, the heartbeat alone is left.
pub(crate) struct Bell {
    files: Ear,
    end: Option<OwnedFd>,
}

impl Bell {
    pub(crate) fn new(files: &[&Path], pid: u32) -> Self {
        Self {
            files: Ear::at(files, inotify::WatchFlags::MODIFY),
            end: end_of(pid),
        }
    }

    /// From here on the process's end is no news: its descriptor would ring for ever.
    pub(crate) fn ignore_end(&mut self) {
        self.end = None;
    }

    /// Waits until it rings, at most a heartbeat. Whether it was for the process's end.
    pub(crate) fn wait(&mut self) -> bool {
        let waited = self.files.wait(self.end.as_ref(), Some(HEARTBEAT), |_| {});
        waited.unwrap_or_else(|error| {
            tracing::warn!(%error, "a run is looked at now and then only");
            thread::sleep(HEARTBEAT);
            false
        })
    }
}

fn end_of(pid: u32) -> Option<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits a heartbeat, or less if the process ends: the way to wait for somebody else.
pub(crate) fn wait_for_process(pid: Option<u32>) {
    // Signals and errors end the wait early: all callers look again.
    let _ = wait_for_end(pid.and_then(end_of).as_ref(), Some(HEARTBEAT));
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
