//! The part of the state that everybody may read: a plain file, replaced after each change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::{Transaction, TransactionBehavior};
use uuid::Uuid;
use wua_types::quote::without_quote;
use wua_types::{HResult, UpdateHistoryEntry, UpdateId};

use super::layout::VERSION;
use super::{InstalledRecord, OperationRecord, State, StateError, json};
use crate::folders::Folders;

/// How many history entries the public part holds.
const PUBLIC_HISTORY: usize = 1000;
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
    /// What was set through the agent, by key.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
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

impl State {
    pub(super) fn publish(&self) -> Result<(), StateError> {
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
        let settings: Vec<(String, String)> = self.rows("SELECT key, value FROM setting", [], |row| {
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
            settings: settings
                .into_iter()
                .map(|(key, value)| Ok((key, self.parse::<serde_json::Value>(&value)?)))
                .collect::<Result<_, StateError>>()?,
        })
    }
}
