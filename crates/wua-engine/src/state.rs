//! What wua remembers of a machine: flags of updates, what was installed and can be taken back, history.
//!
//! The truth is in a database that only its owner can read or write. After each change (results of a running job: a second later)
//! its public part is published as a plain file, by rename, for everybody else: a reader without rights can open neither a
//! database in WAL mode nor a hot journal (design.md, Choices).

mod durations;
mod layout;
mod public;
mod results;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;
use wua_types::{HResult, Update, UpdateHistoryEntry, UpdateId};

use self::layout::VERSION;
pub use self::public::PublicState;
pub use self::results::Consequence;
use crate::handler::InstalledUpdate;

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk said no.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database said no.
    #[error("the state database `{}` cannot be used{}", path.display(), cure(source))]
    Database {
        /// The database.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// Something in it cannot be understood.
    #[error("the state in `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The database or the public file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was written by a newer wua.
    #[error("the state in `{}` has layout {found}, and this wua knows {VERSION} at most", path.display())]
    Newer {
        /// The database or the public file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
}

/// What helps against a database that is none any more.
fn cure(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            "; move it aside with its `-wal` and `-shm`, and the next command fills another one from the `state.json` beside it"
        }
        _ => "",
    }
}

impl StateError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Io { source, .. } => crate::store::io_code(source),
            Self::Database { source, .. } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => HResult::ERROR_DISK_FULL,
                Some(rusqlite::ErrorCode::PermissionDenied | rusqlite::ErrorCode::ReadOnly) => {
                    HResult::E_ACCESSDENIED
                }
                Some(rusqlite::ErrorCode::CannotOpen) => HResult::E_ACCESSDENIED,
                _ => HResult::WU_E_DS_UNEXPECTED,
            },
            Self::Damaged { .. } => HResult::WU_E_DS_INVALID,
            Self::Newer { .. } => HResult::WU_E_DS_SCHEMAMISMATCH,
        }
    }
}

/// An installed update as it is remembered.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InstalledRecord {
    /// The update and what was changed for it.
    #[serde(flatten)]
    pub installed: InstalledUpdate,
    /// The job that installed it.
    pub job: Uuid,
    /// When.
    pub date: Timestamp,
    /// The machine's boot in which it asked for a restart, if it did.
    pub restart_asked_in_boot: Option<String>,
}

/// An operation as it is remembered from its begin on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OperationRecord {
    /// The job.
    pub job: Uuid,
    /// Install or uninstall, as a verb.
    pub operation: String,
    /// When it began.
    pub begun: Timestamp,
    /// Its updates' titles.
    pub titles: Vec<String>,
    /// The plan it is held to.
    pub plan_hash: String,
}

/// The state database of one machine, open for its owner.
#[derive(Debug)]
pub struct State {
    database: Connection,
    path: PathBuf,
    public: PathBuf,
    /// Since when results are recorded that everybody may read and nobody can yet.
    behind_since: Option<Instant>,
}

impl State {
    /// Hides updates or shows them again, durably.
    ///
    /// # Errors
    /// See [`StateError`]. The same holds for every change below.
    pub fn set_hidden(&mut self, updates: &[(UpdateId, String)], hidden: bool) -> Result<(), StateError> {
        self.change(|change| {
            for (id, title) in updates {
                change.execute(
                    "INSERT INTO flag (update_id, title, hidden) VALUES (?1, ?2, ?3)
                     ON CONFLICT (update_id) DO UPDATE SET hidden = ?3",
                    params![id.to_string(), title, hidden],
                )?;
            }
            Ok(())
        })
    }

    /// Notes that the licences of updates were accepted on this machine.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn accept_eula(&mut self, updates: &[Update]) -> Result<(), StateError> {
        self.change(|change| {
            for update in updates {
                change.execute(
                    "INSERT INTO flag (update_id, title, eula_accepted) VALUES (?1, ?2, 1)
                     ON CONFLICT (update_id) DO UPDATE SET eula_accepted = 1",
                    params![update.id().to_string(), update.title],
                )?;
            }
            Ok(())
        })
    }

    /// Notes that an operation begins; from here on it shows as unfinished. `order` is what its keeper is told to do, for the case that
    /// the job's folder goes away.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn begin(&mut self, operation: &OperationRecord, order: &str) -> Result<(), StateError> {
        let (job, text) = (operation.job.to_string(), json(operation));
        self.change(|change| {
            change
                .execute(
                    "INSERT OR REPLACE INTO operation (job, record, plan) VALUES (?1, ?2, ?3)",
                    params![job, text, order],
                )
                .map(drop)
        })
    }

    /// The order that an operation began with, as it was written down; none once it has ended.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn order(&self, job: Uuid) -> Result<Option<String>, StateError> {
        let orders: Vec<Option<String>> = self.rows(
            "SELECT plan FROM operation WHERE job = ?1",
            [job.to_string()],
            |row| row.get(0),
        )?;
        Ok(orders.into_iter().flatten().next())
    }

    /// Notes that an operation has ended and all its results are known.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn end(&mut self, job: Uuid) -> Result<(), StateError> {
        self.change(|change| {
            change
                .execute(
                    "UPDATE operation SET ended = 1, plan = NULL WHERE job = ?1",
                    params![job.to_string()],
                )
                .map(drop)
        })
    }

    /// Notes whether automatic updates use a service.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn register_with_au(&mut self, service: Uuid, registered: bool) -> Result<(), StateError> {
        self.change(|change| {
            change
                .execute(
                    "INSERT OR REPLACE INTO service VALUES (?1, ?2)",
                    params![service.to_string(), registered],
                )
                .map(drop)
        })
    }

    /// Sets values of the settings' keys, all or none; a value of none takes the key back to what the machine has without it.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn set_settings(&mut self, values: &[(String, Option<serde_json::Value>)]) -> Result<(), StateError> {
        self.change(|change| {
            for (key, value) in values {
                match value {
                    Some(value) => change.execute(
                        "INSERT OR REPLACE INTO setting VALUES (?1, ?2)",
                        params![key, json(value)],
                    )?,
                    None => change.execute("DELETE FROM setting WHERE key = ?1", params![key])?,
                };
            }
            Ok(())
        })
    }

    /// Makes a change that everybody may read.
    fn change(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StateError> {
        self.change_privately(work)?;
        self.publish_or_log();
        Ok(())
    }

    fn change_privately(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let wrap = |source| StateError::Database {
            path: path.clone(),
            source,
        };
        let change = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap)?;
        work(&change).map_err(wrap)?;
        crate::seam::at("state").map_err(|source| StateError::Io {
            action: "change",
            path: path.clone(),
            source,
        })?;
        change.commit().map_err(wrap)
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, text: &str) -> Result<T, StateError> {
        text.parse().map_err(|error: T::Err| StateError::Damaged {
            path: self.path.clone(),
            what: error.to_string(),
        })
    }

    fn documents<T: DeserializeOwned>(
        &self,
        query: &str,
        given: impl rusqlite::Params,
    ) -> Result<Vec<T>, StateError> {
        let texts: Vec<String> = self.rows(query, given, |row| row.get(0))?;
        let read = |text: &String| {
            serde_json::from_str(text).map_err(|error| StateError::Damaged {
                path: self.path.clone(),
                what: error.to_string(),
            })
        };
        texts.iter().map(read).collect()
    }

    fn rows<T>(
        &self,
        query: &str,
        given: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StateError> {
        let wrap = |source| StateError::Database {
            path: self.path.clone(),
            source,
        };
        let mut statement = self.database.prepare(query).map_err(wrap)?;
        statement
            .query_map(given, read)
            .map_err(wrap)?
            .collect::<rusqlite::Result<_>>()
            .map_err(wrap)
    }

    /// The updates that a job has history entries of, one for each entry.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn recorded(&self, job: Uuid) -> Result<Vec<UpdateId>, StateError> {
        let ids: Vec<String> = self.rows(
            "SELECT update_id FROM history WHERE job = ?1",
            [job.to_string()],
            |row| row.get(0),
        )?;
        ids.iter().map(|id| self.parse(id)).collect()
    }

    /// The titles of the updates that a job has history entries of.
    pub(crate) fn titles(&self, job: Uuid) -> Result<BTreeSet<String>, StateError> {
        let entries: Vec<UpdateHistoryEntry> =
            self.documents("SELECT entry FROM history WHERE job = ?1", [job.to_string()])?;
        Ok(entries.into_iter().map(|entry| entry.title).collect())
    }

    /// What is remembered of an operation, ended or not.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn operation(&self, job: Uuid) -> Result<Option<(OperationRecord, bool)>, StateError> {
        let wrap = |source| StateError::Database {
            path: self.path.clone(),
            source,
        };
        let found: Option<(String, bool)> = self
            .database
            .query_row(
                "SELECT record, ended FROM operation WHERE job = ?1",
                [job.to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(wrap)?;
        found
            .map(|(text, ended)| {
                serde_json::from_str(&text)
                    .map(|record| (record, ended))
                    .map_err(|error| StateError::Damaged {
                        path: self.path.clone(),
                        what: error.to_string(),
                    })
            })
            .transpose()
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain values serialise")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::folders::Folders;
    use wua_types::UpdateIdentity;

    fn folders() -> (tempfile::TempDir, Folders) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folders = Folders::new(folder.path());
        (folder, folders)
    }

    fn id(number: u128) -> UpdateId {
        UpdateId(Uuid::from_u128(number))
    }

    #[test]
    fn what_is_hidden_is_known_to_readers_without_rights() {
        let (_folder, folders) = folders();
        let mut state = State::open(&folders).expect("opens");
        state
            .set_hidden(&[(id(1), "harbour 2".into())], true)
            .expect("hidden");
        let text = fs::read(folders.public_state()).expect("published");
        let public: PublicState = serde_json::from_slice(&text).expect("parses");
        assert!(public.is_hidden(id(1)));
        assert_eq!(
            public,
            PublicState::read(&folders).expect("the database says the same")
        );
        let mode = |path: PathBuf| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(
            (mode(folders.database()), mode(folders.public_state())),
            (0o600, 0o644)
        );
    }

    #[test]
    fn a_licence_accepted_twice_stays_accepted_and_hides_nothing() {
        let (_folder, folders) = folders();
        let mut state = State::open(&folders).expect("opens");
        let update = Update::new(
            UpdateIdentity {
                update_id: id(2),
                revision_number: 1,
            },
            "harbour 2",
        );
        state
            .accept_eula(std::slice::from_ref(&update))
            .expect("accepted");
        state.accept_eula(&[update]).expect("accepted again");
        let public = PublicState::read(&folders).expect("reads");
        assert!(public.eula_accepted.contains(&id(2)) && public.hidden.is_empty());
    }

    #[test]
    fn an_operation_is_unfinished_until_it_ends() {
        let (_folder, folders) = folders();
        let mut state = State::open(&folders).expect("opens");
        let operation = OperationRecord {
            job: Uuid::from_u128(3),
            operation: "install".into(),
            begun: Timestamp::UNIX_EPOCH,
            titles: vec!["harbour 2".into()],
            plan_hash: String::new(),
        };
        state.begin(&operation, "{}").expect("begun");
        assert_eq!(
            PublicState::read(&folders).expect("reads").unfinished,
            std::slice::from_ref(&operation)
        );
        state.end(operation.job).expect("ended");
        assert!(PublicState::read(&folders).expect("reads").unfinished.is_empty());
        assert_eq!(
            state.operation(operation.job).expect("reads"),
            Some((operation, true))
        );
    }

    #[test]
    fn databases_of_older_wuas_get_what_they_lack_and_lose_nothing() {
        for (older, undo) in [
            (
                1,
                "ALTER TABLE operation DROP COLUMN plan; DROP TABLE duration; DROP TABLE pace; DROP TABLE setting;",
            ),
            (2, "DROP TABLE duration; DROP TABLE pace; DROP TABLE setting;"),
            (3, "DROP TABLE setting;"),
        ] {
            let (_folder, folders) = folders();
            let mut state = State::open(&folders).expect("opens");
            state
                .set_hidden(&[(id(1), "harbour 2".into())], true)
                .expect("hidden");
            state
                .database
                .execute_batch(&format!("{undo} PRAGMA user_version = {older};"))
                .expect("as it was then");
            drop(state);
            let mut state = State::open(&folders).expect("opens");
            assert!(PublicState::read(&folders).expect("reads").is_hidden(id(1)));
            let operation = OperationRecord {
                job: Uuid::from_u128(3),
                operation: "install".into(),
                begun: Timestamp::UNIX_EPOCH,
                titles: Vec::new(),
                plan_hash: String::new(),
            };
            state.begin(&operation, "{}").expect("begun");
            let wish = ("level".to_owned(), Some(serde_json::json!("install")));
            state.set_settings(&[wish]).expect("set");
            assert_eq!(
                PublicState::read(&folders).expect("reads").settings["level"],
                "install"
            );
            assert_eq!(state.order(operation.job).expect("reads").as_deref(), Some("{}"));
            assert_eq!(
                state.durations().expect("reads"),
                crate::durations::Durations::default()
            );
        }
    }

    #[test]
    fn a_database_of_a_newer_wua_is_left_alone() {
        let (_folder, folders) = folders();
        State::open(&folders)
            .expect("opens")
            .database
            .pragma_update(None, "user_version", 99)
            .expect("written");
        let error = State::open(&folders).expect_err("refused");
        assert!(matches!(error, StateError::Newer { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_foreign_file_in_the_databases_place_is_an_error_not_a_loss() {
        let (_folder, folders) = folders();
        fs::create_dir_all(folders.state()).expect("folder");
        fs::write(folders.database(), "this is a letter, no database at all").expect("file");
        assert!(matches!(State::open(&folders), Err(StateError::Database { .. })));
        assert!(
            fs::read_to_string(folders.database())
                .expect("still there")
                .starts_with("this is a letter")
        );
    }
}
