//! The database's layout, and how it comes to be: made, filled again after a loss, brought up to date.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::{PublicState, State, StateError, json};
use crate::files::make_folder;
use crate::folders::Folders;

/// The version of the database's layout and of the public file.
pub(super) const VERSION: i64 = 4;

const LAYOUT: &str = "
    CREATE TABLE flag (update_id TEXT PRIMARY KEY, title TEXT NOT NULL, hidden INTEGER NOT NULL DEFAULT 0,
        eula_accepted INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE installed (update_id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE history (sequence INTEGER PRIMARY KEY, update_id TEXT NOT NULL, job TEXT NOT NULL, entry TEXT NOT NULL) STRICT;
    CREATE TABLE operation (job TEXT PRIMARY KEY, record TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0,
        plan TEXT) STRICT;
    CREATE TABLE service (id TEXT PRIMARY KEY, registered_with_au INTEGER NOT NULL) STRICT;
";

/// What is known of durations. Not published: after a loss it is learned again.
const DURATIONS: &str = "
    CREATE TABLE duration (kind TEXT NOT NULL, subject TEXT NOT NULL, seconds REAL NOT NULL, chance REAL NOT NULL,
        PRIMARY KEY (kind, subject)) STRICT;
    CREATE TABLE pace (kind TEXT PRIMARY KEY, seconds REAL NOT NULL, supposed REAL NOT NULL) STRICT;
";

/// What was set through the agent, each value as JSON.
const SETTINGS: &str = "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;";

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
        for (key, value) in &state.settings {
            change.execute("INSERT INTO setting VALUES (?1, ?2)", params![key, json(value)])?;
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

    pub(super) fn open_existing(folders: &Folders) -> Result<Option<Self>, StateError> {
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
        if found < VERSION {
            bring_up_to_date(&mut database, folders)?;
        }
        Ok(Self {
            database,
            path,
            public: folders.public_state(),
            behind_since: None,
        })
    }
}

/// Makes the tables of a new database, or those that an older wua did not have.
fn bring_up_to_date(database: &mut Connection, folders: &Folders) -> Result<(), StateError> {
    let path = folders.database();
    let wrap = |source| StateError::Database {
        path: path.clone(),
        source,
    };
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
        change.execute_batch(SETTINGS).map_err(wrap)?;
        refill(&change, &folders.public_state(), &path)?;
    }
    if found == 1 {
        change
            .execute_batch("ALTER TABLE operation ADD COLUMN plan TEXT")
            .map_err(wrap)?;
    }
    if (1..4).contains(&found) {
        change.execute_batch(SETTINGS).map_err(wrap)?;
    }
    if found < 3 {
        change.execute_batch(DURATIONS).map_err(wrap)?;
    }
    change
        .pragma_update(None, "user_version", VERSION)
        .map_err(wrap)?;
    change.commit().map_err(wrap)
}
