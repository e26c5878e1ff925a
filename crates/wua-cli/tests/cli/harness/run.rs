//! One finished run of the program: its exit code and what it said, already held against the schema and the laws.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::laws::{self, Extent};
use super::schema;

/// The exit codes of design.md section 3.
const EXIT_CODES: [i32; 9] = [0, 1, 2, 3, 4, 5, 6, 10, 11];

/// What a run said.
#[derive(Debug)]
pub(crate) struct Run {
    /// The words after `wua`, without `--root`.
    pub(crate) arguments: Vec<String>,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program with a fixed environment and nothing of the caller's.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wua"));
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command that needs no machine.
pub(crate) fn run_anywhere<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    let mut command = program();
    command.args(arguments);
    run(&mut command, 0)
}

/// Runs a command of which the first `hidden` words are the harness's own.
pub(crate) fn run(command: &mut Command, hidden: usize) -> Run {
    let output = command.output().expect("the program starts");
    let words = command
        .get_args()
        .skip(hidden)
        .map(|word| word.to_string_lossy().into_owned());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    Run::new(
        words.collect(),
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

impl Run {
    /// A run that ended by itself, checked.
    pub(crate) fn new(arguments: Vec<String>, code: Option<i32>, out: String, err: String) -> Self {
        let code = code.unwrap_or_else(|| panic!("{arguments:?} was ended by a signal\n{out}\n{err}"));
        let run = Self {
            arguments,
            code,
            out,
            err,
        };
        assert!(
            EXIT_CODES.contains(&run.code),
            "{} is no exit code of wua's\n{run}",
            run.code
        );
        assert!(
            !run.out.contains('\x1b') && !run.err.contains('\x1b'),
            "no colour belongs into a pipe\n{run}"
        );
        run.check_format();
        run
    }

    fn check_format(&self) {
        match self.format() {
            "json" if !self.out.is_empty() => {
                schema::check(schema::document_of(&self.arguments), &self.document())
            }
            "jsonl" => {
                let lines = self.lines();
                let extent = match lines.last().filter(|line| line["event"] == "result") {
                    None => Extent::Part,
                    Some(line) if line.get("problem").is_some() => Extent::Whole("problem"),
                    Some(_) => Extent::Whole(schema::document_of(&self.arguments)),
                };
                laws::check(&lines, extent);
            }
            _ => {}
        }
        let has_result = match self.format() {
            "json" => !self.out.is_empty(),
            "jsonl" => self.lines().last().is_some_and(|line| line["event"] == "result"),
            _ => return,
        };
        assert!(
            has_result || (self.code != 0 && !self.err.is_empty()),
            "a document or a reason is missing\n{self}"
        );
    }

    fn format(&self) -> &str {
        let place = self.arguments.iter().position(|argument| argument == "--output");
        place
            .and_then(|place| self.arguments.get(place + 1))
            .map_or("text", String::as_str)
    }

    /// Fails unless the run ended with this exit code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "another exit code was expected\n{self}");
        self
    }

    /// Fails unless the error output has all of these texts.
    #[track_caller]
    pub(crate) fn complains(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.err.contains(text),
                "the error output should say {text:?}\n{self}"
            );
        }
        self
    }

    /// Fails unless the output has all of these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "the output should say {text:?}\n{self}");
        }
        self
    }

    /// The one document of `--output json`.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("the output is one document: {error}\n{self}"))
    }

    /// The lines of `--output jsonl`.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}\n{self}"));
        self.out.lines().map(parse).collect()
    }

    /// The lines of one kind of event.
    #[track_caller]
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.lines()
            .into_iter()
            .filter(|line| line["event"] == name)
            .collect()
    }

    /// The last line of `--output jsonl`.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        let last = self
            .lines()
            .pop()
            .unwrap_or_else(|| panic!("there are lines\n{self}"));
        assert_eq!(last["event"], "result", "{self}");
        last
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            arguments,
            code,
            out,
            err,
        } = self;
        write!(
            f,
            "wua {} -> {code}\n--- output\n{out}--- error output\n{err}---",
            arguments.join(" ")
        )
    }
}
