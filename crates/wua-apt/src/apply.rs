//! Applies one batch of updates through the real apt-get and dpkg, and finds out what became of each (apt.md 6 and 7).
//!
//! One apt run for all, held to the plan by the gate (G1). What failed does not take the innocent with it (B2): dpkg
//! finishes what it can, failed updates are final, the untouched run again without them, at last one by one. States read
//! back decide (I1). The order is the story here; running and listening is `driver`'s.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use wua_engine::Failure;
use wua_engine::handler::{Batch, BatchContext, BatchEnd};
use wua_engine::store::io_code;
use wua_types::{HResult, PlannedChange, UpdateInstallationResult};

use crate::archives::{authorised, link_archives};
use crate::command;
use crate::confirm;
use crate::dpkg::DpkgDatabase;
use crate::driver::{Driver, Ended, failure};
use crate::gate::{Gate, Verdict};
use crate::last_words;
use crate::outcome;
use crate::refused::{no_gate, refused};
use crate::repair;
use crate::restart::read_database;
use crate::run::printed;
use crate::tree::AptTree;

/// How much of a terminal log is looked through for last words.
pub(crate) const LOG_END: u64 = 256 << 10;

/// Stands for the restart among what was warned of.
const RESTART: &str = " restart";

/// What may be chosen about waiting.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// How long locks that others hold are waited for, all waits of the batch together; none waits for ever.
    pub lock_limit: Option<Duration>,
    /// How long dpkg may be at one thing before it is told what, since when and with which last line (trap T4).
    pub quiet_after: Duration,
    /// How long a maintainer script may be silent before it is ended with all it started; it never is if none.
    pub script_limit: Option<Duration>,
    /// How long a script that was asked to end has time to do so before it is made to.
    pub script_grace: Duration,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            lock_limit: None,
            quiet_after: Duration::from_secs(1),
            script_limit: None,
            script_grace: Duration::from_secs(5),
        }
    }
}

/// Applies `batch` on `tree`. Blocks until it is done; see [`wua_engine::handler::UpdateHandler::apply`].
///
/// # Errors
/// `WU_E_CALL_CANCELLED` when an abort was asked for before anything was changed; no member has a result then.
/// `WU_E_INSTALL_NOT_ALLOWED` when a lock was not free in time, `ERROR_DISK_FULL`, or what else keeps the package manager
/// from working at all; members told before keep their result.
pub fn apply(
    tree: &AptTree,
    batch: &Batch<'_>,
    options: &ApplyOptions,
    cx: &mut dyn BatchContext,
) -> Result<BatchEnd, Failure> {
    let mut driver = Driver::new(tree, batch, options)?;
    driver.finish_earlier_runs(cx)?;
    repair::make_workable(&mut driver, cx)?;
    let mut groups = VecDeque::from([batch.members.to_vec()]);
    while let Some(group) = groups.pop_front() {
        match attempt(&mut driver, &group, cx)? {
            Next::Settled => {}
            Next::Again(rest) => groups.push_front(rest),
            Next::Apart(rest) => rest
                .into_iter()
                .rev()
                .for_each(|update| groups.push_front(vec![update])),
            Next::NeedsAlso(updates) => return Ok(BatchEnd::NeedsAlso(updates)),
        }
    }
    Ok(BatchEnd::Done)
}

/// What follows an attempt. Each leaves fewer updates without a result, or tries them one by one: so it ends.
pub(crate) enum Next {
    /// Every update of the group has its result.
    Settled,
    /// These run again, for others of the group are final now.
    Again(Vec<usize>),
    /// Something is wrong that cannot be laid to one of these: each runs alone.
    Apart(Vec<usize>),
    /// Nothing was touched: these updates belong to the batch, too.
    NeedsAlso(Vec<usize>),
}

/// One apt run for the updates of `group` that are not done yet.
fn attempt(driver: &mut Driver<'_, '_>, group: &[usize], cx: &mut dyn BatchContext) -> Result<Next, Failure> {
    let database = read_database(driver.tree)?;
    let plan = driver.batch.plan;
    let mut open = Vec::new();
    for &update in group {
        let changes = plan.get(update).map_or(&[][..], |planned| &planned.changes);
        let unmade: Vec<_> = changes
            .iter()
            .filter(|change| !is_made(driver, update, change, &database))
            .collect();
        if unmade.is_empty() {
            driver.tell_success(&[update], &database, false, cx);
            continue;
        }
        // What is unpacked is only configured: naming it to apt would mark it as wanted by the administrator.
        let is_new =
            |change: &&PlannedChange| change.from == change.to || !outcome::is_unpacked(change, &database);
        open.push((update, unmade.into_iter().filter(is_new).collect::<Vec<_>>()));
    }
    let tag = driver.next_tag();
    let folder = format!("archives-{tag}");
    let archives = driver.batch.folder.join(&folder);
    open.retain(
        |(update, changes)| match link_archives(driver.batch.store, changes, &archives) {
            Ok(()) => true,
            Err(result) => {
                driver.tell(*update, result, cx);
                false
            }
        },
    );
    let changes: Vec<_> = open
        .iter()
        .flat_map(|(_, changes)| changes.iter().copied())
        .collect();
    let open: Vec<_> = open.iter().map(|(update, _)| *update).collect();
    let next = match (open.is_empty(), changes.is_empty()) {
        (true, _) => Ok(Next::Settled),
        (false, true) => settle(driver, &open, None, cx),
        (false, false) => run_apt(
            driver,
            &open,
            &changes,
            &database,
            &tag,
            &driver.inside.join(folder),
            cx,
        ),
    };
    // The links have done their work; the content stays in the store.
    if let Err(error) = fs::remove_dir_all(&archives)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %archives.display(), %error, "links to archives are left");
    }
    next
}

fn run_apt(
    driver: &mut Driver<'_, '_>,
    group: &[usize],
    changes: &[&PlannedChange],
    database: &DpkgDatabase,
    tag: &str,
    archives: &Path,
    cx: &mut dyn BatchContext,
) -> Result<Next, Failure> {
    let operation = driver.batch.operation;
    // APT wants the folder even where nothing is in it, as for a removal.
    let partial = driver.batch.folder.join(format!("archives-{tag}/partial"));
    fs::create_dir_all(&partial).map_err(|source| {
        Failure::because(
            io_code(&source),
            format!("cannot create `{}`", partial.display()),
            source,
        )
    })?;
    let authorised: Vec<_> = changes
        .iter()
        .map(|change| authorised(change, database, archives))
        .collect();
    let gate =
        Gate::prepare(driver.batch.folder, &driver.inside, tag, authorised.clone()).map_err(failure)?;
    let again = authorised.iter().any(|step| step.old == step.new);
    let mut command = command::apply(driver.tree, operation, changes, archives, again);
    gate.guard(&mut command);
    let ended = driver.run(tag.to_owned(), &command, cx)?;
    match gate.verdict() {
        Verdict::Refused(differences) => Ok(refused(driver, group, &differences, cx)),
        Verdict::NotReached => {
            let outside = driver.batch.folder.join(format!("archives-{tag}"));
            let plan = confirm::ask(driver.tree, &command::question(operation, changes, &outside));
            Ok(no_gate(driver, group, &authorised, plan, &ended, cx))
        }
        Verdict::Passed => settle(driver, group, Some(&ended), cx),
    }
}

/// Reads states back, lets dpkg finish what it can, and tells each update its result as far as it is final.
fn settle(
    driver: &mut Driver<'_, '_>,
    group: &[usize],
    ended: Option<&Ended>,
    cx: &mut dyn BatchContext,
) -> Result<Next, Failure> {
    let mut database = read_database(driver.tree)?;
    let failed = |driver: &Driver<'_, '_>, name: &str| {
        let is_about =
            |item: &str| item == name || item.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
        driver.watch.errors.iter().any(|error| is_about(&error.item))
    };
    if outcome::needs_configuring(&database, |package| failed(driver, &package.name)) {
        let tag = driver.next_tag();
        driver.run(tag, &command::configure_all(driver.tree), cx)?;
        database = read_database(driver.tree)?;
    }
    let others = driver.restart_for_others();
    let (made, unmade): (Vec<usize>, Vec<usize>) = group.iter().partition(|update| {
        let mut changes = driver.batch.plan[**update].changes.iter();
        changes.all(|change| is_made(driver, **update, change, &database))
    });
    let succeeded = made.iter().any(|update| !driver.is_told(*update));
    driver.tell_success(&made, &database, others.is_some(), cx);
    let mut torn = false;
    let mut rest = Vec::new();
    for update in unmade {
        if driver.is_torn_for_the_first_time(update, &database) {
            torn = true;
            rest.push(update);
        } else if let Some(result) = own_failure(driver, update, &database) {
            driver.tell(update, result, cx);
        } else {
            rest.push(update);
        }
    }
    warn(driver, others.filter(|_| !succeeded), cx);
    if let Some(error) = driver
        .watch
        .errors
        .iter()
        .find(|error| outcome::is_disk_full(&error.text))
    {
        return Err(Failure::new(
            HResult::ERROR_DISK_FULL,
            format!("the disk is full: {}", error.text),
        ));
    }
    Ok(match (rest.len(), ended) {
        (0, _) => Next::Settled,
        (left, _) if torn || left < group.len() => Next::Again(rest),
        // Only configuring was left, and it did not help: without a new archive nothing else will.
        (1, _) | (_, None) => {
            let errors =
                ended.map(|ended| last_words::of_apt(&printed(driver.batch.folder, &ended.tag, LOG_END)));
            for update in rest {
                let change = driver.batch.plan[update]
                    .changes
                    .iter()
                    .find(|change| !outcome::is_made(change, &database));
                let state = change
                    .map(|change| format!("`{}`: {}", change.name, outcome::condition(change, &database)));
                let said = errors.iter().flatten().cloned();
                let message: Vec<_> = state.into_iter().chain(said).collect();
                driver.tell(
                    update,
                    outcome::refusal(HResult::WU_E_UH_INSTALLERFAILURE, message.join("; ")),
                    cx,
                );
            }
            Next::Settled
        }
        _ => Next::Apart(rest),
    })
}

/// The result of an update that has an error of its own.
fn own_failure(
    driver: &Driver<'_, '_>,
    update: usize,
    database: &DpkgDatabase,
) -> Option<UpdateInstallationResult> {
    let error = *driver.watch.errors_of(update).first()?;
    let change = &driver.watch.packages[error.package?].change;
    let said = last_words::of_script(&printed(driver.batch.folder, &error.tag, LOG_END), &error.item);
    let result = match driver.hung_script(&change.name) {
        Some(sentence) => outcome::hung(sentence, change, &said, database),
        None => outcome::failure(error, change, &said, database),
    };
    Some(UpdateInstallationResult {
        kept_configuration: driver.watch.kept_of(update),
        ..result
    })
}

/// Tells what concerns none of our updates (trap T3).
fn warn(driver: &mut Driver<'_, '_>, restart_for: Option<String>, cx: &mut dyn BatchContext) {
    let mut known = BTreeSet::new();
    for error in driver.watch.errors.iter().filter(|error| error.package.is_none()) {
        if known.insert((&error.item, &error.text)) && !driver.warned.contains(&error.item) {
            let sentence = format!("`{}`, which is not part of this job: {}", error.item, error.text);
            cx.warning(HResult::WU_E_UH_INSTALLERFAILURE, sentence);
        }
    }
    let items: Vec<_> = known.into_iter().map(|(item, _)| item.clone()).collect();
    driver.warned.extend(items);
    if let Some(packages) = restart_for
        && driver.warned.insert(RESTART.into())
    {
        let who = if packages.is_empty() {
            "a package".into()
        } else {
            packages
        };
        cx.warning(
            HResult::WU_S_REBOOT_REQUIRED,
            format!("{who} asked for a restart of the machine"),
        );
    }
}

/// Whether a change is made. Installing the same version again shows in no state: there dpkg's word counts, too.
fn is_made(driver: &Driver<'_, '_>, update: usize, change: &PlannedChange, database: &DpkgDatabase) -> bool {
    let again = change.from == change.to;
    let was_done = || {
        let mut own = driver
            .watch
            .of(update)
            .filter(|package| package.change == *change);
        own.any(|package| package.steps.done() == package.steps.total())
    };
    outcome::is_made(change, database) && (!again || was_done())
}
