//! The time of a job before it has a keeper: healing and planning are part of it, and followers hear of it each second.
//!
//! What is being done is said once and repeated by a beat until the keeper has the job.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wua_job::{Installation, JobFeed};
use wua_types::{InstallationProgress, Phase, PlannedChange, PlannedUpdate, Progress as _, Truth, Update};

use crate::beat::beating;
use crate::durations::Durations;
use crate::machine::Machine;
use crate::order::Spent;
use crate::stage::StageKind;
use crate::timeline::Timeline;

/// How much bigger than its archive a package is once it is unpacked, as long as nobody has looked.
const UNPACKED: u64 = 3;

/// The clock of a job that begins.
pub(crate) struct Clock {
    begun: Instant,
    timeline: Mutex<Timeline>,
    /// What was said last.
    truth: Mutex<Truth>,
}

impl Clock {
    /// Starts it. What `updates` are going to change is not known yet, and supposed from what they bring.
    pub(crate) fn start(machine: &Machine, updates: &[Update]) -> Self {
        let begun = Instant::now();
        let forecast = machine
            .handler
            .forecast(&updates.iter().map(supposed).collect::<Vec<_>>());
        let all = (0..updates.len()).collect();
        let timeline = Timeline::new(Durations::of(&machine.folders), forecast, &[all]);
        Self {
            begun,
            timeline: Mutex::new(timeline),
            truth: Mutex::new(preparing()),
        }
    }

    /// Does `work`, and repeats all the time what was told last.
    pub(crate) fn keep_telling<T>(&self, feed: &JobFeed<Installation>, work: impl FnOnce() -> T) -> T {
        let again = || {
            let truth = lock(&self.truth).clone();
            self.say(feed, truth);
        };
        beating(again, work)
    }

    /// Does the planning `work`.
    pub(crate) fn planning<T>(&self, work: impl FnOnce() -> T) -> T {
        self.with(|timeline, now| timeline.begin_plan(now));
        let planned = work();
        self.with(|timeline, now| timeline.end_plan(now));
        planned
    }

    /// Tells what is being done.
    pub(crate) fn tell(&self, feed: &JobFeed<Installation>, truth: Truth) {
        lock(&self.truth).clone_from(&truth);
        self.say(feed, truth);
    }

    fn say(&self, feed: &JobFeed<Installation>, truth: Truth) {
        let estimate = self.with(|timeline, now| timeline.read(now));
        feed.progress(InstallationProgress {
            truth: estimate.in_place_of(truth),
            ..InstallationProgress::nothing_done()
        });
    }

    /// What the keeper has to know of it.
    pub(crate) fn spent(&self) -> Spent {
        self.with(|timeline, now| Spent {
            seconds: now.as_secs_f64(),
            time_share: timeline.read(now).share,
            planning_seconds: timeline
                .take_observations()
                .iter()
                .filter(|seen| seen.stage.kind == StageKind::Plan)
                .filter_map(|seen| seen.took)
                .sum(),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Timeline, Duration) -> T) -> T {
        work(&mut lock(&self.timeline), self.begun.elapsed())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is true of a job that has changed nothing yet.
pub(crate) fn preparing() -> Truth {
    Truth {
        phase: Phase::Preparing,
        ..InstallationProgress::nothing_done().truth
    }
}

fn supposed(update: &Update) -> PlannedUpdate {
    let changes = update.packages().into_iter().map(|package| PlannedChange {
        name: package.name.clone(),
        architecture: package.architecture.clone(),
        from: package.installed.clone(),
        to: package.candidate.clone(),
        archive: None,
    });
    PlannedUpdate {
        identity: update.identity,
        title: update.title.clone(),
        changes: changes.collect(),
        unpacked_bytes: update.max_download_size.saturating_mul(UNPACKED),
    }
}
