//! A share of work done, in whole percent.

use std::fmt;

/// How much is done, 0 to 100. Rounds down, so 100 always means finished.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// Nothing done.
    pub const ZERO: Self = Self(0);
    /// As far as work goes before its result is known (apt.md 2.3).
    pub const ALMOST: Self = Self(99);
    /// Finished.
    pub const FULL: Self = Self(100);

    /// `done` of `total`, rounded down; 0 where the total is unknown (0).
    pub fn of(done: u64, total: u64) -> Self {
        match total {
            0 => Self::ZERO,
            _ => Self((u128::from(done.min(total)) * 100 / u128::from(total)) as u8),
        }
    }

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<Percent> for u8 {
    fn from(value: Percent) -> Self {
        value.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = String;
    fn try_from(value: u8) -> Result<Self, String> {
        if value <= 100 {
            Ok(Self(value))
        } else {
            Err(format!("{value} is more than 100 percent"))
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_is_shown_only_when_all_is_done() {
        assert_eq!(Percent::of(999_999, 1_000_000).get(), 99);
        assert_eq!(Percent::of(u64::MAX, u64::MAX), Percent::FULL);
        assert_eq!(Percent::of(5, 0), Percent::ZERO);
    }
}
