//! What can go wrong while a practice machine is made or used. Every message says what was attempted on what; the
//! source says why. Failing package operations of a test's own are no errors here: they are the `Output` of `apt_get`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A practice machine could not be made, opened or worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// APT could not work with this directory's name.
    #[error("`{}` cannot hold a practice machine: {reason}", path.display())]
    UnfitPath {
        /// The directory asked for.
        path: PathBuf,
        /// What is wrong with its name.
        reason: String,
    },
    /// The directory has content that no practice machine left there; it is not touched.
    #[error("`{}` is not empty and is not a practice machine; choose a new or an empty directory", path.display())]
    Occupied {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The directory belongs to another user, who could change the machine while it is made or used.
    #[error("`{}` belongs to uid {owner}; choose a directory of your own", path.display())]
    Foreign {
        /// The directory asked for.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The directory is not a practice machine of this version, or was moved since it was made.
    #[error("`{}` is not a usable practice machine: {reason}", path.display())]
    NotAMachine {
        /// The directory asked for.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// A file operation failed.
    #[error("could not {attempt} `{}`", path.display())]
    File {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// The file or directory it was attempted on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A package was described in a way that no archive could hold.
    #[error("package `{name}` cannot be built: {reason}")]
    Package {
        /// The name of the package.
        name: String,
        /// The part of the description that is wrong.
        reason: String,
    },
    /// The archive's key could not be made, read, or used.
    #[error("could not {attempt} the archive's signing key")]
    Signing {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// The answer of the OpenPGP library.
        source: Box<pgp::errors::Error>,
    },
    /// One of APT's programs is missing or could not be started.
    #[error("could not start `{program}`; practice machines need the real apt-get and dpkg")]
    Start {
        /// The program.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that had to succeed did not.
    #[error("`{program}` ended with {status}: {stderr}")]
    Program {
        /// The program with its arguments.
        program: String,
        /// How it ended, in words.
        status: String,
        /// The last lines of its error output.
        stderr: String,
    },
}

/// The number of error lines that an error message carries.
const STDERR_LINES: usize = 12;

impl SandboxError {
    pub(crate) fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            attempt,
            path,
            source,
        }
    }

    pub(crate) fn signing(attempt: &'static str) -> impl FnOnce(pgp::errors::Error) -> Self {
        move |source| Self::Signing {
            attempt,
            source: Box::new(source),
        }
    }

    pub(crate) fn program(program: String, output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = &lines[lines.len().saturating_sub(STDERR_LINES)..];
        Self::Program {
            program,
            status: output.status.to_string(),
            stderr: tail.join("\n"),
        }
    }
}
