//! What exactly is going to happen: decided before anything is touched, printed, hashed, journalled, and then held to.
//!
//! The hash covers what an administrator authorises: machine, operation, exact packages, archives, removals and the policy
//! bits that matter. Batches and forecasts are how and how long, not what, and stay outside.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::enums::UpdateOperation;
use crate::identity::UpdateIdentity;

/// One package's change in a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PlannedChange {
    /// The package's name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// The version there before; none for a package that is added.
    pub from: Option<String>,
    /// The version there afterwards; none for a package that is removed.
    pub to: Option<String>,
    /// SHA-256 of the archive that brings it there; none for a removal.
    pub archive: Option<String>,
}

impl PlannedChange {
    /// `NAME:ARCHITECTURE`.
    pub fn label(&self) -> String {
        format!("{}:{}", self.name, self.architecture)
    }
}

/// One update in a plan.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlannedUpdate {
    /// The update.
    #[serde(flatten)]
    pub identity: UpdateIdentity,
    /// Its title.
    pub title: String,
    /// What changes; empty for an update whose result is known without work.
    pub changes: Vec<PlannedChange>,
    /// Bytes that are unpacked; the forecast's measure.
    pub unpacked_bytes: u64,
}

/// The choices of the caller and the administrator that change what is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlanPolicy {
    /// `IsForced`: install though installed, remove though absent.
    pub forced: bool,
    /// `ForceQuiet`: never ask anything.
    pub force_quiet: bool,
}

/// An immutable plan of an installation or uninstallation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstallPlan {
    /// Which machine: a stable text of the handler's.
    pub machine: String,
    /// Install or uninstall.
    pub operation: UpdateOperation,
    /// The updates, in the order of the caller's collection.
    pub updates: Vec<PlannedUpdate>,
    /// The choices that matter.
    pub policy: PlanPolicy,
    /// Which updates go together, as indexes into `updates`, in the order of execution.
    pub batches: Vec<Vec<usize>>,
}

impl InstallPlan {
    /// SHA-256 of the canonical form: one line a fact, changes sorted, so that order of selection does not matter.
    pub fn hash(&self) -> PlanHash {
        let mut lines: Vec<String> = self
            .updates
            .iter()
            .flat_map(|update| {
                let own = std::iter::once(format!("update\t{}", update.identity));
                own.chain(update.changes.iter().map(|change| {
                    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
                    format!(
                        "change\t{}\t{}\t{}\t{}\t{}",
                        change.name,
                        change.architecture,
                        or_none(&change.from),
                        or_none(&change.to),
                        or_none(&change.archive)
                    )
                }))
            })
            .collect();
        lines.sort();
        lines.dedup();
        let mut digest = Sha256::new();
        digest.update(format!(
            "wua plan 1\nmachine\t{}\noperation\t{}\nforced\t{}\nforce_quiet\t{}\n",
            self.machine.replace(['\n', '\t'], " "),
            self.operation,
            self.policy.forced,
            self.policy.force_quiet
        ));
        for line in lines {
            digest.update(line.as_bytes());
            digest.update(b"\n");
        }
        PlanHash(digest.finalize().into())
    }
}

/// The hash that names a plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanHash([u8; 32]);

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanHash({self})")
    }
}

/// A text that is no plan hash: 64 hexadecimal digits are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plan hash: 64 hexadecimal digits, as `--what-if` prints them")]
pub struct NotAPlanHash(pub String);

impl FromStr for PlanHash {
    type Err = NotAPlanHash;
    fn from_str(text: &str) -> Result<Self, NotAPlanHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| NotAPlanHash(text.into()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::UpdateId;
    use uuid::Uuid;

    fn plan(order: [u128; 2]) -> InstallPlan {
        InstallPlan {
            machine: "here".into(),
            operation: UpdateOperation::Installation,
            updates: order
                .into_iter()
                .map(|number| PlannedUpdate {
                    identity: UpdateIdentity {
                        update_id: UpdateId(Uuid::from_u128(number)),
                        revision_number: 1,
                    },
                    title: format!("update {number}"),
                    changes: vec![PlannedChange {
                        name: format!("package{number}"),
                        architecture: "all".into(),
                        from: Some("1".into()),
                        to: Some("2".into()),
                        archive: Some("00".into()),
                    }],
                    unpacked_bytes: 1,
                })
                .collect(),
            policy: PlanPolicy::default(),
            batches: vec![vec![0, 1]],
        }
    }

    #[test]
    fn the_order_of_selection_does_not_change_what_is_authorised() {
        assert_eq!(plan([1, 2]).hash(), plan([2, 1]).hash());
    }

    #[test]
    fn forecasts_stay_outside_but_versions_and_archives_count() {
        let base = plan([1, 2]);
        let mut other = base.clone();
        other.batches = vec![vec![1], vec![0]];
        other.updates[0].unpacked_bytes = 99;
        assert_eq!(other.hash(), base.hash());
        other.updates[0].changes[0].archive = Some("01".into());
        assert_ne!(other.hash(), base.hash());
    }

    #[test]
    fn a_hash_is_read_back_as_printed() {
        let hash = plan([1, 2]).hash();
        assert_eq!(hash.to_string().parse::<PlanHash>().expect("64 digits"), hash);
        assert!("abc".parse::<PlanHash>().is_err());
    }
}
