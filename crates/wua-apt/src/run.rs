//! One run of apt-get or dpkg, outside our own life (rules A3, A4): a session of its own, every stream a regular file of
//! the job's folder, the exit status written by the shell around it.
//!
//! A keeper that dies changes nothing for the run; the next one finds it by pid and start time and follows the same files
//! from their beginning. Nothing here signals a process (rule C1).

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use wua_engine::seam;
use wua_types::HResult;

use crate::bell::{Bell, session, start_time};
use crate::last_words::printable;
use crate::scripts::{Script, all_pids, descendants};
use crate::status_lines::Lines;

/// The variable that marks everything a job starts with the job's folder.
pub(crate) const JOB_MARK: &str = "WUA_JOB";
/// How many bytes of what a run printed are looked through for its last line.
const LAST_LINE: u64 = 4 << 10;

/// Opens the files outside a chroot, runs the program, and leaves its exit status beside them, a line that counts once it is whole.
/// Descriptor 3 is for APT's status lines, 4 for dpkg's. Both streams of text share a file, so that they stay in order.
const SHELL: &str = r#"umask 022
status=$1 dpkg=$2 term=$3 code=$4
shift 4
"$@" 3>>"$status" 4>>"$dpkg" >>"$term" 2>&1 </dev/null
echo "$?" >"$code"
"#;

/// Why a run cannot be started or followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot {action} `{}`", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot start `{program}`")]
    Start { program: String, source: io::Error },
    #[error("cannot wait for `{program}`")]
    Wait { program: String, source: io::Error },
}

impl RunError {
    pub(crate) fn code(&self) -> HResult {
        match self {
            Self::File { source, .. } | Self::Start { source, .. } | Self::Wait { source, .. } => {
                wua_engine::store::io_code(source)
            }
        }
    }
}

/// What is written down about a run, for a keeper that did not start it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    program: String,
    pid: u32,
    /// In clock ticks since the machine's start; with the pid it is never used twice.
    start_time: u64,
}

/// The record's file with room enough, made before the run: afterwards a full disk may not keep it from being written.
struct RecordPlace {
    file: File,
    room: usize,
}

impl RecordPlace {
    /// Writes blanks, which are no record.
    fn reserve(path: &Path, program: &str) -> Result<Self, RunError> {
        let longest = Record {
            program: program.to_owned(),
            pid: u32::MAX,
            start_time: u64::MAX,
        };
        let room = longest.text().len();
        let make = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let file = options.open(path)?;
            file.write_all_at(&vec![b' '; room], 0)?;
            Ok(file)
        };
        let file = make().map_err(|source| file_error("create", path, source))?;
        Ok(Self { file, room })
    }

    fn fill(&self, record: &Record) -> io::Result<()> {
        let mut text = record.text();
        text.resize(self.room, b' ');
        self.file.write_all_at(&text, 0)
    }
}

impl Record {
    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values serialise")
    }
}

/// Something heard from a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard<'a> {
    /// A line of APT's status file.
    Apt(&'a str),
    /// A line of dpkg's status file.
    Dpkg(&'a str),
    /// All lines there are have been told; comes at least every [heartbeat](crate::bell::HEARTBEAT).
    Pulse,
}

/// A run that was started, here or by an earlier keeper.
#[derive(Debug)]
pub(crate) struct Run {
    folder: PathBuf,
    tag: String,
    record: Record,
    child: Option<Child>,
    apt: Tail,
    dpkg: Tail,
}

impl Run {
    /// Starts `command` with `tag` (such as `3.1`) in the names of its files. Its streams must not be set up.
    pub(crate) fn start(folder: &Path, tag: &str, command: &Command) -> Result<Self, RunError> {
        let [status, dpkg, term] = ["status", "dpkg", "term"].map(|kind| log(folder, kind, tag));
        for path in [&status, &dpkg, &term] {
            let created = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path);
            created.map_err(|source| file_error("create", path, source))?;
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let mut shell = Command::new("setsid");
        shell
            .args(["sh", "-c", SHELL, "sh"])
            .args([&status, &dpkg, &term, &exit_file(folder, tag)]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.env_clear().env(JOB_MARK, folder);
        shell.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let place = RecordPlace::reserve(&record_file(folder, tag), &program)?;
        let start = seam::at("spawn-run").and_then(|()| shell.spawn());
        let child = start.map_err(|source| RunError::Start {
            program: program.clone(),
            source,
        })?;
        let pid = child.id();
        let record = Record {
            program,
            pid,
            start_time: start_time(pid).unwrap_or(0),
        };
        // It runs now, so it is followed whatever happens; only a keeper after us would miss the record.
        if let Err(error) = seam::at("run-record").and_then(|()| place.fill(&record)) {
            tracing::error!(pid, %error, "it cannot be written down that the run was started");
        }
        Ok(Self::of(folder, tag, record, Some(child)))
    }

    /// The runs of a job's folder that an earlier keeper started and that are not over, oldest first.
    pub(crate) fn unfinished(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut tags: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(name.strip_prefix("run-")?.strip_suffix(".json")?.to_owned())
            })
            .filter(|tag| exit_status(folder, tag).is_none())
            .collect();
        tags.sort();
        let runs = tags.into_iter().filter_map(|tag| {
            let record: Record = serde_json::from_slice(&fs::read(record_file(folder, &tag)).ok()?).ok()?;
            let run = Self::of(folder, &tag, record, None);
            (run.leader_lives() || run.has_survivors()).then_some(run)
        });
        runs.collect()
    }

    fn of(folder: &Path, tag: &str, record: Record, child: Option<Child>) -> Self {
        let tail = |kind| Tail {
            path: log(folder, kind, tag),
            file: None,
            lines: Lines::default(),
        };
        Self {
            folder: folder.into(),
            tag: tag.into(),
            record,
            child,
            apt: tail("status"),
            dpkg: tail("dpkg"),
        }
    }

    /// The mark in the names of its files.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The program.
    pub(crate) fn program(&self) -> &str {
        &self.record.program
    }

    /// Whether `pid` is this run or something it started.
    pub(crate) fn owns(&self, pid: u32) -> bool {
        session(pid) == Some(self.record.pid)
    }

    /// The maintainer script that the run is busy with, if any.
    pub(crate) fn script(&self) -> Option<Script> {
        let mut family = if self.leader_lives() {
            descendants(self.record.pid)
        } else {
            BTreeSet::new()
        };
        // Where the shell around it was killed, nobody descends from it any more.
        family.extend(self.survivors());
        Script::among(&family)
    }

    /// How many bytes were printed.
    pub(crate) fn printed_bytes(&self) -> u64 {
        fs::metadata(log(&self.folder, "term", &self.tag)).map_or(0, |metadata| metadata.len())
    }

    /// The last line that was printed and is not empty, fit for a terminal.
    pub(crate) fn last_line(&self) -> Option<String> {
        let text = printed(&self.folder, &self.tag, LAST_LINE);
        let mut lines = text.rsplit(['\n', '\r']).map(printable);
        lines.find(|line| !line.is_empty())
    }

    /// Follows the run to its end, telling all it says. The exit status; none where nobody could write it down.
    pub(crate) fn follow(&mut self, mut hear: impl FnMut(&Self, Heard<'_>)) -> Result<Option<i32>, RunError> {
        let mut bell = Bell::new(&[&self.apt.path, &self.dpkg.path], self.record.pid);
        loop {
            // Asked before the files are read, so that nothing written before the end is missed.
            let over = self.is_over()?;
            let (mut apt, mut dpkg) = (std::mem::take(&mut self.apt), std::mem::take(&mut self.dpkg));
            // dpkg first: what APT says of it is no news then.
            let read = dpkg.read(|line| hear(self, Heard::Dpkg(line)));
            let read = read.and_then(|()| apt.read(|line| hear(self, Heard::Apt(line))));
            (self.apt, self.dpkg) = (apt, dpkg);
            read?;
            hear(self, Heard::Pulse);
            if over {
                return Ok(exit_status(&self.folder, &self.tag));
            }
            if bell.wait() {
                // From now on only survivors are waited for.
                bell.ignore_end();
            }
        }
    }

    fn is_over(&mut self) -> Result<bool, RunError> {
        let leader_lives = match &mut self.child {
            Some(child) => {
                let status = child.try_wait();
                status
                    .map_err(|source| RunError::Wait {
                        program: self.record.program.clone(),
                        source,
                    })?
                    .is_none()
            }
            None => self.leader_lives(),
        };
        // Where the shell around it was killed, apt, dpkg or a script of a package may still be working.
        Ok(!leader_lives && (exit_status(&self.folder, &self.tag).is_some() || !self.has_survivors()))
    }

    fn leader_lives(&self) -> bool {
        start_time(self.record.pid) == Some(self.record.start_time)
    }

    fn has_survivors(&self) -> bool {
        self.survivors().next().is_some()
    }

    /// The processes of this run's session that are marked as this job's: numbers of sessions come again, marks not.
    fn survivors(&self) -> impl Iterator<Item = u32> {
        let mark = [
            JOB_MARK.as_bytes(),
            b"=",
            self.folder.as_os_str().as_encoded_bytes(),
        ]
        .concat();
        all_pids().filter(move |pid| {
            self.owns(*pid)
                && fs::read(format!("/proc/{pid}/environ")).is_ok_and(|variables| {
                    variables
                        .split(|byte| *byte == 0)
                        .any(|variable| variable == mark)
                })
        })
    }
}

/// What a run printed: the last part of its terminal log, at most `most` bytes, unreadable bytes replaced.
pub(crate) fn printed(folder: &Path, tag: &str, most: u64) -> String {
    use std::io::{Seek, SeekFrom};
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log(folder, "term", tag))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// Whether a job's folder has a run with this tag.
pub(crate) fn is_used(folder: &Path, tag: &str) -> bool {
    record_file(folder, tag).exists()
}

/// The sessions of those runs of a job's folder whose end nobody wrote down, whether or not anything of them lives.
pub(crate) fn open_sessions(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let open = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let tag = name.strip_prefix("run-")?.strip_suffix(".json")?;
        if exit_status(folder, tag).is_some() {
            return None;
        }
        let record: Record = serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?;
        Some(record.pid)
    });
    open.collect()
}

fn log(folder: &Path, kind: &str, tag: &str) -> PathBuf {
    folder.join(format!("{kind}-{tag}.log"))
}

fn exit_file(folder: &Path, tag: &str) -> PathBuf {
    folder.join(format!("exit-{tag}"))
}

/// How a run ended; none before it did, and where nobody could write it down.
fn exit_status(folder: &Path, tag: &str) -> Option<i32> {
    let text = fs::read_to_string(exit_file(folder, tag)).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

fn record_file(folder: &Path, tag: &str) -> PathBuf {
    folder.join(format!("run-{tag}.json"))
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> RunError {
    RunError::File {
        action,
        path: path.into(),
        source,
    }
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> Result<(), RunError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|source| file_error("write", path, source))
}

/// A file that grows, read as far as it goes each time.
#[derive(Debug, Default)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    lines: Lines,
}

impl Tail {
    fn read(&mut self, mut line: impl FnMut(&str)) -> Result<(), RunError> {
        let failed = |path: &Path, source| file_error("read", path, source);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path).map_err(|source| failed(&self.path, source))?),
        };
        let mut buffer = [0; 16 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.lines.take(&buffer[..read], &mut line),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&self.path, error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn hear(run: &mut Run) -> (Vec<String>, Option<i32>) {
        let mut heard = Vec::new();
        let status = run.follow(|_, what| match what {
            Heard::Apt(line) => heard.push(format!("3 {line}")),
            Heard::Dpkg(line) => heard.push(format!("4 {line}")),
            Heard::Pulse => {}
        });
        (heard, status.expect("followed"))
    }

    #[test]
    fn a_run_is_followed_to_its_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let script = "echo one >&3; echo two >&4; echo out; echo err >&2; printf half >&3; exit 7";
        let mut run = Run::start(folder.path(), "1.0", &shell(script)).expect("started");
        let (mut heard, status) = hear(&mut run);
        // Both lines may be met in one look, or in two.
        heard.sort();
        assert_eq!(
            (heard, status),
            (vec!["3 one".to_owned(), "4 two".to_owned()], Some(7))
        );
        assert_eq!(printed(folder.path(), "1.0", 1 << 10), "out\nerr\n");
        assert_eq!(printed(folder.path(), "1.0", 4), "err\n");
    }

    #[test]
    fn a_run_is_found_again_by_somebody_who_did_not_start_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let gate = folder.path().join("open");
        let script = format!(
            "echo early >&4; while [ ! -e '{}' ]; do sleep 0.01; done; echo late >&4",
            gate.display()
        );
        let started = Run::start(folder.path(), "1.0", &shell(&script)).expect("started");
        let mut found = Run::unfinished(folder.path());
        let [run] = &mut found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(run.program(), "sh");
        let mut heard = Vec::new();
        let status = run.follow(|run, what| {
            if let Heard::Dpkg(line) = what {
                // Once the gate is open it may have ended at any time.
                if line == "early" {
                    assert!(run.owns(run.record.pid) && !run.owns(std::process::id()));
                }
                heard.push(line.to_owned());
                fs::write(&gate, "").expect("opened");
            }
        });
        assert_eq!(status.expect("followed"), Some(0));
        assert_eq!(heard, ["early", "late"]);
        assert!(Run::unfinished(folder.path()).is_empty());
        drop(started);
    }

    #[test]
    fn dpkg_is_heard_before_what_apt_says_of_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let script = shell("echo one >&3; echo two >&4");
        let mut run = Run::start(folder.path(), "1.0", &script).expect("started");
        // Over, so that one look meets both.
        run.child.as_mut().expect("ours").wait().expect("waited for");
        assert_eq!(
            hear(&mut run),
            (vec!["4 two".to_owned(), "3 one".to_owned()], Some(0))
        );
    }

    #[test]
    fn an_exit_status_counts_once_its_line_is_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (text, expected) in [("", None), ("10", None), ("100\n", Some(100))] {
            fs::write(exit_file(folder.path(), "1.0"), text).expect("written");
            assert_eq!(exit_status(folder.path(), "1.0"), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_down_is_not_started() {
        let folder = tempfile::tempdir().expect("temporary folder");
        // A folder where the record belongs cannot be written to, not even by root.
        fs::create_dir(record_file(folder.path(), "1.0")).expect("folder");
        let trace = folder.path().join("started");
        let script = shell(&format!("touch '{}'", trace.display()));
        let error = Run::start(folder.path(), "1.0", &script).expect_err("no record");
        assert!(matches!(error, RunError::File { .. }), "{error}");
        assert!(!trace.exists() && !exit_file(folder.path(), "1.0").exists());
    }

    #[test]
    fn a_reserved_record_needs_no_more_room_and_is_none_until_it_is_filled() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = record_file(folder.path(), "1.0");
        let place = RecordPlace::reserve(&path, "a \"program\"").expect("reserved");
        let size = || fs::metadata(&path).expect("there").len();
        let before = size();
        assert!(open_sessions(folder.path()).is_empty() && Run::unfinished(folder.path()).is_empty());
        let record = Record {
            program: "a \"program\"".into(),
            pid: 7,
            start_time: 8,
        };
        place.fill(&record).expect("filled");
        assert_eq!((size(), open_sessions(folder.path())), (before, vec![7]));
    }

    #[test]
    fn nothing_of_our_environment_reaches_a_run() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut run = Run::start(folder.path(), "1.0", &shell("env")).expect("started");
        hear(&mut run);
        let text = printed(folder.path(), "1.0", 1 << 16);
        let known = ["PATH=", "WUA_JOB=", "PWD=", "SHLVL=", "OLDPWD=", "_="];
        assert!(
            text.lines()
                .all(|line| known.iter().any(|name| line.starts_with(name))),
            "{text}"
        );
    }
}
