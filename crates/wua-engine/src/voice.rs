//! What followers of a job hear: how far it is, read from the meter and the timeline and written to the event file.
//!
//! A beat of its own speaks where nothing moves, so that no second is silent whatever the work waits for.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wua_types::{InstallationProgress, JobEvent, OperationResultCode};

use crate::beat::beat;
use crate::event_file::EventWriter;
use crate::meter::Meter;
use crate::timeline::Timeline;

/// How often it is looked whether there is news, which is said only where there is some: the bar of a job of two seconds should not be
/// seen to jump.
const BEAT: Duration = Duration::from_millis(100);

/// The voice of one job.
pub(crate) struct Voice {
    pub(crate) meter: Meter,
    pub(crate) timeline: Timeline,
    pub(crate) events: EventWriter,
    /// What of the job's time was over before this keeper began.
    spent: Duration,
    start: Instant,
    /// The last event was said.
    is_over: bool,
}

impl Voice {
    pub(crate) fn new(meter: Meter, timeline: Timeline, events: EventWriter, spent: Duration) -> Self {
        Self {
            meter,
            timeline,
            events,
            spent,
            start: Instant::now(),
            is_over: false,
        }
    }

    /// Time since the job began.
    pub(crate) fn now(&self) -> Duration {
        self.spent.saturating_add(self.start.elapsed())
    }

    /// Goes on from what an earlier keeper said.
    pub(crate) fn restore(&mut self, said: &InstallationProgress) {
        self.meter.restore(said);
        self.timeline.restore(said.truth.time_share);
    }

    /// Earlier keepers worked for so long.
    pub(crate) fn worked(&mut self, before: Duration) {
        self.spent = self.spent.saturating_add(before);
    }

    /// An update has its result.
    pub(crate) fn finish(&mut self, update: usize, code: OperationResultCode) {
        self.meter.finish(update, code);
        self.timeline.finish(update, code.is_success());
    }

    /// Says how far the job is, if that is news.
    pub(crate) fn show(&mut self) {
        if self.is_over {
            return;
        }
        let estimate = self.timeline.read(self.now());
        if let Err(error) = self.events.progress(self.meter.read(estimate)) {
            tracing::error!(%error, "progress could not be written");
        }
    }

    /// Says the last event, and before it that nothing is left.
    pub(crate) fn say_last(&mut self, completed: JobEvent) {
        self.timeline.end();
        self.show();
        self.is_over = true;
        self.say(completed);
    }

    /// Says anything.
    pub(crate) fn say(&mut self, event: JobEvent) {
        // A full disk must not stop a package manager in the middle; history and the machine's states hold the truth.
        if let Err(error) = self.events.say(event) {
            tracing::error!(%error, "an event could not be written");
        }
    }
}

/// A voice that two share: who does the work, and the beat. The beat ends with this.
pub(crate) struct SharedVoice {
    voice: Arc<Mutex<Voice>>,
    beat: Option<Sender<()>>,
}

impl SharedVoice {
    pub(crate) fn new(voice: Voice) -> Self {
        Self {
            voice: Arc::new(Mutex::new(voice)),
            beat: None,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Voice> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on no second is silent.
    pub(crate) fn keep_speaking(&mut self) {
        let (working, ended) = channel();
        let voice = Arc::clone(&self.voice);
        let show = move || voice.lock().unwrap_or_else(PoisonError::into_inner).show();
        let thread = thread::Builder::new().name("wua-beat".into());
        match thread.spawn(move || beat(&ended, BEAT, show)) {
            Ok(_) => self.beat = Some(working),
            Err(error) => tracing::warn!(%error, "followers hear nothing while nothing moves"),
        }
    }
}
