//! The repair ladder (apt.md 10.2): heals what an interrupted run left, whoever's run it was.
//!
//! The rungs stand in [`climb`] in their order. Each is tried once for the same trouble and only where there is some; what it
//! did is read back from dpkg's database. Nothing is removed without consent but packages whose removal had been begun, and
//! no process is signalled. What cannot be healed comes back named, with its reason and the next step.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wua_engine::Failure;
use wua_engine::handler::{Batch, BatchContext, Consent, Finding, FindingKind};
use wua_engine::store::{ContentStore, io_code};
use wua_types::{HResult, PlannedChange, UpdateOperation};

use crate::apply::{ApplyOptions, LOG_END};
use crate::archives::{authorised, link_archives};
use crate::command;
use crate::confirm::{self, ConfirmedPackage, Mode};
use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::driver::Driver;
use crate::gate::{Gate, Verdict};
use crate::health::{self, is_leaving, must_be_unpacked_again, subject};
use crate::keep_old;
use crate::last_words;
use crate::leftovers::Leftovers;
use crate::outcome;
use crate::reader::{Reading, Wanted};
use crate::repair_archives;
use crate::restart::read_database;
use crate::run::printed;
use crate::tree::AptTree;
use crate::watch::archive_name;

/// Heals `tree` as far as that is possible; see [`wua_engine::handler::UpdateHandler::repair`].
pub(crate) fn repair(
    tree: &AptTree,
    folder: &Path,
    number: usize,
    store: &ContentStore,
    consent: Consent,
    options: &ApplyOptions,
    cx: &mut dyn BatchContext,
) -> Result<Vec<Finding>, Failure> {
    let batch = Batch {
        operation: UpdateOperation::Installation,
        plan: &[],
        members: &[],
        number,
        folder,
        store,
    };
    let mut driver = Driver::new(tree, &batch, options)?;
    Ladder {
        driver: &mut driver,
        consent,
        said: Vec::new(),
    }
    .climb(cx)
}

/// The beginning of the ladder: only as far as apt needs it to work at all. For each batch, after the whole ladder was
/// climbed for the job.
///
/// # Errors
/// The journal of dpkg's database stays unfinished, or nothing can be run.
pub(crate) fn make_workable(driver: &mut Driver<'_, '_>, cx: &mut dyn BatchContext) -> Result<(), Failure> {
    driver.wait_for_survivors(cx)?;
    driver.wait_for_locks(cx)?;
    if read_database(driver.tree)?.journal_files() == 0 {
        return Ok(());
    }
    let tag = driver.next_tag();
    driver.repair(tag, &command::configure_all(driver.tree), cx)?;
    // Packages that fail in it are no reason to stop (trap T3), a database that stays unfinished is.
    match read_database(driver.tree)?.journal_files() {
        0 => Ok(()),
        _ => Err(Failure::new(
            HResult::WU_E_UNEXPECTED,
            "dpkg was interrupted earlier, and `dpkg --configure -a` could not finish its work",
        )),
    }
}

struct Ladder<'a, 'b, 'c> {
    driver: &'a mut Driver<'b, 'c>,
    consent: Consent,
    /// What apt said about runs that did not help.
    said: Vec<String>,
}

impl Ladder<'_, '_, '_> {
    /// Rung by rung. What is left, each with its reason.
    fn climb(mut self, cx: &mut dyn BatchContext) -> Result<Vec<Finding>, Failure> {
        self.driver.finish_earlier_runs(cx)?;
        self.driver.wait_for_survivors(cx)?;
        self.driver.wait_for_locks(cx)?;
        let database = self.read()?;
        let leftovers = Leftovers::of(self.driver.tree, &database);
        if outcome::needs_configuring(&database, |_| false) {
            let what = "packages that an interrupted run left unconfigured";
            self.run(what, &command::configure_all(self.driver.tree), cx)?;
        }
        self.finish_removals(cx)?;
        // From here on an error record is the last word about its package: what failed before may have lacked what comes.
        let errors = self.driver.watch.errors.len();
        self.unpack_again(cx)?;
        self.mend_dependencies(cx)?;
        let has_climbed = self.driver.watch.errors.len() > errors || !self.said.is_empty();
        let since = if has_climbed { errors } else { 0 };
        let database = self.read()?;
        let failed: Vec<String> = self.driver.watch.errors[since..]
            .iter()
            .map(|error| error.item.clone())
            .collect();
        let has_failed = |package: &InstalledPackage| failed.iter().any(|item| is_about(item, package));
        if outcome::needs_configuring(&database, |package| has_failed(package) || is_leaving(package)) {
            let what = "packages that can be configured now";
            self.run(what, &command::configure_all(self.driver.tree), cx)?;
        }
        let database = self.read()?;
        leftovers.remove(self.driver.tree, &database)?;
        self.what_is_left()
    }

    fn read(&self) -> Result<DpkgDatabase, Failure> {
        read_database(self.driver.tree)
    }

    /// One run of a rung, visibly.
    ///
    /// # Errors
    /// A full disk: nothing more can be healed until there is room.
    fn run(
        &mut self,
        what: &str,
        command: &std::process::Command,
        cx: &mut dyn BatchContext,
    ) -> Result<(), Failure> {
        let tag = self.driver.next_tag();
        self.run_tagged(what, tag, command, cx)
    }

    /// The same, with a mark that the run's other files have already.
    fn run_tagged(
        &mut self,
        what: &str,
        tag: String,
        command: &std::process::Command,
        cx: &mut dyn BatchContext,
    ) -> Result<(), Failure> {
        self.driver.announce(&format!("the repair of {what}"), cx);
        let ended = self.driver.repair(tag, command, cx)?;
        let talk = printed(self.driver.batch.folder, &ended.tag, LOG_END);
        let said = last_words::of_apt(&talk);
        let errors = self.driver.watch.errors.iter().map(|error| &error.text);
        let full = errors
            .chain(&said)
            .find(|text| outcome::is_disk_full(text) || text.contains("enough free space"));
        if let Some(text) = full {
            return Err(Failure::new(
                HResult::ERROR_DISK_FULL,
                format!("the disk is full: {text}"),
            ));
        }
        self.said = said;
        Ok(())
    }

    /// Removals that were begun are finished; of what others need, dpkg lets go itself.
    fn finish_removals(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        let database = self.read()?;
        let leaving = database.packages().iter().filter(|package| is_leaving(package));
        let leaving: Vec<_> = leaving.map(|package| asked(package, &database)).collect();
        if !leaving.is_empty() {
            let command = command::finish_removals(self.driver.tree, &leaving);
            self.run("removals that were begun", &command, cx)?;
        }
        Ok(())
    }

    /// Packages that were interrupted while they were unpacked: from the same archive in the store, else from the index; all
    /// at once, then those that are left one by one; at last, with consent, they are given up.
    fn unpack_again(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        let broken = self.interrupted()?;
        if broken.is_empty() {
            return Ok(());
        }
        self.install_again(&broken, cx)?;
        let left = self.interrupted()?;
        if broken.len() > 1 {
            for package in &left {
                self.install_again(std::slice::from_ref(package), cx)?;
            }
        }
        let left = self.interrupted()?;
        if !left.is_empty() && self.consent.removals {
            let database = self.read()?;
            let names: Vec<_> = left.iter().map(|package| asked(package, &database)).collect();
            let command = command::give_up(self.driver.tree, &names);
            self.run("packages whose archives cannot be had", &command, cx)?;
        }
        Ok(())
    }

    fn interrupted(&self) -> Result<Vec<InstalledPackage>, Failure> {
        let database = self.read()?;
        let packages = database
            .packages()
            .iter()
            .filter(|package| must_be_unpacked_again(package));
        Ok(packages.cloned().collect())
    }

    fn install_again(
        &mut self,
        packages: &[InstalledPackage],
        cx: &mut dyn BatchContext,
    ) -> Result<(), Failure> {
        let (tag, folder, inside) = self.archives()?;
        let database = self.read()?;
        let mut requests: Vec<OsString> = Vec::new();
        let mut elsewhere = Vec::new();
        for package in packages {
            match self.link(&package.name, &package.architecture, &package.version, &folder) {
                Some(name) => requests.push(inside.join(name).into_os_string()),
                None => elsewhere.push(package),
            }
        }
        let offered = offered(self.driver.tree, &elsewhere);
        requests.extend(elsewhere.iter().zip(offered).map(|(package, is_offered)| {
            let name = asked(package, &database);
            match is_offered {
                true => format!("{name}={}", package.version).into(),
                false => name.into(),
            }
        }));
        self.mend(
            "packages that were interrupted while they were unpacked",
            packages,
            &requests,
            &tag,
            cx,
        )
    }

    /// Installs what installed packages lack.
    fn mend_dependencies(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        if health::of_relations(self.driver.tree, &self.read()?).is_empty() {
            return Ok(());
        }
        let (tag, ..) = self.archives()?;
        self.mend("broken dependencies", &[], &[], &tag, cx)
    }

    /// One `apt-get -f install` that also installs `packages` again, by `requests`: simulated first, its archives provided, and held
    /// by the gate to what the simulation said.
    fn mend(
        &mut self,
        what: &str,
        packages: &[InstalledPackage],
        requests: &[OsString],
        tag: &str,
        cx: &mut dyn BatchContext,
    ) -> Result<(), Failure> {
        let folder = self.driver.batch.folder.join(format!("archives-{tag}"));
        let mended = self.mend_with(what, packages, requests, tag, &folder, cx);
        if let Err(error) = fs::remove_dir_all(&folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "archives of a repair are left");
        }
        mended
    }

    fn mend_with(
        &mut self,
        what: &str,
        packages: &[InstalledPackage],
        requests: &[OsString],
        tag: &str,
        folder: &Path,
        cx: &mut dyn BatchContext,
    ) -> Result<(), Failure> {
        let (tree, store) = (self.driver.tree, self.driver.batch.store);
        let inside = self.driver.inside.join(format!("archives-{tag}"));
        // The simulation sees the archives from outside.
        let outer: Vec<OsString> = requests
            .iter()
            .map(|request| match Path::new(request).strip_prefix(&inside) {
                Ok(name) => folder.join(name).into_os_string(),
                Err(_) => request.clone(),
            })
            .collect();
        let plan = match confirm::ask(tree, &command::mend_question(&outer)) {
            Ok(plan) => plan,
            Err(error) => {
                self.said = vec![error.to_string()];
                return Ok(());
            }
        };
        let removals: Vec<_> = plan
            .iter()
            .filter(|package| package.mode == Mode::Remove)
            .map(|package| format!("`{}`", package.name))
            .collect();
        if !removals.is_empty() && !self.consent.removals {
            let list = removals.join(", ");
            self.said = vec![format!("APT would remove {list}, which needs your consent")];
            return Ok(());
        }
        let mut changes: Vec<PlannedChange> = plan.into_iter().map(planned).collect();
        // What comes again in the same version is no change to the simulation.
        let is_planned = |package: &&InstalledPackage| {
            changes
                .iter()
                .any(|change| change.name == package.name && change.architecture == package.architecture)
        };
        let again: Vec<_> = packages
            .iter()
            .filter(|package| !is_planned(package))
            .map(again)
            .collect();
        changes.extend(again);
        self.driver
            .announce(&format!("the archives for the repair of {what}"), cx);
        let missing = repair_archives::provide(tree, store, &mut changes, cx)?;
        if changes
            .iter()
            .any(|change| change.to.is_some() && change.archive.is_none())
        {
            self.said = missing;
            return Ok(());
        }
        if let Err(result) = link_archives(store, &changes.iter().collect::<Vec<_>>(), folder) {
            self.said = vec![result.message];
            return Ok(());
        }
        let database = self.read()?;
        let steps = changes
            .iter()
            .map(|change| authorised(change, &database, &inside))
            .collect();
        let gate = Gate::prepare(self.driver.batch.folder, &self.driver.inside, tag, steps)
            .map_err(crate::driver::failure)?;
        let mut command = command::mend(tree, requests, &inside, self.consent.removals);
        gate.guard(&mut command);
        self.run_tagged(what, tag.to_owned(), &command, cx)?;
        if let Verdict::Refused(differences) = gate.verdict() {
            self.said = differences
                .into_iter()
                .map(|difference| difference.sentence)
                .collect();
        }
        Ok(())
    }

    /// A new folder for the archives of a run: its tag, and its path as we and as apt see it.
    fn archives(&mut self) -> Result<(String, PathBuf, PathBuf), Failure> {
        let tag = self.driver.next_tag();
        let name = format!("archives-{tag}");
        let folder = self.driver.batch.folder.join(&name);
        let partial = folder.join("partial");
        fs::create_dir_all(&partial).map_err(|source| {
            let sentence = format!("cannot create `{}`", partial.display());
            Failure::because(io_code(&source), sentence, source)
        })?;
        let inside = self.driver.inside.join(name);
        Ok((tag, folder, inside))
    }

    /// Puts an archive of the store where apt looks for it, verified; its file's name. None if there is none that is sound.
    fn link(&self, name: &str, architecture: &str, version: &str, folder: &Path) -> Option<String> {
        let store = self.driver.batch.store;
        let label = keep_old::label(name, architecture, version);
        let content = store.find(&label).ok().flatten()?;
        let change = PlannedChange {
            name: name.into(),
            architecture: architecture.into(),
            from: None,
            to: Some(version.into()),
            archive: Some(content.sha256),
        };
        match link_archives(store, &[&change], folder) {
            Ok(()) => archive_name(&change),
            Err(result) => {
                tracing::warn!(%label, reason = result.message, "a stored archive cannot be used");
                None
            }
        }
    }

    /// What is wrong after all, with reasons and next steps.
    fn what_is_left(&self) -> Result<Vec<Finding>, Failure> {
        let database = self.read()?;
        let found = health::diagnose(self.driver.tree, self.driver.batch.store)?;
        let explain = |finding: Finding| {
            let package = database
                .packages()
                .iter()
                .find(|package| subject(package) == finding.subject);
            let own = package.and_then(|package| self.reason(package));
            let reason = own.or_else(|| Some(self.said.join("; ")).filter(|said| !said.is_empty()));
            let cure = match finding.kind {
                FindingKind::Busy | FindingKind::Survivor => finding.cure,
                FindingKind::Unconfigured => match package {
                    Some(package) => format!(
                        "cure what it names and run `wua repair` again, install a fixed version once there is one, or go back with `wua uninstall {}`",
                        package.source
                    ),
                    None => "cure what is named and run `wua repair` again".into(),
                },
                FindingKind::HalfInstalled => {
                    "`wua search --refresh`, then `wua repair` again; `wua repair --allow-removals` gives the package up".into()
                }
                FindingKind::BrokenDependency => {
                    "`wua search --refresh`, then `wua repair` again; `wua repair --allow-removals` lets APT remove packages".into()
                }
                FindingKind::Leftover => "remove the file by hand".into(),
            };
            let sentence = match reason {
                Some(reason) if finding.kind != FindingKind::Leftover => {
                    format!("{}: {reason}", finding.sentence)
                }
                _ => finding.sentence,
            };
            Finding {
                sentence,
                cure,
                heals_itself: finding.kind <= FindingKind::Survivor,
                ..finding
            }
        };
        Ok(found.into_iter().map(explain).collect())
    }

    /// Why dpkg gave up on a package, as it said last.
    fn reason(&self, package: &InstalledPackage) -> Option<String> {
        let errors = &self.driver.watch.errors;
        let error = errors.iter().rev().find(|error| is_about(&error.item, package))?;
        let talk = printed(self.driver.batch.folder, &error.tag, LOG_END);
        let said = last_words::of_script(&talk, &error.item);
        Some(wua_types::quote::quote(&error.text, &said))
    }
}

/// What the simulation says of a package, as a change whose archive is still to be named.
fn planned(package: ConfirmedPackage) -> PlannedChange {
    PlannedChange {
        name: package.name,
        architecture: package.architecture,
        from: package.from,
        to: package.to,
        archive: None,
    }
}

/// The same version once more.
fn again(package: &InstalledPackage) -> PlannedChange {
    PlannedChange {
        name: package.name.clone(),
        architecture: package.architecture.clone(),
        from: Some(package.version.clone()),
        to: Some(package.version.clone()),
        archive: None,
    }
}

/// Which of `packages` an index offers in exactly their version.
fn offered(tree: &AptTree, packages: &[&InstalledPackage]) -> Vec<bool> {
    if packages.is_empty() {
        return Vec::new();
    }
    let wanted: Vec<_> = packages
        .iter()
        .map(|package| Wanted {
            package: package.name.clone(),
            architecture: Some(package.architecture.clone()),
            version: Some(package.version.clone()),
        })
        .collect();
    let found = Reading::of(tree).map(|reading| reading.find(&wanted));
    let records = found
        .inspect_err(|error| tracing::warn!(%error, "the indexes cannot be read"))
        .map_or_else(|_| Vec::new(), |found| found.records);
    let is_offered = |package: &&InstalledPackage| {
        records.iter().any(|record| {
            record.package == package.name
                && record.architecture == package.architecture
                && record.version == package.version
        })
    };
    packages.iter().map(is_offered).collect()
}

/// Whether dpkg's error record speaks of a package, or of an archive of it.
fn is_about(item: &str, package: &InstalledPackage) -> bool {
    let name = Path::new(item)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(item);
    name.strip_prefix(package.name.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_']))
}

/// A package as apt and dpkg are asked for it: `all` and the machine's own architecture need no name.
fn asked(package: &InstalledPackage, database: &DpkgDatabase) -> String {
    match package.architecture.as_str() {
        "all" => package.name.clone(),
        architecture if database.native_architecture() == Some(architecture) => package.name.clone(),
        architecture => format!("{}:{architecture}", package.name),
    }
}
