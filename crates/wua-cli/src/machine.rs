//! From `--root` to a session: the machine with APT as its source and handler, its policy, and this program as the keeper.

use std::path::Path;
use std::sync::Arc;

use wua_apt::{Apt, AptOptions};
use wua_engine::{Folders, Keeper, Machine, Policy, UpdateSession};
use wua_types::HResult;

use crate::problem::Problem;

/// The id under which the command line's jobs stand in history.
const CLIENT: &str = concat!("wua/", env!("CARGO_PKG_VERSION"));

/// Opens the machine below `root`. Changes nothing.
///
/// # Errors
/// It is no Debian machine, apt or dpkg is missing, or its policy is not valid.
pub(crate) fn open(root: &Path) -> Result<UpdateSession, Problem> {
    let root = root.canonicalize().map_err(|error| {
        let what = format!("there is no machine in `{}`: {error}", root.display());
        Problem::new(HResult::E_INVALIDARG, what).hint("Give the root folder of a Debian tree with `--root`.")
    })?;
    let folders = Folders::new(&root);
    let policy = Policy::read(&folders.policy()).map_err(|error| {
        Problem::from(error).hint(format!("Correct `{}`; docs/policy.md lists every key.", folders.policy().display()))
    })?;
    let apt = Arc::new(Apt::open(&root, AptOptions { repack: policy.undo.repack, lock_limit: None })?);
    let program = std::env::current_exe()?;
    let machine = Machine { folders, source: apt.clone(), handler: apt, policy, keeper: Keeper::Process { program } };
    let mut session = UpdateSession::new(Arc::new(machine));
    session.set_client_application_id(CLIENT);
    Ok(session)
}
