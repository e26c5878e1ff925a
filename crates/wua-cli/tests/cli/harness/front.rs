//! A running `wua` that a test started: its lines as they come, Ctrl-C for it, and its sudden end.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::laws::{self, Extent};
use super::run::Run;

/// The front process of a command. The job that it began is another process and outlives it.
pub(crate) struct Front {
    child: Child,
    arguments: Vec<String>,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    said: String,
    complained: String,
}

impl Front {
    /// Starts the command, of which the first `hidden` words are the harness's own.
    pub(crate) fn start(command: &mut Command, hidden: usize) -> Self {
        let mut child = command.spawn().expect("the program starts");
        Self {
            arguments: command
                .get_args()
                .skip(hidden)
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            out: BufReader::new(child.stdout.take().expect("piped")),
            err: BufReader::new(child.stderr.take().expect("piped")),
            said: String::new(),
            complained: String::new(),
            child,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads its output up to the first line that fits. Blocks until then.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let said = &mut self.said;
        match line_that(&mut self.out, said, fits) {
            Some(line) => line,
            None => self.missing(what),
        }
    }

    /// Reads its event lines up to the first that fits.
    #[track_caller]
    pub(crate) fn until_event(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        let line = self.until(what, |line| fits(&parse(line)));
        parse(&line)
    }

    /// The id of the installation or uninstallation that it begins.
    #[track_caller]
    pub(crate) fn job(&mut self) -> String {
        let begins = |line: &Value| {
            line["event"] == "started" && matches!(line["operation"].as_str(), Some("install" | "uninstall"))
        };
        let line = self.until_event("the begin of the job", begins);
        line["job"].as_str().expect("an id").into()
    }

    /// Reads its error output up to the first line that has the text.
    #[track_caller]
    pub(crate) fn until_complaint(&mut self, text: &str) -> String {
        match line_that(&mut self.err, &mut self.complained, |line| line.contains(text)) {
            Some(line) => line,
            None => self.missing(text),
        }
    }

    #[track_caller]
    fn missing(&mut self, what: &str) -> ! {
        self.rest();
        let Self {
            arguments,
            said,
            complained,
            ..
        } = self;
        panic!("{arguments:?} ended without {what}\n--- output\n{said}--- error output\n{complained}---")
    }

    fn rest(&mut self) {
        self.out.read_to_string(&mut self.said).expect("it speaks UTF-8");
        self.err
            .read_to_string(&mut self.complained)
            .expect("it speaks UTF-8");
    }

    /// Sends it what Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        kill_process(self.as_pid(), Signal::INT).expect("it runs and is ours");
    }

    /// Sends it what a service manager sends to end it.
    pub(crate) fn ask_to_end(&self) {
        kill_process(self.as_pid(), Signal::TERM).expect("it runs and is ours");
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("waited for");
        self.rest();
        let complete = self.said.rfind('\n').map_or("", |end| &self.said[..end]);
        let lines: Vec<Value> = complete
            .lines()
            .map(|line| serde_json::from_str(line).expect("whole lines are JSON"))
            .collect();
        laws::check(&lines, Extent::Part);
    }

    fn as_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).expect("a process id")).expect("not 0")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Run {
        self.rest();
        let status = self.child.wait().expect("waited for");
        let (said, complained) = (
            std::mem::take(&mut self.said),
            std::mem::take(&mut self.complained),
        );
        Run::new(
            std::mem::take(&mut self.arguments),
            status.code(),
            said,
            complained,
        )
    }
}

fn line_that(from: &mut impl BufRead, seen: &mut String, fits: impl Fn(&str) -> bool) -> Option<String> {
    loop {
        let before = seen.len();
        if from.read_line(seen).expect("it speaks UTF-8") == 0 {
            return None;
        }
        let line = seen[before..].trim_end_matches('\n');
        if fits(line) {
            return Some(line.to_owned());
        }
    }
}
