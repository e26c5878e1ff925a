//! What to do now, and why. One function that reads nothing but its arguments.
//!
//! Each question has its own answer ([`Step`]): is there something to look for, to tell, to install, to download, to restart?
//! The first that is answered with an act is carried out; what the others wait for says when to ask again.

use std::fmt;

use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use wua_types::UpdateIdentity;

use super::attempts::{due, later};
use super::install::{download, install};
use super::look::{LOOK_AGAIN, Look, Step, count, identities};
use super::memory::Memory;
use super::restart::{is_ordered_until, restart, restart_services};
use super::rules::Verdict;
use super::settings::{AutomaticSettings, Level};
use super::situation::Situation;
use super::window::WindowId;

/// What made an installation begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A window is open.
    Window,
    /// A window is open, and this one before it passed without the installation.
    MadeUp(WindowId),
    /// Updates are past their deadline.
    Deadline,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Fetch the indexes and search.
    Check,
    /// Tell of these updates, of which nobody was told yet.
    Tell(Vec<UpdateIdentity>),
    /// Download these updates.
    Download(Vec<UpdateIdentity>),
    /// Install these updates, in one job.
    Install {
        /// The updates.
        updates: Vec<UpdateIdentity>,
        /// The window that it counts for: the one that is open, or past a deadline the last that opened.
        window: Option<WindowId>,
        /// What made it begin.
        occasion: Occasion,
    },
    /// Order a restart.
    Restart {
        /// When the machine is to go down.
        at: Zoned,
        /// How many minutes before that people are told, counted from now.
        notice_minutes: u16,
        /// What it counts for, so that it is ordered once only.
        window: WindowId,
    },
    /// Restart these services, which still use replaced files.
    RestartServices {
        /// The services.
        services: Vec<String>,
        /// The window that it counts for.
        window: WindowId,
    },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("wait"),
            Self::Check => f.write_str("look for updates"),
            Self::Tell(updates) => write!(f, "tell of {}", count(updates.len(), "update")),
            Self::Download(updates) => write!(f, "download {}", count(updates.len(), "update")),
            Self::Install { updates, .. } => write!(f, "install {}", count(updates.len(), "update")),
            Self::Restart { at, .. } => write!(f, "restart at {}", at.strftime("%H:%M")),
            Self::RestartServices { services, .. } => write!(f, "restart {}", services.join(", ")),
        }
    }
}

/// What to do now, and when to ask again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// What to do.
    pub act: Act,
    /// Why that, or why nothing and what comes next: a plain sentence.
    pub why: String,
    /// When to ask again at the latest, always after now. None: nothing will change by time alone.
    pub next: Option<Zoned>,
}

/// Decides what to do at `now`, whose time zone is the one that the windows are meant in.
///
/// [`Memory::observe`] comes before, [`Memory::record`] after the act.
pub fn decide(settings: &AutomaticSettings, memory: &Memory, situation: &Situation, now: &Zoned) -> Decision {
    let look = Look::new(settings, memory, situation, now);
    if let Some((until, why)) = stop(&look) {
        return look.wait(until, why);
    }
    const QUESTIONS: [fn(&Look<'_>) -> Step; 6] = [check, tell, install, download, restart, restart_services];
    let mut waits = Vec::new();
    for question in QUESTIONS {
        match question(&look) {
            Step::Pass => {}
            Step::Wait(until, why) => waits.push((until, why)),
            Step::Act(act, why) => {
                return Decision {
                    act,
                    why,
                    next: look.next(Some(later(look.now, LOOK_AGAIN))),
                };
            }
        }
    }
    // The next look for updates is the least of what there is to tell.
    waits.rotate_left(1);
    let until = waits.iter().filter_map(|(until, _)| *until).min();
    let why = waits.into_iter().next().map(|(_, why)| why);
    look.wait(until, why.unwrap_or_default())
}

impl Look<'_> {
    fn wait(&self, until: Option<Timestamp>, why: String) -> Decision {
        Decision {
            act: Act::Nothing,
            why,
            next: self.next(until),
        }
    }

    fn next(&self, until: Option<Timestamp>) -> Option<Zoned> {
        until
            .filter(|until| *until > self.now)
            .map(|until| self.in_zone(until))
    }
}

/// Why nothing at all may be done, and until when.
fn stop(look: &Look<'_>) -> Option<(Option<Timestamp>, String)> {
    let again = Some(later(look.now, LOOK_AGAIN));
    if look.settings.level == Level::Off {
        Some((None, "Automatic updates are off.".into()))
    } else if let Some(until) = look.settings.paused_until.filter(|until| *until > look.now) {
        let why = format!("Automatic updates are paused until {}.", look.told(until));
        Some((Some(until), why))
    } else if let Some(busy) = &look.situation.busy {
        Some((again, format!("It is waiting for {busy} to end.")))
    } else if let Some((at, over)) = is_ordered_until(look) {
        Some((
            Some(over),
            format!("The machine is to restart on {}.", look.told(at)),
        ))
    } else {
        let percent = look
            .situation
            .battery_percent
            .filter(|_| !look.settings.on_battery)?;
        Some((
            again,
            format!("The machine runs on battery ({percent} %), on which nothing is done."),
        ))
    }
}

fn check(look: &Look<'_>) -> Step {
    let (memory, now) = (look.memory, look.now);
    let interval = SignedDuration::from_hours(look.settings.check_hours.into());
    let (due, why) = match (&memory.failed_checks, memory.last_check) {
        (Some(failed), _) => {
            let next = failed
                .next(look.settings, now)
                .unwrap_or_else(|| due(failed.last, interval, now));
            (
                next,
                format!("The last look for updates failed with {}.", failed.result),
            )
        }
        (None, Some(last)) => (
            due(last, interval, now),
            format!("The last look was on {}.", look.told(last)),
        ),
        (None, None) => (now, "Nobody has looked for updates yet.".into()),
    };
    if due > now {
        Step::Wait(
            Some(due),
            format!("The next look for updates is on {}.", look.told(due)),
        )
    } else if look.is_offline_by_choice() {
        let why = "The network is paid by use, so wua does not look for updates.";
        Step::Wait(Some(later(now, LOOK_AGAIN)), why.into())
    } else {
        Step::Act(Act::Check, why)
    }
}

/// Tells of what does not go further by itself, each once.
fn tell(look: &Look<'_>) -> Step {
    let waits = |verdict: &Verdict| match verdict {
        Verdict::Goes => look.level < Level::Install,
        other => other.waits_for_a_person(),
    };
    let was_told = |identity| look.memory.offer(identity).is_some_and(|offer| offer.was_told);
    let news = look
        .judged
        .iter()
        .filter(|(update, verdict)| waits(verdict) && !was_told(update.identity));
    let news: Vec<_> = news.map(|(update, _)| *update).collect();
    match news.len() {
        0 => Step::Pass,
        1 => Step::Act(
            Act::Tell(identities(&news)),
            "1 new update waits for a person to install it.".into(),
        ),
        n => Step::Act(
            Act::Tell(identities(&news)),
            format!("{n} new updates wait for a person to install them."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_readable_as_json() {
        let now: Zoned = "2026-11-24T12:00[UTC]".parse().expect("a time");
        let settings = AutomaticSettings::default();
        let decision = decide(&settings, &Memory::default(), &Situation::default(), &now);
        assert_eq!(
            serde_json::to_string(&decision).expect("JSON"),
            r#"{"act":"check","why":"Nobody has looked for updates yet.","next":"2026-11-24T12:15:00+00:00[UTC]"}"#
        );
    }
}
