//! What is so on the machine when the scheduler looks at it.

use jiff::Timestamp;
use wua_types::Update;

/// What is so on the machine now. Whoever asks [`decide`](super::decide()) finds it out first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// A number that stays the same on this machine and differs between machines, for the random delay.
    pub seed: u64,
    /// The charge in percent of a machine that runs on battery; none on mains.
    pub battery_percent: Option<u8>,
    /// Whether the network is paid by use.
    pub is_metered: bool,
    /// What is changing the machine now, as a part of a sentence: `a job of wua`, ``another program, `apt` ``.
    pub busy: Option<String>,
    /// The packages that ask for a restart; none where none is needed. May be empty: somebody asked without saying who.
    pub restart_pending: Option<Vec<String>>,
    /// The services that still use replaced files.
    pub stale_services: Vec<String>,
    /// How many users are logged in.
    pub users_logged_in: usize,
    /// Whether unattended-upgrades installs updates on this machine.
    pub unattended_upgrades: bool,
    /// When the machine was started, by the clock as it is now.
    pub booted: Timestamp,
    /// The updates that are offered, as of the last search.
    pub pending: Vec<Update>,
}
