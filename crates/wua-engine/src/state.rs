//! What wua remembers of a machine: flags of updates, what was installed and can be taken back, history.
//!
//! The truth is in a database that only its owner can read or write. After each change its public part is published as a
//! plain file, by rename, for everybody else: a reader without rights can open neither a database in WAL mode nor a hot
//! journal (design.md, Choices).

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;
use wua_types::quote::without_quote;
use wua_types::{HResult, Update, UpdateHistoryEntry, UpdateId};

use crate::files::make_folder;
use crate::folders::Folders;
use crate::handler::InstalledUpdate;

/// How many history entries the public part holds.
const PUBLIC_HISTORY: usize = 1000;
/// The version of the database's layout and of the public file.
const VERSION: i64 = 2;

const LAYOUT: &str = "
    CREATE TABLE flag (update_id TEXT PRIMARY KEY, title TEXT NOT NULL, hidden INTEGER NOT NULL DEFAULT 0,
        eula_accepted INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE installed (update_id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE history (sequence INTEGER PRIMARY KEY, update_id TEXT NOT NULL, job TEXT NOT NULL, entry TEXT NOT NULL) STRICT;
    CREATE TABLE operation (job TEXT PRIMARY KEY, record TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0,
        plan TEXT) STRICT;
    CREATE TABLE service (id TEXT PRIMARY KEY, registered_with_au INTEGER NOT NULL) STRICT;
";

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

/// What everybody may know of a machine's state.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PublicState {
    /// The layout's version.
    pub version: i64,
    /// The updates that are hidden, with their titles.
    pub hidden: Vec<(UpdateId, String)>,
    /// The updates whose licence was accepted.
    pub eula_accepted: BTreeSet<UpdateId>,
    /// The updates that wua installed.
    pub installed: Vec<InstalledRecord>,
    /// What happened, newest first.
    pub history: Vec<UpdateHistoryEntry>,
    /// Operations that have begun and not ended.
    pub unfinished: Vec<OperationRecord>,
    /// The services whose registration with automatic updates was changed.
    pub services: Vec<(Uuid, bool)>,
}

impl PublicState {
    /// The state of a machine: from the database where the caller may read it, else from the public file. A machine that wua
    /// never changed has an empty state.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn read(folders: &Folders) -> Result<Self, StateError> {
        match State::open_existing(folders) {
            Ok(Some(state)) => return state.public(i64::MAX),
            Ok(None) => {}
            Err(error) if error.code() == HResult::E_ACCESSDENIED => {}
            Err(error) => return Err(error),
        }
        let path = folders.public_state();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(StateError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let state: Self = serde_json::from_slice(&text).map_err(|error| StateError::Damaged {
            path: path.clone(),
            what: error.to_string(),
        })?;
        if state.version > VERSION {
            return Err(StateError::Newer {
                path,
                found: state.version,
            });
        }
        Ok(state)
    }

    /// Whether the update is hidden.
    pub fn is_hidden(&self, id: UpdateId) -> bool {
        self.hidden.iter().any(|(hidden, _)| *hidden == id)
    }
}

/// Fills a new database from what was published. A database that is gone or was emptied takes nothing along but the history before
/// the last thousand entries and what programs printed.
fn refill(change: &Transaction<'_>, public: &Path, path: &Path) -> Result<(), StateError> {
    let Ok(text) = fs::read(public) else { return Ok(()) };
    let state: PublicState = serde_json::from_slice(&text).map_err(|error| StateError::Damaged {
        path: public.into(),
        what: error.to_string(),
    })?;
    tracing::warn!(
        database = %path.display(),
        "the state database is gone or empty; it is filled again from what was published"
    );
    let wrap = |source| StateError::Database {
        path: path.into(),
        source,
    };
    let fill = || -> rusqlite::Result<()> {
        for (id, title) in &state.hidden {
            let values = params![id.to_string(), title];
            change.execute(
                "INSERT INTO flag (update_id, title, hidden) VALUES (?1, ?2, 1)",
                values,
            )?;
        }
        for id in &state.eula_accepted {
            change.execute(
                "INSERT INTO flag (update_id, title, eula_accepted) VALUES (?1, '', 1)
                 ON CONFLICT (update_id) DO UPDATE SET eula_accepted = 1",
                params![id.to_string()],
            )?;
        }
        for record in &state.installed {
            let values = params![record.installed.update.id().to_string(), json(record)];
            change.execute(
                "INSERT INTO installed (update_id, record) VALUES (?1, ?2)",
                values,
            )?;
        }
        for entry in state.history.iter().rev() {
            let id = entry.update_identity.update_id.to_string();
            let values = params![id, entry.job.to_string(), json(entry)];
            change.execute(
                "INSERT INTO history (update_id, job, entry) VALUES (?1, ?2, ?3)",
                values,
            )?;
        }
        for operation in &state.unfinished {
            let values = params![operation.job.to_string(), json(operation)];
            change.execute("INSERT INTO operation (job, record) VALUES (?1, ?2)", values)?;
        }
        for (id, registered) in &state.services {
            change.execute(
                "INSERT INTO service VALUES (?1, ?2)",
                params![id.to_string(), registered],
            )?;
        }
        Ok(())
    };
    fill().map_err(wrap)
}

/// How long a busy database is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Switches to a write-ahead log. SQLite waits for nobody in this, so of many who make a database at once some meet the others.
fn write_ahead(database: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match database.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            switched => return switched,
        }
    }
}

/// The state database of one machine, open for its owner.
#[derive(Debug)]
pub struct State {
    database: Connection,
    path: PathBuf,
    public: PathBuf,
}

impl State {
    /// Opens the state for change, making it where there is none.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn open(folders: &Folders) -> Result<Self, StateError> {
        let folder = folders.state();
        make_folder(&folder).map_err(|source| StateError::Io {
            action: "create",
            path: folder,
            source,
        })?;
        let path = folders.database();
        if !path.exists() {
            // SQLite gives its journals the mode of the database, so the mode must be right from the first byte on.
            use std::os::unix::fs::OpenOptionsExt as _;
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)
                .map_err(|source| StateError::Io {
                    action: "create",
                    path: path.clone(),
                    source,
                })?;
        }
        Self::connect(folders, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn open_existing(folders: &Folders) -> Result<Option<Self>, StateError> {
        match fs::metadata(folders.database()) {
            Ok(found) if found.len() > 0 => {
                Self::connect(folders, OpenFlags::SQLITE_OPEN_READ_WRITE).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn connect(folders: &Folders, flags: OpenFlags) -> Result<Self, StateError> {
        let path = folders.database();
        let wrap = |source| StateError::Database {
            path: path.clone(),
            source,
        };
        let mut database =
            Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(wrap)?;
        database.busy_timeout(BUSY).map_err(wrap)?;
        write_ahead(&database).map_err(wrap)?;
        database
            .pragma_update(None, "synchronous", "FULL")
            .map_err(wrap)?;
        let found: i64 = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(wrap)?;
        if found > VERSION {
            return Err(StateError::Newer { path, found });
        }
        if found == 0 {
            let change = database
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(wrap)?;
            // Somebody else may have been faster between the look and the lock.
            let found: i64 = change
                .pragma_query_value(None, "user_version", |row| row.get(0))
                .map_err(wrap)?;
            if found == 0 {
                let foreign: i64 = change
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                    .map_err(wrap)?;
                if foreign > 0 {
                    return Err(StateError::Damaged {
                        path,
                        what: "it is a database of another program's".into(),
                    });
                }
                change.execute_batch(LAYOUT).map_err(wrap)?;
                refill(&change, &folders.public_state(), &path)?;
                change
                    .pragma_update(None, "user_version", VERSION)
                    .map_err(wrap)?;
            }
            change.commit().map_err(wrap)?;
        } else if found == 1 {
            let change = database
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(wrap)?;
            let found: i64 = change
                .pragma_query_value(None, "user_version", |row| row.get(0))
                .map_err(wrap)?;
            if found == 1 {
                change
                    .execute_batch("ALTER TABLE operation ADD COLUMN plan TEXT; PRAGMA user_version = 2;")
                    .map_err(wrap)?;
            }
            change.commit().map_err(wrap)?;
        }
        Ok(Self {
            database,
            path,
            public: folders.public_state(),
        })
    }

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

    /// Writes one final result, and what follows from it for the updates that count as installed. A result that the history has of
    /// this job and update already is not written twice.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn record(
        &mut self,
        entry: &UpdateHistoryEntry,
        installed: Consequence<'_>,
    ) -> Result<(), StateError> {
        let id = entry.update_identity.update_id.to_string();
        let text = json(entry);
        self.change(|change| {
            change.execute(
                "INSERT INTO history (update_id, job, entry) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (
                     SELECT 1 FROM history WHERE job = ?2 AND update_id = ?1 AND json_extract(entry, '$.title') = ?4)",
                params![id, entry.job.to_string(), text, entry.title],
            )?;
            match installed {
                Consequence::None => {}
                Consequence::Installed(record) => keep(change, record)?,
                Consequence::TakenBack => {
                    change.execute("DELETE FROM installed WHERE update_id = ?1", params![id])?;
                    change.execute(
                        "INSERT INTO flag (update_id, title, hidden) VALUES (?1, ?2, 1)
                         ON CONFLICT (update_id) DO UPDATE SET hidden = 1",
                        params![id, entry.title],
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Remembers an update as installed, without a result: it failed, and is there all the same.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn keep_installed(&mut self, record: &InstalledRecord) -> Result<(), StateError> {
        self.change(|change| keep(change, record))
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

    fn change(
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
        change.commit().map_err(wrap)?;
        // The change is made, so its caller must not make it again; what everybody reads is behind until the next one.
        if let Err(error) = self.publish() {
            tracing::error!(%error, "the public state is not up to date");
        }
        Ok(())
    }

    fn publish(&self) -> Result<(), StateError> {
        // Held until the file is in place: of two who publish at once, the later one has read the newer state.
        let _turn =
            Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate).map_err(|source| {
                StateError::Database {
                    path: self.path.clone(),
                    source,
                }
            })?;
        let io = |action| {
            let path = self.public.clone();
            move |source| StateError::Io { action, path, source }
        };
        crate::seam::at("public-state").map_err(io("write"))?;
        let folder = self.public.parent().unwrap_or(Path::new("."));
        let mut published = self.public(PUBLIC_HISTORY as i64)?;
        for entry in &mut published.history {
            entry.message = without_quote(&entry.message).to_owned();
        }
        let text = json(&published);
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io("write beside"))?;
        file.write_all(text.as_bytes()).map_err(io("write"))?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .map_err(io("set the mode of"))?;
        file.persist(&self.public)
            .map_err(|error| io("replace")(error.error))?;
        Ok(())
    }

    fn public(&self, history: i64) -> Result<PublicState, StateError> {
        let hidden = self.rows(
            "SELECT update_id, title FROM flag WHERE hidden = 1 ORDER BY title",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
        )?;
        let hidden = hidden
            .into_iter()
            .map(|(id, title)| Ok((self.parse(&id)?, title)))
            .collect::<Result<_, _>>()?;
        let accepted: Vec<String> =
            self.rows("SELECT update_id FROM flag WHERE eula_accepted = 1", [], |row| {
                row.get(0)
            })?;
        let services: Vec<(String, bool)> =
            self.rows("SELECT id, registered_with_au FROM service", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(PublicState {
            version: VERSION,
            hidden,
            eula_accepted: accepted
                .iter()
                .map(|id| self.parse(id))
                .collect::<Result<_, _>>()?,
            installed: self.documents("SELECT record FROM installed ORDER BY update_id", [])?,
            history: self.documents(
                "SELECT entry FROM history ORDER BY sequence DESC LIMIT ?1",
                [history],
            )?,
            unfinished: self.documents("SELECT record FROM operation WHERE ended = 0 ORDER BY rowid", [])?,
            services: services
                .into_iter()
                .map(|(id, registered)| Ok((self.parse::<Uuid>(&id)?, registered)))
                .collect::<Result<_, StateError>>()?,
        })
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

/// What a final result means for the updates that count as installed.
#[derive(Clone, Copy, Debug)]
pub enum Consequence<'a> {
    /// Nothing.
    None,
    /// The update is installed now.
    Installed(&'a InstalledRecord),
    /// The update was taken back; it is hidden, or the next search would bring it again.
    TakenBack,
}

fn keep(change: &Transaction<'_>, record: &InstalledRecord) -> rusqlite::Result<()> {
    let values = params![record.installed.update.id().to_string(), json(record)];
    change
        .execute(
            "INSERT OR REPLACE INTO installed (update_id, record) VALUES (?1, ?2)",
            values,
        )
        .map(drop)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain values serialise")
}

#[cfg(test)]
mod tests {
    use super::*;
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
