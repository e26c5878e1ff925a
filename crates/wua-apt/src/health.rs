//! What is wrong with a machine's packages, seen without touching anything.

use wua_engine::Failure;
use wua_engine::handler::Finding;
use wua_engine::store::ContentStore;

use crate::tree::AptTree;

pub(crate) fn diagnose(_tree: &AptTree, _store: &ContentStore) -> Result<Vec<Finding>, Failure> {
    Ok(Vec::new())
}
