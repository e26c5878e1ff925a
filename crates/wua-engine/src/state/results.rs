//! Results, and what follows from them for the updates that count as installed: written at once, told to everybody together.

use std::time::{Duration, Instant};

use rusqlite::{Transaction, params};
use wua_types::UpdateHistoryEntry;

use super::{InstalledRecord, State, StateError, json};

/// How long everybody may not know of a job's results while it runs.
const PUBLIC_LAG: Duration = Duration::from_secs(1);

impl State {
    /// Writes final results, all or none, and what follows from each for the updates that count as installed. A result that the
    /// history has of its job and update already is not written twice.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn record(&mut self, results: &[(UpdateHistoryEntry, Consequence)]) -> Result<(), StateError> {
        if results.is_empty() {
            return Ok(());
        }
        self.change_privately(|change| {
            results
                .iter()
                .try_for_each(|(entry, installed)| record(change, entry, installed))
        })?;
        self.behind_since.get_or_insert_with(Instant::now);
        self.publish_when_due();
        Ok(())
    }

    /// Tells everybody of the results recorded since they were last told, if that is a while ago: a job's results come in bursts, and
    /// each time all of the state is written anew. The next other change tells them in any case.
    pub(crate) fn publish_when_due(&mut self) {
        let is_due = self
            .behind_since
            .is_some_and(|since| since.elapsed() >= PUBLIC_LAG);
        if is_due {
            self.publish_or_log();
        }
    }

    /// Tells everybody of all that is recorded.
    pub(crate) fn publish_or_log(&mut self) {
        self.behind_since = None;
        // The change is made, so its caller must not make it again; what everybody reads is behind until the next one.
        if let Err(error) = self.publish() {
            tracing::error!(%error, "the public state is not up to date");
        }
    }

    /// Remembers an update as installed, without a result: it failed, and is there all the same.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn keep_installed(&mut self, record: &InstalledRecord) -> Result<(), StateError> {
        self.change(|change| keep(change, record))
    }
}

/// What a final result means for the updates that count as installed.
#[derive(Clone, Debug)]
pub enum Consequence {
    /// Nothing.
    None,
    /// The update is installed now.
    Installed(Box<InstalledRecord>),
    /// The update was taken back; it is hidden, or the next search would bring it again.
    TakenBack,
}

fn record(
    change: &Transaction<'_>,
    entry: &UpdateHistoryEntry,
    installed: &Consequence,
) -> rusqlite::Result<()> {
    let id = entry.update_identity.update_id.to_string();
    change
        .prepare_cached(
            "INSERT INTO history (update_id, job, entry) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (
                 SELECT 1 FROM history WHERE job = ?2 AND update_id = ?1 AND json_extract(entry, '$.title') = ?4)",
        )?
        .execute(params![id, entry.job.to_string(), json(entry), entry.title])?;
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
}

fn keep(change: &Transaction<'_>, record: &InstalledRecord) -> rusqlite::Result<()> {
    let values = params![record.installed.update.id().to_string(), json(record)];
    change
        .prepare_cached("INSERT OR REPLACE INTO installed (update_id, record) VALUES (?1, ?2)")?
        .execute(values)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use uuid::Uuid;
    use wua_types::{
        HResult, OperationResultCode, ServerSelection, UpdateId, UpdateIdentity, UpdateOperation,
    };

    use super::super::PublicState;
    use super::*;
    use crate::folders::Folders;

    fn entry(number: u128) -> UpdateHistoryEntry {
        UpdateHistoryEntry {
            job: Uuid::nil(),
            operation: UpdateOperation::Installation,
            update_identity: UpdateIdentity {
                update_id: UpdateId(Uuid::from_u128(number)),
                revision_number: 1,
            },
            title: format!("harbour {number}"),
            description: String::new(),
            result_code: OperationResultCode::Succeeded,
            hresult: HResult::S_OK,
            unmapped_result_code: 0,
            date: Timestamp::now(),
            message: String::new(),
            reboot_required: false,
            client_application_id: String::new(),
            user_id: 0,
            server_selection: ServerSelection::Others,
            service_id: Uuid::nil(),
            kept_configuration: Vec::new(),
            support_url: None,
            categories: Vec::new(),
        }
    }

    #[test]
    fn results_are_told_to_readers_without_rights_together_and_soon() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folders = Folders::new(folder.path());
        let mut state = State::open(&folders).expect("opens");
        let told = || {
            let text = fs::read(folders.public_state()).unwrap_or_default();
            serde_json::from_slice(&text).map_or(0, |public: PublicState| public.history.len())
        };
        for number in 1..=3 {
            state
                .record(&[(entry(number), Consequence::None)])
                .expect("recorded");
            state.publish_when_due();
        }
        assert_eq!(
            told(),
            0,
            "the state is not written anew for each of many results"
        );
        state.behind_since = Instant::now().checked_sub(PUBLIC_LAG);
        state.publish_when_due();
        assert_eq!(told(), 3);
        state.record(&[(entry(4), Consequence::None)]).expect("recorded");
        state.end(Uuid::nil()).expect("ended");
        assert_eq!(told(), 4, "the end of a job tells of the rest");
    }
}
