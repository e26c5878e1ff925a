//! Installations that are looked at while they run: how much memory wua's processes hold, and how long the job itself takes while its
//! observer stands still.

use std::collections::BTreeMap;
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

/// Installs everything: seconds that it takes, and the bytes that wua's processes hold at their peaks, all together.
pub(crate) fn install(ground: &Ground) -> Outcome<(f64, f64)> {
    let begun = Instant::now();
    let mut front = ground.wua(&["install", "--all"]).spawn()?;
    let mut peaks = BTreeMap::new();
    let status = loop {
        if let Some(status) = front.try_wait()? {
            break status;
        }
        for pid in processes_of(&ground.root()) {
            let peak = peak(pid).max(peaks.get(&pid).copied().unwrap_or_default());
            peaks.insert(pid, peak);
        }
        thread::sleep(LOOK);
    };
    let took = begun.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("wua ended with {status}").into());
    }
    ground.assert_upgraded()?;
    // The keeper ends right after its last word; an idle machine has no process of ours.
    wait_for(|| processes_of(&ground.root()).is_empty().then_some(()))?;
    Ok((took, peaks.values().sum::<u64>() as f64))
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
pub(crate) fn processes_of(root: &Path) -> Vec<u32> {
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

/// Bytes that a process has held at most, shared ones included.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
