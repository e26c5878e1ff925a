//! What installing chosen updates would exactly change now, asked of APT before anything is touched.
//!
//! The machine's states decide what is left to do, the store what can be done, and one simulation of APT what it takes.
//! Only when that simulation is refused, or would remove something, are the updates tried one by one to find who is to
//! blame; the innocent ones are resolved without them. Taking back is resolved in `resolve_back`.

use std::collections::BTreeMap;

use wua_engine::Failure;
use wua_engine::handler::{Refusal, Resolution, ResolvedUpdate};
use wua_engine::store::ContentStore;
use wua_types::{HResult, PackageChange, PlannedChange, Update};

use crate::confirm::{self, ConfirmError, ConfirmedPackage, Mode, is_architecture, is_package_name};
use crate::deb::Control;
use crate::dpkg::DpkgDatabase;
use crate::keep_old::{installed_as, label};
use crate::reader::{Reading, Wanted};
use crate::relations;
use crate::stored::{Stored, installed_bytes};
use crate::together::{Mover, together};
use crate::tree::AptTree;
use crate::version;

/// Resolves an installation.
///
/// # Errors
/// APT or the machine's database cannot be asked.
pub(crate) fn resolve_install(
    tree: &AptTree,
    updates: &[Update],
    forced: bool,
    store: &ContentStore,
) -> Result<Resolution, Failure> {
    let installed = database(tree)?;
    let stored = Stored::list(store)?;
    let mut verdicts: Vec<Option<Result<ResolvedUpdate, Refusal>>> = Vec::new();
    let mut wishes = BTreeMap::new();
    for (place, update) in updates.iter().enumerate() {
        match Wish::of(update, &installed, forced, store) {
            Ok(wish) => {
                wishes.insert(place, wish);
                verdicts.push(None);
            }
            Err(refusal) => verdicts.push(Some(Err(refusal))),
        }
    }
    let solver = Solver {
        tree,
        stored: &stored,
    };
    for (place, verdict) in solver.solve(wishes)? {
        verdicts[place] = Some(verdict);
    }
    let updates: Vec<_> = verdicts
        .into_iter()
        .map(|verdict| verdict.expect("every wish gets its verdict"))
        .collect();
    let together = bound(&updates, &installed, store);
    Ok(Resolution { updates, together })
}

/// What is left to do for an update.
#[derive(Clone)]
struct Wish<'a> {
    title: &'a str,
    /// To be brought to their candidates.
    changes: Vec<&'a PackageChange>,
    /// There already, to be installed again.
    again: Vec<PlannedChange>,
    unpacked_bytes: u64,
}

impl<'a> Wish<'a> {
    fn of(
        update: &'a Update,
        installed: &DpkgDatabase,
        forced: bool,
        store: &ContentStore,
    ) -> Result<Self, Refusal> {
        let mut wish = Self {
            title: &update.title,
            changes: Vec::new(),
            again: Vec::new(),
            unpacked_bytes: 0,
        };
        for change in update.packages() {
            let Some(candidate) = &change.candidate else {
                continue;
            };
            // They become arguments of APT.
            if !is_package_name(&change.name)
                || !is_architecture(&change.architecture)
                || !version::is_version(candidate)
            {
                let why = format!(
                    "`{}` {candidate} is no package that APT could have",
                    change.label()
                );
                return Err(Refusal::new(HResult::WU_E_INVALID_UPDATE, why));
            }
            let present = installed_as(installed, &change.name, &change.architecture);
            let order = present.map(|package| version::compare(&package.version, candidate));
            match order {
                None if change.installed.is_some() => {
                    let why = format!(
                        "`{}` is not on this machine any more; search again",
                        change.label()
                    );
                    return Err(Refusal::new(HResult::WU_E_NOT_APPLICABLE, why));
                }
                Some(std::cmp::Ordering::Greater) => {}
                Some(std::cmp::Ordering::Equal) if !forced => {}
                Some(std::cmp::Ordering::Equal) => {
                    wish.unpacked_bytes += change.installed_size;
                    wish.again.push(PlannedChange {
                        from: change.candidate.clone(),
                        ..planned(change, None)
                    });
                }
                None | Some(std::cmp::Ordering::Less) => {
                    wish.unpacked_bytes += change.installed_size;
                    wish.changes.push(change);
                }
            }
        }
        if wish.changes.is_empty() && wish.again.is_empty() {
            let why = format!("`{}` is installed already, or something newer", update.title);
            return Err(Refusal::new(HResult::WU_S_ALREADY_INSTALLED, why));
        }
        let needed = wish.changes.iter().map(|change| {
            (
                change.label(),
                change.content.as_ref().map(|content| &content.sha256),
            )
        });
        let again = wish
            .again
            .iter()
            .map(|change| (change.label(), change.archive.as_ref()));
        let missing: Vec<_> = needed
            .chain(again)
            .filter(|(_, hash)| !hash.is_some_and(|hash| store.has(hash)))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            let why = format!("not downloaded: the archives of {}", missing.join(", "));
            return Err(Refusal::new(HResult::WU_E_DM_NOTDOWNLOADED, why));
        }
        Ok(wish)
    }
}

fn planned(change: &PackageChange, from: Option<String>) -> PlannedChange {
    PlannedChange {
        name: change.name.clone(),
        architecture: change.architecture.clone(),
        from,
        to: change.candidate.clone(),
        archive: change.content.as_ref().map(|content| content.sha256.clone()),
    }
}

type Wishes<'a> = BTreeMap<usize, Wish<'a>>;
type Verdicts = BTreeMap<usize, Result<ResolvedUpdate, Refusal>>;

struct Solver<'a> {
    tree: &'a AptTree,
    stored: &'a Stored,
}

impl Solver<'_> {
    /// A verdict for every wish.
    fn solve(&self, mut wishes: Wishes<'_>) -> Result<Verdicts, Failure> {
        let mut verdicts = Verdicts::new();
        let Err(mut refusal) = self.simulate(&wishes, &mut verdicts)? else {
            return Ok(verdicts);
        };
        // Somebody is to blame: first those whose version is gone from the archives, then whoever fails alone.
        self.refuse_unknown(&mut wishes, &mut verdicts)?;
        let mut culprits = Vec::new();
        if wishes.len() > 1 {
            for (place, wish) in &wishes {
                let alone = Wishes::from([(*place, wish.clone())]);
                if let Err(refusal) = self.simulate(&alone, &mut Verdicts::new())? {
                    culprits.push((*place, refusal));
                }
            }
        }
        for (place, refusal) in culprits {
            wishes.remove(&place);
            verdicts.insert(place, Err(refusal));
        }
        if !wishes.is_empty() {
            match self.simulate(&wishes, &mut verdicts)? {
                Ok(()) => return Ok(verdicts),
                Err(still) => refusal = still,
            }
        }
        // Only together do they fail: none can be taken without a choice, which is the caller's.
        verdicts.extend(wishes.into_keys().map(|place| (place, Err(refusal.clone()))));
        Ok(verdicts)
    }

    /// Asks APT for all wishes at once; on success their verdicts are added.
    fn simulate(&self, wishes: &Wishes<'_>, verdicts: &mut Verdicts) -> Result<Result<(), Refusal>, Failure> {
        let wanted = wishes.values().flat_map(|wish| &wish.changes).map(|change| {
            format!(
                "{}:{}={}",
                change.name,
                change.architecture,
                change.candidate.as_deref().unwrap_or_default()
            )
        });
        let arguments: Vec<_> = ["install".to_owned()].into_iter().chain(wanted).collect();
        let plan = if arguments.len() == 1 {
            Ok(Vec::new())
        } else {
            confirm::ask(self.tree, &arguments)
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(error @ ConfirmError::Refused { .. }) => {
                return Ok(Err(Refusal::new(error.code(), error.to_string())));
            }
            Err(error) => return Err(error.into()),
        };
        let removed: Vec<_> = plan
            .iter()
            .filter(|package| package.mode == Mode::Remove)
            .map(|package| format!("`{}`", package.name))
            .collect();
        if !removed.is_empty() {
            let why = format!("it would remove {}", removed.join(", "));
            return Ok(Err(Refusal::new(HResult::WU_E_INVALID_RELATIONSHIP, why)));
        }
        let mut resolved: BTreeMap<usize, ResolvedUpdate> = wishes
            .iter()
            .map(|(place, wish)| {
                (
                    *place,
                    ResolvedUpdate {
                        changes: wish.again.clone(),
                        unpacked_bytes: wish.unpacked_bytes,
                    },
                )
            })
            .collect();
        let mut refused = Verdicts::new();
        let mut extra = Vec::new();
        for package in plan {
            let owner = wishes.iter().find_map(|(place, wish)| {
                let mut changes = wish.changes.iter();
                let found = changes.find(|change| {
                    (&change.name, &change.architecture) == (&package.name, &package.architecture)
                        && change.candidate == package.to
                });
                Some((*place, *found?))
            });
            match owner.and_then(|(place, change)| Some((resolved.get_mut(&place)?, change))) {
                Some((update, change)) => update.changes.push(planned(change, package.from)),
                None => extra.push(package),
            }
        }
        for package in extra {
            self.add_extra(package, wishes, &mut resolved, &mut refused);
        }
        for update in resolved.values_mut() {
            update.changes.sort();
        }
        verdicts.extend(resolved.into_iter().map(|(place, update)| (place, Ok(update))));
        verdicts.extend(refused);
        Ok(Ok(()))
    }

    /// A package that no chosen update has: it goes to the update that asks for it, if its archive is here.
    fn add_extra(
        &self,
        package: ConfirmedPackage,
        wishes: &Wishes<'_>,
        resolved: &mut BTreeMap<usize, ResolvedUpdate>,
        refused: &mut Verdicts,
    ) {
        let asks = |wish: &Wish<'_>| {
            wish.changes
                .iter()
                .filter_map(|change| {
                    self.stored
                        .control(change.content.as_ref().map(|content| &*content.sha256)?)
                })
                .any(|control| relations::asks_for(control.stanza(), &package.name))
        };
        let owner = wishes
            .iter()
            .find(|(_, wish)| asks(wish))
            .or_else(|| wishes.iter().next());
        let Some((place, wish)) = owner else { return };
        let to = package.to.clone().unwrap_or_default();
        match self
            .stored
            .labelled(&label(&package.name, &package.architecture, &to))
        {
            Some(content) => {
                let Some(update) = resolved.get_mut(place) else {
                    return;
                };
                update.unpacked_bytes += self
                    .stored
                    .control(&content.sha256)
                    .map_or(0, |control| installed_bytes(&control));
                update.changes.push(PlannedChange {
                    name: package.name,
                    architecture: package.architecture,
                    from: package.from,
                    to: package.to,
                    archive: Some(content.sha256.clone()),
                });
            }
            None => {
                let (name, architecture) = (&package.name, &package.architecture);
                let why = format!(
                    "`{}` also needs `{name}:{architecture}` {to}, which is not downloaded; search and download again",
                    wish.title
                );
                refused.insert(*place, Err(Refusal::new(HResult::WU_E_DM_NOTDOWNLOADED, why)));
            }
        }
    }

    /// Takes out the updates whose version no archive offers any more.
    fn refuse_unknown(&self, wishes: &mut Wishes<'_>, verdicts: &mut Verdicts) -> Result<(), Failure> {
        let reading = Reading::of(self.tree).map_err(crate::source::read_failure)?;
        let names = wishes.values().flat_map(|wish| &wish.changes);
        let wanted: Vec<_> = names
            .map(|change| Wanted {
                package: change.name.clone(),
                ..Wanted::default()
            })
            .collect();
        let offered = reading.find(&wanted).records;
        let mut unknown = Vec::new();
        for (place, wish) in wishes.iter() {
            for change in &wish.changes {
                let versions: Vec<_> = offered
                    .iter()
                    .filter(|record| record.package == change.name)
                    .map(|record| record.version.as_str())
                    .collect();
                if !versions
                    .iter()
                    .any(|version| change.candidate.as_deref() == Some(version))
                {
                    let now = match versions
                        .into_iter()
                        .max_by(|one, other| version::compare(one, other))
                    {
                        Some(version) => format!("the archives now offer {version}"),
                        None => "no archive offers it any more".into(),
                    };
                    let candidate = change.candidate.as_deref().unwrap_or_default();
                    let why = format!("`{}` {candidate} is gone: {now}; search again", change.name);
                    unknown.push((*place, Refusal::new(HResult::WU_E_NOT_APPLICABLE, why)));
                    break;
                }
            }
        }
        for (place, refusal) in unknown {
            wishes.remove(&place);
            verdicts.insert(place, Err(refusal));
        }
        Ok(())
    }
}

pub(crate) fn database(tree: &AptTree) -> Result<DpkgDatabase, Failure> {
    DpkgDatabase::read(tree.root()).map_err(|error| {
        Failure::because(
            HResult::WU_E_UNEXPECTED,
            "the machine's package database cannot be read",
            error,
        )
    })
}

/// The pairs of resolved updates that belong together.
pub(crate) fn bound(
    updates: &[Result<ResolvedUpdate, Refusal>],
    installed: &DpkgDatabase,
    store: &ContentStore,
) -> Vec<(usize, usize)> {
    let resolved = updates
        .iter()
        .enumerate()
        .filter_map(|(place, update)| Some((place, update.as_ref().ok()?)));
    let changes: Vec<_> = resolved
        .flat_map(|(place, update)| update.changes.iter().map(move |change| (place, change)))
        .collect();
    if changes.iter().all(|(place, _)| *place == changes[0].0) {
        return Vec::new();
    }
    let control = |change: &PlannedChange| {
        let path = store.path(change.archive.as_deref()?).ok()?;
        Control::read(&path).ok()
    };
    let controls: Vec<_> = changes.iter().map(|(_, change)| control(change)).collect();
    let movers: Vec<_> = changes
        .iter()
        .zip(&controls)
        .map(|((update, change), control)| {
            let now = installed_as(installed, &change.name, &change.architecture);
            Mover {
                update: *update,
                name: &change.name,
                now: now.map(|package| (package.version.as_str(), package.stanza())),
                then: change.to.as_deref().zip(control.as_ref().map(Control::stanza)),
            }
        })
        .collect();
    together(&movers)
}
