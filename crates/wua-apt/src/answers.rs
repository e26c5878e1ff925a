//! What APT says of a tree's settings and sources: the two short answers that a reading needs.
//!
//! `apt-config dump` and `apt-get indextargets` take some 10 and 20 ms. They are not run where
//! what they said last was kept ([`crate::kept`]) and still holds.
//!
//! `apt-get indextargets` is asked about an empty machine, with lists that are not there: so it does not open (on machines
//! without its binary cache: build) its cache first.

use std::process::{Child, Command, Stdio};

use crate::kept;
use crate::reader::ReadError;
use crate::tree::{AptTree, Program};

/// The questions about the sources, after `apt-get`.
const TARGETS: [&str; 8] = [
    "indextargets",
    "--no-release-info",
    "Created-By: Packages",
    "Target-Of: deb",
    "-oDir::State::lists=/nonexistent/",
    "-oDir::State::status=/dev/null",
    "-oDir::Cache::pkgcache=",
    "-oDir::Cache::srcpkgcache=",
];

/// APT's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    /// All settings, as `apt-config dump` prints them.
    pub(crate) settings: String,
    /// The indexes of all sources, as stanzas.
    pub(crate) targets: String,
}

impl Answers {
    /// What was kept, where it holds, else what APT says now. Blocks for some 20 ms if APT has to be asked.
    ///
    /// # Errors
    /// A program cannot be started, or APT refuses, as it does on malformed sources or settings.
    pub(crate) fn of(tree: &AptTree) -> Result<Self, ReadError> {
        kept::read(tree).map_or_else(|| Self::of_apt(tree), Ok)
    }

    /// What APT says now, whatever was kept.
    ///
    /// # Errors
    /// As [`Answers::of`].
    pub(crate) fn of_apt(tree: &AptTree) -> Result<Self, ReadError> {
        // The slower one first; both work at once.
        let targets = Question::ask("apt-get", tree.reading(Program::AptGet).args(TARGETS))?;
        let settings = Question::ask("apt-config", tree.reading(Program::AptConfig).arg("dump"))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self {
            settings: text(settings.answer()?),
            targets: text(targets.answer()?),
        })
    }
}

/// A program that was asked and has not answered yet.
#[derive(Debug)]
struct Question {
    program: &'static str,
    /// `None` once it has answered.
    child: Option<Child>,
}

impl Question {
    fn ask(program: &'static str, command: &mut Command) -> Result<Self, ReadError> {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ReadError::Start { program, source })?;
        Ok(Self {
            program,
            child: Some(child),
        })
    }

    /// Waits for the answer.
    fn answer(mut self) -> Result<Vec<u8>, ReadError> {
        let program = self.program;
        let output = self
            .child
            .take()
            .expect("only this method takes the child, and it consumes the question")
            .wait_with_output()
            .map_err(|source| ReadError::Start { program, source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("it said nothing");
        let message = last.trim_start_matches("E: ").to_owned();
        Err(ReadError::Program {
            program,
            status: output.status,
            message,
        })
    }
}

impl Drop for Question {
    /// Nobody wants to know any more: the program's pipes are closed, so it ends, and is waited for.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop((child.stdout.take(), child.stderr.take()));
            // There is nothing to be done about a child that cannot be waited for.
            let _ = child.wait();
        }
    }
}
