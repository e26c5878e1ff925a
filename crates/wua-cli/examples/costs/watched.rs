//! Installations that are looked at while they run: how much memory wua's processes hold, and how long the job itself takes while its
//! observer stands still.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Outcome;
use crate::ground::Ground;

const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(300);

/// Installs everything: the most bytes that wua's processes held together at any moment, what they share counted once.
pub(crate) fn memory(ground: &Ground) -> Outcome<f64> {
    let mut front = ground.wua(&["install", "--all"]).spawn()?;
    let mut most = 0;
    while front.try_wait()?.is_none() {
        most = most.max(processes_of(&ground.root()).into_iter().map(held).sum());
        thread::sleep(LOOK);
    }
    ground.assert_upgraded()?;
    Ok(most as f64)
}

/// Seconds of the machine's last job, from its keeper's first word to its last.
pub(crate) fn job_of(ground: &Ground) -> Outcome<f64> {
    let events = events_of(&ground.root()).ok_or("there was no job")?;
    length(&events).ok_or_else(|| "the job did not end".into())
}

/// Waits until no process of wua's works on the machine any more: the keeper ends right after its last word.
///
/// # Errors
/// One stays.
pub(crate) fn assert_idle(ground: &Ground) -> Outcome<()> {
    wait_for(|| processes_of(&ground.root()).is_empty().then_some(()))
}

/// Seconds of the job itself, from its first event to its last, with its observer stopped for all that time or not.
pub(crate) fn job(ground: &Ground, is_frozen: bool) -> Outcome<f64> {
    let mut front = ground.wua(&["install", "--all"]).spawn()?;
    let events = wait_for(|| events_of(&ground.root()))?;
    if is_frozen {
        signal(&front, Signal::STOP)?;
    }
    let took = wait_for(|| length(&events));
    if is_frozen {
        signal(&front, Signal::CONT)?;
    }
    front.wait()?;
    ground.assert_upgraded()?;
    took
}

fn signal(child: &Child, signal: Signal) -> Outcome<()> {
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or("the process has no id")?;
    Ok(kill_process(pid, signal)?)
}

/// The event file of the installation that runs.
fn events_of(root: &Path) -> Option<PathBuf> {
    let jobs = fs::read_dir(root.join("var/lib/wua/jobs")).ok()?;
    let mut files = jobs.flatten().map(|job| job.path().join("events.jsonl"));
    files.find(|file| file.exists())
}

/// How long a job took, once its last event is written.
fn length(events: &Path) -> Option<f64> {
    let text = fs::read_to_string(events).ok()?;
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let time = |line: &Value| -> Option<jiff::Timestamp> { line["time"].as_str()?.parse().ok() };
    let last = lines.last().filter(|line| line["event"] == "completed")?;
    let took = time(last)? - time(lines.first()?)?;
    took.total(jiff::Unit::Second).ok()
}

fn wait_for<T>(look: impl Fn() -> Option<T>) -> Outcome<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            return Err("nothing came of an installation".into());
        }
        thread::sleep(LOOK);
    }
}

/// The processes of wua's that work on the tree.
fn processes_of(root: &Path) -> Vec<u32> {
    let needle = root.as_os_str().as_encoded_bytes();
    let is_ours = |pid: &u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        program.ends_with(b"/wua") && command.windows(needle.len()).any(|window| window == needle)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours)
        .collect()
}

/// Bytes that a process holds, its share of what it has in common with others (`Pss`).
fn held(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
