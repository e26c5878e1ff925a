//! Times of day as settings write them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

/// A time of day in hours and minutes, `00:00` to `23:59`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(Time);

impl TimeOfDay {
    /// The time with these hours (0 to 23) and minutes (0 to 59); none where they are others.
    pub fn new(hour: i8, minute: i8) -> Option<Self> {
        Time::new(hour, minute, 0, 0).ok().map(Self)
    }

    /// A full hour that is known to be one.
    pub(super) const fn at_hour(hour: i8) -> Self {
        Self(Time::constant(hour, 0, 0, 0))
    }

    /// The same as the calendar takes it.
    pub(super) const fn time(self) -> Time {
        self.0
    }

    /// The hour, 0 to 23.
    pub fn hour(self) -> i8 {
        self.0.hour()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// A text that is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written HH:MM, from 00:00 to 23:59")]
pub struct NotATimeOfDay;

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;
    fn from_str(text: &str) -> Result<Self, NotATimeOfDay> {
        let number = |digits: &str| {
            let is_plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| digits.parse().ok()).flatten()
        };
        let (hour, minute) = text.split_once(':').ok_or(NotATimeOfDay)?;
        let time = number(hour).zip(number(minute));
        time.and_then(|(hour, minute)| Self::new(hour, minute))
            .ok_or(NotATimeOfDay)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = NotATimeOfDay;
    fn try_from(text: String) -> Result<Self, NotATimeOfDay> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_written_with_two_digits_each() {
        for text in ["3:00", "03:60", "24:00", "+3:00", "03:00:00", "", ":"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(NotATimeOfDay), "{text}");
        }
        assert_eq!("23:59".parse::<TimeOfDay>().expect("a time").to_string(), "23:59");
    }
}
