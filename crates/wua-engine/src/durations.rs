//! How long stages take on this machine: learned from every run, and supposed for what was never seen.
//!
//! A package takes about as long as last time; one never seen takes as long as its like (`linux-image-6.1.0-40-amd64` is like every
//! other `linux-image-#-amd#`), or as the handler supposes, corrected by how this machine compares with such suppositions. Pure: the
//! state database keeps it (`state`), the timeline asks it.

use std::collections::BTreeMap;

use crate::stage::{Stage, StageKind};

/// How much of what was known a new run leaves.
const KEPT: f64 = 0.5;
/// The same for what is known of a whole kind.
const KEPT_OF_KIND: f64 = 0.8;
/// With this many seconds of a kind's suppositions a machine counts as known half.
const DOUBT_SECONDS: f64 = 1.0;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    pub(crate) stages: BTreeMap<Stage, Known>,
    pub(crate) kinds: BTreeMap<StageKind, Pace>,
}

/// What is known of one stage, or of all that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) seconds: f64,
    /// How often it came when it was expected, 0 to 1.
    pub(crate) chance: f64,
}

/// What is known of a kind of stages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    pub(crate) seconds: f64,
    pub(crate) supposed: f64,
}

/// What a stage is expected to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Seconds.
    pub seconds: f64,
    /// Whether this machine has done the same before.
    pub is_known: bool,
}

/// What became of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The stage.
    pub stage: Stage,
    /// The seconds that it was supposed to take on a machine of which nothing is known.
    pub supposed: f64,
    /// The seconds that it took; none for one that was expected and did not come.
    pub took: Option<f64>,
}

impl Durations {
    /// What `stage` is expected to take here, where a machine of which nothing is known is supposed to take `supposed` seconds.
    pub fn guess(&self, stage: &Stage, supposed: f64) -> Guess {
        let known = || self.stages.get(stage).or_else(|| self.stages.get(&alike(stage)?));
        match known() {
            Some(known) => Guess {
                seconds: known.seconds * known.chance,
                is_known: true,
            },
            None => Guess {
                seconds: supposed * self.pace(stage.kind),
                is_known: false,
            },
        }
    }

    /// How many times longer than supposed stages of a kind take here.
    pub fn pace(&self, kind: StageKind) -> f64 {
        let known = self.kinds.get(&kind).copied().unwrap_or_default();
        (DOUBT_SECONDS + known.seconds) / (DOUBT_SECONDS + known.supposed)
    }

    /// Learns from what became of the stages of a job.
    pub fn learn<'a>(&mut self, observed: impl IntoIterator<Item = &'a Observation>) {
        let mut sums = BTreeMap::<StageKind, Pace>::new();
        for observation in observed.into_iter().filter(|observation| is_sane(observation)) {
            let stage = &observation.stage;
            // A download takes as long as it is big: only its kind tells something.
            if stage.kind != StageKind::Download {
                let alike = alike(stage).into_iter();
                for key in std::iter::once(stage.clone()).chain(alike) {
                    self.note(key, observation.supposed, observation.took);
                }
            }
            if let Some(took) = observation.took {
                let sum = sums.entry(stage.kind).or_default();
                sum.seconds += took;
                sum.supposed += observation.supposed;
            }
        }
        for (kind, sum) in sums {
            let known = self.kinds.entry(kind).or_default();
            known.seconds = known.seconds * KEPT_OF_KIND + sum.seconds;
            known.supposed = known.supposed * KEPT_OF_KIND + sum.supposed;
        }
    }

    fn note(&mut self, key: Stage, supposed: f64, took: Option<f64>) {
        let mix = |before: f64, now: f64| before * KEPT + now * (1.0 - KEPT);
        match (self.stages.get_mut(&key), took) {
            (Some(known), Some(took)) => {
                known.seconds = mix(known.seconds, took);
                known.chance = mix(known.chance, 1.0);
            }
            (Some(known), None) => known.chance = mix(known.chance, 0.0),
            (None, Some(seconds)) => {
                self.stages.insert(key, Known { seconds, chance: 1.0 });
            }
            (None, None) => {
                let (seconds, chance) = (supposed, mix(1.0, 0.0));
                self.stages.insert(key, Known { seconds, chance });
            }
        }
    }
}

fn is_sane(observation: &Observation) -> bool {
    is_time(observation.supposed) && observation.took.is_none_or(is_time)
}

/// Whether these are seconds that work can take: no clock and no database is trusted beyond a day.
pub(crate) fn is_time(seconds: f64) -> bool {
    (0.0..=86_400.0).contains(&seconds)
}

/// What stands for all packages that differ from this one in numbers alone; nothing for a package without numbers.
fn alike(stage: &Stage) -> Option<Stage> {
    let mut subject = String::with_capacity(stage.subject.len());
    let mut characters = stage.subject.chars().peekable();
    while let Some(character) = characters.next() {
        let goes_on = characters.peek().is_some_and(char::is_ascii_digit);
        match character {
            '0'..='9' if subject.ends_with('#') => {}
            '0'..='9' => subject.push('#'),
            '.' | '-' | '+' | '~' if subject.ends_with('#') && goes_on => {}
            other => subject.push(other),
        }
    }
    (subject != stage.subject).then(|| Stage::of(stage.kind, subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use StageKind::{Configure, Download, Triggers, Unpack};

    fn saw(kind: StageKind, subject: &str, took: impl Into<Option<f64>>) -> Observation {
        Observation {
            stage: Stage::of(kind, subject),
            supposed: 0.5,
            took: took.into(),
        }
    }

    #[test]
    fn a_package_takes_as_long_as_last_time() {
        let mut durations = Durations::default();
        durations.learn(&[saw(Configure, "slow-service", 6.0)]);
        let guess = durations.guess(&Stage::of(Configure, "slow-service"), 0.1);
        assert_eq!((guess.seconds, guess.is_known), (6.0, true));
        assert!(!durations.guess(&Stage::of(Unpack, "slow-service"), 0.1).is_known);
    }

    #[test]
    fn a_new_kernel_takes_as_long_as_the_last_one() {
        let mut durations = Durations::default();
        durations.learn(&[saw(Configure, "linux-image-6.1.0-40-amd64", 20.0)]);
        let guess = durations.guess(&Stage::of(Configure, "linux-image-6.1.0-41-amd64"), 0.1);
        assert_eq!(guess.seconds, 20.0);
        let alike = alike(&Stage::of(Configure, "linux-image-6.1.0-41-amd64")).expect("it has numbers");
        assert_eq!(alike.subject, "linux-image-#-amd#");
    }

    #[test]
    fn a_slow_machine_is_slow_with_packages_it_never_saw() {
        let mut durations = Durations::default();
        durations.learn(&vec![saw(Unpack, "a", 2.0); 100]);
        let guess = durations.guess(&Stage::of(Unpack, "stranger"), 1.0);
        assert!(
            (3.5..4.0).contains(&guess.seconds) && !guess.is_known,
            "{guess:?}"
        );
    }

    #[test]
    fn triggers_that_do_not_come_are_expected_less() {
        let mut durations = Durations::default();
        let stage = Stage::of(Triggers, "man-db");
        durations.learn(&[saw(Triggers, "man-db", 4.0)]);
        durations.learn(&[saw(Triggers, "man-db", None)]);
        assert_eq!(durations.guess(&stage, 1.0).seconds, 2.0);
    }

    #[test]
    fn a_download_is_known_by_its_speed_alone() {
        let mut durations = Durations::default();
        durations.learn(&[saw(Download, "", 50.0)]);
        assert!(durations.stages.is_empty() && durations.pace(Download) > 30.0);
    }

    #[test]
    fn what_no_clock_tells_is_not_learned() {
        let mut durations = Durations::default();
        durations.learn(&[
            saw(Unpack, "a", f64::NAN),
            saw(Unpack, "b", -1.0),
            saw(Unpack, "c", 1e9),
        ]);
        assert_eq!(durations, Durations::default());
    }
}
