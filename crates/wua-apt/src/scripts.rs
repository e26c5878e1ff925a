//! The maintainer script that a run is busy with, and how one that hangs is ended (rule C1).
//!
//! A script is found among the run's own processes by what dpkg itself puts into its environment. Only that script and its
//! descendants are ever signalled, each by pid and start time; never a process group, never a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::bell::{parent, start_time};

/// The scripts that dpkg runs.
const KINDS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// A maintainer script at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pid: u32,
    start_time: u64,
    /// `postinst` and so on, or `trigger` for a postinst that works off triggers.
    kind: &'static str,
    /// The package, without its architecture.
    pub(crate) package: String,
}

impl Script {
    /// The script that one of `family` is: the outermost, for scripts start programs that inherit their environment.
    pub(crate) fn among(family: &BTreeSet<u32>) -> Option<Self> {
        let scripts: BTreeMap<u32, Self> = family
            .iter()
            .filter_map(|pid| Some((*pid, Self::of(*pid)?)))
            .collect();
        let is_outermost = |pid: &u32| parent(*pid).is_none_or(|parent| !scripts.contains_key(&parent));
        let outermost = *scripts.keys().find(|pid| is_outermost(pid))?;
        scripts.get(&outermost).cloned()
    }

    /// The script that a process is.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let start_time = start_time(pid)?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variable = |name: &str| {
            let mut variables = environment.split(|byte| *byte == 0);
            let value =
                variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
            std::str::from_utf8(value).ok()
        };
        let name = variable("DPKG_MAINTSCRIPT_NAME")?;
        let kind = *KINDS.iter().find(|kind| **kind == name)?;
        let package = variable("DPKG_MAINTSCRIPT_PACKAGE")?;
        let is_package = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if package.is_empty() || !package.bytes().all(is_package) {
            return None;
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        let is_trigger = words
            .windows(2)
            .any(|pair| pair[0].ends_with(kind.as_bytes()) && pair[1] == b"triggered");
        Some(Self {
            pid,
            start_time,
            kind: if is_trigger { "trigger" } else { kind },
            package: package.into(),
        })
    }

    /// `postinst of PACKAGE (PID)`.
    pub(crate) fn holder(&self) -> String {
        format!("{} of {} ({})", self.kind, self.package, self.pid)
    }

    /// `postinst of PACKAGE`.
    pub(crate) fn name(&self) -> String {
        format!("{} of {}", self.kind, self.package)
    }
}

/// The pids of all living descendants of `pid`, itself not among them.
pub(crate) fn descendants(pid: u32) -> BTreeSet<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for pid in all_pids() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let new = children.get(&pid).into_iter().flatten();
        open.extend(new.filter(|pid| found.insert(**pid)));
    }
    found
}

/// Every process of the machine.
pub(crate) fn all_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A script that is being ended: asked first, and after a while made to.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Pids with their start times.
    victims: BTreeMap<u32, u64>,
    asked: Instant,
    was_forced: bool,
}

impl Ending {
    /// Asks a script and all it started to end (SIGTERM).
    pub(crate) fn ask(script: &Script) -> Self {
        let mut ending = Self {
            victims: BTreeMap::from([(script.pid, script.start_time)]),
            asked: Instant::now(),
            was_forced: false,
        };
        ending.signal_all(Signal::TERM);
        ending
    }

    /// Makes those that did not listen within `grace` end, and what they started meanwhile (SIGKILL). Does not wait.
    pub(crate) fn force_after(&mut self, grace: Duration) {
        if !self.was_forced && self.asked.elapsed() >= grace {
            self.was_forced = true;
            self.signal_all(Signal::KILL);
        }
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        let mut victims = self.victims.iter();
        victims.all(|(pid, start)| start_time(*pid) != Some(*start))
    }

    fn signal_all(&mut self, signal: Signal) {
        let living = self
            .victims
            .iter()
            .filter(|(pid, start)| start_time(**pid) == Some(**start));
        let started: BTreeSet<u32> = living.flat_map(|(pid, _)| descendants(*pid)).collect();
        for pid in started {
            if let Some(start_time) = start_time(pid) {
                self.victims.entry(pid).or_insert(start_time);
            }
        }
        for (pid, start_time) in &self.victims {
            send(*pid, *start_time, signal);
        }
    }
}

/// Signals exactly the process that had this pid at this start time. One that is gone needs no signal.
fn send(pid: u32, start: u64, signal: Signal) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // The descriptor is opened first: what has the right start time afterwards is what was opened.
    let Ok(descriptor) = pidfd_open(process, PidfdFlags::empty()) else {
        return;
    };
    if start_time(pid) == Some(start)
        && let Err(error) = pidfd_send_signal(&descriptor, signal)
    {
        tracing::warn!(pid, %error, "a process of a hung script cannot be signalled");
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell in the environment of a maintainer script, with a child; ready when it has said so.
    fn script(kind: &str, package: &str, text: &str) -> (Child, BTreeSet<u32>) {
        let mut child = Command::new("sh")
            .args(["-c", text, "/var/lib/dpkg/info/tide.postinst", "triggered"])
            .env("DPKG_MAINTSCRIPT_NAME", kind)
            .env("DPKG_MAINTSCRIPT_PACKAGE", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut word = [0; 6];
        let out = child.stdout.as_mut().expect("piped");
        std::io::Read::read_exact(out, &mut word).expect("it says that it is ready");
        let mut family = descendants(child.id());
        family.insert(child.id());
        (child, family)
    }

    #[test]
    fn a_script_is_known_by_what_dpkg_says_in_its_environment() {
        let (mut child, family) = script("postinst", "tide", "sleep 1000 & echo ready; wait");
        let found = Script::among(&family).expect("found");
        assert_eq!(found.holder(), format!("trigger of tide ({})", child.id()));
        Ending::ask(&found);
        child.wait().expect("it ends");

        let (mut child, family) = script("postinst", "../tide", "echo ready; read line");
        assert_eq!(Script::among(&family), None);
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }

    #[test]
    fn what_does_not_listen_is_made_to_end_with_all_it_started() {
        let text = "trap '' TERM; (trap '' TERM; while :; do sleep 0.02; done) & echo ready; wait";
        let (mut child, family) = script("prerm", "tide", text);
        let mut ending = Ending::ask(&Script::among(&family).expect("found"));
        assert!(child.try_wait().expect("ours").is_none());
        ending.force_after(Duration::from_secs(3600));
        assert!(child.try_wait().expect("ours").is_none());
        ending.force_after(Duration::ZERO);
        child.wait().expect("it ends");
        assert!(ending.victims.len() >= 2);
        while !ending.is_over() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn nobody_is_signalled_for_having_a_pid_that_was_used_before() {
        let (mut child, _) = script("prerm", "tide", "echo ready; read line");
        let start = start_time(child.id()).expect("it lives");
        send(child.id(), start + 1, Signal::KILL);
        assert!(child.try_wait().expect("ours").is_none());
        send(child.id(), start, Signal::KILL);
        child.wait().expect("it ends");
    }
}
