//! Keeps what the machine's runs taught about durations.

use rusqlite::{Connection, params};

use super::{State, StateError};
use crate::durations::{Durations, Known, Observation, Pace, is_time};
use crate::folders::Folders;
use crate::stage::{Stage, StageKind};

impl Durations {
    /// What is known of a machine; nothing where the caller may not read it or nothing was learned yet. Changes nothing but the layout
    /// of an older wua's database.
    pub fn of(folders: &Folders) -> Self {
        let read =
            State::open_existing(folders).and_then(|state| state.map(|state| state.durations()).transpose());
        match read {
            Ok(durations) => durations.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, "durations are not known");
                Self::default()
            }
        }
    }
}

impl State {
    /// What is known of durations.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn durations(&self) -> Result<Durations, StateError> {
        read(&self.database).map_err(|source| StateError::Database {
            path: self.path.clone(),
            source,
        })
    }

    /// Learns from what a job's stages took.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn learn(&mut self, observed: &[Observation]) -> Result<(), StateError> {
        if observed.is_empty() {
            return Ok(());
        }
        self.change_privately(|change| {
            let before = read(change)?;
            let mut after = before.clone();
            after.learn(observed);
            let mut put = change.prepare("INSERT OR REPLACE INTO duration VALUES (?1, ?2, ?3, ?4)")?;
            for (stage, known) in &after.stages {
                if before.stages.get(stage) != Some(known) {
                    put.execute(params![
                        stage.kind.word(),
                        stage.subject,
                        known.seconds,
                        known.chance
                    ])?;
                }
            }
            let mut put = change.prepare("INSERT OR REPLACE INTO pace VALUES (?1, ?2, ?3)")?;
            for (kind, pace) in &after.kinds {
                put.execute(params![kind.word(), pace.seconds, pace.supposed])?;
            }
            Ok(())
        })
    }
}

/// Rows that no wua of this version can have written are left out: kinds of a newer one, and what is no time.
fn read(database: &Connection) -> rusqlite::Result<Durations> {
    let mut durations = Durations::default();
    let mut stages = database.prepare("SELECT kind, subject, seconds, chance FROM duration")?;
    let mut rows = stages.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, known) = (
            StageKind::of_word(&row.get::<_, String>(0)?),
            Known {
                seconds: row.get(2)?,
                chance: row.get(3)?,
            },
        );
        if let Some(kind) = kind
            && is_time(known.seconds)
            && (0.0..=1.0).contains(&known.chance)
        {
            durations
                .stages
                .insert(Stage::of(kind, row.get::<_, String>(1)?), known);
        }
    }
    let mut kinds = database.prepare("SELECT kind, seconds, supposed FROM pace")?;
    let mut rows = kinds.query([])?;
    while let Some(row) = rows.next()? {
        let pace = Pace {
            seconds: row.get(1)?,
            supposed: row.get(2)?,
        };
        if let Some(kind) = StageKind::of_word(&row.get::<_, String>(0)?)
            && pace.seconds.is_finite()
            && pace.supposed.is_finite()
            && pace.seconds >= 0.0
            && pace.supposed >= 0.0
        {
            durations.kinds.insert(kind, pace);
        }
    }
    Ok(durations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_known_the_next_time() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folders = Folders::new(folder.path());
        assert_eq!(Durations::of(&folders), Durations::default());
        let observed = Observation {
            stage: Stage::of(StageKind::Configure, "slow-service"),
            supposed: 0.1,
            took: Some(6.0),
        };
        State::open(&folders)
            .expect("opens")
            .learn(&[observed])
            .expect("learned");
        let guess = Durations::of(&folders).guess(&Stage::of(StageKind::Configure, "slow-service"), 0.1);
        assert_eq!(guess.seconds, 6.0);
    }

    #[test]
    fn rows_that_cannot_be_are_not_believed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folders = Folders::new(folder.path());
        let state = State::open(&folders).expect("opens");
        state
            .database
            .execute_batch(
                "INSERT INTO duration VALUES ('unpack', 'a', 9e999, 1.0), ('unpack', 'b', -1.0, 1.0),
                     ('unpack', 'c', 1.0, 7.0), ('brew', 'd', 1.0, 1.0);
                 INSERT INTO pace VALUES ('unpack', -9e999, 1.0), ('configure', 1.0, -1.0);",
            )
            .expect("written");
        assert_eq!(state.durations().expect("read"), Durations::default());
    }
}
