//! What may be set about automatic updates: `[automatic]` of `/etc/wua/wua.toml`, and the same keys as JSON in the API.
//!
//! A key that is not known is an error, as everywhere in the policy. See [`merged`](super::merged) for which document wins.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wua_types::HResult;

use super::rules::{Hold, Rule};
use super::time_of_day::TimeOfDay;
use super::window::Window;

/// How far wua goes by itself. Ordered: each level does all that the one before does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Off,
    /// Look for updates and tell of them.
    #[default]
    Tell,
    /// Download them as well.
    Download,
    /// Install them as well, in the windows.
    Install,
}

/// When wua restarts a machine that needs it. It does so only at [`Level::Install`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    Never,
    /// In a window.
    WhenNeeded,
    /// At a time of day, whatever the windows are.
    At,
    /// In a window, as soon as nobody is logged in.
    WhenNobodyIsLoggedIn,
}

/// What is done about services that still use replaced files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServicePolicy {
    /// They are listed.
    #[default]
    List,
    /// They are restarted in a window, once in each. Only at [`Level::Install`].
    Restart,
}

/// `[automatic.restart]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartSettings {
    /// When.
    pub policy: RestartPolicy,
    /// The time of day for [`RestartPolicy::At`].
    pub at: TimeOfDay,
    /// How many minutes before it a restart is announced, 0 to 1440.
    pub notice_minutes: u16,
    /// After how many restarts that did not help wua restarts no more, 1 to 10.
    pub most_in_a_row: u8,
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            at: TimeOfDay::at_hour(4),
            notice_minutes: 10,
            most_in_a_row: 3,
        }
    }
}

/// What is set about automatic updates. Absent keys have the values of [`AutomaticSettings::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutomaticSettings {
    /// How far wua goes by itself.
    pub level: Level,
    /// Until when nothing is done, whatever the level; a moment that has passed pauses nothing.
    pub paused_until: Option<Timestamp>,
    /// When it may install; at least one window.
    pub windows: Vec<Window>,
    /// How many hours pass between two looks for updates, 1 to 168.
    pub check_hours: u16,
    /// By how many minutes at most this machine begins after a window opened, 0 to 1440, so that many machines do not begin at
    /// once. See [`openings`](super::openings).
    pub random_delay_minutes: u16,
    /// For how many days an update may be known before it is installed at once, outside of windows too, 0 to 365. None waits
    /// for a window for ever.
    pub deadline_days: Option<u16>,
    /// Which updates go by themselves: those that any of the rules fits, or all where there is none.
    pub allow: Vec<Rule>,
    /// Which do not, although they are allowed.
    pub exclude: Vec<Rule>,
    /// Which do not until a date.
    pub holds: Vec<Hold>,
    /// Versions that are left out: an update's id, its `ID.REVISION`, or its title, which is `SOURCE VERSION`.
    pub skip: Vec<String>,
    /// Act also on battery.
    pub on_battery: bool,
    /// Look for updates and download also on networks that are paid by use.
    pub on_metered: bool,
    /// How often something that failed is tried again, 0 to 20; an installation so often in each window.
    pub retries: u8,
    /// How many minutes pass before it is, 1 to 1440.
    pub retry_minutes: u16,
    /// About restarts.
    pub restart: RestartSettings,
    /// About services that still use replaced files.
    pub services: ServicePolicy,
    /// A program and its arguments that tell after an installation, by exit code 0, whether the machine is well. If not, the
    /// job is undone. Empty for none.
    pub health_command: Vec<String>,
    /// How many seconds it may take, 1 to 3600.
    pub health_limit_seconds: u16,
    /// A program and its arguments that are told what happened. Empty for none.
    pub tell_command: Vec<String>,
}

impl Default for AutomaticSettings {
    fn default() -> Self {
        Self {
            level: Level::default(),
            paused_until: None,
            windows: vec![Window::default()],
            check_hours: 12,
            random_delay_minutes: 30,
            deadline_days: None,
            allow: Vec::new(),
            exclude: Vec::new(),
            holds: Vec::new(),
            skip: Vec::new(),
            on_battery: false,
            on_metered: false,
            retries: 3,
            retry_minutes: 30,
            restart: RestartSettings::default(),
            services: ServicePolicy::default(),
            health_command: Vec::new(),
            health_limit_seconds: 120,
            tell_command: Vec::new(),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the setting `{key}` cannot be so: {problem}")]
pub struct SettingsError {
    /// The key, with dots where it is inside another.
    pub key: String,
    /// What is wrong, a part of a sentence.
    pub problem: String,
}

impl SettingsError {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// The result code.
    pub fn code(&self) -> HResult {
        HResult::E_INVALIDARG
    }
}

/// How many windows, rules, holds or skipped versions there may be: every look goes through all of them.
const MOST_ENTRIES: usize = 1000;

impl AutomaticSettings {
    /// Whether every value is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        require(
            !self.windows.is_empty(),
            "windows",
            "at least one window is needed",
        )?;
        for window in &self.windows {
            within("windows.length_minutes", window.length_minutes, 1..=1440)?;
        }
        within("check_hours", self.check_hours, 1..=168)?;
        within("random_delay_minutes", self.random_delay_minutes, 0..=1440)?;
        within("deadline_days", self.deadline_days.unwrap_or_default(), 0..=365)?;
        within("retries", self.retries, 0..=20)?;
        within("retry_minutes", self.retry_minutes, 1..=1440)?;
        within("restart.notice_minutes", self.restart.notice_minutes, 0..=1440)?;
        within("restart.most_in_a_row", self.restart.most_in_a_row, 1..=10)?;
        within("health_limit_seconds", self.health_limit_seconds, 1..=3600)?;
        let lengths = [
            ("windows", self.windows.len()),
            ("allow", self.allow.len()),
            ("exclude", self.exclude.len()),
            ("holds", self.holds.len()),
            ("skip", self.skip.len()),
        ];
        for (key, length) in lengths {
            require(length <= MOST_ENTRIES, key, "there are more than 1000 entries")?;
        }
        // What is empty fits nothing, and whoever wrote it meant something.
        for (key, rules) in [("allow", &self.allow), ("exclude", &self.exclude)] {
            require(!rules.iter().any(Rule::is_empty), key, "a rule is empty")?;
        }
        let names = self.holds.iter().map(|hold| &hold.name);
        require(
            !names.into_iter().any(|name| name.is_empty()),
            "holds",
            "a name is empty",
        )?;
        require(
            !self.skip.iter().any(String::is_empty),
            "skip",
            "an entry is empty",
        )?;
        for (key, words) in [
            ("health_command", &self.health_command),
            ("tell_command", &self.tell_command),
        ] {
            // A search along PATH would let whoever sets PATH choose the program.
            let is_program = words.first().is_none_or(|program| program.starts_with('/'));
            require(is_program, key, "the program needs its whole path")?;
        }
        Ok(())
    }
}

fn require(holds: bool, key: &str, problem: &str) -> Result<(), SettingsError> {
    holds
        .then_some(())
        .ok_or_else(|| SettingsError::new(key, problem))
}

fn within<T: PartialOrd + fmt::Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    let problem = || format!("{value} is not between {} and {}", range.start(), range.end());
    if range.contains(&value) {
        Ok(())
    } else {
        Err(SettingsError::new(key, problem()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::PartialSettings;
    use serde_json::{Map, Value};

    #[test]
    fn the_defaults_are_valid_and_only_tell() {
        let settings = AutomaticSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!(settings.level, Level::Tell);
    }

    #[test]
    fn a_whole_document_reads_the_same_from_toml_and_json() {
        let settings: AutomaticSettings = toml::from_str(
            r#"
            level = "install"
            windows = [{ days = ["sat", "sun"], start = "02:30", length_minutes = 90 }]
            deadline_days = 14
            allow = [{ category = "Security Updates" }, { severity = "Critical" }, { cve = "CVE-2026-*" }]
            exclude = [{ name = "linux-*" }, { title = "^firefox " }]
            holds = [{ name = "postgresql*", until = "2026-12-24", reason = "the shop is open" }]
            skip = ["curl 8.1"]
            health_command = ["/usr/local/bin/is-well", "--quick"]
            [restart]
            policy = "when_nobody_is_logged_in"
            "#,
        )
        .expect("a document");
        assert_eq!(settings.validate(), Ok(()));
        let json = serde_json::to_string(&settings).expect("JSON");
        assert_eq!(
            serde_json::from_str::<AutomaticSettings>(&json).expect("read again"),
            settings
        );
    }

    fn check(document: &str, key: &str, problem: &str) {
        let document: Map<String, Value> = toml::from_str(document).expect("a document");
        let error = PartialSettings::try_from(document).expect_err("refused");
        assert_eq!(error.key, key);
        assert!(error.problem.contains(problem), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("check_hours = 0", "check_hours", "0 is not between 1 and 168");
        check("windows = []", "windows", "at least one window is needed");
        check(
            "windows = [{ length_minutes = 1441 }]",
            "windows.length_minutes",
            "1441 is not between",
        );
        check(
            "windows = [{ start = '3' }]",
            "windows",
            "a time of day is written HH:MM",
        );
        check(
            "allow = [{ name = 'a', cve = 'CVE-1' }]",
            "allow",
            "map with a single key",
        );
        check("exclude = [{ name = '' }]", "exclude", "a rule is empty");
        check("exclude = [{ title = '(' }]", "exclude", "unclosed group");
        check("holds = [{ name = 'a' }]", "holds", "missing field `until`");
        check(
            "tell_command = ['mail']",
            "tell_command",
            "the program needs its whole path",
        );
        check("levle = 'off'", "levle", "unknown field `levle`");
        check(
            "[restart]\nmost_in_a_row = 0",
            "restart.most_in_a_row",
            "0 is not between 1 and 10",
        );
    }
}
