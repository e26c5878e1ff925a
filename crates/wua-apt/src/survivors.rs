//! Who still works on a tree although the program that started it may be gone (apt.md 10.2, step 0).
//!
//! After a SIGKILL of dpkg all locks are free while its maintainer script runs on; configuring then would start a second
//! copy beside it. Survivors of our own runs are found by the session of the run and the job's mark, those of other programs
//! by what they execute: a script of this tree's dpkg. A daemon that a script started is neither, for it has a session
//! and a program of its own. Nothing here signals anybody.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::bell::{parent, session};
use crate::run::{JOB_MARK, open_sessions};
use crate::tree::{AptTree, TreeKind};

/// The jobs of a tree, below its root.
const JOBS: &str = "var/lib/wua/jobs";
/// The maintainer scripts that dpkg runs from its database.
const SCRIPTS: [&str; 4] = [".preinst", ".postinst", ".prerm", ".postrm"];

/// A process that works on although its run was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survivor {
    pub(crate) pid: u32,
    /// The script or program, for people.
    pub(crate) name: String,
}

impl fmt::Display for Survivor {
    /// `NAME (PID)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}

/// Everything that still works on `tree`, lowest pid first. Processes that cannot be looked at are left out.
pub(crate) fn find(tree: &AptTree) -> Vec<Survivor> {
    let jobs = tree.path(JOBS);
    let folders = fs::read_dir(&jobs).into_iter().flatten().flatten();
    let sessions: HashSet<u32> = folders.flat_map(|entry| open_sessions(&entry.path())).collect();
    let own = ancestors();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = pids
        .filter(|pid| !own.contains(pid))
        .filter_map(|pid| {
            let words = command_line(pid);
            let name = script(tree, pid, &words).or_else(|| {
                let is_ours = !sessions.is_empty()
                    && session(pid).is_some_and(|session| sessions.contains(&session))
                    && is_marked(pid, &jobs);
                is_ours.then(|| program(&words))
            })?;
            // A zombie does nothing any more.
            session(pid)?;
            Some(Survivor { pid, name })
        })
        .collect();
    found.sort_by_key(|survivor| survivor.pid);
    // A shell that is just going to start a program stands there twice.
    let all: HashSet<u32> = found.iter().map(|survivor| survivor.pid).collect();
    found.retain(|survivor| parent(survivor.pid).is_none_or(|parent| !all.contains(&parent)));
    found
}

/// Ourselves and who started us: whoever runs wua from a maintainer script must not wait for it.
fn ancestors() -> HashSet<u32> {
    std::iter::successors(Some(std::process::id()), |pid| {
        parent(*pid).filter(|pid| *pid > 0)
    })
    .collect()
}

fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// The maintainer script of `tree` that a process executes. Scripts of a changed root see the database below `/`, those of a
/// practice machine below its root.
fn script(tree: &AptTree, pid: u32, words: &[String]) -> Option<String> {
    let inner = Path::new("/");
    let database = match tree.kind() {
        TreeKind::Practice => tree.path("var/lib/dpkg"),
        TreeKind::Machine | TreeKind::Other => inner.join("var/lib/dpkg"),
    };
    // The script itself, or the interpreter with the script as its first argument, behind options where dpkg's own variables say
    // that it is one: a daemon that inherited those names no script, and an editor that names one has not inherited them.
    let reach = if is_of_dpkg(pid) { words.len() } else { 2 };
    let name = words.iter().take(reach).find_map(|word| {
        let below = Path::new(word).strip_prefix(&database).ok()?.to_str()?;
        let from_archive = below.strip_prefix("tmp.ci/");
        let from_database = below
            .strip_prefix("info/")
            .filter(|file| SCRIPTS.iter().any(|ending| file.ends_with(ending)));
        from_archive
            .map(|kind| format!("the {kind} script of a package"))
            .or_else(|| from_database.map(|file| format!("the script {file}")))
    })?;
    let same_root = || {
        let theirs = fs::metadata(format!("/proc/{pid}/root/")).ok()?;
        let ours = fs::metadata(tree.root()).ok()?;
        Some((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
    };
    (tree.kind() == TreeKind::Practice || same_root() == Some(true)).then_some(name)
}

/// Whether dpkg started it, or whoever it descends from, as a maintainer script.
fn is_of_dpkg(pid: u32) -> bool {
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    variables
        .split(|byte| *byte == 0)
        .any(|variable| variable.starts_with(b"DPKG_MAINTSCRIPT_NAME="))
}

fn is_marked(pid: u32, jobs: &Path) -> bool {
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = [
        JOB_MARK.as_bytes(),
        b"=",
        jobs.as_os_str().as_encoded_bytes(),
        b"/",
    ]
    .concat();
    variables
        .split(|byte| *byte == 0)
        .any(|variable| variable.starts_with(&mark))
}

fn program(words: &[String]) -> String {
    let path = words.first().map(PathBuf::from).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars().filter(|letter| !letter.is_control()).collect()
}
