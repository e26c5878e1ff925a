//! Whether unattended-upgrades installs updates on the machine: then wua does not do so by itself, too.

use crate::answers::Answers;
use crate::dpkg::DpkgDatabase;
use crate::reader::AptConfig;
use crate::tree::AptTree;

const PACKAGE: &str = "unattended-upgrades";

/// Whether it is installed and switched on. What cannot be read counts as off: whoever cannot read APT's settings cannot install either.
pub(crate) fn is_active(tree: &AptTree) -> bool {
    let is_present = |installed: DpkgDatabase| {
        let mut present = installed.named(PACKAGE).iter();
        present.any(|package| package.status.is_present())
    };
    DpkgDatabase::read(tree.root()).is_ok_and(is_present)
        && Answers::of(tree).is_ok_and(|answers| is_switched_on(&AptConfig::parse(&answers.settings)))
}

/// As `apt.systemd.daily` reads it: a number of days, with or without a unit, or `always`.
fn is_switched_on(config: &AptConfig) -> bool {
    let is_zero = |text: &str| text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic()) == "0";
    let periodic = config
        .get("APT::Periodic::Enable")
        .is_none_or(|value| value != "0");
    periodic
        && config
            .get("APT::Periodic::Unattended-Upgrade")
            .is_some_and(|value| !is_zero(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_switched_on_by_an_interval_that_is_not_nought() {
        let is_on = |lines: &str| is_switched_on(&AptConfig::parse(lines));
        assert!(!is_on(""));
        assert!(is_on("APT::Periodic::Unattended-Upgrade \"1\";"));
        assert!(is_on("APT::Periodic::Unattended-Upgrade \"always\";"));
        assert!(is_on("APT::Periodic::Unattended-Upgrade \"12h\";"));
        assert!(!is_on("APT::Periodic::Unattended-Upgrade \"0\";"));
        assert!(!is_on(
            "APT::Periodic::Unattended-Upgrade \"1\";\nAPT::Periodic::Enable \"0\";"
        ));
    }
}
