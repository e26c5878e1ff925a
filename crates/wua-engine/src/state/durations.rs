//! Keeps what the machine's runs taught about durations.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{State, StateError};
use crate::durations::{Durations, Known, Observation, Pace};
use crate::folders::Folders;
use crate::stage::{Stage, StageKind};

impl Durations {
    /// What is known of a machine; nothing where the caller may not read it or nothing was learned yet. Changes nothing.
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
        let stages: Vec<(String, String, f64, f64)> =
            self.rows("SELECT kind, subject, seconds, chance FROM duration", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let kinds: Vec<(String, f64, f64)> =
            self.rows("SELECT kind, seconds, supposed FROM pace", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        // Kinds of a newer wua are not understood, and not needed.
        let stages = stages.into_iter().filter_map(|(kind, subject, seconds, chance)| {
            Some((
                Stage::of(StageKind::of_word(&kind)?, subject),
                Known { seconds, chance },
            ))
        });
        let kinds = kinds.into_iter().filter_map(|(kind, seconds, supposed)| {
            Some((StageKind::of_word(&kind)?, Pace { seconds, supposed }))
        });
        Ok(Durations {
            stages: stages.collect(),
            kinds: kinds.collect::<BTreeMap<_, _>>(),
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
        let before = self.durations()?;
        let mut after = before.clone();
        after.learn(observed);
        self.change_privately(|change| {
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
}
