//! Plays settings against a script: days of automatic updates in milliseconds, with a clock that is moved by hand.
//!
//! What decides and remembers is the real thing; only the machine is made up. It does everything at once except that each act takes
//! a few minutes, and asks again when the real agent would: after each act, when it is time, and whenever something happens.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde::Serialize;
use wua_types::Update;

use super::decide::Act;
use super::made_up_machine::Machine;
use super::memory::Outcome;
use super::settings::AutomaticSettings;
use super::situation::Situation;

/// What is played.
#[derive(Clone, Debug)]
pub struct Script {
    /// When it begins, and in which time zone.
    pub start: Zoned,
    /// For how many days.
    pub days: u16,
    /// The settings.
    pub settings: AutomaticSettings,
    /// The machine as it is at the beginning. What is pending there is not known to the scheduler yet.
    pub situation: Situation,
    /// What happens, each so long after the beginning, whatever the machine's clock says.
    pub happenings: Vec<(SignedDuration, Happening)>,
}

/// Something that happens to the machine.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An update is published, perhaps as a new revision of one before.
    Offered(Box<Update>),
    /// The next acts of a kind, told apart by [`Act`]'s variants, end so.
    Fails {
        /// An act of the kind; what is in it does not count.
        kind: Act,
        /// How many.
        times: usize,
        /// How they end.
        outcome: Outcome,
    },
    /// The machine sleeps for so long.
    Sleeps(SignedDuration),
    /// The clock is put forward, or back where this is negative.
    ClockMoves(SignedDuration),
    /// The machine is in another time zone.
    ZoneBecomes(TimeZone),
    /// A restart is needed by these packages until there were so many.
    RestartNeeded {
        /// The packages.
        packages: Vec<String>,
        /// After how many restarts none is needed any more, from 1.
        restarts: usize,
    },
    /// The machine is on battery with so many percent, or on mains again.
    Battery(Option<u8>),
    /// Whether the network is paid by use.
    Metered(bool),
    /// What is changing the machine; see [`Situation::busy`].
    Busy(Option<String>),
    /// How many users are logged in.
    UsersLoggedIn(usize),
    /// Whether unattended-upgrades installs updates.
    UnattendedUpgrades(bool),
    /// Which services use replaced files.
    StaleServices(Vec<String>),
}

/// One line of what was played.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulatedEvent {
    /// When, by the machine's clock.
    pub at: Zoned,
    /// What was done or happened. `wait` stands for a decision to do nothing.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Plays `script`. A decision to wait is told only when its reason is not the one before.
pub fn simulate(script: &Script) -> Vec<SimulatedEvent> {
    let end = SignedDuration::from_hours(24 * i64::from(script.days));
    let mut happenings = script.happenings.clone();
    happenings.sort_by_key(|(time, _)| *time);
    let mut happenings = happenings.into_iter().peekable();
    let mut machine = Machine::new(script);
    while machine.elapsed < end {
        while let Some((_, happening)) = happenings.next_if(|(time, _)| *time <= machine.elapsed) {
            machine.happens(happening);
        }
        let next = machine.turn(&script.settings).unwrap_or(end);
        let next_happening = happenings.peek().map_or(end, |(time, _)| *time);
        // An act may take longer than until the next happening, which then comes right after it.
        machine.elapsed = next.min(next_happening).max(machine.elapsed);
    }
    machine.events
}
