//! The enumerations of the Windows Update Agent API with their numbers (wua.md section 6).
//!
//! In JSON each is its number, as WUA programs know it; `Display` gives the plain word.

use std::fmt;

/// A number that is not one of an enumeration's values. Programs see it as `E_INVALIDARG` (rule R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a value of {enumeration}")]
pub struct UnknownValue {
    /// The enumeration's name in the API.
    pub enumeration: &'static str,
    /// The number that was given.
    pub value: i32,
}

macro_rules! wua_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "i32", into = "i32")]
        pub enum $name { $($(#[$vdoc])* $variant = $value),+ }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's plain word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self { value as Self }
        }

        impl TryFrom<i32> for $name {
            type Error = UnknownValue;
            fn try_from(value: i32) -> Result<Self, UnknownValue> {
                match value {
                    $($value => Ok(Self::$variant),)+
                    _ => Err(UnknownValue { enumeration: stringify!($name), value }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.word()) }
        }
    };
}

wua_enum! {
    /// How an operation, or one update of it, stands. Ordered by significance, as the API lists it.
    OperationResultCode {
        /// Not reached yet.
        NotStarted = 0 => "not started",
        /// Being worked on.
        InProgress = 1 => "in progress",
        /// Done.
        Succeeded = 2 => "succeeded",
        /// Done, with warnings or with some parts failed.
        SucceededWithErrors = 3 => "succeeded with errors",
        /// Not done.
        Failed = 4 => "failed",
        /// Stopped at the caller's request, or never reached because of it.
        Aborted = 5 => "aborted",
    }
}

impl OperationResultCode {
    /// Whether this is a final state: 2 or more.
    pub const fn is_final(self) -> bool {
        self as i32 >= 2
    }

    /// Whether the work was done, with or without warnings.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::SucceededWithErrors)
    }
}

wua_enum! {
    /// What installing does to other work on the machine.
    InstallationImpact {
        /// Ordinary.
        Normal = 0 => "normal",
        /// No restart, no questions, works while the target is in use.
        Minor = 1 => "minor",
        /// Must be installed alone (wua.md 4.4).
        RequiresExclusiveHandling = 2 => "exclusive",
    }
}

wua_enum! {
    /// A forecast whether an update wants a restart; the truth is in results.
    InstallationRebootBehavior {
        /// Never asks for a restart.
        NeverReboots = 0 => "never",
        /// Always needs one after success.
        AlwaysRequiresReboot = 1 => "always",
        /// May ask for one.
        CanRequestReboot = 2 => "can",
    }
}

wua_enum! {
    /// Where the download of one update stands; goes 1, 2, 3 and never back.
    DownloadPhase {
        /// Finding out what to fetch.
        Initializing = 1 => "initializing",
        /// Bytes are arriving.
        Downloading = 2 => "downloading",
        /// Hashes are being checked.
        Verifying = 3 => "verifying",
    }
}

wua_enum! {
    /// How urgently a download uses the network.
    DownloadPriority {
        /// Background.
        Low = 1 => "low",
        /// The default.
        Normal = 2 => "normal",
        /// Foreground.
        High = 3 => "high",
        /// Foreground, before all others.
        ExtraHigh = 4 => "extra high",
    }
}

wua_enum! {
    /// Which service a searcher asks.
    ServerSelection {
        /// The managed server if one is configured, else the first registered service.
        Default = 0 => "default",
        /// The managed server.
        ManagedServer = 1 => "managed server",
        /// Windows Update; on this platform no such service exists.
        WindowsUpdate = 2 => "windows update",
        /// The service named by the searcher's service id.
        Others = 3 => "others",
    }
}

wua_enum! {
    /// For whom updates are searched.
    SearchScope {
        /// The same as the machine alone.
        Default = 0 => "default",
        /// The machine.
        MachineOnly = 1 => "machine only",
        /// The current user.
        CurrentUserOnly = 2 => "current user only",
        /// Documented as not supported.
        MachineAndCurrentUser = 3 => "machine and current user",
        /// Documented as not supported.
        MachineAndAllUsers = 4 => "machine and all users",
        /// Documented as not supported.
        AllUsers = 5 => "all users",
    }
}

wua_enum! {
    /// What kind of thing an update changes.
    UpdateType {
        /// Software.
        Software = 1 => "Software",
        /// A driver or firmware.
        Driver = 2 => "Driver",
    }
}

wua_enum! {
    /// What was done to an update.
    UpdateOperation {
        /// It was installed.
        Installation = 1 => "install",
        /// It was taken back.
        Uninstallation = 2 => "uninstall",
    }
}

wua_enum! {
    /// What the publisher wants done with an update.
    DeploymentAction {
        /// Inherited from the bundled updates.
        None = 0 => "none",
        /// Install it.
        Installation = 1 => "installation",
        /// Remove it.
        Uninstallation = 2 => "uninstallation",
        /// Only find out whether it applies.
        Detection = 3 => "detection",
        /// Offer it.
        OptionalInstallation = 4 => "optional installation",
    }
}

wua_enum! {
    /// Where a search's warning comes from.
    UpdateExceptionContext {
        /// The search as a whole.
        General = 1 => "general",
        /// A Windows driver.
        WindowsDriver = 2 => "windows driver",
        /// The Windows installer.
        WindowsInstaller = 3 => "windows installer",
        /// The search could not look everywhere.
        SearchIncomplete = 4 => "search incomplete",
    }
}

wua_enum! {
    /// Whether automatic updates select an update by themselves.
    AutoSelectionMode {
        /// The agent decides.
        LetWindowsUpdateDecide = 0 => "agent decides",
        /// Only once it is completely downloaded.
        AutoSelectIfDownloaded = 1 => "if downloaded",
        /// Never.
        NeverAutoSelect = 2 => "never",
        /// Always.
        AlwaysAutoSelect = 3 => "always",
    }
}

wua_enum! {
    /// Whether automatic updates download an update by themselves.
    AutoDownloadMode {
        /// The agent decides.
        LetWindowsUpdateDecide = 0 => "agent decides",
        /// Only at the request of a person or program.
        NeverAutoDownload = 1 => "never",
        /// Always.
        AlwaysAutoDownload = 2 => "always",
    }
}

wua_enum! {
    /// How far automatic updates go by themselves.
    AutomaticUpdatesNotificationLevel {
        /// Nobody has decided.
        NotConfigured = 0 => "not configured",
        /// Off.
        Disabled = 1 => "disabled",
        /// Tell, and ask before downloading.
        NotifyBeforeDownload = 2 => "notify before download",
        /// Download, and ask before installing.
        NotifyBeforeInstallation = 3 => "notify before installation",
        /// Install on schedule.
        ScheduledInstallation = 4 => "scheduled installation",
    }
}

wua_enum! {
    /// The day of scheduled installations.
    AutomaticUpdatesScheduledInstallationDay {
        /// Every day.
        EveryDay = 0 => "every day",
        /// Sundays.
        Sunday = 1 => "Sunday",
        /// Mondays.
        Monday = 2 => "Monday",
        /// Tuesdays.
        Tuesday = 3 => "Tuesday",
        /// Wednesdays.
        Wednesday = 4 => "Wednesday",
        /// Thursdays.
        Thursday = 5 => "Thursday",
        /// Fridays.
        Friday = 6 => "Friday",
        /// Saturdays.
        Saturday = 7 => "Saturday",
    }
}

wua_enum! {
    /// Whose rights are asked about.
    AutomaticUpdatesUserType {
        /// The caller.
        CurrentUser = 1 => "current user",
        /// An administrator.
        LocalAdministrator = 2 => "local administrator",
    }
}

wua_enum! {
    /// Which right is asked about.
    AutomaticUpdatesPermissionType {
        /// To set the notification level.
        SetNotificationLevel = 1 => "set notification level",
        /// To switch automatic updates off.
        DisableAutomaticUpdates = 2 => "disable automatic updates",
        /// To include recommended updates.
        SetIncludeRecommendedUpdates = 3 => "set include recommended updates",
        /// To switch featured updates.
        SetFeaturedUpdatesEnabled = 4 => "set featured updates enabled",
        /// To let ordinary users install.
        SetNonAdministratorsElevated = 5 => "set non-administrators elevated",
    }
}

wua_enum! {
    /// Whether a service is known to the agent.
    UpdateServiceRegistrationState {
        /// It is not.
        NotRegistered = 1 => "not registered",
        /// It will be, at the next online search.
        RegistrationPending = 2 => "registration pending",
        /// It is.
        Registered = 3 => "registered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_codes_are_ordered_by_significance() {
        assert!(OperationResultCode::ALL.is_sorted());
        assert_eq!(i32::from(OperationResultCode::Aborted), 5);
    }

    #[test]
    fn numbers_outside_an_enumeration_are_refused_by_name() {
        let error = DownloadPhase::try_from(0).expect_err("phases start at 1");
        assert_eq!(error.to_string(), "0 is not a value of DownloadPhase");
    }

    #[test]
    fn json_carries_the_api_number() {
        assert_eq!(
            serde_json::to_string(&UpdateType::Driver).expect("serialises"),
            "2"
        );
        assert_eq!(
            serde_json::from_str::<UpdateType>("1").expect("parses"),
            UpdateType::Software
        );
    }
}
