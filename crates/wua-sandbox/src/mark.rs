//! The mark of a practice machine: a small file that says "this tree may be run without a chroot and without root".
//! Nothing else makes a tree a practice machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wua_types::practice::MARK;

use crate::error::SandboxError;
use crate::fault::Fault;

const KIND: &str = "practice machine";
const VERSION: u32 = 1;

/// The content of the mark: one line of JSON, which also tells how the machine was made.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Mark {
    wua: String,
    version: u32,
    seed: u64,
    faults: BTreeSet<Fault>,
}

impl Mark {
    pub(crate) fn new(seed: u64, faults: &BTreeSet<Fault>) -> Self {
        Self {
            wua: KIND.into(),
            version: VERSION,
            seed,
            faults: faults.clone(),
        }
    }

    pub(crate) fn write(&self, root: &Path) -> Result<(), SandboxError> {
        let path = root.join(MARK);
        let directory = path.parent().expect("the mark lies in a directory");
        fs::create_dir_all(directory).map_err(SandboxError::file("create", directory))?;
        let line = serde_json::to_string(self).expect("a mark has only strings, numbers and names");
        fs::write(&path, line + "\n").map_err(SandboxError::file("write", &path))
    }

    /// Checks that the tree below `root` carries a mark of this version.
    pub(crate) fn check(root: &Path) -> Result<(), SandboxError> {
        let refuse = |reason: String| SandboxError::NotAMachine {
            path: root.into(),
            reason,
        };
        let text =
            fs::read(root.join(MARK)).map_err(|error| refuse(format!("its mark `{MARK}`: {error}")))?;
        let mark: Self = serde_json::from_slice(&text)
            .map_err(|error| refuse(format!("its mark `{MARK}` is damaged: {error}")))?;
        match mark {
            Self { wua, .. } if wua != KIND => Err(refuse(format!("its mark says `{wua}`"))),
            Self { version: VERSION, .. } => Ok(()),
            Self { version, .. } => Err(refuse(format!("its mark has the unknown version {version}"))),
        }
    }
}
