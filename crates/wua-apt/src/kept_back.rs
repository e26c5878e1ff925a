//! What is newer but not offered, and why (rule U2): held, phased, removals, unmet dependencies.
//!
//! Holds and phasing are known from our own reading. Only what these do not explain costs further simulations of APT:
//! one of `dist-upgrade`, whose removals are named, and one of `install`, whose refusal gives the reason; they run at
//! the same time. None of it decides anything; these updates are never offered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wua_types::KeptBack;

use crate::confirm::{ConfirmError, ConfirmedPackage, Mode, Simulation};
use crate::reader::{Candidate, Phasing};
use crate::relations;
use crate::tree::AptTree;

/// The candidates that the plan does not take, by source, with reasons. `abort` is asked while APT is waited for.
///
/// # Errors
/// Only an abort; a simulation that fails leaves its reason unknown.
pub(crate) fn kept_back(
    tree: &AptTree,
    candidates: &[Candidate],
    plan: &[ConfirmedPackage],
    abort: &dyn Fn() -> bool,
) -> Result<Vec<KeptBack>, ConfirmError> {
    let taken: HashMap<_, _> = plan
        .iter()
        .map(|package| ((&package.name, &package.architecture), package.to.as_ref()))
        .collect();
    let left: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| {
            let record = &candidate.record;
            taken.get(&(&record.package, &record.architecture)) != Some(&Some(&record.version))
        })
        .collect();
    let unexplained: Vec<&Candidate> = left
        .iter()
        .copied()
        .filter(|candidate| plain_reason(candidate).is_none())
        .collect();
    let answers = if unexplained.is_empty() {
        Answers::default()
    } else {
        Answers::ask(tree, &unexplained, abort)?
    };

    let mut groups: BTreeMap<(&str, &str), Vec<&Candidate>> = BTreeMap::new();
    for candidate in left {
        groups
            .entry((&candidate.record.source, &candidate.record.source_version))
            .or_default()
            .push(candidate);
    }
    let kept_back = groups.into_iter().map(|((source, version), members)| {
        let (mut reasons, mut removals) = (Vec::new(), BTreeSet::new());
        for member in &members {
            let (reason, removed) = match plain_reason(member) {
                Some(reason) => (reason, BTreeSet::new()),
                None => answers.reason(member),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            removals.extend(removed);
        }
        KeptBack {
            title: format!("{source} {version}"),
            packages: members
                .iter()
                .map(|member| member.record.package.clone())
                .collect(),
            reason: reasons.join("; "),
            removals: removals.into_iter().collect(),
        }
    });
    Ok(kept_back.collect())
}

/// The reason that needs no question to APT.
fn plain_reason(candidate: &Candidate) -> Option<String> {
    let record = &candidate.record;
    if candidate.held {
        return Some(format!(
            "`{}` is on hold at {}",
            record.package, candidate.installed_version
        ));
    }
    (candidate.phasing == Phasing::Deferred).then(|| {
        format!(
            "it is offered to {} % of all machines so far, and not to this one yet",
            record.phased_percentage
        )
    })
}

/// What APT says about the unexplained.
#[derive(Default)]
struct Answers {
    dist_upgrade: Vec<ConfirmedPackage>,
    /// A line a package: `NAME : REASON`.
    unmet: Vec<String>,
    said: String,
}

impl Answers {
    fn ask(
        tree: &AptTree,
        unexplained: &[&Candidate],
        abort: &dyn Fn() -> bool,
    ) -> Result<Self, ConfirmError> {
        let dist_upgrade = Simulation::start(tree, &["dist-upgrade"])?;
        let exact = unexplained.iter().map(|candidate| {
            let record = &candidate.record;
            format!("{}:{}={}", record.package, record.architecture, record.version)
        });
        let install = Simulation::start(
            tree,
            &["install".to_owned()]
                .into_iter()
                .chain(exact)
                .collect::<Vec<_>>(),
        )?;
        let mut answers = Self::default();
        match dist_upgrade.finish(abort) {
            Ok(plan) => answers.dist_upgrade = plan,
            Err(ConfirmError::Cancelled) => return Err(ConfirmError::Cancelled),
            Err(error) => tracing::debug!(%error, "no reasons from dist-upgrade"),
        }
        match install.finish(abort) {
            Err(ConfirmError::Cancelled) => return Err(ConfirmError::Cancelled),
            Err(ConfirmError::Refused { unmet, said, .. }) => (answers.unmet, answers.said) = (unmet, said),
            Err(error) => tracing::debug!(%error, "no reasons from install"),
            Ok(_) => {}
        }
        Ok(answers)
    }

    fn reason(&self, candidate: &Candidate) -> (String, BTreeSet<String>) {
        let record = &candidate.record;
        let is_it = |package: &&ConfirmedPackage| {
            package.name == record.package && package.to.as_deref() == Some(&record.version)
        };
        let removed: BTreeSet<String> = self
            .dist_upgrade
            .iter()
            .filter(|package| package.mode == Mode::Remove)
            .map(|package| package.name.clone())
            .collect();
        if self.dist_upgrade.iter().any(|package| is_it(&package)) && !removed.is_empty() {
            // Those it names itself, if any; else all of them, since relations lead over further packages.
            let forbidden = [&record.breaks, &record.conflicts].into_iter().flatten();
            let named: BTreeSet<String> = forbidden
                .flat_map(|text| relations::groups(text))
                .flatten()
                .map(|relation| relation.name)
                .filter(|name| removed.contains(name))
                .collect();
            let removals = if named.is_empty() { removed } else { named };
            let names = removals
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            return (format!("it would remove {names}"), removals);
        }
        let lines = self.unmet.iter().filter_map(|line| line.split_once(" : "));
        let own = |name: &str| name.split(':').next() == Some(&record.package);
        let reason = match lines.into_iter().find(|(name, _)| own(name)) {
            Some((_, reason)) => format!("it cannot be installed: {reason}"),
            None if !self.said.is_empty() => format!("APT keeps it back: {}", self.said),
            None => "APT keeps it back and gives no reason".into(),
        };
        (reason, BTreeSet::new())
    }
}
