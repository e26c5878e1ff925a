//! How an update ended, in codes and sentences: from states read back, error records and what scripts printed (apt.md 7).
//!
//! Pure. That an update succeeded is decided by states alone (rule I1); error records and texts only say why one did
//! not.

use wua_types::quote::quote;
use wua_types::{HResult, OperationResultCode, PlannedChange, UpdateInstallationResult};

use crate::dpkg::{DpkgDatabase, InstalledPackage, PackageState};
use crate::watch::ItemError;

/// Whether a change is completely made (rule I1).
pub(crate) fn is_made(change: &PlannedChange, database: &DpkgDatabase) -> bool {
    match (&change.to, installed(change, database)) {
        (Some(wanted), Some(package)) => package.version == *wanted && package.status.is_settled(),
        (Some(_), None) => false,
        (None, package) => package.is_none(),
    }
}

/// Whether the files of a change are all in place, so that only configuring is left.
pub(crate) fn is_unpacked(change: &PlannedChange, database: &DpkgDatabase) -> bool {
    installed(change, database).is_some_and(|package| {
        change.to.as_ref() == Some(&package.version)
            && !package.status.reinstall_required
            && package.status.state != PackageState::HalfInstalled
    })
}

/// Whether `dpkg --configure -a` has something to do: not for packages that just failed in it.
pub(crate) fn needs_configuring(
    database: &DpkgDatabase,
    has_failed: impl Fn(&InstalledPackage) -> bool,
) -> bool {
    let waits = |package: &InstalledPackage| {
        let is_open = match package.status.state {
            PackageState::Unpacked
            | PackageState::HalfConfigured
            | PackageState::TriggersAwaited
            | PackageState::TriggersPending => true,
            PackageState::NotInstalled
            | PackageState::ConfigFiles
            | PackageState::HalfInstalled
            | PackageState::Installed => false,
        };
        is_open && !has_failed(package)
    };
    database.journal_files() > 0 || database.packages().iter().any(waits)
}

/// The result of an update that is completely made.
pub(crate) fn success(kept_configuration: Vec<String>, reboot_required: bool) -> UpdateInstallationResult {
    UpdateInstallationResult {
        reboot_required,
        kept_configuration,
        ..UpdateInstallationResult::new(OperationResultCode::Succeeded, HResult::S_OK, "")
    }
}

/// The result of an update that failed for `error`. `said` are the last words of the script that failed.
pub(crate) fn failure(
    error: &ItemError,
    change: &PlannedChange,
    said: &[String],
    database: &DpkgDatabase,
) -> UpdateInstallationResult {
    let sentence = format!(
        "`{}`: {}; {}",
        change.name,
        error.text,
        condition(change, database)
    );
    let message = quote(&sentence, said);
    UpdateInstallationResult {
        unmapped_result_code: exit_status(&error.text).unwrap_or(0),
        ..UpdateInstallationResult::new(OperationResultCode::Failed, code(&error.text), message)
    }
}

/// The result of an update one of whose scripts hung and was ended: `sentence` says which.
pub(crate) fn hung(
    sentence: &str,
    change: &PlannedChange,
    said: &[String],
    database: &DpkgDatabase,
) -> UpdateInstallationResult {
    let sentence = format!("`{}`: {sentence}; {}", change.name, condition(change, database));
    refusal(HResult::WU_E_UH_INSTALLERHUNG, quote(&sentence, said))
}

/// The result of an update that was never reached, or refused, for reasons that are not a package's own.
pub(crate) fn refusal(code: HResult, message: impl Into<String>) -> UpdateInstallationResult {
    UpdateInstallationResult::new(OperationResultCode::Failed, code, message)
}

/// The code of a failed item, by the fixed words of dpkg's record.
fn code(text: &str) -> HResult {
    if is_disk_full(text) {
        HResult::ERROR_DISK_FULL
    } else if text.contains("end of file on stdin at conffile prompt") {
        HResult::WU_E_NO_INTERACTIVE_USER
    } else {
        HResult::WU_E_UH_INSTALLERFAILURE
    }
}

/// Whether an error record tells of a full disk, which dooms all that follows (rule R33).
pub(crate) fn is_disk_full(text: &str) -> bool {
    text.contains("No space left on device") || text.contains("Disk quota exceeded")
}

/// The code for an apt that ended before it had a plan, by its own words (apt.md 7): the state is the same in all cases.
pub(crate) fn refused_by_apt(errors: &[String]) -> HResult {
    let says = |words: &str| errors.iter().any(|error| error.contains(words));
    if says("enough free space") {
        HResult::ERROR_DISK_FULL
    } else if says("Unable to locate package") {
        HResult::WU_E_ITEMNOTFOUND
    } else if says("was not found") {
        HResult::WU_E_NOT_APPLICABLE
    } else {
        HResult::WU_E_INVALID_RELATIONSHIP
    }
}

/// The exit status in `… returned error exit status 3`.
fn exit_status(text: &str) -> Option<i32> {
    let rest = ["exit status ", "exit code "]
        .iter()
        .find_map(|words| Some(text.rsplit_once(words)?.1))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// In which condition a package is after a failure, as the end of a sentence.
pub(crate) fn condition(change: &PlannedChange, database: &DpkgDatabase) -> String {
    let Some(package) = installed(change, database) else {
        return "it is not installed".into();
    };
    let version = &package.version;
    match package.status.state {
        _ if package.status.reinstall_required => {
            format!("version {version} is broken and must be installed again")
        }
        PackageState::Installed if change.to.as_ref() != Some(version) => {
            format!("version {version} stays installed")
        }
        PackageState::Installed => format!("version {version} is installed"),
        PackageState::HalfInstalled => format!("version {version} is only half installed"),
        PackageState::Unpacked | PackageState::HalfConfigured => {
            format!("version {version} is unpacked but not configured")
        }
        PackageState::TriggersAwaited | PackageState::TriggersPending => {
            format!("version {version} is installed but its triggers have not run")
        }
        PackageState::NotInstalled | PackageState::ConfigFiles => "it is not installed".into(),
    }
}

/// The package as far as a version of it is on the machine.
pub(crate) fn installed<'a>(
    change: &PlannedChange,
    database: &'a DpkgDatabase,
) -> Option<&'a InstalledPackage> {
    database
        .get(&change.name, &change.architecture)
        .filter(|package| package.status.is_present())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: HResult, status: Option<i32>) {
        assert_eq!((code(text), exit_status(text)), (expected, status), "{text}");
    }

    #[test]
    fn error_records_have_codes() {
        let script =
            "installed ua-fail package post-installation script subprocess returned error exit status 3";
        check(script, HResult::WU_E_UH_INSTALLERFAILURE, Some(3));
        let killed =
            "installed ua-slow package post-installation script subprocess was killed by signal (Killed)";
        check(killed, HResult::WU_E_UH_INSTALLERFAILURE, None);
        let full = "cannot copy extracted data for './blob' to '/blob.dpkg-new': failed to write (No space left on device)";
        check(full, HResult::ERROR_DISK_FULL, None);
        check(
            "end of file on stdin at conffile prompt",
            HResult::WU_E_NO_INTERACTIVE_USER,
            None,
        );
    }

    #[test]
    fn apts_refusals_have_codes() {
        let code = |text: &str| refused_by_apt(&[text.to_owned()]);
        assert_eq!(
            code("Version '9.9' for 'ua-demo' was not found"),
            HResult::WU_E_NOT_APPLICABLE
        );
        assert_eq!(
            code("Unable to locate package ua-nothere"),
            HResult::WU_E_ITEMNOTFOUND
        );
        assert_eq!(
            code("You don't have enough free space in /mnt/small/."),
            HResult::ERROR_DISK_FULL
        );
        assert_eq!(
            code("Unable to correct problems, you have held broken packages."),
            HResult::WU_E_INVALID_RELATIONSHIP
        );
    }
}
