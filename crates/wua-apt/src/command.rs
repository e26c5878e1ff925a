//! The command lines that change a tree (apt.md 1).
//!
//! Installing names versions; taking back names archives, for the index has forgotten the old versions. Both find the
//! archives in the job's own folder (rule A5). Every option is here and nowhere else.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use wua_types::{PlannedChange, UpdateOperation};

use crate::tree::{AptTree, Program};
use crate::watch::archive_name;

/// How long apt itself waits for a lock that somebody took between our look and its start; then we show the wait.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=5";
/// dpkg's answers to questions about configuration files: keep what the administrator changed.
const KEEP_CONFIGURATION: [&str; 2] = ["--force-confdef", "--force-confold"];

/// What apt is asked to do about `changes`: the arguments after `install`. `archives` is the folder of the archives as
/// apt sees it.
pub(crate) fn requests(
    operation: UpdateOperation,
    changes: &[&PlannedChange],
    archives: &Path,
) -> Vec<OsString> {
    let requests = changes.iter().map(|change| match (&change.to, operation) {
        (Some(version), UpdateOperation::Installation) => format!("{}={version}", package(change)).into(),
        (Some(_), UpdateOperation::Uninstallation) => archives
            .join(archive_name(change).expect("it has a version"))
            .into_os_string(),
        (None, _) => format!("{}-", package(change)).into(),
    });
    requests.collect()
}

/// The run that carries `changes` out, without its gate. `again` where a version that is there, or half there, comes once more.
pub(crate) fn apply(
    tree: &AptTree,
    operation: UpdateOperation,
    changes: &[&PlannedChange],
    archives: &Path,
    again: bool,
) -> Command {
    let mut command = tree.changing(Program::AptGet);
    // What is there keeps its mark as automatic or manual.
    command.args(["-y", "-q", "--no-download", "--mark-auto"]);
    if operation == UpdateOperation::Uninstallation {
        command.arg("--allow-downgrades");
    }
    if again {
        command.arg("--reinstall");
    }
    let mut options = run_options();
    if changes.iter().all(|change| change.to.is_some()) {
        options.push("APT::Get::Remove=false".to_owned());
    }
    for option in options {
        command.arg("-o").arg(option);
    }
    let mut folder = OsString::from("Dir::Cache::archives=");
    folder.push(archives);
    command
        .arg("-o")
        .arg(folder)
        .arg("install")
        .args(requests(operation, changes, archives));
    command
}

/// The arguments that ask apt in a simulation what it would do about `changes`. `archives` is the folder of the archives
/// as we see it.
pub(crate) fn question(
    operation: UpdateOperation,
    changes: &[&PlannedChange],
    archives: &Path,
) -> Vec<OsString> {
    let downgrades = (operation == UpdateOperation::Uninstallation).then_some("--allow-downgrades");
    let options = ["-o", "APT::Get::AutomaticRemove=false", "install"]
        .into_iter()
        .chain(downgrades);
    options
        .map(Into::into)
        .chain(requests(operation, changes, archives))
        .collect()
}

/// The run that finishes what an interrupted or failed run left (`dpkg --configure -a`).
pub(crate) fn configure_all(tree: &AptTree) -> Command {
    let mut command = tree.changing(Program::Dpkg);
    command
        .args(tree.dpkg_options())
        .args(KEEP_CONFIGURATION)
        .args(["--status-fd=4", "--configure", "-a"]);
    command
}

/// The run that finishes removals that were begun. What others still need stays.
pub(crate) fn finish_removals(tree: &AptTree, packages: &[String]) -> Command {
    let mut command = tree.changing(Program::Dpkg);
    command
        .args(tree.dpkg_options())
        .args(["--status-fd=4", "--remove"])
        .args(packages);
    command
}

/// The run that gives up packages whose files cannot be had any more; only with the administrator's consent.
pub(crate) fn give_up(tree: &AptTree, packages: &[String]) -> Command {
    let mut command = tree.changing(Program::Dpkg);
    command
        .args(tree.dpkg_options())
        .args(["--status-fd=4", "--force-remove-reinstreq", "--remove"])
        .args(packages);
    command
}

/// The run that lets apt mend what is broken, and install `requests` again (`apt-get -f install`). `archives` is the folder
/// of the archives as apt sees it, all of them. Without `removals` apt refuses to remove anything.
pub(crate) fn mend(tree: &AptTree, requests: &[OsString], archives: &Path, removals: bool) -> Command {
    let mut command = tree.changing(Program::AptGet);
    command.args(["-y", "-q", "-f", "--no-download", "--mark-auto"]);
    if !requests.is_empty() {
        command.arg("--reinstall");
    }
    let mut options = run_options();
    if !removals {
        options.push("APT::Get::Remove=false".to_owned());
    }
    for option in options {
        command.arg("-o").arg(option);
    }
    let mut folder = OsString::from("Dir::Cache::archives=");
    folder.push(archives);
    command.arg("-o").arg(folder).arg("install").args(requests);
    command
}

/// The same as a question to a simulation.
pub(crate) fn mend_question(requests: &[OsString]) -> Vec<OsString> {
    let options = ["-o", "APT::Get::AutomaticRemove=false", "-f", "install"];
    let again = (!requests.is_empty()).then_some("--reinstall");
    let options = options.into_iter().chain(again).map(OsString::from);
    options.chain(requests.iter().cloned()).collect()
}

/// Where apt and dpkg write what they do, how long they wait, and what they answer.
fn run_options() -> Vec<String> {
    let mut options = vec![
        "APT::Status-Fd=3".to_owned(),
        "DPkg::Use-Pty=0".to_owned(),
        "APT::Keep-Fds::=4".to_owned(),
        "DPkg::Options::=--status-fd=4".to_owned(),
        LOCK_TIMEOUT.to_owned(),
        "APT::Get::AutomaticRemove=false".to_owned(),
    ];
    options.extend(KEEP_CONFIGURATION.map(|option| format!("DPkg::Options::={option}")));
    options
}

/// A package as apt is asked for it: what is for all architectures goes by its name alone.
fn package(change: &PlannedChange) -> String {
    match change.architecture.as_str() {
        "all" => change.name.clone(),
        architecture => format!("{}:{architecture}", change.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, architecture: &str, from: Option<&str>, to: Option<&str>) -> PlannedChange {
        let owned = |text: Option<&str>| text.map(Into::into);
        let archive = to.map(|_| String::new());
        PlannedChange {
            name: name.into(),
            architecture: architecture.into(),
            from: owned(from),
            to: owned(to),
            archive,
        }
    }

    fn check(operation: UpdateOperation, changes: &[PlannedChange], expected: &[&str]) {
        let changes: Vec<_> = changes.iter().collect();
        assert_eq!(
            requests(operation, &changes, Path::new("/job/archives-1.0")),
            expected
        );
    }

    #[test]
    fn installing_names_versions() {
        let changes = [
            change("a", "amd64", Some("1"), Some("1:2")),
            change("b", "all", None, Some("3")),
        ];
        check(UpdateOperation::Installation, &changes, &["a:amd64=1:2", "b=3"]);
    }

    #[test]
    fn taking_back_names_archives_and_removals() {
        let changes = [
            change("a", "amd64", Some("2"), Some("1:1")),
            change("b", "all", Some("3"), None),
        ];
        check(
            UpdateOperation::Uninstallation,
            &changes,
            &["/job/archives-1.0/a_1%3a1_amd64.deb", "b-"],
        );
    }
}
