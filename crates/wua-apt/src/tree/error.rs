//! Why a tree cannot be worked on.

use std::io;
use std::path::PathBuf;

use super::{PRACTICE_CONFIG, PROGRAM_FOLDERS};
use crate::dpkg::DpkgError;

/// Why a tree cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The root is missing or is not a directory.
    #[error("`{}` cannot be opened as the root of a machine", root.display())]
    NotADirectory {
        /// The root as it was asked for.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no dpkg database below the root.
    #[error("`{}` is not a Debian machine: it has no readable `var/lib/dpkg/status`", root.display())]
    NotDebian {
        /// The root as it was asked for.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A practice machine that belongs to another user: its configuration would be run in our name.
    #[error("the practice machine `{}` belongs to another user (uid {owner})", root.display())]
    ForeignPracticeMachine {
        /// The root as it was asked for.
        root: PathBuf,
        /// The owner found.
        owner: u32,
    },
    /// The practice machine has lost its APT configuration.
    #[error("the practice machine `{}` has no `{PRACTICE_CONFIG}`", root.display())]
    PracticeConfigMissing {
        /// The root as it was asked for.
        root: PathBuf,
    },
    /// A needed program is not installed.
    #[error("the program `{program}` is missing; looked in {}", PROGRAM_FOLDERS.join(", "))]
    ProgramMissing {
        /// Its name.
        program: &'static str,
    },
    /// The path of the tree has a character that APT's configuration syntax cannot carry.
    #[error("the path `{}` has a quote or a line break, which an APT configuration cannot hold", root.display())]
    UnusablePath {
        /// The root.
        root: PathBuf,
    },
    /// The APT configuration for the tree could not be written to a temporary file.
    #[error("the APT configuration for `{}` could not be written", root.display())]
    Configuration {
        /// The root.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The dpkg database, asked for the architecture, is damaged.
    #[error("the architecture of `{}` cannot be found out", root.display())]
    Database {
        /// The root.
        root: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<DpkgError>,
    },
    /// No package `dpkg` is installed in the tree, so its architecture is unknown.
    #[error("the architecture of `{}` cannot be found out: the package `dpkg` is not installed there", root.display())]
    NoArchitecture {
        /// The root.
        root: PathBuf,
    },
}
