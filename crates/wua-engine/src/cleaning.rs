//! Clearing the content store away, within the administrator's limits (`[store]` of the policy).
//!
//! What nobody needs goes when it is old enough. Above the most bytes, what nobody needs goes first, then archives of installed
//! versions, at last the oldest of undo: their updates then show as not uninstallable. What an unfinished job or a pending update
//! needs stays in any case, and what came today: somebody is about to use it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use wua_types::{HResult, PlannedChange};

use crate::failure::Failure;
use crate::handler::InstalledUpdate;
use crate::lock::MachineLock;
use crate::machine::Machine;
use crate::order::Order;
use crate::policy::StorePolicy;
use crate::source::SearchRequest;
use crate::state::PublicState;
use crate::store::Content;
use crate::undo;

/// What came so recently is about to be used by somebody who has not written that down yet.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// Why content goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody has needed it for as long as the policy keeps it.
    Old,
    /// The store takes more bytes than the policy allows.
    TooMuch,
}

/// Content that goes, or went.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Removal {
    /// What.
    #[serde(flatten)]
    pub content: Content,
    /// Why.
    pub reason: Reason,
    /// Whether an installed update can then not be taken back any more.
    pub ends_undo: bool,
}

/// Who needs content. The order is that in which it goes when there is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nobody,
    /// It is of an installed version: to repair it, and to come back to it after the next update.
    Installed,
    Undo,
    /// An unfinished job, or an update that is offered.
    Work,
}

/// What [`clean`] would remove now. Touches nothing.
///
/// # Errors
/// What wua remembers, the store or an unfinished job cannot be read, or the offered updates cannot be asked for.
pub fn look(machine: &Machine) -> Result<Vec<Removal>, Failure> {
    look_beside(machine, None)
}

/// The same; `ended` is a job that needs nothing any more though it is not closed yet.
fn look_beside(machine: &Machine, ended: Option<Uuid>) -> Result<Vec<Removal>, Failure> {
    let contents = machine
        .store()
        .list()
        .map_err(|error| Failure::because(error.code(), "the store cannot be read", error))?;
    let now = Timestamp::now();
    let policy = &machine.policy.store;
    if !can_any_go(&contents, policy, now) {
        return Ok(Vec::new());
    }
    let state = PublicState::read(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot tell what is installed", error))?;
    let mut needs = Needs::of(machine, &state, ended)?;
    let removals = decide(&contents, |content| needs.need(content), policy, now);
    if removals.is_empty() {
        return Ok(removals);
    }
    // Only now is it worth asking what is offered.
    needs.add_offered(machine)?;
    Ok(decide(&contents, |content| needs.need(content), policy, now))
}

/// Removes what the policy does not keep when the job `ended` is over, whose keeper holds the machine's lock. Tells what went.
///
/// # Errors
/// As [`look`], or the disk said no; what went before is gone.
pub(crate) fn clean_after(machine: &Machine, ended: Uuid) -> Result<Vec<Removal>, Failure> {
    clean_locked(machine, Some(ended))
}

fn clean_locked(machine: &Machine, ended: Option<Uuid>) -> Result<Vec<Removal>, Failure> {
    let removals = look_beside(machine, ended)?;
    let store = machine.store();
    for removal in &removals {
        store
            .remove(&removal.content.sha256)
            .map_err(|error| Failure::because(error.code(), "the store cannot be cleared", error))?;
    }
    clear_incoming(machine);
    Ok(removals)
}

/// Removes what the policy does not keep, and tells what went.
///
/// # Errors
/// As [`look`], or the disk said no; `WU_E_INSTALL_NOT_ALLOWED` while a job changes the machine, `E_ACCESSDENIED` for a caller who may not.
pub fn clean(machine: &Machine) -> Result<Vec<Removal>, Failure> {
    machine.handler.may_change()?;
    let path = machine.folders.lock();
    let taken = crate::files::make_folder(&machine.folders.state())
        .and_then(|()| MachineLock::take(&path, Uuid::nil()));
    let lock = taken.map_err(|error| {
        Failure::because(
            crate::store::io_code(&error),
            format!("cannot lock `{}`", path.display()),
            error,
        )
    })?;
    let Some(_lock) = lock else {
        let sentence = "a job is changing this machine; the store is cleared when it ends";
        return Err(Failure::new(HResult::WU_E_INSTALL_NOT_ALLOWED, sentence));
    };
    clean_locked(machine, None)
}

/// Partial downloads that nobody went on with.
fn clear_incoming(machine: &Machine) {
    let keep = Duration::from_secs(u64::from(machine.policy.store.keep_days) * 86_400)
        .max(Duration::from_secs(86_400));
    let entries = fs::read_dir(machine.store().folder().join("incoming"));
    for entry in entries.into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > keep)
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(file = %entry.path().display(), %error, "a partial download stays");
        }
    }
}

/// Whether anything could go, whoever needs it. A job's end is quicker where nothing can.
fn can_any_go(contents: &[Content], policy: &StorePolicy, now: Timestamp) -> bool {
    let is_old = |content: &Content| now.duration_since(content.stored) >= keep(policy);
    contents.iter().map(|content| content.size).sum::<u64>() > policy.max_bytes || contents.iter().any(is_old)
}

/// How long content stays that nobody needs.
fn keep(policy: &StorePolicy) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(policy.keep_days))
}

/// What goes, first what goes first. Reads nothing but its arguments.
fn decide(
    contents: &[Content],
    need: impl Fn(&Content) -> Need,
    policy: &StorePolicy,
    now: Timestamp,
) -> Vec<Removal> {
    let mut candidates: Vec<(Need, &Content)> =
        contents.iter().map(|content| (need(content), content)).collect();
    let mut total: u64 = contents.iter().map(|content| content.size).sum();
    candidates.retain(|(need, content)| {
        let is_recent = *need == Need::Nobody && now.duration_since(content.stored) < RECENT;
        *need != Need::Work && !is_recent
    });
    candidates.sort_by(|one, other| {
        (one.0, one.1.stored, &one.1.sha256).cmp(&(other.0, other.1.stored, &other.1.sha256))
    });
    let mut removals = Vec::new();
    let mut remove = |need: Need, content: &Content, reason| {
        removals.push(Removal {
            content: content.clone(),
            reason,
            ends_undo: need == Need::Undo,
        });
    };
    for (need, content) in candidates {
        let is_old = need == Need::Nobody && now.duration_since(content.stored) >= keep(policy);
        if is_old || total > policy.max_bytes {
            total -= content.size;
            remove(need, content, if is_old { Reason::Old } else { Reason::TooMuch });
        }
    }
    removals
}

/// The packages' versions and hashes that somebody needs.
#[derive(Debug, Default)]
struct Needs {
    work: BTreeSet<String>,
    undo: BTreeSet<String>,
    installed: BTreeSet<String>,
}

/// Content by what it is, whatever its architecture: a package may have changed that with an update.
fn version_key(name: &str, version: &str) -> String {
    format!("{name} {version}")
}

impl Needs {
    fn of(machine: &Machine, state: &PublicState, ended: Option<Uuid>) -> Result<Self, Failure> {
        let mut needs = Self::default();
        for operation in state
            .unfinished
            .iter()
            .filter(|operation| Some(operation.job) != ended)
        {
            let order = match Order::read(&machine.folders.job(operation.job).order()) {
                Ok(order) => order,
                // Without its order it cannot be gone on with.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let what = format!("cannot tell what the unfinished job {} needs", operation.job);
                    return Err(Failure::because(crate::store::io_code(&error), what, error));
                }
            };
            for change in order.plan.updates.iter().flat_map(|update| &update.changes) {
                needs.work.extend(change.archive.clone());
                needs.work.extend(keys(change, &change.from));
                needs.work.extend(keys(change, &change.to));
            }
        }
        let recorded: Vec<&InstalledUpdate> =
            state.installed.iter().map(|record| &record.installed).collect();
        let there = machine.handler.still_installed(&recorded)?;
        for (record, _) in recorded.iter().zip(there).filter(|(_, there)| *there) {
            for change in &record.changes {
                needs.undo.extend(keys(change, &change.from));
                needs.installed.extend(keys(change, &change.to));
            }
        }
        Ok(needs)
    }

    fn add_offered(&mut self, machine: &Machine) -> Result<(), Failure> {
        let store = machine.store();
        let found = machine.source.search(&SearchRequest {
            refresh: false,
            store: &store,
            abort: &AtomicBool::new(false),
            waiting: &|_| (),
        })?;
        for change in found.updates.iter().flat_map(|update| update.packages_to_have()) {
            self.work
                .extend(change.content.as_ref().map(|content| content.sha256.clone()));
            for version in [&change.installed, &change.candidate].into_iter().flatten() {
                self.work.insert(version_key(&change.name, version));
            }
        }
        Ok(())
    }

    fn need(&self, content: &Content) -> Need {
        let (name, version) = undo::name_and_version(content);
        let key = version_key(name, version);
        if self.work.contains(&content.sha256) || self.work.contains(&key) {
            Need::Work
        } else if self.undo.contains(&key) {
            Need::Undo
        } else if self.installed.contains(&key) {
            Need::Installed
        } else {
            Need::Nobody
        }
    }
}

fn keys(change: &PlannedChange, version: &Option<String>) -> Option<String> {
    version.as_ref().map(|version| version_key(&change.name, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Origin;

    const DAY: i64 = 86_400;

    /// Contents as `NAME SIZE AGE_IN_DAYS NEED`, one a line; what goes, in order, with its reason.
    fn check(
        keep_days: u32,
        max_bytes: u64,
        contents: &[(&str, u64, i64, Need)],
        expected: &[(&str, Reason)],
    ) {
        let now = Timestamp::from_second(1_000 * DAY).expect("a time");
        let all: Vec<Content> = contents
            .iter()
            .map(|(name, size, age, _)| Content {
                sha256: (*name).into(),
                label: format!("deb {name} all 1"),
                size: *size,
                origin: Origin::Saved,
                stored: Timestamp::from_second((1_000 - age) * DAY).expect("a time"),
            })
            .collect();
        let need = |content: &Content| {
            let known = contents.iter().find(|(name, ..)| *name == content.sha256);
            known.expect("one of them").3
        };
        let policy = StorePolicy { keep_days, max_bytes };
        let removals = decide(&all, need, &policy, now);
        assert!(removals.is_empty() || can_any_go(&all, &policy, now));
        let found: Vec<_> = removals
            .iter()
            .map(|removal| (removal.content.sha256.as_str(), removal.reason))
            .collect();
        assert_eq!(found, expected);
        for removal in &removals {
            assert_eq!(removal.ends_undo, need(&removal.content) == Need::Undo);
        }
    }

    #[test]
    fn what_nobody_needs_goes_when_it_is_old_and_the_rest_stays() {
        let contents = [
            ("old", 1, 31, Need::Nobody),
            ("young", 1, 29, Need::Nobody),
            ("undo", 1, 400, Need::Undo),
            ("installed", 1, 400, Need::Installed),
            ("pending", 1, 400, Need::Work),
        ];
        check(30, 1000, &contents, &[("old", Reason::Old)]);
    }

    #[test]
    fn too_much_goes_by_need_and_then_by_age() {
        let contents = [
            ("undo-new", 10, 40, Need::Undo),
            ("undo-old", 10, 60, Need::Undo),
            ("job", 10, 90, Need::Work),
            ("nobody", 10, 2, Need::Nobody),
            ("installed", 10, 5, Need::Installed),
        ];
        check(30, 50, &contents, &[]);
        check(30, 49, &contents, &[("nobody", Reason::TooMuch)]);
        let most = [
            ("nobody", Reason::TooMuch),
            ("installed", Reason::TooMuch),
            ("undo-old", Reason::TooMuch),
        ];
        check(30, 20, &contents, &most);
        let all: Vec<_> = most.into_iter().chain([("undo-new", Reason::TooMuch)]).collect();
        check(30, 0, &contents, &all);
    }

    #[test]
    fn what_came_today_stays_whatever_the_limits() {
        check(0, 0, &[("fresh", 10, 0, Need::Nobody)], &[]);
        check(
            0,
            100,
            &[("yesterday", 10, 1, Need::Nobody)],
            &[("yesterday", Reason::Old)],
        );
    }
}
