//! The time-true part of progress: which share of a job's time has passed, and how much is left (`Truth`).
//!
//! A model: stages of which each has an expected duration, one running at a time, and a clock that the caller reads. The share is
//! the time that has passed, divided by that and what is left; it never falls, and is 1 only when the caller says that all is over.
//! What is left is corrected in the course of the job by how long its stages took beside what was expected of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wua_types::Truth;

use crate::durations::{Durations, Guess, Observation};
use crate::stage::{ExpectedStage, Stage, StageKind};

/// What is supposed of stages that belong to no package, in seconds.
const PLAN: f64 = 0.5;
const PREPARE: f64 = 0.4;
const FINISH: f64 = 0.3;
const REPAIR: f64 = 5.0;
/// And of one that nobody expected.
const UNEXPECTED: f64 = 0.3;

/// How much of a kind of stages must have been seen before the job's own pace in it counts as much as what was expected. A disk that
/// is faster today says nothing about scripts.
const DOUBT: f64 = 0.2;
/// The same in seconds, for short jobs.
const DOUBT_SECONDS: f64 = 0.5;

/// Of a stage that this machine never saw, at least this share of the time that it has taken is still to come.
const MORE: f64 = 0.5;

/// Work is not over before it is.
const ALMOST: f64 = 0.995;

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Share of the job's time that has passed, 0 to 1.
    pub share: f64,
    /// Seconds that are left.
    pub remaining: f64,
    /// The lower end of the band.
    pub low: f64,
    /// The upper end of the band.
    pub high: f64,
}

impl Estimate {
    /// The same truth at this time.
    pub fn in_place_of(self, truth: Truth) -> Truth {
        Truth {
            time_share: self.share,
            remaining_seconds: Some(self.remaining),
            remaining_low: Some(self.low),
            remaining_high: Some(self.high),
            ..truth
        }
    }
}

#[derive(Clone, Debug)]
struct Planned {
    stage: Stage,
    supposed: f64,
    guess: Guess,
}

#[derive(Clone, Debug)]
struct Running {
    planned: Planned,
    since: Duration,
    /// When it was said to be over, where nothing has begun since.
    ended: Option<Duration>,
}

/// What a job is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Neither a batch nor a repair.
    Between,
    Batch,
    /// Its stages are those of any package: it counts as one.
    Repair,
}

/// The timeline of one job. Every `at` is the time since the job began.
#[derive(Clone, Debug)]
pub struct Timeline {
    durations: Durations,
    updates: Vec<Vec<Planned>>,
    finished: BTreeSet<usize>,
    /// The batches that have not begun.
    later: Vec<Vec<usize>>,
    /// The stages of the running batch that have not begun, each with the update it is for.
    left: Vec<(usize, Planned)>,
    running: Option<Running>,
    at_work: Work,
    /// Whether a package of the running batch was worked on, and whether one of its updates failed.
    has_worked: bool,
    has_failed: bool,
    is_over: bool,
    observed: Vec<Observation>,
    /// What the stages of each kind seen so far were expected to take, and took.
    seen: BTreeMap<StageKind, Seen>,
    share: f64,
}

impl Timeline {
    /// The timeline of a job whose updates need these stages, and that go in these batches.
    pub fn new(durations: Durations, forecast: Vec<Vec<ExpectedStage>>, batches: &[Vec<usize>]) -> Self {
        let planned = |expected: ExpectedStage| plan(&durations, expected.stage, expected.seconds);
        let updates = forecast
            .into_iter()
            .map(|stages| stages.into_iter().map(planned).collect())
            .collect();
        Self {
            updates,
            durations,
            finished: BTreeSet::new(),
            later: batches.to_vec(),
            left: Vec::new(),
            running: None,
            at_work: Work::Between,
            has_worked: false,
            has_failed: false,
            is_over: false,
            observed: Vec::new(),
            seen: BTreeMap::new(),
            share: 0.0,
        }
    }

    /// Goes on from a share that was told before, so that nothing falls.
    pub fn restore(&mut self, share: f64) {
        if share.is_finite() {
            self.share = self.share.max(share.min(ALMOST));
        }
    }

    /// The plan is being made.
    pub fn begin_plan(&mut self, at: Duration) {
        self.run(at, plan(&self.durations, Stage::of(StageKind::Plan, ""), PLAN));
    }

    /// The plan is made.
    pub fn end_plan(&mut self, at: Duration) {
        self.close(at);
    }

    /// The plan was made by somebody else, in so many seconds.
    pub fn planned_in(&mut self, seconds: f64) {
        if seconds > 0.0 {
            self.observed.push(Observation {
                stage: Stage::of(StageKind::Plan, ""),
                supposed: PLAN,
                took: Some(seconds),
            });
        }
    }

    /// A batch of these updates begins, or a repair, which has none.
    pub fn begin_batch(&mut self, at: Duration, members: &[usize]) {
        self.close(at);
        self.later
            .iter_mut()
            .for_each(|batch| batch.retain(|update| !members.contains(update)));
        self.drop_done_batches();
        (self.has_worked, self.has_failed) = (false, false);
        self.left = self.stages_of(members);
        if members.is_empty() {
            self.at_work = Work::Repair;
            self.run(
                at,
                plan(&self.durations, Stage::of(StageKind::Repair, ""), REPAIR),
            );
        } else {
            self.at_work = Work::Batch;
            self.left.push((usize::MAX, self.finish_stage()));
            self.run(at, self.prepare_stage());
        }
    }

    /// A stage begins, which ends the one before; or none. What passes between two packages, such as the end of one dpkg and the
    /// start of the next, is time of the first.
    pub fn stage(&mut self, at: Duration, stage: Option<Stage>) {
        if self.at_work != Work::Batch {
            return;
        }
        let is_same =
            |running: &Running| running.ended.is_none() && Some(&running.planned.stage) == stage.as_ref();
        if self.running.as_ref().is_some_and(is_same) {
            return;
        }
        let Some(next) = stage.or_else(|| self.next_of_batch()) else {
            self.running
                .take_if(|running| running.planned.stage.kind == StageKind::Wait);
            if let Some(running) = &mut self.running {
                running.ended.get_or_insert(at);
            }
            return;
        };
        let is_wait = next.kind == StageKind::Wait;
        let comes_again = |running: &mut Running| match running.planned.stage.kind {
            StageKind::Finish => true,
            StageKind::Prepare => is_wait,
            _ => false,
        };
        match self.running.take_if(comes_again) {
            // More comes after all, or others come first.
            Some(running) => self.left.push((usize::MAX, running.planned)),
            None if next.kind.is_of_package() => self.close(at),
            None => self.close_where_it_ended(at),
        }
        self.has_worked |= next.kind.is_of_package();
        let place = self.left.iter().position(|(_, planned)| planned.stage == next);
        let planned = match place {
            Some(place) => self.left.swap_remove(place).1,
            None if is_wait => plan(&self.durations, next, 0.0),
            None => plan(&self.durations, next, UNEXPECTED),
        };
        self.run(at, planned);
    }

    /// What runs where nothing is said: the preparation that was put off, or, after the last package, the end. Nothing between two
    /// packages.
    fn next_of_batch(&self) -> Option<Stage> {
        let is_left = |kind| self.left.iter().any(|(_, planned)| planned.stage.kind == kind);
        if is_left(StageKind::Prepare) {
            return Some(Stage::of(StageKind::Prepare, ""));
        }
        let only_the_end = self
            .left
            .iter()
            .all(|(_, planned)| planned.stage.kind == StageKind::Finish);
        (only_the_end && is_left(StageKind::Finish)).then(|| Stage::of(StageKind::Finish, ""))
    }

    /// An update has its result: what was expected for it does not come any more. Triggers run for all.
    pub fn finish(&mut self, update: usize, has_succeeded: bool) {
        self.has_failed |= !has_succeeded;
        self.finished.insert(update);
        self.left
            .retain(|(of, planned)| *of != update || planned.stage.kind == StageKind::Triggers);
        self.drop_done_batches();
    }

    /// The batch is over.
    pub fn end_batch(&mut self, at: Duration) {
        self.close_where_it_ended(at);
        let left = std::mem::take(&mut self.left);
        // What was stopped, refused or failed says nothing about what it did not come to.
        if self.at_work == Work::Batch && self.has_worked && !self.has_failed {
            let triggers = left
                .into_iter()
                .filter(|(_, planned)| planned.stage.kind == StageKind::Triggers);
            self.observed.extend(triggers.map(|(_, planned)| Observation {
                stage: planned.stage,
                supposed: planned.supposed,
                took: None,
            }));
        }
        self.at_work = Work::Between;
    }

    /// All is over.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// How it stands.
    pub fn read(&mut self, at: Duration) -> Estimate {
        let (remaining, known) = if self.is_over {
            (0.0, 1.0)
        } else {
            self.remaining(at)
        };
        let passed = at.as_secs_f64();
        let share = passed / (passed + remaining).max(f64::MIN_POSITIVE);
        self.share = if self.is_over {
            1.0
        } else {
            self.share.max(share.min(ALMOST))
        };
        Estimate {
            share: self.share,
            remaining,
            low: remaining * (0.85 - 0.35 * (1.0 - known)),
            high: remaining * (1.2 + 1.3 * (1.0 - known)),
        }
    }

    /// What became of the stages until now, each told once.
    pub fn take_observations(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.observed)
    }

    /// Seconds that are left, and which share of them rests on what this machine did before.
    fn remaining(&self, at: Duration) -> (f64, f64) {
        let mut sum = Sum::default();
        for (_, planned) in &self.left {
            sum.add(planned);
        }
        for batch in &self.later {
            for (_, planned) in &self.stages_of(batch) {
                sum.add(planned);
            }
            sum.add(&self.prepare_stage());
            sum.add(&self.finish_stage());
        }
        let paced = sum.by_kind.iter().map(|(kind, seconds)| {
            let seen = self.seen.get(kind).copied().unwrap_or_default();
            let doubt = DOUBT_SECONDS.max(DOUBT * (seconds + seen.expected));
            let pace = (doubt + seen.took) / (doubt + seen.expected);
            seconds * pace.clamp(0.25, 4.0)
        });
        // Nothing at all adds up to a negative zero.
        let mut remaining = 0.0 + paced.sum::<f64>();
        if let Some(running) = &self.running {
            let spent = at.saturating_sub(running.since).as_secs_f64();
            let guess = running.planned.guess;
            let rest = match running.ended {
                Some(_) => (guess.seconds - spent).max(0.0),
                // What takes longer than expected takes as much longer again.
                None if guess.is_known => (guess.seconds - spent).abs(),
                None => (guess.seconds - spent).abs().max(spent * MORE),
            };
            remaining += rest;
            sum.seconds += rest;
            sum.known += if guess.is_known { rest } else { 0.0 };
        }
        (
            remaining,
            if sum.seconds > 0.0 {
                sum.known / sum.seconds
            } else {
                1.0
            },
        )
    }

    /// The stages of these updates, triggers once for all, without those of updates that have their result.
    fn stages_of(&self, members: &[usize]) -> Vec<(usize, Planned)> {
        let mut triggers = BTreeSet::new();
        let mut stages = Vec::new();
        for update in members.iter().filter(|update| !self.finished.contains(update)) {
            for planned in self.updates.get(*update).into_iter().flatten() {
                if planned.stage.kind != StageKind::Triggers || triggers.insert(&planned.stage) {
                    stages.push((*update, planned.clone()));
                }
            }
        }
        stages
    }

    fn prepare_stage(&self) -> Planned {
        plan(&self.durations, Stage::of(StageKind::Prepare, ""), PREPARE)
    }

    fn finish_stage(&self) -> Planned {
        plan(&self.durations, Stage::of(StageKind::Finish, ""), FINISH)
    }

    fn run(&mut self, at: Duration, planned: Planned) {
        self.running = Some(Running {
            planned,
            since: at,
            ended: None,
        });
    }

    fn close_where_it_ended(&mut self, at: Duration) {
        let ended = self.running.as_ref().and_then(|running| running.ended);
        self.close(ended.unwrap_or(at));
    }

    fn close(&mut self, at: Duration) {
        let Some(Running { planned, since, .. }) = self.running.take() else {
            return;
        };
        if planned.stage.kind == StageKind::Wait {
            return;
        }
        let took = at.saturating_sub(since).as_secs_f64();
        let seen = self.seen.entry(planned.stage.kind).or_default();
        seen.expected += planned.guess.seconds;
        seen.took += took;
        self.observed.push(Observation {
            stage: planned.stage,
            supposed: planned.supposed,
            took: Some(took),
        });
    }

    fn drop_done_batches(&mut self) {
        let finished = &self.finished;
        self.later
            .retain(|batch| batch.iter().any(|update| !finished.contains(update)));
    }
}

/// What stages of a kind were expected to take, and took.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    expected: f64,
    took: f64,
}

/// Seconds that are expected, of each kind and in all.
#[derive(Default)]
struct Sum {
    by_kind: BTreeMap<StageKind, f64>,
    seconds: f64,
    known: f64,
}

impl Sum {
    fn add(&mut self, planned: &Planned) {
        self.seconds += planned.guess.seconds;
        *self.by_kind.entry(planned.stage.kind).or_default() += planned.guess.seconds;
        if planned.guess.is_known {
            self.known += planned.guess.seconds;
        }
    }
}

fn plan(durations: &Durations, stage: Stage, supposed: f64) -> Planned {
    Planned {
        guess: durations.guess(&stage, supposed),
        stage,
        supposed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StageKind::{Configure, Triggers, Unpack};
    use proptest::prelude::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn expected(kind: StageKind, subject: &str, seconds: f64) -> ExpectedStage {
        ExpectedStage {
            stage: Stage::of(kind, subject),
            seconds,
        }
    }

    /// Two packages, one with a script that takes ten times as long as supposed, and a trigger for both.
    fn job(durations: Durations) -> Timeline {
        let stages = |name: &str| {
            vec![
                expected(Unpack, name, 0.5),
                expected(Configure, name, 0.5),
                expected(Triggers, "man-db", 1.0),
            ]
        };
        Timeline::new(durations, vec![stages("a"), stages("slow")], &[vec![0, 1]])
    }

    /// Runs the job; its shares beside the true ones.
    fn run(timeline: &mut Timeline) -> Vec<(f64, f64)> {
        let stages = [
            (0.4, Unpack, "a"),
            (0.9, Unpack, "slow"),
            (1.4, Configure, "a"),
            (1.9, Configure, "slow"),
            (6.9, Triggers, "man-db"),
        ];
        let end = 8.2;
        timeline.begin_batch(at(0.0), &[0, 1]);
        let mut stages = stages.into_iter().peekable();
        let mut read = Vec::new();
        for step in 0..82 {
            let now = f64::from(step) / 10.0;
            while let Some((_, kind, subject)) = stages.next_if(|(begin, ..)| *begin <= now) {
                timeline.stage(at(now), Some(Stage::of(kind, subject)));
            }
            if step == 79 {
                timeline.stage(at(now), None);
            }
            read.push((timeline.read(at(now)).share, now / end));
        }
        timeline.finish(0, true);
        timeline.finish(1, true);
        timeline.end_batch(at(end));
        read
    }

    fn gap(read: &[(f64, f64)]) -> f64 {
        let squares: f64 = read.iter().map(|(told, is)| (told - is).powi(2)).sum();
        (squares / read.len() as f64).sqrt()
    }

    #[test]
    fn a_second_run_tells_the_time() {
        let mut first = job(Durations::default());
        let untaught = gap(&run(&mut first));
        let mut durations = Durations::default();
        durations.learn(&first.take_observations());
        let taught = gap(&run(&mut job(durations)));
        assert!(taught < 0.02 && taught < untaught / 3.0, "{untaught} {taught}");
    }

    #[test]
    fn what_is_left_is_known_by_a_machine_that_did_it_before() {
        let mut first = job(Durations::default());
        run(&mut first);
        let mut durations = Durations::default();
        durations.learn(&first.take_observations());
        let mut second = job(durations);
        second.begin_batch(at(0.0), &[0, 1]);
        let now = second.read(at(0.1));
        assert!((7.8..8.4).contains(&now.remaining), "{now:?}");
        assert!(now.low < now.remaining && now.remaining < now.high, "{now:?}");
    }

    /// Whether a job in which both packages were unpacked, or nothing was, teaches that its trigger does not come.
    fn teaches_no_trigger(has_worked: bool, has_succeeded: bool) -> bool {
        let mut timeline = job(Durations::default());
        timeline.begin_batch(at(0.0), &[0, 1]);
        if has_worked {
            timeline.stage(at(0.5), Some(Stage::of(Unpack, "a")));
        }
        timeline.finish(0, has_succeeded);
        timeline.end_batch(at(1.0));
        let observed = timeline.take_observations();
        observed
            .iter()
            .any(|seen| seen.stage.kind == Triggers && seen.took.is_none())
    }

    #[test]
    fn a_trigger_that_does_not_come_is_learned_where_it_could_have_come() {
        assert!(teaches_no_trigger(true, true));
        assert!(!teaches_no_trigger(false, true), "nothing ran");
        assert!(!teaches_no_trigger(true, false), "an update failed");
    }

    /// What a batch of both packages teaches whose stages begin at these times; where there is none, the one before is over.
    fn taught(stages: &[(f64, Option<(StageKind, &str)>)], end: f64) -> Vec<(StageKind, f64)> {
        let mut timeline = job(Durations::default());
        timeline.begin_batch(at(0.0), &[0, 1]);
        for (begin, stage) in stages {
            timeline.stage(at(*begin), stage.map(|(kind, subject)| Stage::of(kind, subject)));
        }
        timeline.end_batch(at(end));
        let observed = timeline.take_observations().into_iter();
        observed
            .filter_map(|seen| Some((seen.stage.kind, seen.took?)))
            .collect()
    }

    #[test]
    fn what_passes_between_two_packages_is_time_of_the_first() {
        let stages = [
            (1.0, Some((Configure, "a"))),
            (2.0, None),
            (5.0, Some((Configure, "slow"))),
        ];
        let took = [(StageKind::Prepare, 1.0), (Configure, 4.0), (Configure, 1.0)];
        assert_eq!(taught(&stages, 6.0), took);
    }

    #[test]
    fn a_package_of_two_architectures_is_configured_twice() {
        let stages = [
            (1.0, Some((Configure, "a"))),
            (2.0, None),
            (2.5, Some((Configure, "a"))),
            (3.0, None),
        ];
        let took = [(StageKind::Prepare, 1.0), (Configure, 1.5), (Configure, 0.5)];
        assert_eq!(taught(&stages, 9.0), took);
    }

    #[test]
    fn the_end_of_a_batch_and_the_start_of_another_run_are_no_time_of_a_package() {
        let stages = [
            (1.0, Some((Configure, "a"))),
            (2.0, None),
            (4.0, Some((StageKind::Prepare, ""))),
            (4.5, Some((Configure, "slow"))),
            (5.0, None),
        ];
        let took = [
            (StageKind::Prepare, 1.0),
            (Configure, 1.0),
            (StageKind::Prepare, 0.5),
            (Configure, 0.5),
        ];
        assert_eq!(taught(&stages, 9.0), took);
    }

    #[test]
    fn waiting_for_others_teaches_nothing() {
        let mut timeline = job(Durations::default());
        timeline.begin_batch(at(0.0), &[0, 1]);
        timeline.stage(at(0.1), Some(Stage::of(StageKind::Wait, "")));
        timeline.stage(at(1200.0), None);
        timeline.stage(at(1200.5), Some(Stage::of(Unpack, "a")));
        timeline.end_batch(at(1201.0));
        let took: Vec<_> = timeline
            .take_observations()
            .into_iter()
            .filter_map(|seen| Some((seen.stage.kind, seen.took?)))
            .collect();
        assert_eq!(took, [(StageKind::Prepare, 0.5), (Unpack, 0.5)]);
    }

    #[test]
    fn the_share_is_1_only_when_all_is_over() {
        let mut timeline = job(Durations::default());
        assert_eq!(timeline.read(at(0.0)).share, 0.0);
        run(&mut timeline);
        // What is left behind may be repaired, and the store cleared.
        assert!(timeline.read(at(8.2)).share < 1.0);
        timeline.begin_batch(at(8.3), &[]);
        assert!(timeline.read(at(8.4)).remaining > 0.0);
        timeline.end_batch(at(12.0));
        timeline.end();
        assert_eq!(timeline.read(at(12.0)).share, 1.0);
    }

    #[test]
    fn a_repair_does_not_claim_to_be_almost_done() {
        let mut timeline = Timeline::new(Durations::default(), Vec::new(), &[]);
        timeline.begin_batch(at(0.0), &[]);
        assert!(timeline.read(at(1.0)).share < 0.5);
    }

    proptest! {
        #[test]
        fn whatever_happens_the_share_never_falls_and_stays_below_1_to_the_end(
            events in prop::collection::vec((0u8..9, 0usize..4, 0.0f64..9.0), 0..60),
        ) {
            let mut timeline = job(Durations::default());
            let (mut now, mut last) = (0.0, 0.0);
            for (event, update, later) in events {
                now += later;
                match event {
                    0 => timeline.begin_batch(at(now), &[update]),
                    1 => timeline.stage(at(now), None),
                    2 => timeline.stage(at(now), Some(Stage::of(Unpack, "a"))),
                    3 => timeline.stage(at(now), Some(Stage::of(Configure, "slow"))),
                    4 => timeline.begin_plan(at(now)),
                    5 => timeline.finish(update, later < 5.0),
                    6 => timeline.end_batch(at(now)),
                    7 => timeline.begin_batch(at(now), &[]),
                    _ => timeline.restore(later / 9.0),
                }
                let read = timeline.read(at(now));
                prop_assert!(read.share >= last && read.share < 1.0, "{read:?}");
                prop_assert!(read.remaining >= 0.0 && read.low <= read.remaining && read.remaining <= read.high);
                last = read.share;
            }
        }
    }
}
