//! The administrator's policy, `/etc/wua/wua.toml`. It wins over everything that is set elsewhere.
//!
//! A key that is not known is an error, never ignored: a typing mistake in a policy must not pass for a policy.

use std::io;
use std::path::{Path, PathBuf};

use wua_types::HResult;

/// What the administrator decided. Absent keys have the values of [`Policy::default`].
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// About installing.
    pub install: InstallPolicy,
    /// About taking updates back.
    pub undo: UndoPolicy,
}

/// `[install]`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstallPolicy {
    /// The most seconds that somebody who aborts may have to wait: how long a batch may take. 0 gives every update a batch of
    /// its own.
    pub longest_batch_seconds: u32,
    /// Refuse to install while a restart is pending (rule R37).
    pub restart_first: bool,
}

impl Default for InstallPolicy {
    fn default() -> Self {
        Self {
            longest_batch_seconds: 30,
            restart_first: false,
        }
    }
}

/// `[undo]`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UndoPolicy {
    /// Pack installed files again where the old archive cannot be had any more.
    pub repack: bool,
}

impl Default for UndoPolicy {
    fn default() -> Self {
        Self { repack: true }
    }
}

/// Why the policy cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file is there but cannot be read.
    #[error("cannot read the policy `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It says something that wua does not know.
    #[error("the policy `{}` is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
}

impl PolicyError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Read { source, .. } => crate::store::io_code(source),
            Self::Invalid { .. } => HResult::E_INVALIDARG,
        }
    }
}

impl Policy {
    /// Reads the policy; a machine without the file has the default one.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(PolicyError::Read {
                    path: path.into(),
                    source,
                });
            }
        };
        toml::from_str(&text).map_err(|source| PolicyError::Invalid {
            path: path.into(),
            source: Box::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_and_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("wua.toml");
        std::fs::write(&path, "[install]\nlongest_bach_seconds = 5\n").expect("file");
        let error = Policy::read(&path).expect_err("a misspelt key");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(
            cause.contains("longest_bach_seconds") && cause.contains("line 2"),
            "{cause}"
        );
    }

    #[test]
    fn a_machine_without_a_policy_has_the_default_one() {
        let policy = Policy::read(Path::new("/nonexistent/wua.toml")).expect("absent is fine");
        assert_eq!(policy.install.longest_batch_seconds, 30);
    }
}
