//! What installing chosen updates would exactly change now, asked of APT before anything is touched.
//!
//! The machine's states decide what is left to do, and one simulation of APT what it takes, unless that is proven; hashes and
//! relations are those of the indexes, so nothing has to be downloaded to know.
//! Only when that simulation is refused, or would remove something, are the updates tried one by one to find who is to
//! blame; the innocent ones are resolved without them. Taking back is resolved in `resolve_back`.

use std::collections::{BTreeMap, BTreeSet};

use wua_engine::Failure;
use wua_engine::handler::{Refusal, Resolution, ResolvedUpdate};
use wua_types::{HResult, PackageChange, PlannedChange, Update};

use crate::confirm::{self, ConfirmError, ConfirmedPackage, Mode, is_architecture, is_package_name};
use crate::dpkg::DpkgDatabase;
use crate::keep_old::installed_as;
use crate::needs::{Mover, needs};
use crate::offers::Offers;
use crate::proof;
use crate::reader::ArchiveRecord;
use crate::relations;
use crate::stanza::Stanza;
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
) -> Result<Resolution, Failure> {
    let installed = database(tree)?;
    let mut verdicts: Vec<Option<Result<ResolvedUpdate, Refusal>>> = Vec::new();
    let mut wishes = BTreeMap::new();
    for (place, update) in updates.iter().enumerate() {
        match Wish::of(update, &installed, forced) {
            Ok(wish) => {
                wishes.insert(place, wish);
                verdicts.push(None);
            }
            Err(refusal) => verdicts.push(Some(Err(refusal))),
        }
    }
    let names: Vec<&str> = wishes
        .values()
        .flat_map(|wish| &wish.changes)
        .map(|change| change.name.as_str())
        .collect();
    let offers = Offers::read(tree, names.into_iter())?;
    let mut solver = Solver {
        tree,
        proof: proof::plan(offers.reading()).ok(),
        offers,
    };
    for (place, verdict) in solver.solve(wishes)? {
        verdicts[place] = Some(verdict);
    }
    let updates: Vec<_> = verdicts
        .into_iter()
        .map(|verdict| verdict.expect("every wish gets its verdict"))
        .collect();
    let relations_of =
        |change: &PlannedChange| solver.offers.brought_by(change).map(ArchiveRecord::relations);
    let together = bound(&updates, &installed, relations_of);
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
    fn of(update: &'a Update, installed: &DpkgDatabase, forced: bool) -> Result<Self, Refusal> {
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
                Some(std::cmp::Ordering::Equal)
                    if !forced && present.is_some_and(|package| package.status.is_settled()) => {}
                // Once more where that is wished, and where it is not completely there.
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
    offers: Offers,
    /// What APT must take of all that is offered, where that is proven.
    proof: Option<Vec<ConfirmedPackage>>,
}

impl Solver<'_> {
    /// A verdict for every wish.
    fn solve(&mut self, mut wishes: Wishes<'_>) -> Result<Verdicts, Failure> {
        let mut verdicts = Verdicts::new();
        let Err(mut refusal) = self.simulate(&wishes, &mut verdicts)? else {
            return Ok(verdicts);
        };
        // Somebody is to blame: first those whose version is gone from the archives, then whoever fails alone.
        self.refuse_unknown(&mut wishes, &mut verdicts);
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

    /// What APT must plan, where the wishes are just what it is proven to take of all that is offered ([`proof`]).
    fn proven(&self, wishes: &Wishes<'_>) -> Option<Vec<ConfirmedPackage>> {
        let plan = self.proof.as_ref()?;
        let wanted: BTreeSet<_> = wishes
            .values()
            .flat_map(|wish| &wish.changes)
            .map(|change| (&change.name, &change.architecture, change.candidate.as_ref()))
            .collect();
        let taken: BTreeSet<_> = plan
            .iter()
            .map(|package| (&package.name, &package.architecture, package.to.as_ref()))
            .collect();
        (wanted == taken).then(|| plan.clone())
    }

    /// Asks APT for all wishes at once; on success their verdicts are added.
    fn simulate(
        &mut self,
        wishes: &Wishes<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<Result<(), Refusal>, Failure> {
        let wanted = wishes.values().flat_map(|wish| &wish.changes).map(|change| {
            format!(
                "{}:{}={}",
                change.name,
                change.architecture,
                change.candidate.as_deref().unwrap_or_default()
            )
        });
        let wanted: Vec<String> = wanted.collect();
        let plan = if wanted.is_empty() {
            Ok(Vec::new())
        } else if let Some(plan) = self.proven(wishes) {
            Ok(plan)
        } else {
            // As the run itself will be.
            let options = ["-o", "APT::Get::AutomaticRemove=false", "install"].map(str::to_owned);
            confirm::ask(self.tree, &[&options[..], &wanted].concat())
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
        self.offers
            .learn(extra.iter().map(|package| package.name.as_str()));
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

    /// A package that no chosen update has: it goes to the update that asks for it.
    fn add_extra(
        &self,
        package: ConfirmedPackage,
        wishes: &Wishes<'_>,
        resolved: &mut BTreeMap<usize, ResolvedUpdate>,
        refused: &mut Verdicts,
    ) {
        let asks = |wish: &Wish<'_>| {
            let offers = wish.changes.iter().filter_map(|change| {
                self.offers
                    .get(&change.name, &change.architecture, change.candidate.as_deref()?)
            });
            offers
                .map(ArchiveRecord::relations)
                .any(|text| relations::asks_for(Stanza::new(&text), &package.name))
        };
        let owner = wishes
            .iter()
            .find(|(_, wish)| asks(wish))
            .or_else(|| wishes.iter().next());
        let Some((place, wish)) = owner else { return };
        let to = package.to.clone().unwrap_or_default();
        match (
            self.offers.get(&package.name, &package.architecture, &to),
            resolved.get_mut(place),
        ) {
            (Some(offer), Some(update)) => {
                update.unpacked_bytes += offer.installed_size.unwrap_or(0);
                update.changes.push(PlannedChange {
                    archive: Some(offer.sha256.clone()).filter(|hash| !hash.is_empty()),
                    name: package.name,
                    architecture: package.architecture,
                    from: package.from,
                    to: package.to,
                });
            }
            _ => {
                let (name, architecture) = (&package.name, &package.architecture);
                let why = format!(
                    "`{}` also needs `{name}:{architecture}` {to}, which no readable index offers; refresh and search again",
                    wish.title
                );
                refused.insert(*place, Err(Refusal::new(HResult::WU_E_NOT_APPLICABLE, why)));
            }
        }
    }

    /// Takes out the updates whose version no archive offers any more.
    fn refuse_unknown(&self, wishes: &mut Wishes<'_>, verdicts: &mut Verdicts) {
        wishes.retain(|place, wish| {
            let gone = wish.changes.iter().find_map(|change| self.gone(change));
            let is_offered = gone.is_none();
            verdicts.extend(gone.map(|refusal| (*place, Err(refusal))));
            is_offered
        });
    }

    fn gone(&self, change: &PackageChange) -> Option<Refusal> {
        let candidate = change.candidate.as_deref().unwrap_or_default();
        let mut versions: Vec<&str> = self
            .offers
            .of(&change.name)
            .iter()
            .map(|record| record.version.as_str())
            .collect();
        if versions.contains(&candidate) {
            return None;
        }
        versions.sort_by(|one, other| version::compare(one, other));
        let now = match versions.last() {
            Some(version) => format!("the archives now offer {version}"),
            None => "no archive offers it any more".into(),
        };
        let why = format!("`{}` {candidate} is gone: {now}; search again", change.name);
        Some(Refusal::new(HResult::WU_E_NOT_APPLICABLE, why))
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

/// The pairs of resolved updates that belong together. `relations_of` gives the relation fields of what a change brings.
pub(crate) fn bound(
    updates: &[Result<ResolvedUpdate, Refusal>],
    installed: &DpkgDatabase,
    relations_of: impl Fn(&PlannedChange) -> Option<Vec<u8>>,
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
    let relations: Vec<_> = changes.iter().map(|(_, change)| relations_of(change)).collect();
    let movers: Vec<_> = changes
        .iter()
        .zip(&relations)
        .map(|((update, change), relations)| {
            let now = installed_as(installed, &change.name, &change.architecture);
            Mover {
                update: *update,
                name: &change.name,
                now: now.map(|package| (package.version.as_str(), package.stanza())),
                then: change.to.as_deref().zip(relations.as_deref().map(Stanza::new)),
            }
        })
        .collect();
    needs(&movers)
}
