//! One look: the settings, the memory and the situation at one moment, and what follows from them for every question.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use wua_types::{Update, UpdateIdentity};

use super::decide::Act;
use super::memory::Memory;
use super::rules::{Verdict, judge};
use super::settings::{AutomaticSettings, Level};
use super::situation::Situation;
use super::window::{Opening, openings};

/// When to look again at what changes without a schedule: batteries, networks, users.
pub(super) const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// What one of the questions is answered with.
#[derive(Debug)]
pub(super) enum Step {
    /// There is nothing to say to it.
    Pass,
    /// Not now, and why; perhaps at that time.
    Wait(Option<Timestamp>, String),
    /// This, and why.
    Act(Act, String),
}

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) settings: &'a AutomaticSettings,
    pub(super) memory: &'a Memory,
    pub(super) situation: &'a Situation,
    pub(super) now: Timestamp,
    pub(super) zone: &'a TimeZone,
    /// How far wua goes by itself on this machine: beside unattended-upgrades it only tells.
    pub(super) level: Level,
    /// All openings around now, by their times.
    pub(super) openings: Vec<Opening>,
    /// Every update that is offered, and whether it goes.
    pub(super) judged: Vec<(&'a Update, Verdict)>,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        settings: &'a AutomaticSettings,
        memory: &'a Memory,
        situation: &'a Situation,
        now: &'a Zoned,
    ) -> Self {
        let today = now.date();
        let offered = situation.pending.iter().filter(|update| !update.is_installed);
        let judged = offered.map(|update| (update, judge(settings, memory, update, today)));
        Self {
            settings,
            memory,
            situation,
            now: now.timestamp(),
            zone: now.time_zone(),
            level: match situation.unattended_upgrades {
                true => settings.level.min(Level::Tell),
                false => settings.level,
            },
            openings: openings(
                &settings.windows,
                settings.random_delay_minutes,
                situation.seed,
                now,
            ),
            judged: judged.collect(),
        }
    }

    /// The updates that go.
    pub(super) fn wanted(&self) -> Vec<&'a Update> {
        let wanted = self
            .judged
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Goes);
        wanted.map(|(update, _)| *update).collect()
    }

    /// Whether nothing may be fetched because the network is paid by use.
    pub(super) fn is_offline_by_choice(&self) -> bool {
        self.situation.is_metered && !self.settings.on_metered
    }

    /// An opening that this machine may use now.
    pub(super) fn open(&self) -> Option<&Opening> {
        self.openings.iter().find(|opening| opening.is_open(self.now))
    }

    /// When this machine begins in the next window, completed or not.
    pub(super) fn next_begin(&self) -> Option<Timestamp> {
        self.openings
            .iter()
            .map(|opening| opening.begin)
            .filter(|begin| *begin > self.now)
            .min()
    }

    pub(super) fn is_completed(&self, opening: &Opening) -> bool {
        self.memory.completed.contains(&opening.id)
    }

    pub(super) fn in_zone(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// A time for people.
    pub(super) fn told(&self, time: Timestamp) -> String {
        self.in_zone(time).strftime("%a %Y-%m-%d %H:%M").to_string()
    }
}

/// What identifies updates.
pub(super) fn identities(updates: &[&Update]) -> Vec<UpdateIdentity> {
    updates.iter().map(|update| update.identity).collect()
}

/// `1 update`, `2 updates`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
