//! One machine as the engine sees it: where its files are, what offers updates, what applies them, what its administrator
//! decided, and who runs its jobs.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::folders::Folders;
use crate::handler::UpdateHandler;
use crate::policy::Policy;
use crate::source::UpdateSource;
use crate::store::ContentStore;

/// Who runs jobs that change the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A process of its own: `PROGRAM --root ROOT job run ID`, in a session of its own. The job outlives its caller.
    Process {
        /// The executable; `wua` itself, or a program that offers the same command.
        program: PathBuf,
    },
    /// A thread of the calling process. The job dies with the process: for programs that accept it, and for tests.
    Thread,
}

/// One machine. Shared by all objects of a session and by the threads of their jobs.
pub struct Machine {
    /// Where wua's files are.
    pub folders: Folders,
    /// What offers updates.
    pub source: Arc<dyn UpdateSource>,
    /// What applies them.
    pub handler: Arc<dyn UpdateHandler>,
    /// What the administrator decided.
    pub policy: Policy,
    /// Who runs jobs.
    pub keeper: Keeper,
}

impl Machine {
    /// Which machine this is, to tell it from others that are here: two programs work on the same one exactly where this is the same.
    pub fn identity(&self) -> String {
        let place = std::fs::metadata(self.folders.root()).map(|root| (root.dev(), root.ino()));
        let (device, inode) = place.unwrap_or_default();
        format!("{} at {device}:{inode}", self.handler.machine())
    }

    /// The content store of this machine.
    pub fn store(&self) -> ContentStore {
        ContentStore::new(self.folders.store())
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("root", &self.folders.root())
            .field("policy", &self.policy)
            .field("keeper", &self.keeper)
            .finish_non_exhaustive()
    }
}
