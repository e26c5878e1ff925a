//! What a keeper is told to do: the immutable plan, the updates, and what is known before any work. Written before the keeper
//! starts, read by it alone.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::{InstallPlan, Update, UpdateInstallationResult};

use crate::files::make_folder;
use crate::folders::JobFolder;
use crate::handler::{Consent, InstalledUpdate};

/// A job that changes the machine.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Order {
    /// The job's id.
    pub job: Uuid,
    /// When it was begun.
    pub begun: Timestamp,
    /// The plan, which nothing changes any more.
    pub plan: InstallPlan,
    /// The updates, in the plan's order.
    pub updates: Vec<Update>,
    /// Results known before any work, by place.
    pub known: Vec<(usize, UpdateInstallationResult)>,
    /// Who asked.
    pub client_application_id: String,
    /// The user id of who asked.
    pub user_id: u32,
    /// What of the job's time was over when this was written.
    #[serde(default)]
    pub spent: Spent,
    /// What a repair may do, if the job is one; then it has no updates.
    #[serde(default)]
    pub repair: Option<Consent>,
}

/// The time of a job before its keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spent {
    /// Seconds since the job began.
    pub seconds: f64,
    /// Which share of the job's time was told to have passed by then.
    pub time_share: f64,
    /// Seconds of that which the plan took.
    pub planning_seconds: f64,
}

impl Order {
    /// Makes the job's folder and writes the order into it, durably.
    ///
    /// # Errors
    /// The disk said no.
    pub fn write(&self, folder: &JobFolder) -> io::Result<()> {
        crate::seam::at("order")?;
        make_folder(folder.path())?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.order())?;
        file.write_all(self.text().as_bytes())?;
        file.flush()?;
        file.sync_all()?;
        fs::File::open(folder.path())?.sync_all()
    }

    /// An update of it as it is once it is installed.
    pub fn installed(&self, place: usize) -> InstalledUpdate {
        InstalledUpdate {
            update: self.updates[place].clone(),
            changes: self.plan.updates[place].changes.clone(),
        }
    }

    /// The order as it is written down.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("plain values serialise")
    }

    /// Reads the order back.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is damaged.
    pub fn read(path: &Path) -> io::Result<Self> {
        let order: Self = serde_json::from_slice(&fs::read(path)?)?;
        let count = order.updates.len();
        let known = order.known.iter().map(|(place, _)| place);
        let all_there = order
            .plan
            .batches
            .iter()
            .flatten()
            .chain(known)
            .all(|place| *place < count);
        if order.plan.updates.len() == count && all_there {
            Ok(order)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the order's plan does not fit its updates",
            ))
        }
    }
}
