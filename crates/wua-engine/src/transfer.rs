//! The time-true part of a download's progress: bytes that are left, over the speed that is known or seen.

use std::time::Duration;

use crate::durations::{Durations, Observation};
use crate::stage::{Stage, StageKind};
use crate::timeline::Estimate;

/// Bytes a second that a machine of which nothing is known is supposed to fetch.
const SUPPOSED_SPEED: f64 = 4e6;

/// What was known counts as much as this many seconds of what is seen.
const DOUBT_SECONDS: f64 = 1.0;

/// Less than this says nothing about speed.
const WORTH_LEARNING: u64 = 64 << 10;

/// A line that brings nothing for longer than this has become slower.
const STANDSTILL: Duration = Duration::from_secs(2);

/// How far a download counts once all bytes are here: they are checked, and old versions may be packed again.
const FETCHED: f64 = 0.95;

/// The time of one download.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// Bytes a second.
    known_speed: f64,
    is_known: bool,
    /// When the first bytes were told, and how many were here then.
    began: Option<(Duration, u64)>,
    /// When the last bytes came; what is done with them afterwards says nothing about the line.
    grew: Duration,
    here: u64,
    share: f64,
}

impl Transfer {
    pub(crate) fn new(durations: &Durations) -> Self {
        Self {
            known_speed: SUPPOSED_SPEED / durations.pace(StageKind::Download),
            is_known: durations.kinds.contains_key(&StageKind::Download),
            began: None,
            grew: Duration::ZERO,
            here: 0,
            share: 0.0,
        }
    }

    /// So many bytes are here, `at` after the begin.
    pub(crate) fn bytes(&mut self, at: Duration, here: u64) {
        self.began.get_or_insert((at, here));
        if here > self.here {
            (self.here, self.grew) = (here, at);
        }
    }

    /// How it stands while `total` bytes are wanted. The share never falls; it is 1 once everything is over.
    pub(crate) fn read(&mut self, at: Duration, total: u64, is_over: bool) -> Estimate {
        let (seconds, bytes) = self.seen(at.min(self.grew.max(at.saturating_sub(STANDSTILL))));
        let speed = (DOUBT_SECONDS * self.known_speed + bytes as f64) / (DOUBT_SECONDS + seconds);
        let left = if is_over {
            0
        } else {
            total.saturating_sub(self.here)
        };
        let remaining = left as f64 / speed.max(1.0);
        let passed = at.as_secs_f64();
        let share = if is_over {
            1.0
        } else {
            (passed / (passed + remaining).max(f64::MIN_POSITIVE)).min(FETCHED)
        };
        self.share = self.share.max(share);
        let doubt = if self.is_known || seconds > DOUBT_SECONDS {
            0.3
        } else {
            0.7
        };
        Estimate {
            share: self.share,
            remaining,
            low: remaining * (1.0 - doubt),
            high: remaining / (1.0 - doubt),
        }
    }

    /// What it taught about the speed, if anything.
    pub(crate) fn observation(&self) -> Option<Observation> {
        let (seconds, bytes) = self.seen(self.grew);
        (bytes >= WORTH_LEARNING && seconds > 0.0).then(|| Observation {
            stage: Stage::of(StageKind::Download, ""),
            supposed: bytes as f64 / SUPPOSED_SPEED,
            took: Some(seconds),
        })
    }

    fn seen(&self, at: Duration) -> (f64, u64) {
        let Some((began, before)) = self.began else {
            return (0.0, 0);
        };
        (at.saturating_sub(began).as_secs_f64(), self.here - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: u64 = 1_000_000;

    #[test]
    fn a_slow_line_is_known_the_next_time() {
        let mut durations = Durations::default();
        let mut first = Transfer::new(&durations);
        first.bytes(Duration::ZERO, 0);
        first.bytes(Duration::from_secs(100), 100 * MEGABYTE);
        durations.learn(&first.observation());
        let now = Transfer::new(&durations).read(Duration::ZERO, 50 * MEGABYTE, false);
        assert!((45.0..52.0).contains(&now.remaining), "{now:?}");
    }

    #[test]
    fn what_was_here_before_is_no_speed() {
        let mut transfer = Transfer::new(&Durations::default());
        transfer.bytes(Duration::ZERO, 90 * MEGABYTE);
        transfer.bytes(Duration::from_secs(9), 99 * MEGABYTE);
        let now = transfer.read(Duration::from_secs(9), 100 * MEGABYTE, false);
        assert!((0.5..1.2).contains(&now.remaining), "{now:?}");
    }

    #[test]
    fn a_download_is_over_when_it_is_over() {
        let mut transfer = Transfer::new(&Durations::default());
        transfer.bytes(Duration::from_secs(1), MEGABYTE);
        assert!(transfer.read(Duration::from_secs(1), MEGABYTE, false).share < 1.0);
        assert_eq!(transfer.read(Duration::from_secs(1), MEGABYTE, true).share, 1.0);
    }
}
