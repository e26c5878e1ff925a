//! Maintenance windows: what the settings say by the clock on the wall, and at which instants that really is.
//!
//! A window opens once on each of its days, whatever the clock does: one whose time is skipped in spring opens as much later as
//! the clock was put forward, one whose time comes twice in autumn opens the first time. A [`WindowId`] names it by its date and
//! not by its instant, so that it stays the same window when the clock or the time zone is changed.

use std::cmp::Reverse;
use std::fmt;

use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use super::time_of_day::TimeOfDay;

/// A day of the week; in settings `mon` to `sun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say all there is")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<Weekday> for Day {
    fn from(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// When wua may install, by the clock on the wall. Absent keys say every day at 03:00 for two hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens; empty for every day.
    pub days: Vec<Day>,
    /// When it opens.
    pub start: TimeOfDay,
    /// For how many minutes it stays open, 1 to 1440. These are real minutes: a window over a change of the clock is as long as
    /// any other.
    pub length_minutes: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            days: Vec::new(),
            start: TimeOfDay::at_hour(3),
            length_minutes: 120,
        }
    }
}

/// Which opening of a window it is: its date and its time by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowId {
    /// The date.
    pub date: Date,
    /// When the window opens on that date, as the settings say it.
    pub start: TimeOfDay,
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.date.strftime("%a %Y-%m-%d"), self.start)
    }
}

/// One opening of a window in real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which one it is.
    pub id: WindowId,
    /// When it opens.
    pub start: Timestamp,
    /// When this machine begins: `start` and the machine's own delay.
    pub begin: Timestamp,
    /// When it is closed again.
    pub end: Timestamp,
}

impl Opening {
    /// Whether this machine may begin something at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.begin <= now && now < self.end
    }
}

/// The openings of `windows` from eight days before `now` to eight days after it, in the order of time. Of several that open at
/// the same instant the longest counts.
///
/// The machine's delay follows from `seed` and the opening's date and time, so that it is the same whenever it is asked for. It is at
/// most `random_delay_minutes`, and at most three quarters of the window, which leaves the last quarter for the work.
pub fn openings(windows: &[Window], random_delay_minutes: u16, seed: u64, now: &Zoned) -> Vec<Opening> {
    let today = now.date();
    let dates = (-8..=8).filter_map(|days| today.checked_add(Span::new().days(days)).ok());
    let mut openings: Vec<Opening> = dates
        .flat_map(|date| windows.iter().map(move |window| (date, window)))
        .filter(|(date, window)| window.days.is_empty() || window.days.contains(&date.weekday().into()))
        .filter_map(|(date, window)| {
            let id = WindowId {
                date,
                start: window.start,
            };
            let wall = date.to_datetime(window.start.time());
            // "Compatible" is the rule at the top: later where the time does not exist, earlier where it comes twice.
            let ambiguous = now.time_zone().to_ambiguous_timestamp(wall);
            let start = ambiguous.compatible().ok()?;
            let length = SignedDuration::from_mins(window.length_minutes.into());
            let most = SignedDuration::from_mins(random_delay_minutes.into()).min(length * 3 / 4);
            Some(Opening {
                id,
                start,
                begin: start.checked_add(delay(id, most, seed)).ok()?,
                end: start.checked_add(length).ok()?,
            })
        })
        .collect();
    openings.sort_by_key(|opening| (opening.start, Reverse(opening.end)));
    // Where a zone leaves out a whole day, its window and that of the next day are one.
    openings.dedup_by_key(|opening| opening.start);
    openings
}

/// A delay between 0 and `most`, in whole seconds.
fn delay(id: WindowId, most: SignedDuration, seed: u64) -> SignedDuration {
    let (date, start) = (id.date, id.start.time());
    let parts: [i16; 4] = [
        date.year(),
        date.day_of_year(),
        start.hour().into(),
        start.minute().into(),
    ];
    let number = parts
        .into_iter()
        .fold(seed, |number, part| mix(number ^ u64::from(part.cast_unsigned())));
    let seconds = number % (most.as_secs().unsigned_abs() + 1);
    SignedDuration::from_secs(seconds.cast_signed())
}

/// One step of SplitMix64: numbers that differ a little become numbers that differ wholly. A hash of the standard library may
/// change with the compiler, and every delay with it.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The openings of a daily window on the days around `now`, in UTC.
    fn check(start: &str, now: &str, expected: &[&str]) {
        let now: Zoned = now.parse().expect("a time");
        let window = Window {
            start: start.parse().expect("a time of day"),
            ..Window::default()
        };
        let around = now.timestamp() - SignedDuration::from_hours(36)
            ..now.timestamp() + SignedDuration::from_hours(36);
        let found: Vec<_> = openings(&[window], 0, 0, &now)
            .into_iter()
            .filter(|opening| around.contains(&opening.start))
            .inspect(|opening| {
                let length = opening.end.duration_since(opening.start);
                assert_eq!(length, SignedDuration::from_mins(120));
            })
            .map(|opening| opening.start.strftime("%dT%H:%M").to_string())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_window_whose_time_is_skipped_opens_later_once() {
        // Berlin: 02:00 became 03:00.
        check(
            "02:30",
            "2026-03-29T12:00[Europe/Berlin]",
            &["28T01:30", "29T01:30", "30T00:30"],
        );
        // New York: 02:00 became 03:00.
        check(
            "02:30",
            "2026-03-08T12:00[America/New_York]",
            &["07T07:30", "08T07:30", "09T06:30"],
        );
        // Lord Howe: 02:00 became 02:30.
        check(
            "02:15",
            "2026-10-04T12:00[Australia/Lord_Howe]",
            &["02T15:45", "03T15:45", "04T15:15"],
        );
    }

    #[test]
    fn a_window_whose_time_comes_twice_opens_the_first_time() {
        check(
            "02:30",
            "2026-10-25T12:00[Europe/Berlin]",
            &["24T00:30", "25T00:30", "26T01:30"],
        );
        check(
            "01:30",
            "2026-11-01T12:00[America/New_York]",
            &["31T05:30", "01T05:30", "02T06:30"],
        );
        // Lord Howe: 02:00 became 01:30.
        check(
            "01:45",
            "2026-04-05T12:00[Australia/Lord_Howe]",
            &["03T14:45", "04T14:45", "05T15:15"],
        );
    }

    #[test]
    fn a_day_that_a_zone_leaves_out_has_no_window_of_its_own() {
        // Samoa had no 30 December 2011.
        check(
            "03:00",
            "2011-12-31T12:00[Pacific/Apia]",
            &["29T13:00", "30T13:00", "31T13:00"],
        );
    }

    #[test]
    fn the_delay_is_stable_and_leaves_time_for_the_work() {
        let now: Zoned = "2026-11-24T12:00[UTC]".parse().expect("a time");
        let window = [Window::default()];
        let delays = |seed| -> Vec<i64> {
            let openings = openings(&window, 1440, seed, &now);
            openings
                .iter()
                .map(|opening| opening.begin.as_second() - opening.start.as_second())
                .collect()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        for seed in 0..100 {
            assert!(delays(seed).iter().all(|delay| (0..=90 * 60).contains(delay)));
        }
    }
}
