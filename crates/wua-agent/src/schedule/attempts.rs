//! How often something was tried, and when it is tried again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wua_types::HResult;

use super::settings::AutomaticSettings;

/// Something that was tried, perhaps several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// How many times.
    pub count: u32,
    /// When it ended the last time.
    pub last: Timestamp,
    /// How.
    pub result: HResult,
}

impl Attempts {
    /// When it is to be tried again; none when it was tried often enough.
    pub(super) fn next(&self, settings: &AutomaticSettings, now: Timestamp) -> Option<Timestamp> {
        let pause = SignedDuration::from_mins(settings.retry_minutes.into());
        (self.count <= settings.retries.into()).then(|| due(self.last, pause, now))
    }

    /// One more, which ended at `now` with `result`.
    pub(super) fn again(before: Option<&Self>, result: HResult, now: Timestamp) -> Self {
        let count = before.map_or(0, |attempts| attempts.count);
        Self {
            count: count.saturating_add(1),
            last: now,
            result,
        }
    }
}

/// When something is to be done again that was done at `last` and should be every `pause`: `now` if that is over. A `last` in
/// the future delays it by no more than one pause.
pub(super) fn due(last: Timestamp, pause: SignedDuration, now: Timestamp) -> Timestamp {
    if now.duration_since(last).abs() >= pause {
        now
    } else {
        later(last, pause)
    }
}

/// `time` and `pause`, or the end of time.
pub(super) fn later(time: Timestamp, pause: SignedDuration) -> Timestamp {
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("in 1970")
    }

    #[test]
    fn a_time_in_the_future_delays_by_one_pause_at_most() {
        let pause = SignedDuration::from_mins(30);
        for (last, now, expected) in [
            (0, 10, 30),
            (0, 30, 30),
            (0, 50, 50),
            (20, 10, 50),
            (1000, 10, 10),
        ] {
            assert_eq!(due(at(last), pause, at(now)), at(expected), "{last} {now}");
        }
    }

    #[test]
    fn the_first_attempt_is_no_retry() {
        let settings = AutomaticSettings {
            retries: 1,
            ..AutomaticSettings::default()
        };
        let once = Attempts::again(None, HResult::E_FAIL, at(0));
        assert_eq!(once.next(&settings, at(0)), Some(at(30)));
        let twice = Attempts::again(Some(&once), HResult::E_FAIL, at(30));
        assert_eq!(twice.next(&settings, at(60)), None);
    }
}
