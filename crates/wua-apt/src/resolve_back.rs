//! What taking updates back would exactly change now: every changed package to its version before, added ones away.
//!
//! The old archives come from the store, each compared with its hash before APT looks into it. APT is asked whether it can be done (`--allow-downgrades` with the archives'
//! paths, so its resolver sees them) and must not want anything else: a removal or upgrade beyond the plan is a refusal
//! that names it. A package that the update added is removed only if nothing else needs it; else it stays.

use std::collections::BTreeMap;
use std::ffi::OsString;

use wua_engine::Failure;
use wua_engine::handler::{InstalledUpdate, Refusal, Resolution, ResolvedUpdate};
use wua_engine::store::{ContentStore, StoreError};
use wua_types::{HResult, PlannedChange};

use crate::confirm::{self, ConfirmError, ConfirmedPackage, Mode};
use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::keep_old::{installed_as, label};
use crate::resolve::{bound, database};
use crate::stored::{Stored, installed_bytes};
use crate::tree::AptTree;

/// Resolves an uninstallation.
///
/// # Errors
/// APT or the machine's database cannot be asked.
pub(crate) fn resolve_uninstall(
    tree: &AptTree,
    updates: &[InstalledUpdate],
    store: &ContentStore,
) -> Result<Resolution, Failure> {
    let installed = database(tree)?;
    let stored = Stored::list(store)?;
    let mut verdicts: Vec<Result<ResolvedUpdate, Refusal>> = Vec::new();
    let mut returns = BTreeMap::new();
    for (place, update) in updates.iter().enumerate() {
        match Return::of(update, &installed, &stored) {
            Ok(found) => {
                returns.insert(place, found);
                // Replaced below: every return gets its verdict.
                verdicts.push(Ok(ResolvedUpdate::default()));
            }
            Err(refusal) => verdicts.push(Err(refusal)),
        }
    }
    let solver = Solver { tree, store };
    for (place, verdict) in solver.solve(returns)? {
        verdicts[place] = verdict;
    }
    let relations_of = |change: &PlannedChange| {
        let control = stored.control(change.archive.as_deref()?)?;
        Some(control.stanza().bytes().to_vec())
    };
    let together = bound(&verdicts, &installed, relations_of);
    Ok(Resolution {
        updates: verdicts,
        together,
    })
}

/// The way back of one update.
#[derive(Clone, Default)]
struct Return {
    back: Vec<PlannedChange>,
    /// Packages that the update added.
    away: Vec<PlannedChange>,
    unpacked_bytes: u64,
}

impl Return {
    fn of(update: &InstalledUpdate, installed: &DpkgDatabase, stored: &Stored) -> Result<Self, Refusal> {
        let title = &update.update.title;
        let mut found = Self::default();
        let mut gone = Vec::new();
        for change in &update.changes {
            let Some(package) = installed_as(installed, &change.name, &change.architecture) else {
                continue;
            };
            if change.to.as_ref() != Some(&package.version) {
                let why = format!(
                    "`{title}` is not installed any more: `{}` is at {}",
                    change.label(),
                    package.version
                );
                return Err(Refusal::new(HResult::WU_S_ALREADY_UNINSTALLED, why));
            }
            let Some(old) = &change.from else {
                if is_essential(package) {
                    let why = format!("`{}` is essential and cannot be removed", change.label());
                    return Err(Refusal::new(HResult::WU_E_UNINSTALL_NOT_ALLOWED, why));
                }
                found.away.push(PlannedChange {
                    from: change.to.clone(),
                    to: None,
                    archive: None,
                    ..change.clone()
                });
                continue;
            };
            if change.from == change.to {
                continue;
            }
            // The architecture may have changed to or from `all` with the update.
            let native = installed.native_architecture().unwrap_or(&change.architecture);
            let architectures = [change.architecture.as_str(), "all", native];
            let archive = architectures.iter().find_map(|architecture| {
                Some((
                    architecture,
                    stored.labelled(&label(&change.name, architecture, old))?,
                ))
            });
            match archive {
                Some((architecture, content)) => {
                    stored
                        .verify(&content.sha256)
                        .map_err(|error| unusable(change, old, error))?;
                    let size = stored
                        .control(&content.sha256)
                        .map_or(0, |control| installed_bytes(&control));
                    found.unpacked_bytes += size;
                    found.back.push(PlannedChange {
                        name: change.name.clone(),
                        architecture: (*architecture).to_owned(),
                        from: change.to.clone(),
                        to: change.from.clone(),
                        archive: Some(content.sha256.clone()),
                    });
                }
                None => gone.push(format!("`{}` {old}", change.label())),
            }
        }
        if !gone.is_empty() {
            let why = format!(
                "the archive of {} is not stored, so there is no way back",
                gone.join(", ")
            );
            return Err(Refusal::new(HResult::WU_E_UNINSTALL_NOT_ALLOWED, why));
        }
        if found.back.is_empty() && found.away.is_empty() {
            let why = format!("nothing of `{title}` is on the machine");
            return Err(Refusal::new(HResult::WU_S_ALREADY_UNINSTALLED, why));
        }
        Ok(found)
    }

    fn changes(&self) -> impl Iterator<Item = &PlannedChange> {
        self.back.iter().chain(&self.away)
    }
}

/// Why there is no way back over an archive that is there but is not what was stored.
fn unusable(change: &PlannedChange, old: &str, error: StoreError) -> Refusal {
    let (label, code) = (change.label(), error.code());
    let what = match &error {
        StoreError::WrongHash { .. } => {
            format!("the stored archive of `{label}` {old} was altered, so the way back is lost")
        }
        StoreError::Io { .. } | StoreError::NotAHash(_) => {
            format!("the stored archive of `{label}` {old} cannot be read, so there is no way back now")
        }
    };
    Refusal::new(code, Failure::because(code, what, error).sentence())
}

fn is_essential(package: &InstalledPackage) -> bool {
    ["Essential", "Protected"]
        .iter()
        .any(|name| package.stanza().field(name) == Some(b"yes"))
}

type Returns = BTreeMap<usize, Return>;

struct Solver<'a> {
    tree: &'a AptTree,
    store: &'a ContentStore,
}

impl Solver<'_> {
    fn solve(
        &self,
        mut returns: Returns,
    ) -> Result<BTreeMap<usize, Result<ResolvedUpdate, Refusal>>, Failure> {
        let mut refused = BTreeMap::new();
        let mut last = self.settle(&mut returns)?;
        if last.is_err() && returns.len() > 1 {
            for (place, found) in returns.clone() {
                let mut alone = Returns::from([(place, found)]);
                if let Err(refusal) = self.settle(&mut alone)? {
                    returns.remove(&place);
                    refused.insert(place, Err(refusal));
                }
            }
            last = self.settle(&mut returns)?;
        }
        let resolved = |found: Return| {
            let mut changes: Vec<_> = found.changes().cloned().collect();
            changes.sort();
            ResolvedUpdate {
                changes,
                unpacked_bytes: found.unpacked_bytes,
            }
        };
        let verdicts = returns.into_iter().map(|(place, found)| match &last {
            Ok(()) => (place, Ok(resolved(found))),
            Err(refusal) => (place, Err(refusal.clone())),
        });
        refused.extend(verdicts);
        Ok(refused)
    }

    /// Asks APT; an added package that others need is left where it is. Nothing to ask is fine.
    fn settle(&self, returns: &mut Returns) -> Result<Result<(), Refusal>, Failure> {
        if returns.is_empty() {
            return Ok(Ok(()));
        }
        let first = match self.ask(returns)? {
            Ok(()) => return Ok(Ok(())),
            Err(refusal) => refusal,
        };
        if returns.values().all(|found| found.away.is_empty()) {
            return Ok(Err(first));
        }
        // The added packages one by one: whoever can go, goes.
        let mut kept = returns.clone();
        kept.values_mut().for_each(|found| found.away.clear());
        if kept.values().any(|found| !found.back.is_empty())
            && let Err(refusal) = self.ask(&kept)?
        {
            return Ok(Err(refusal));
        }
        let away: Vec<_> = returns
            .iter()
            .flat_map(|(place, found)| found.away.iter().map(|change| (*place, change.clone())))
            .collect();
        for (place, change) in away {
            let mut trial = kept.clone();
            trial.entry(place).or_default().away.push(change);
            if self.ask(&trial)?.is_ok() {
                kept = trial;
            }
        }
        if kept.values().any(|found| found.changes().next().is_none()) {
            return Ok(Err(first));
        }
        *returns = kept;
        Ok(Ok(()))
    }

    /// Whether APT would do exactly this.
    fn ask(&self, returns: &Returns) -> Result<Result<(), Refusal>, Failure> {
        let mut arguments: Vec<OsString> = vec!["--allow-downgrades".into(), "install".into()];
        for change in returns.values().flat_map(|found| &found.back) {
            let archive = change.archive.as_deref().unwrap_or_default();
            let path = self
                .store
                .path(archive)
                .map_err(|error| Failure::because(error.code(), "the store cannot be read", error))?;
            arguments.push(path.into());
        }
        arguments.extend(
            returns
                .values()
                .flat_map(|found| &found.away)
                .map(|change| format!("{}-", change.label()).into()),
        );
        let plan = match confirm::ask(self.tree, &arguments) {
            Ok(plan) => plan,
            Err(error @ ConfirmError::Refused { .. }) => {
                return Ok(Err(Refusal::new(error.code(), error.to_string())));
            }
            Err(error) => return Err(error.into()),
        };
        let planned = |package: &ConfirmedPackage| {
            returns.values().flat_map(Return::changes).any(|change| {
                (&change.name, &change.architecture) == (&package.name, &package.architecture)
                    && change.to == package.to
            })
        };
        let beyond: Vec<_> = plan
            .iter()
            .filter(|package| !planned(package))
            .map(in_words)
            .collect();
        if beyond.is_empty() {
            return Ok(Ok(()));
        }
        let why = format!("taking it back would also {}", beyond.join(", "));
        Ok(Err(Refusal::new(HResult::WU_E_INVALID_RELATIONSHIP, why)))
    }
}

fn in_words(package: &ConfirmedPackage) -> String {
    let (name, to) = (&package.name, package.to.as_deref().unwrap_or_default());
    match package.mode {
        Mode::Remove => format!("remove `{name}`"),
        Mode::Install => format!("install `{name}` {to}"),
        Mode::Upgrade | Mode::Downgrade => format!("change `{name}` to {to}"),
    }
}
