//! Who is killed. Only processes that work on the ordeal's own tree are ever looked at: its path, which is new each time, stands in
//! their command line or environment.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Follower,
    Keeper,
    AptGet,
    Dpkg,
    Script,
    All,
}

impl Victim {
    pub(crate) const ALL: [Self; 6] = [
        Self::Follower,
        Self::Keeper,
        Self::AptGet,
        Self::Dpkg,
        Self::Script,
        Self::All,
    ];

    /// Who stands for it where apt-get works alone.
    pub(crate) fn without_wua(self) -> Self {
        match self {
            Self::Follower | Self::Keeper => Self::AptGet,
            other => other,
        }
    }
}

/// A process that works on the tree.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    kind: Option<Victim>,
}

impl Process {
    /// Whether it changes the machine, or keeps a job that does.
    pub(crate) fn is_worker(&self) -> bool {
        self.kind.is_some_and(|kind| kind != Victim::Follower)
    }
}

/// Everything that works on the tree at `root`.
pub(crate) fn processes_of(root: &Path) -> Vec<Process> {
    let needle = root.as_os_str().as_encoded_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid| look(pid, needle))
        .collect()
}

fn look(pid: u32, needle: &[u8]) -> Option<Process> {
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let contains = |text: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    if command.is_empty() || !(contains(&command) || contains(&environment)) {
        return None;
    }
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    let program = words.first()?.rsplit(|byte| *byte == b'/').next()?;
    let has = |word: &[u8]| words.iter().any(|candidate| candidate == &word);
    let kind = match program {
        b"wua" if has(b"job") && has(b"run") => Some(Victim::Keeper),
        b"wua" => Some(Victim::Follower),
        b"apt-get" => Some(Victim::AptGet),
        b"dpkg" => Some(Victim::Dpkg),
        // dpkg names a script by its place in the tree, or, in a changed root, below that; interpreters may have options before it.
        _ if words
            .iter()
            .skip(1)
            .any(|word| (contains(word) || word.starts_with(b"/var/lib/dpkg/")) && is_script(word)) =>
        {
            Some(Victim::Script)
        }
        _ => None,
    };
    Some(Process { pid, kind })
}

fn is_script(word: &[u8]) -> bool {
    [&b"inst"[..], b"prerm", b"postrm"]
        .iter()
        .any(|end| word.ends_with(end))
}

/// Kills, without a chance to clean up, those of the tree's processes that are meant, and waits until they are gone. Returns how
/// many there were.
pub(crate) fn kill(victim: Victim, front: u32, root: &Path) -> usize {
    let is_meant = |process: &Process| match victim {
        Victim::All => process.kind.is_some(),
        Victim::Follower => process.pid == front,
        _ => process.kind == Some(victim),
    };
    let meant: Vec<Process> = processes_of(root).into_iter().filter(is_meant).collect();
    for process in &meant {
        if let Some(pid) = Pid::from_raw(process.pid.cast_signed()) {
            // It may have ended by itself just now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    while meant.iter().any(|process| runs(process.pid)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    meant.len()
}

/// Whether a process still has its memory and files: it is neither gone nor a zombie.
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
