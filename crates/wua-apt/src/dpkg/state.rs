//! The `Status` field: what is wanted, whether a reinstallation is required, and how far dpkg has got.

use std::fmt;
use std::str::FromStr;

/// What the administrator wants to happen to a package (the first word).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectionState {
    /// Nothing was ever asked.
    Unknown,
    /// To be installed.
    Install,
    /// To stay as it is; APT leaves it out of upgrades.
    Hold,
    /// To be removed, keeping its configuration.
    Deinstall,
    /// To be removed with everything.
    Purge,
}

/// How far dpkg has got with a package (the third word).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageState {
    /// Not on the machine.
    NotInstalled,
    /// Removed, its configuration files are left.
    ConfigFiles,
    /// An installation was begun and not finished.
    HalfInstalled,
    /// Unpacked, not yet configured.
    Unpacked,
    /// A configuration was begun and not finished.
    HalfConfigured,
    /// Waits for another package to process its triggers.
    TriggersAwaited,
    /// Has triggers to process.
    TriggersPending,
    /// Correctly installed.
    Installed,
}

/// The whole `Status` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// What is wanted.
    pub selection: SelectionState,
    /// Whether the package is broken so that it must be installed again (`reinstreq`).
    pub reinstall_required: bool,
    /// How far dpkg has got.
    pub state: PackageState,
}

/// The `Status` field is none that dpkg writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no dpkg status")]
pub struct StatusError(String);

const SELECTIONS: [(&str, SelectionState); 5] = [
    ("unknown", SelectionState::Unknown),
    ("install", SelectionState::Install),
    ("hold", SelectionState::Hold),
    ("deinstall", SelectionState::Deinstall),
    ("purge", SelectionState::Purge),
];

const STATES: [(&str, PackageState); 8] = [
    ("not-installed", PackageState::NotInstalled),
    ("config-files", PackageState::ConfigFiles),
    ("half-installed", PackageState::HalfInstalled),
    ("unpacked", PackageState::Unpacked),
    ("half-configured", PackageState::HalfConfigured),
    ("triggers-awaited", PackageState::TriggersAwaited),
    ("triggers-pending", PackageState::TriggersPending),
    ("installed", PackageState::Installed),
];

impl FromStr for SelectionState {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        lookup(&SELECTIONS, text)
    }
}

impl FromStr for PackageState {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        lookup(&STATES, text)
    }
}

fn lookup<T: Copy>(table: &[(&str, T)], text: &str) -> Result<T, StatusError> {
    table
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| StatusError(text.to_owned()))
}

impl fmt::Display for PackageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(
            STATES
                .iter()
                .find(|(_, state)| state == self)
                .map_or("", |(name, _)| name),
        )
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(selection), Some(flag), Some(state), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(StatusError(text.to_owned()));
        };
        // Very old databases have `hold` and `hold-reinstreq` here; they meant the same as the selection does.
        let reinstall_required = match flag {
            "ok" | "hold" => false,
            "reinstreq" | "hold-reinstreq" => true,
            _ => return Err(StatusError(text.to_owned())),
        };
        Ok(Self {
            selection: selection.parse()?,
            reinstall_required,
            state: state.parse()?,
        })
    }
}

impl Status {
    /// Whether a version of the package is on the machine, in whatever condition; APT calls it current.
    pub fn is_present(self) -> bool {
        !matches!(self.state, PackageState::NotInstalled | PackageState::ConfigFiles)
    }

    /// Whether everything is in order (rule I1).
    pub fn is_settled(self) -> bool {
        self.state == PackageState::Installed && !self.reinstall_required
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_dpkg_is_known() {
        for (selection_name, selection) in SELECTIONS {
            for (state_name, state) in STATES {
                for (flag, reinstall_required) in [("ok", false), ("reinstreq", true)] {
                    let status: Status = format!("{selection_name} {flag} {state_name}").parse().unwrap();
                    assert_eq!(
                        status,
                        Status {
                            selection,
                            reinstall_required,
                            state
                        }
                    );
                    assert_eq!(state.to_string(), state_name);
                }
            }
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for bad in [
            "",
            "install ok",
            "install ok installed x",
            "want ok installed",
            "install no installed",
            "install ok x",
        ] {
            assert!(bad.parse::<Status>().is_err(), "{bad}");
        }
    }
}
