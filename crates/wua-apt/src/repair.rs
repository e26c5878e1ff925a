//! The repair ladder (apt.md 10.2).

use std::path::Path;
use std::time::Duration;

use wua_engine::Failure;
use wua_engine::handler::{BatchContext, Consent, Finding};
use wua_engine::store::ContentStore;

use crate::health;
use crate::tree::AptTree;

pub(crate) fn repair(
    tree: &AptTree,
    _folder: &Path,
    _number: usize,
    store: &ContentStore,
    _consent: Consent,
    _lock_limit: Option<Duration>,
    _cx: &mut dyn BatchContext,
) -> Result<Vec<Finding>, Failure> {
    health::diagnose(tree, store)
}
