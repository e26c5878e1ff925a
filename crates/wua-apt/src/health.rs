//! What is wrong with a machine's packages, seen without touching anything (apt.md 10.2).
//!
//! Decided from dpkg's own records, from `/proc`, and, only where those show a broken relation, from APT (`apt-get -s
//! check`). A healthy machine costs one reading of the database and one look at the processes. While another program works on
//! the packages, states are on their way and say nothing: then only it is told.

use std::fs;
use std::path::{Path, PathBuf};

use wua_engine::Failure;
use wua_engine::handler::{Finding, FindingKind};
use wua_engine::store::ContentStore;
use wua_types::HResult;

use crate::broken::broken;
use crate::command;
use crate::confirm::{self, ConfirmError, Mode};
use crate::dpkg::{DpkgDatabase, InstalledPackage, PackageState, SelectionState};
use crate::keep_old;
use crate::locks::{self, DATABASE, FRONTEND};
use crate::restart::read_database;
use crate::survivors;
use crate::tree::AptTree;

/// The endings of files that dpkg has unpacked and not put in place, and of those it has put aside meanwhile.
pub(crate) const LEFTOVERS: [&str; 2] = [".dpkg-new", ".dpkg-tmp"];

/// What a repair would meet, in the order of its rungs.
pub(crate) fn diagnose(tree: &AptTree, store: &ContentStore) -> Result<Vec<Finding>, Failure> {
    let mut findings: Vec<_> = survivors::find(tree)
        .into_iter()
        .map(|survivor| Finding {
            kind: FindingKind::Survivor,
            subject: survivor.to_string(),
            sentence: format!("{survivor} still works for an earlier run"),
            cure: "wait until it is done".into(),
            heals_itself: true,
        })
        .collect();
    if let Some(holder) = locks::holder(tree, &[FRONTEND, DATABASE]) {
        // Who holds the lock and has begun is in the middle of something; else a plan can be made before it is let go.
        let has_begun = !of_states(&read_database(tree)?, store).is_empty();
        findings.push(Finding {
            kind: if has_begun {
                FindingKind::Busy
            } else {
                FindingKind::Survivor
            },
            subject: holder.to_string(),
            sentence: format!("{holder} is working on the packages now"),
            cure: "wait until it is done".into(),
            heals_itself: true,
        });
        return Ok(findings);
    }
    let database = read_database(tree)?;
    check_plausible(tree, &database)?;
    findings.extend(of_states(&database, store));
    findings.extend(of_relations(tree, &database));
    findings.extend(of_conffiles(tree, &database));
    Ok(findings)
}

/// A database that has lost all its packages is no healthy one.
fn check_plausible(tree: &AptTree, database: &DpkgDatabase) -> Result<(), Failure> {
    if database.present().next().is_some() {
        return Ok(());
    }
    let entries = fs::read_dir(tree.path("var/lib/dpkg/info"))
        .into_iter()
        .flatten()
        .flatten();
    let is_list = |entry: &fs::DirEntry| {
        entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "list")
    };
    match entries.filter(is_list).count() {
        0 => Ok(()),
        lists => Err(Failure::new(
            HResult::WU_E_INVALID_FILE,
            format!(
                "`{}` lists no packages, though the files of {lists} are recorded beside it; put it back from `status-old` in the same \
                 folder, or from `var/backups`",
                tree.path("var/lib/dpkg/status").display()
            ),
        )),
    }
}

/// `NAME:ARCHITECTURE`.
pub(crate) fn subject(package: &InstalledPackage) -> String {
    format!("{}:{}", package.name, package.architecture)
}

/// Whether a package was interrupted while its files were put in place.
pub(crate) fn must_be_unpacked_again(package: &InstalledPackage) -> bool {
    package.status.reinstall_required
        || (package.status.state == PackageState::HalfInstalled && !is_leaving(package))
}

/// Whether the removal of a package was begun and not finished; it was decided then, so finishing it is nobody's new loss.
pub(crate) fn is_leaving(package: &InstalledPackage) -> bool {
    let is_unwanted = matches!(
        package.status.selection,
        SelectionState::Deinstall | SelectionState::Purge
    );
    is_unwanted
        && !package.status.reinstall_required
        && matches!(
            package.status.state,
            PackageState::HalfInstalled | PackageState::Unpacked | PackageState::HalfConfigured
        )
}

fn of_states(database: &DpkgDatabase, store: &ContentStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    if database.journal_files() > 0 {
        findings.push(Finding {
            kind: FindingKind::Unconfigured,
            subject: "var/lib/dpkg/updates".into(),
            sentence: "dpkg was interrupted and has left the journal of its database unfinished".into(),
            cure: "let dpkg finish its work (`dpkg --configure -a`)".into(),
            heals_itself: true,
        });
    }
    let mut again = Vec::new();
    for package in database.packages() {
        let (name, version) = (&package.name, &package.version);
        let unconfigured = |sentence: String, cure: &str| Finding {
            kind: FindingKind::Unconfigured,
            subject: subject(package),
            sentence,
            cure: cure.into(),
            heals_itself: true,
        };
        if must_be_unpacked_again(package) {
            let label = keep_old::label(name, &package.architecture, version);
            let cure = match store.find(&label) {
                Ok(Some(_)) => "unpack the same version again, from the archive that wua kept",
                Ok(None) | Err(_) => "unpack the package again, as far as an archive can be had",
            };
            again.push(Finding {
                kind: FindingKind::HalfInstalled,
                subject: subject(package),
                sentence: format!("`{name}` {version} was interrupted while it was unpacked"),
                cure: cure.into(),
                heals_itself: true,
            });
        } else if is_leaving(package) {
            let sentence = format!("the removal of `{name}` {version} was begun and not finished");
            findings.push(unconfigured(sentence, "finish its removal"));
        } else {
            match package.status.state {
                PackageState::Unpacked | PackageState::HalfConfigured => {
                    let sentence = format!("`{name}` {version} is unpacked and not configured");
                    findings.push(unconfigured(sentence, "configure it"));
                }
                PackageState::TriggersAwaited | PackageState::TriggersPending => {
                    let sentence = format!("triggers of `{name}` {version} were not processed");
                    findings.push(unconfigured(sentence, "process them"));
                }
                PackageState::NotInstalled
                | PackageState::ConfigFiles
                | PackageState::HalfInstalled
                | PackageState::Installed => {}
            }
        }
    }
    findings.extend(again);
    findings
}

/// Relations that do not hold, where APT says so, too.
pub(crate) fn of_relations(tree: &AptTree, database: &DpkgDatabase) -> Vec<Finding> {
    let mut broken = broken(database);
    // With an unfinished journal APT refuses to look.
    if !broken.is_empty() && database.journal_files() == 0 {
        match confirm::ask(tree, &["check"]) {
            Ok(_) => broken.clear(),
            Err(ConfirmError::Refused { .. }) => {}
            Err(error) => tracing::warn!(%error, "APT was not asked about broken dependencies"),
        }
    }
    if broken.is_empty() {
        return Vec::new();
    }
    let (cure, heals_itself) = cure_of_relations(tree);
    let finding = |broken: crate::broken::Broken| Finding {
        kind: FindingKind::BrokenDependency,
        subject: broken.package,
        sentence: broken.sentence,
        cure: cure.clone(),
        heals_itself,
    };
    broken.into_iter().map(finding).collect()
}

/// What APT would do about broken relations, and whether that may be done without asking anybody.
fn cure_of_relations(tree: &AptTree) -> (String, bool) {
    let plan = match confirm::ask(tree, &command::mend_question(&[])) {
        Ok(plan) => plan,
        Err(error) => return (format!("APT knows no way to mend it: {error}"), false),
    };
    let of = |is_removal: bool| {
        let packages = plan
            .iter()
            .filter(|package| (package.mode == Mode::Remove) == is_removal);
        let names: Vec<_> = packages.map(|package| format!("`{}`", package.name)).collect();
        names.join(", ")
    };
    match (of(true), of(false)) {
        (removed, _) if !removed.is_empty() => (
            format!(
                "remove {removed}, which is APT's way to mend it and needs your consent (`wua repair --allow-removals`)"
            ),
            false,
        ),
        (_, installed) if installed.is_empty() => ("let APT mend it (`apt-get -f install`)".into(), true),
        (_, installed) => (
            format!("install {installed} (`apt-get -f install`), removing nothing"),
            true,
        ),
    }
}

/// Unpacked configuration files that nobody is going to put in place any more: their package is completely installed.
fn of_conffiles(tree: &AptTree, database: &DpkgDatabase) -> Vec<Finding> {
    let settled = database.present().filter(|package| package.status.is_settled());
    let files = settled.flat_map(|package| {
        package
            .conffiles()
            .into_iter()
            .map(move |file| (package, file.path))
    });
    let left = files.flat_map(|(package, path)| {
        let path = tree.path(&path);
        lying_beside(&path).map(move |file| leftover(tree, package, &file))
    });
    left.collect()
}

/// The leftovers of dpkg beside `path`.
pub(crate) fn lying_beside(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.to_owned();
    LEFTOVERS.into_iter().filter_map(move |ending| {
        let mut file = path.clone().into_os_string();
        file.push(ending);
        let file = PathBuf::from(file);
        fs::symlink_metadata(&file)
            .is_ok_and(|metadata| !metadata.is_dir())
            .then_some(file)
    })
}

/// A file of an interrupted run.
fn leftover(tree: &AptTree, package: &InstalledPackage, file: &Path) -> Finding {
    let shown = file
        .strip_prefix(tree.root())
        .unwrap_or(file)
        .display()
        .to_string();
    Finding {
        kind: FindingKind::Leftover,
        sentence: format!(
            "an interrupted run of dpkg left `/{shown}`, and `{}` is complete",
            package.name
        ),
        subject: format!("/{shown}"),
        cure: "remove the file".into(),
        heals_itself: true,
    }
}
