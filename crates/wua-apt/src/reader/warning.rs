//! What a search must tell beside its answer, and why a reading can fail altogether.

use std::path::PathBuf;

use crate::dpkg::DpkgError;

/// Something that makes the answer less than whole (rule U5). The sentence names the file or archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadWarning {
    /// The machine has no source of packages at all.
    #[error("no package sources are configured")]
    NoSources,
    /// The indexes of an archive were never fetched.
    #[error("the indexes of {archive} were never refreshed")]
    NeverRefreshed {
        /// The archive's address.
        archive: String,
    },
    /// An archive offers an index that is not here.
    #[error("the index `{index}` of {archive} is missing")]
    MissingIndex {
        /// The archive's address.
        archive: String,
        /// The index, as the archive names it.
        index: String,
    },
    /// An index could not be read to its end.
    #[error("the index `{}` cannot be read: {why}", file.display())]
    UnreadableIndex {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// A stanza of an index is damaged and was left out; further damage in the same file is not listed.
    #[error("the index `{}` is damaged in stanza {number} (package `{package}`, byte {offset}): {why}", file.display())]
    DamagedIndex {
        /// The file.
        file: PathBuf,
        /// Which stanza, counted from 1.
        number: usize,
        /// Where it begins, in bytes of the unpacked text.
        offset: u64,
        /// Its package, as far as readable.
        package: String,
        /// What is wrong with it.
        why: String,
    },
    /// A preferences file, or a record of it, was left out.
    #[error("the preferences file `{}` is not fully understood: {why}", file.display())]
    Preferences {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl ReadWarning {
    /// The same damage where `before` stanzas stand before the text it was found in.
    pub(super) fn shifted(mut self, before: usize) -> Self {
        if let Self::DamagedIndex { number, .. } = &mut self {
            *number += before;
        }
        self
    }
}

/// Why the machine cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// dpkg's database is unreadable or damaged.
    #[error("the package database cannot be read")]
    Dpkg(#[from] DpkgError),
    /// A program of APT could not be started.
    #[error("`{program}` cannot be started")]
    Start {
        /// The program.
        program: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program of APT failed, as it does on malformed sources or settings.
    #[error("`{program}` failed ({status}): {message}")]
    Program {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said last.
        message: String,
    },
    /// APT's configuration lacks something that is always there.
    #[error("APT's configuration has no `{name}`")]
    Configuration {
        /// The name.
        name: &'static str,
    },
}
