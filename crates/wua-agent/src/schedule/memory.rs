//! What the scheduler remembers between two looks, also over restarts of the agent and the machine.
//!
//! Times in it may lie in the future, because the clock was set back. Nothing therefore compares them by order alone: how far
//! away a time is counts in both directions ([`due`](super::attempts::due)), and windows are known by name.

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wua_types::{HResult, Update, UpdateIdentity};

use super::attempts::Attempts;
use super::decide::{Act, Occasion};
use super::situation::Situation;
use super::window::WindowId;

/// How many completed windows are remembered: more than a month of daily ones, for a clock that is set back.
const MOST_COMPLETED: usize = 40;

/// What the scheduler remembers. Its size is bounded by that of the last search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What was begun and has not been recorded yet, so that an agent that is restarted in the middle of it ends it.
    pub acting: Option<Acting>,
    /// The updates that are offered, and since when they are known.
    pub offers: Vec<Offer>,
    /// When wua last looked for updates successfully (`LastSearchSuccessDate`).
    pub last_check: Option<Timestamp>,
    /// Looks that failed since.
    pub failed_checks: Option<Attempts>,
    /// Downloads that were tried since.
    pub downloads: Option<Attempts>,
    /// Installations that failed, of the last window in which one did.
    pub run: Option<Run>,
    /// The windows in which an installation succeeded, the last at the end.
    pub completed: Vec<WindowId>,
    /// The last window whose missed installation was made up later.
    pub made_up: Option<WindowId>,
    /// When an automatic installation last succeeded (`LastInstallationSuccessDate`).
    pub last_installation: Option<Timestamp>,
    /// Since when a restart is pending.
    pub restart_pending_since: Option<Timestamp>,
    /// The last restart that was ordered.
    pub restart_order: Option<RestartOrder>,
    /// How many ordered restarts took place one after the other, with a restart still pending after each.
    pub restarts_in_a_row: u32,
    /// The last window in which services were restarted.
    pub services_restarted: Option<WindowId>,
}

/// Something that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acting {
    /// What.
    pub act: Act,
    /// The job that does it, where one does.
    pub job: Uuid,
}

/// What is remembered of one offered update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The update and its revision.
    #[serde(flatten)]
    pub identity: UpdateIdentity,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Whether people were told of it.
    #[serde(default)]
    pub was_told: bool,
    /// Whether it was taken back because the machine was not well with it.
    #[serde(default)]
    pub was_undone: bool,
    /// When its installation last succeeded. An update that is offered all the same could not be installed as planned.
    #[serde(default)]
    pub installed: Option<Timestamp>,
}

/// The failed installations that count for one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The window, or for an installation past its deadline the last window before it.
    pub window: Option<WindowId>,
    /// What made the last of them begin.
    pub occasion: Occasion,
    /// How often it was tried.
    pub attempts: Attempts,
}

/// A restart that was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartOrder {
    /// The window in which it was; for a restart at a time of day that date and time.
    pub window: WindowId,
    /// When it was ordered.
    pub ordered: Timestamp,
    /// When the machine is to go down.
    pub at: Timestamp,
    /// Whether the machine was started again since.
    #[serde(default)]
    pub took_place: bool,
}

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// Not well, wholly or in parts.
    Failed(HResult),
    /// It was installed and taken back, because the health command found the machine not well.
    Undone(HResult),
}

impl Outcome {
    fn code(self) -> HResult {
        match self {
            Self::Succeeded => HResult::S_OK,
            Self::Failed(code) | Self::Undone(code) => code,
        }
    }
}

impl Memory {
    /// Takes in what `situation` shows. To be called before each [`decide`](super::decide()).
    pub fn observe(&mut self, situation: &Situation, now: &Zoned) {
        let now = now.timestamp();
        for update in &situation.pending {
            let offer = self.offer_mut(update.identity, now);
            // A clock that was ahead must not make the update look younger than it is from now on.
            offer.first_seen = offer.first_seen.min(now);
        }
        if let Some(order) = &mut self.restart_order
            && !order.took_place
            && situation.booted > order.ordered
        {
            order.took_place = true;
            self.restarts_in_a_row = self.restarts_in_a_row.saturating_add(1);
        }
        if situation.restart_pending.is_some() {
            let since = self.restart_pending_since.unwrap_or(now);
            self.restart_pending_since = Some(since.min(now));
        } else {
            self.restart_pending_since = None;
            self.restarts_in_a_row = 0;
        }
    }

    /// Takes in how `act` ended, and what is offered after it. To be called after each act.
    pub fn record(&mut self, act: &Act, outcome: Outcome, pending: &[Update], now: &Zoned) {
        let now = now.timestamp();
        let has_succeeded = outcome == Outcome::Succeeded;
        match act {
            Act::Nothing => {}
            Act::Check if has_succeeded => {
                self.last_check = Some(now);
                self.failed_checks = None;
                self.downloads = None;
                self.offers
                    .retain(|offer| pending.iter().any(|update| update.identity == offer.identity));
            }
            Act::Check => {
                self.failed_checks = Some(Attempts::again(self.failed_checks.as_ref(), outcome.code(), now));
            }
            // Whoever did not hear it reads it in the motd: a command that fails is not run for the same updates again.
            Act::Tell(updates) => updates
                .iter()
                .for_each(|id| self.offer_mut(*id, now).was_told = true),
            // One that succeeds leaves nothing to download. If there is something all the same, it must not be tried for ever.
            Act::Download(_) => {
                self.downloads = Some(Attempts::again(self.downloads.as_ref(), outcome.code(), now));
            }
            Act::Install {
                updates,
                window,
                occasion,
            } => {
                if has_succeeded {
                    self.installed(updates, *window, *occasion, now);
                } else {
                    let before = self.run.as_ref().filter(|run| run.window == *window);
                    self.run = Some(Run {
                        window: *window,
                        occasion: *occasion,
                        attempts: Attempts::again(before.map(|run| &run.attempts), outcome.code(), now),
                    });
                }
                if matches!(outcome, Outcome::Undone(_)) {
                    updates
                        .iter()
                        .for_each(|id| self.offer_mut(*id, now).was_undone = true);
                }
            }
            Act::Restart { at, window, .. } => {
                self.restart_order = Some(RestartOrder {
                    window: *window,
                    ordered: now,
                    at: if has_succeeded { at.timestamp() } else { now },
                    took_place: !has_succeeded,
                });
            }
            Act::RestartServices { window, .. } => self.services_restarted = Some(*window),
        }
    }

    fn installed(
        &mut self,
        updates: &[UpdateIdentity],
        window: Option<WindowId>,
        occasion: Occasion,
        now: Timestamp,
    ) {
        self.run = None;
        self.last_installation = Some(now);
        updates
            .iter()
            .for_each(|id| self.offer_mut(*id, now).installed = Some(now));
        if let Occasion::MadeUp(missed) = occasion {
            self.made_up = Some(missed);
        }
        if let Some(window) = window
            && occasion != Occasion::Deadline
        {
            self.completed.push(window);
            let surplus = self.completed.len().saturating_sub(MOST_COMPLETED);
            self.completed.drain(..surplus);
        }
    }

    /// What is remembered of an update.
    pub fn offer(&self, identity: UpdateIdentity) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.identity == identity)
    }

    /// Whether the update was taken back because the machine was not well with it.
    pub fn was_undone(&self, identity: UpdateIdentity) -> bool {
        self.offer(identity).is_some_and(|offer| offer.was_undone)
    }

    fn offer_mut(&mut self, identity: UpdateIdentity, now: Timestamp) -> &mut Offer {
        let known = self.offers.iter().position(|offer| offer.identity == identity);
        let place = known.unwrap_or_else(|| {
            self.offers.push(Offer {
                identity,
                first_seen: now,
                was_told: false,
                was_undone: false,
                installed: None,
            });
            self.offers.len() - 1
        });
        &mut self.offers[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use wua_testkit::UpdateBuilder;

    fn at(text: &str) -> Zoned {
        text.parse().expect("a time")
    }

    #[test]
    fn what_is_not_offered_any_more_is_forgotten_at_the_next_check() {
        let now = at("2026-11-24T12:00[UTC]");
        let mut situation = Situation::default();
        let mut memory = Memory::default();
        for number in 0..1000 {
            situation.pending = vec![UpdateBuilder::new(&format!("package-{number}")).build()];
            memory.observe(&situation, &now);
            memory.record(&Act::Check, Outcome::Succeeded, &situation.pending, &now);
        }
        assert_eq!(memory.offers.len(), 1);
    }

    #[test]
    fn completed_windows_do_not_grow_for_ever() {
        let mut memory = Memory::default();
        let mut now = at("2026-01-01T03:00[UTC]");
        for _ in 0..1000 {
            let window = WindowId {
                date: now.date(),
                start: "03:00".parse().expect("a time of day"),
            };
            let act = Act::Install {
                updates: vec![],
                window: Some(window),
                occasion: Occasion::Window,
            };
            memory.record(&act, Outcome::Succeeded, &[], &now);
            now = now.checked_add(1.day()).expect("the next day");
        }
        assert_eq!(memory.completed.len(), MOST_COMPLETED);
        assert_eq!(
            memory.completed.last().expect("one").date.to_string(),
            "2028-09-26"
        );
    }

    #[test]
    fn it_comes_back_from_its_file_as_it_was() {
        let now = at("2026-11-24T12:00[UTC]");
        let situation = Situation {
            pending: vec![UpdateBuilder::new("curl").build()],
            restart_pending: Some(vec![]),
            ..Situation::default()
        };
        let mut memory = Memory::default();
        memory.observe(&situation, &now);
        memory.record(&Act::Check, Outcome::Failed(HResult::E_FAIL), &[], &now);
        let text = serde_json::to_string(&memory).expect("JSON");
        assert_eq!(serde_json::from_str::<Memory>(&text).expect("read again"), memory);
        assert_eq!(
            serde_json::from_str::<Memory>("{}").expect("an old file"),
            Memory::default()
        );
    }
}
