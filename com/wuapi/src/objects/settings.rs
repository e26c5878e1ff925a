//! `AutomaticUpdatesSettings`: read, changed here, and then saved (wua.md 8.3).

use std::sync::Mutex;

use serde_json::{Map, Value};
use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::implement;
use wua_types::api::{Access, AutomaticUpdatesDocument, SettingDocument, SettingOrigin};
use wua_types::{
    AutomaticUpdatesNotificationLevel, AutomaticUpdatesPermissionType,
    AutomaticUpdatesScheduledInstallationDay, AutomaticUpdatesUserType, HResult,
};

use crate::agent;
use crate::api::{
    IAutomaticUpdatesSettings_Impl, IAutomaticUpdatesSettings2_Impl, IAutomaticUpdatesSettings3,
    IAutomaticUpdatesSettings3_Impl,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::objects::lock;
use crate::objects::lockdown::Lockdown;

/// Whether the policy decides what this object has of the agent's settings: the level, or the day and hour.
fn is_decided(settings: &[SettingDocument]) -> bool {
    settings.iter().any(|setting| {
        matches!(setting.key.as_str(), "level" | "windows") && setting.origin == SettingOrigin::Policy
    })
}

/// The settings as they were read, and as the client wants them.
#[derive(Debug)]
struct State {
    read: AutomaticUpdatesDocument,
    wanted: AutomaticUpdatesDocument,
    is_owner: bool,
    /// Whether the administrator's policy decides anything that could be changed here.
    has_policy: bool,
}

impl State {
    fn read() -> Answer<Self> {
        let client = agent::client()?;
        let settings = client.settings()?;
        Ok(Self {
            read: settings.automatic_updates,
            wanted: settings.automatic_updates,
            is_owner: client.system()?.access == Access::Owner,
            has_policy: is_decided(&settings.settings),
        })
    }

    /// What differs, as the agent takes wishes in the API's terms.
    fn wishes(&self) -> Map<String, Value> {
        let (read, wanted) = (&self.read, &self.wanted);
        let mut wishes = Map::new();
        let mut wish = |key: &str, differs: bool, value: i32| {
            if differs {
                wishes.insert(key.into(), value.into());
            }
        };
        wish(
            "notification_level",
            read.notification_level != wanted.notification_level,
            wanted.notification_level.into(),
        );
        wish(
            "scheduled_installation_day",
            read.scheduled_installation_day != wanted.scheduled_installation_day,
            wanted.scheduled_installation_day.into(),
        );
        wish(
            "scheduled_installation_time",
            read.scheduled_installation_time != wanted.scheduled_installation_time,
            wanted.scheduled_installation_time,
        );
        if wishes.is_empty() {
            wishes
        } else {
            Map::from_iter([("automatic_updates".into(), wishes.into())])
        }
    }
}

/// The object.
#[implement(IAutomaticUpdatesSettings3, ISupportErrorInfo)]
#[derive(Debug)]
pub struct AutomaticUpdatesSettings {
    state: Mutex<State>,
    lockdown: Lockdown,
    _lease: Lease,
}

scripted!(AutomaticUpdatesSettings_Impl => IAutomaticUpdatesSettings3);

impl AutomaticUpdatesSettings {
    /// The settings of now.
    pub fn read(lockdown: Lockdown) -> Answer<Self> {
        Ok(Self {
            state: Mutex::new(State::read()?),
            lockdown,
            _lease: Lease::default(),
        })
    }

    /// A setter: for administrators.
    fn want(&self, want: impl FnOnce(&mut AutomaticUpdatesDocument)) -> Answer<()> {
        let mut state = lock(&self.state);
        if !state.is_owner {
            return Err(HResult::E_ACCESSDENIED.into());
        }
        want(&mut state.wanted);
        Ok(())
    }

    /// A setter of what has only one value here.
    fn only(&self, is_so: bool, why: &str) -> Answer<()> {
        self.want(|_| {})?;
        if is_so {
            Ok(())
        } else {
            Err(Fault::new(HResult::WU_E_NOT_SUPPORTED, why))
        }
    }
}

impl IAutomaticUpdatesSettings_Impl for AutomaticUpdatesSettings_Impl {
    fn notification_level(&self) -> Answer<AutomaticUpdatesNotificationLevel> {
        Ok(lock(&self.state).wanted.notification_level)
    }

    fn put_notification_level(&self, value: AutomaticUpdatesNotificationLevel) -> Answer<()> {
        self.want(|wanted| wanted.notification_level = value)
    }

    fn read_only(&self) -> Answer<bool> {
        let state = lock(&self.state);
        Ok(!state.is_owner || state.has_policy)
    }

    fn required(&self) -> Answer<bool> {
        Ok(lock(&self.state).has_policy)
    }

    fn scheduled_installation_day(&self) -> Answer<AutomaticUpdatesScheduledInstallationDay> {
        Ok(lock(&self.state).wanted.scheduled_installation_day)
    }

    fn put_scheduled_installation_day(&self, value: AutomaticUpdatesScheduledInstallationDay) -> Answer<()> {
        self.want(|wanted| wanted.scheduled_installation_day = value)
    }

    fn scheduled_installation_time(&self) -> Answer<i32> {
        Ok(lock(&self.state).wanted.scheduled_installation_time)
    }

    fn put_scheduled_installation_time(&self, value: i32) -> Answer<()> {
        if !(0..24).contains(&value) {
            return Err(Fault::new(
                HResult::E_INVALIDARG,
                format!("{value} is no hour of a day"),
            ));
        }
        self.want(|wanted| wanted.scheduled_installation_time = value)
    }

    fn refresh(&self) -> Answer<()> {
        let now = State::read()?;
        *lock(&self.state) = now;
        Ok(())
    }

    fn save(&self) -> Answer<()> {
        self.lockdown.permits()?;
        let wishes = lock(&self.state).wishes();
        if !wishes.is_empty() {
            agent::client()?.change_settings(&wishes)?;
        }
        self.refresh()
    }
}

impl IAutomaticUpdatesSettings2_Impl for AutomaticUpdatesSettings_Impl {
    fn include_recommended_updates(&self) -> Answer<bool> {
        Ok(true)
    }

    fn put_include_recommended_updates(&self, value: bool) -> Answer<()> {
        self.only(value, "Archives tell no recommended updates from others")
    }

    fn check_permission(
        &self,
        user_type: AutomaticUpdatesUserType,
        permission_type: AutomaticUpdatesPermissionType,
    ) -> Answer<bool> {
        let state = lock(&self.state);
        let is_administrator = state.is_owner || user_type == AutomaticUpdatesUserType::LocalAdministrator;
        Ok(is_administrator
            && !state.has_policy
            && matches!(
                permission_type,
                AutomaticUpdatesPermissionType::SetNotificationLevel
                    | AutomaticUpdatesPermissionType::DisableAutomaticUpdates
            ))
    }
}

impl IAutomaticUpdatesSettings3_Impl for AutomaticUpdatesSettings_Impl {
    fn non_administrators_elevated(&self) -> Answer<bool> {
        Ok(false)
    }

    fn put_non_administrators_elevated(&self, value: bool) -> Answer<()> {
        self.only(
            !value,
            "Who may install is decided by membership of the agent's group",
        )
    }

    fn featured_updates_enabled(&self) -> Answer<bool> {
        Ok(false)
    }

    fn put_featured_updates_enabled(&self, _: bool) -> Answer<()> {
        Err(HResult::WU_E_NOT_SUPPORTED.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_policy_s_word_on_level_and_windows_decides_these_settings() {
        let decides = |key: &str, origin| {
            is_decided(&[SettingDocument {
                key: key.into(),
                value: Value::Null,
                origin,
            }])
        };
        assert!(decides("level", SettingOrigin::Policy));
        assert!(decides("windows", SettingOrigin::Policy));
        assert!(!decides("retries", SettingOrigin::Policy));
        assert!(!decides("level", SettingOrigin::Settings));
        assert!(!decides("windows", SettingOrigin::Default));
    }
}
