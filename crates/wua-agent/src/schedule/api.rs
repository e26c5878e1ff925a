//! The settings as programs of the Windows Update Agent API know them (`IAutomaticUpdatesSettings`): a level, a day, an hour.
//!
//! Reading gives the nearest of what the API can say; writing changes the settings that it means and no others.

use wua_types::{AutomaticUpdatesNotificationLevel, AutomaticUpdatesScheduledInstallationDay};

use wua_types::api::SettingOrigin;

use super::merged::{Merged, PartialSettings};
use super::settings::{AutomaticSettings, Level, SettingsError};
use super::time_of_day::TimeOfDay;
use super::window::{Day, Window};

impl From<Level> for AutomaticUpdatesNotificationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Disabled,
            Level::Tell => Self::NotifyBeforeDownload,
            Level::Download => Self::NotifyBeforeInstallation,
            Level::Install => Self::ScheduledInstallation,
        }
    }
}

impl Merged {
    /// `NotificationLevel`: not configured as long as nobody has set it.
    pub fn notification_level(&self) -> AutomaticUpdatesNotificationLevel {
        match self.origin("level") {
            SettingOrigin::Default => AutomaticUpdatesNotificationLevel::NotConfigured,
            SettingOrigin::Policy | SettingOrigin::Settings => self.settings().level.into(),
        }
    }
}

impl AutomaticSettings {
    /// `ScheduledInstallationDay`: the day of the only window that has one day, else every day.
    pub fn scheduled_installation_day(&self) -> AutomaticUpdatesScheduledInstallationDay {
        use AutomaticUpdatesScheduledInstallationDay as WuaDay;
        let [window] = self.windows.as_slice() else {
            return WuaDay::EveryDay;
        };
        let [day] = window.days.as_slice() else {
            return WuaDay::EveryDay;
        };
        match day {
            Day::Mon => WuaDay::Monday,
            Day::Tue => WuaDay::Tuesday,
            Day::Wed => WuaDay::Wednesday,
            Day::Thu => WuaDay::Thursday,
            Day::Fri => WuaDay::Friday,
            Day::Sat => WuaDay::Saturday,
            Day::Sun => WuaDay::Sunday,
        }
    }

    /// `ScheduledInstallationTime`: the hour in which the first window opens, 0 to 23.
    pub fn scheduled_installation_time(&self) -> i32 {
        self.first_window().start.hour().into()
    }

    fn first_window(&self) -> Window {
        self.windows.first().cloned().unwrap_or_default()
    }
}

impl PartialSettings {
    /// Puts `NotificationLevel`; not configured takes the level away, so that the default holds.
    pub fn put_notification_level(&mut self, level: AutomaticUpdatesNotificationLevel) {
        use AutomaticUpdatesNotificationLevel as WuaLevel;
        let level = match level {
            WuaLevel::NotConfigured => return self.unset("level"),
            WuaLevel::Disabled => Level::Off,
            WuaLevel::NotifyBeforeDownload => Level::Tell,
            WuaLevel::NotifyBeforeInstallation => Level::Download,
            WuaLevel::ScheduledInstallation => Level::Install,
        };
        let settings = AutomaticSettings {
            level,
            ..AutomaticSettings::default()
        };
        self.set("level", &settings);
    }

    /// Puts `ScheduledInstallationDay`: one window on that day, with time and length of the first of those that hold `now`.
    pub fn put_scheduled_installation_day(
        &mut self,
        day: AutomaticUpdatesScheduledInstallationDay,
        now: &AutomaticSettings,
    ) {
        use AutomaticUpdatesScheduledInstallationDay as WuaDay;
        let days = match day {
            WuaDay::EveryDay => vec![],
            WuaDay::Sunday => vec![Day::Sun],
            WuaDay::Monday => vec![Day::Mon],
            WuaDay::Tuesday => vec![Day::Tue],
            WuaDay::Wednesday => vec![Day::Wed],
            WuaDay::Thursday => vec![Day::Thu],
            WuaDay::Friday => vec![Day::Fri],
            WuaDay::Saturday => vec![Day::Sat],
        };
        self.put_window(Window {
            days,
            ..now.first_window()
        });
    }

    /// Puts `ScheduledInstallationTime`: one window at that hour, with days and length of the first of those that hold `now`.
    ///
    /// # Errors
    /// The hour is not 0 to 23.
    pub fn put_scheduled_installation_time(
        &mut self,
        hour: i32,
        now: &AutomaticSettings,
    ) -> Result<(), SettingsError> {
        let start = i8::try_from(hour).ok().and_then(|hour| TimeOfDay::new(hour, 0));
        let problem = || SettingsError::new("windows.start", format!("{hour} is not an hour from 0 to 23"));
        self.put_window(Window {
            start: start.ok_or_else(problem)?,
            ..now.first_window()
        });
        Ok(())
    }

    fn put_window(&mut self, window: Window) {
        let settings = AutomaticSettings {
            windows: vec![window],
            ..AutomaticSettings::default()
        };
        self.set("windows", &settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(stored: &PartialSettings) -> Merged {
        Merged::of(&PartialSettings::default(), stored)
    }

    #[test]
    fn every_level_comes_back_as_it_was_put() {
        let mut stored = PartialSettings::default();
        for level in AutomaticUpdatesNotificationLevel::ALL.iter().rev() {
            stored.put_notification_level(*level);
            assert_eq!(merged(&stored).notification_level(), *level);
        }
        assert_eq!(
            stored,
            PartialSettings::default(),
            "not configured is the last and leaves nothing"
        );
    }

    #[test]
    fn day_and_hour_leave_the_length_of_the_window_alone() {
        let mut stored: PartialSettings =
            toml::from_str("windows = [{ days = ['mon', 'tue'], start = '02:30', length_minutes = 45 }]")
                .expect("valid");
        for day in AutomaticUpdatesScheduledInstallationDay::ALL {
            let now = merged(&stored).settings().clone();
            stored.put_scheduled_installation_day(*day, &now);
            assert_eq!(merged(&stored).settings().scheduled_installation_day(), *day);
        }
        let now = merged(&stored).settings().clone();
        stored.put_scheduled_installation_time(23, &now).expect("an hour");
        let settings = merged(&stored).settings().clone();
        assert_eq!(settings.scheduled_installation_time(), 23);
        assert_eq!(settings.windows[0].length_minutes, 45);
        for hour in [-1, 24, 1000] {
            let error = stored
                .put_scheduled_installation_time(hour, &now)
                .expect_err("no hour");
            assert_eq!(error.code(), wua_types::HResult::E_INVALIDARG);
        }
    }
}
