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
    /// A folder or file that matters is a symbolic link, so that what is read or written may lie outside the tree.
    #[error("`{}` is a symbolic link; below `{}` it must be a folder or file of its own", path.display(), root.display())]
    Link {
        /// The root.
        root: PathBuf,
        /// The link.
        path: PathBuf,
    },
    /// A folder or file that matters belongs to somebody who is neither the caller nor root: it could make programs run
    /// in our name.
    #[error(
        "`{}` belongs to another user (uid {owner}), who could have programs run by it; work on `{}` as its owner",
        path.display(), root.display()
    )]
    Foreign {
        /// The root.
        root: PathBuf,
        /// What belongs to somebody else.
        path: PathBuf,
        /// The owner found.
        owner: u32,
    },
    /// A folder or file that matters can be changed by everybody.
    #[error("`{}` can be written to by everybody, so nothing in `{}` can be trusted", path.display(), root.display())]
    Open {
        /// The root.
        root: PathBuf,
        /// What is open.
        path: PathBuf,
    },
    /// It cannot be told who wrote a folder or file that matters.
    #[error("it cannot be told whom `{}` belongs to", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The practice machine has lost its APT configuration.
    #[error("the practice machine `{}` has no `{PRACTICE_CONFIG}`", root.display())]
    PracticeConfigMissing {
        /// The root as it was asked for.
        root: PathBuf,
    },
    /// A practice machine that was copied or moved: its APT works on another tree.
    #[error("the practice machine `{}` was made at `{}` and works there alone; make another one with `wua sandbox create`", root.display(), made_at.display())]
    PracticeMachineMoved {
        /// The root as it was asked for.
        root: PathBuf,
        /// Where it was made.
        made_at: PathBuf,
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
