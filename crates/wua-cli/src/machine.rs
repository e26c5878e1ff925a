//! From `--root` to a session: the machine with APT as its source and handler, its policy, and this program as the keeper.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wua_apt::{Apt, AptOptions};
use wua_engine::{Folders, Keeper, Machine, Policy, UpdateSession};
use wua_types::HResult;

use crate::problem::Problem;

/// The id under which the command line's jobs stand in history.
pub(crate) const CLIENT: &str = concat!("wua/", env!("CARGO_PKG_VERSION"));

/// What to do about a tree of which only a part is another user's.
const OWN_TREE: &str = "Give the whole tree to one user, and run it as that one.";

/// Opens the machine below `root`. Changes nothing.
///
/// # Errors
/// It is no Debian machine, apt or dpkg is missing, or its policy is not valid.
pub(crate) fn open(root: &Path) -> Result<UpdateSession, Problem> {
    let root = find(root)?;
    let folders = Folders::new(&root);
    let apt = Apt::open(&root, AptOptions::default()).map_err(|failure| {
        let problem = Problem::from(failure);
        // What is another user's is refused to root, too.
        let is_root = rustix::process::geteuid().is_root();
        let hint = owner_hint(&root).or_else(|| is_root.then(|| OWN_TREE.into()));
        match hint.filter(|_| problem.code == HResult::E_ACCESSDENIED) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })?;
    // Read only now: in a tree of somebody else its name could lead anywhere.
    let policy = Policy::read(&folders.policy()).map_err(|error| {
        Problem::from(error).hint(format!(
            "Correct `{}`; docs/policy.md lists every key.",
            folders.policy().display()
        ))
    })?;
    wua_agent::settings::of_policy(&policy)
        .map_err(|error| Problem::from(error).hint("docs/policy.md lists every key and what it may be."))?;
    let script_limit = policy
        .install
        .script_limit_seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    let options = AptOptions {
        repack: policy.undo.repack,
        lock_limit: None,
        script_limit,
    };
    let apt = Arc::new(apt.with_options(options));
    let program = std::env::current_exe()?;
    let machine = Machine {
        folders,
        source: apt.clone(),
        handler: apt,
        policy,
        keeper: Keeper::Process { program },
    };
    let mut session = UpdateSession::new(Arc::new(machine));
    session.set_client_application_id(CLIENT);
    Ok(session)
}

/// What to do on a tree that a normal user owns, if it is another than the caller.
pub(crate) fn owner_hint(root: &Path) -> Option<String> {
    let owner = root.metadata().ok()?.uid();
    let is_other = owner != 0 && owner != rustix::process::geteuid().as_raw();
    is_other.then(|| format!("Run it as its owner, uid {owner}: nobody else changes this tree."))
}

/// The root without links, if there is a Debian tree: looked at before anything in it is read.
fn find(root: &Path) -> Result<PathBuf, Problem> {
    const DATABASE: &str = "var/lib/dpkg/status";
    let none = |reason: String| {
        let what = format!("there is no machine in `{}`: {reason}", root.display());
        Problem::new(HResult::E_INVALIDARG, what).hint("Give the root folder of a Debian tree with `--root`.")
    };
    let real = root.canonicalize().map_err(|error| none(error.to_string()))?;
    if !real.is_dir() {
        return Err(none("it is no folder".into()));
    }
    match real.join(DATABASE).metadata() {
        Ok(metadata) if metadata.is_file() => Ok(real),
        Ok(_) => Err(none(format!("its `{DATABASE}` is no file"))),
        Err(error) => Err(none(format!("its `{DATABASE}` cannot be found: {error}"))),
    }
}
