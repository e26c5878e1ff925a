//! The faults a practice machine can be made with. Each is one thing that goes wrong on real machines; the names are
//! those of `wua sandbox create --with`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Something that goes wrong, or at least gets difficult, with one update of a practice machine.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The new version's postinst prints a reason and exits 3: the package stays half-configured.
    FailingPostinst,
    /// The new version's preinst prints a reason and exits 4: the old version stays installed.
    FailingPreinst,
    /// The new version's postinst takes about 3 seconds and prints each of its steps.
    ///
    /// Tests can drive it by two files below the tree's root: `etc/wua/slow-steps` holds another number of half-second
    /// steps (0 is none), and while `etc/wua/slow-gate` exists the script says so and waits before its first step.
    Slow,
    /// A configuration file is changed by the administrator and by the new version.
    Conffile,
    /// The new version's postinst asks for a restart of the machine, as Debian's packages do.
    Reboot,
    /// One byte of the new archive differs from what the index promises; the size is right.
    BadHash,
    /// One line of the `practice` suite's `InRelease` was altered after signing, so APT keeps the old index and none
    /// of that suite's updates can be seen. The security suite is well.
    BadSignature,
    /// The new version depends on a package that nothing provides: APT keeps it back.
    MissingDependency,
    /// The new version ships a file that belongs to another installed package.
    FileConflict,
    /// The new version is an archive of about 60 MB.
    Large,
}

/// A name that is no fault's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a fault; the faults are {names}", names = Fault::ALL.map(|fault| fault.name()).join(", "))]
pub struct UnknownFault(pub String);

impl Fault {
    /// Every fault, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::FailingPostinst,
        Self::FailingPreinst,
        Self::Slow,
        Self::Conffile,
        Self::Reboot,
        Self::BadHash,
        Self::BadSignature,
        Self::MissingDependency,
        Self::FileConflict,
        Self::Large,
    ];

    /// The name on the command line, such as `failing-postinst`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailingPostinst => "failing-postinst",
            Self::FailingPreinst => "failing-preinst",
            Self::Slow => "slow",
            Self::Conffile => "conffile",
            Self::Reboot => "reboot",
            Self::BadHash => "bad-hash",
            Self::BadSignature => "bad-signature",
            Self::MissingDependency => "missing-dependency",
            Self::FileConflict => "file-conflict",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| UnknownFault(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name_and_written_by_it() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = "slowly".parse::<Fault>().unwrap_err().to_string();
        assert!(
            message.starts_with("`slowly` is not a fault; the faults are failing-postinst, "),
            "{message}"
        );
    }
}
