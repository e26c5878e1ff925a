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
    /// About what is kept.
    pub store: StorePolicy,
    /// About what the agent does by itself; the agent knows the keys.
    pub automatic: serde_json::Map<String, serde_json::Value>,
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
    /// How many seconds a maintainer script may be silent, neither printing nor getting on, before it is ended; never if none.
    pub script_limit_seconds: Option<u32>,
    /// A machine on battery begins nothing below this percentage of charge. 0 never refuses.
    pub battery_percent: u8,
}

impl Default for InstallPolicy {
    fn default() -> Self {
        Self {
            longest_batch_seconds: 30,
            restart_first: false,
            script_limit_seconds: None,
            battery_percent: 20,
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

/// `[store]`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorePolicy {
    /// How many days an archive stays that neither an undo nor a pending update needs.
    pub keep_days: u32,
    /// The most bytes that archives may take. Above it the oldest go, at last those of undo; those of an unfinished job or a
    /// pending update never.
    pub max_bytes: u64,
}

impl Default for StorePolicy {
    fn default() -> Self {
        Self {
            keep_days: 30,
            max_bytes: 4_000_000_000,
        }
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
    /// It says something that wua does not know. Only the place is told, never what stands there: whoever reads this may not
    /// be allowed to read the file, or the file may be another one than its name says.
    #[error("the policy `{}` is not valid: {}", path.display(), place(*line, key.as_deref()))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key on that line, if it is one.
        key: Option<String>,
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
        Self::parse(&text, path)
    }

    /// Reads the text of a policy; `path` is what errors name.
    ///
    /// # Errors
    /// [`PolicyError::Invalid`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count();
            PolicyError::Invalid {
                path: path.into(),
                line: line + 1,
                key: text.lines().nth(line).and_then(key_of),
            }
        })
    }
}

fn place(line: usize, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("line {line}, key `{key}`, is not understood"),
        None => format!("line {line} is not understood"),
    }
}

/// The key of `KEY = VALUE`, if it looks like one of ours.
fn key_of(line: &str) -> Option<String> {
    const LONGEST: usize = 40;
    let key = line.split_once('=')?.0.trim();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!key.is_empty() && key.len() <= LONGEST && key.bytes().all(fits)).then(|| key.to_owned())
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
        let text = error.to_string();
        assert!(
            text.ends_with("line 2, key `longest_bach_seconds`, is not understood"),
            "{text}"
        );
    }

    #[test]
    fn what_stands_in_the_file_is_never_quoted() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("wua.toml");
        let hostile = [
            "root:$y$secret:1::\n",
            "[install]\nrestart_first = \"secret\"\n",
            "[install]\n\nlongest_batch_seconds = secret\n",
            "Secret = 1\n",
        ];
        for text in hostile {
            std::fs::write(&path, text).expect("file");
            let error = Policy::read(&path).expect_err(text);
            assert!(std::error::Error::source(&error).is_none());
            let told = error.to_string();
            assert!(
                told.contains("line ") && !told.to_lowercase().contains("secret"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_machine_without_a_policy_has_the_default_one() {
        let policy = Policy::read(Path::new("/nonexistent/wua.toml")).expect("absent is fine");
        assert_eq!(policy.install.longest_batch_seconds, 30);
    }
}
