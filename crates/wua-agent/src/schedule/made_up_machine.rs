//! The machine that a simulation plays on: a clock that is moved by hand, updates that are published and installed, restarts.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use wua_types::{InstallationRebootBehavior, Update, UpdateIdentity};

use super::decide::{Act, Decision, decide};
use super::look::count;
use super::memory::{Memory, Outcome};
use super::settings::AutomaticSettings;
use super::simulate::{Happening, Script, SimulatedEvent};
use super::situation::Situation;

/// How long every act takes, and every restart.
const ACT: SignedDuration = SignedDuration::from_mins(3);

/// The machine, and what was told of it.
pub(super) struct Machine {
    start: Timestamp,
    zone: TimeZone,
    /// How long it was played, in real time.
    pub(super) elapsed: SignedDuration,
    /// How far the clock is ahead of real time.
    ahead: SignedDuration,
    asleep_until: SignedDuration,
    situation: Situation,
    memory: Memory,
    /// What is published; the situation shows what of it was found.
    offered: Vec<Update>,
    failing: Vec<(Act, usize, Outcome)>,
    /// When it goes down, by its clock.
    restart_at: Option<Timestamp>,
    restarts_needed: usize,
    pub(super) events: Vec<SimulatedEvent>,
    last_wait: String,
}

impl Machine {
    pub(super) fn new(script: &Script) -> Self {
        let mut situation = script.situation.clone();
        Self {
            start: script.start.timestamp(),
            zone: script.start.time_zone().clone(),
            elapsed: SignedDuration::ZERO,
            ahead: SignedDuration::ZERO,
            asleep_until: SignedDuration::ZERO,
            offered: std::mem::take(&mut situation.pending),
            restarts_needed: situation.restart_pending.iter().len(),
            situation,
            memory: Memory::default(),
            failing: Vec::new(),
            restart_at: None,
            events: Vec::new(),
            last_wait: String::new(),
        }
    }

    /// The time by the machine's clock. A script that leaves the calendar stands still at its end.
    fn now(&self) -> Zoned {
        let time = self
            .start
            .checked_add(self.elapsed)
            .and_then(|time| time.checked_add(self.ahead));
        time.unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone())
    }

    /// When the machine's clock will say `time`, if nobody moves it.
    fn elapsed_at(&self, time: Timestamp) -> SignedDuration {
        self.elapsed
            .saturating_add(time.duration_since(self.now().timestamp()))
    }

    /// Lets the machine do one thing, and gives the time of its next, if it knows one.
    pub(super) fn turn(&mut self, settings: &AutomaticSettings) -> Option<SignedDuration> {
        if self.asleep_until > self.elapsed {
            return Some(self.asleep_until);
        }
        if let Some(at) = self.restart_at
            && self.elapsed_at(at) <= self.elapsed
        {
            self.restart_at = None;
            return Some(self.restart());
        }
        let now = self.now();
        self.memory.observe(&self.situation, &now);
        let Decision { act, why, next } = decide(settings, &self.memory, &self.situation, &now);
        if act == Act::Nothing {
            if why != self.last_wait {
                self.tell(act.to_string(), &why);
                self.last_wait = why;
            }
            let next = next.map(|next| next.timestamp());
            return next
                .into_iter()
                .chain(self.restart_at)
                .min()
                .map(|time| self.elapsed_at(time));
        }
        let outcome = self.outcome(&act);
        self.tell(format!("{}{}", self.named(&act), ending(outcome)), &why);
        if outcome == Outcome::Succeeded {
            self.carry_out(&act);
        }
        self.elapsed += ACT;
        self.memory
            .record(&act, outcome, &self.situation.pending, &self.now());
        Some(self.elapsed)
    }

    fn tell(&mut self, what: String, why: &str) {
        let at = self.now();
        self.events.push(SimulatedEvent {
            at,
            what,
            why: why.into(),
        });
    }

    fn outcome(&mut self, act: &Act) -> Outcome {
        let kind = std::mem::discriminant(act);
        let failing = self
            .failing
            .iter_mut()
            .find(|(kind_of, times, _)| *times > 0 && std::mem::discriminant(kind_of) == kind);
        failing.map_or(Outcome::Succeeded, |(_, times, outcome)| {
            *times -= 1;
            *outcome
        })
    }

    fn carry_out(&mut self, act: &Act) {
        match act {
            Act::Nothing | Act::Tell(_) => {}
            Act::Check => self.situation.pending.clone_from(&self.offered),
            Act::Download(updates) => {
                let all = self.offered.iter_mut().chain(&mut self.situation.pending);
                all.filter(|update| updates.contains(&update.identity))
                    .for_each(|update| update.is_downloaded = true);
            }
            Act::Install { updates, .. } => self.install(updates),
            Act::Restart { at, .. } => self.restart_at = Some(at.timestamp()),
            Act::RestartServices { services, .. } => {
                self.situation
                    .stale_services
                    .retain(|service| !services.contains(service));
            }
        }
    }

    fn install(&mut self, updates: &[UpdateIdentity]) {
        let wants_restart = |update: &&Update| {
            let behavior = update
                .installation_behavior
                .map(|behavior| behavior.reboot_behavior);
            behavior == Some(InstallationRebootBehavior::AlwaysRequiresReboot)
        };
        let installed = self
            .situation
            .pending
            .extract_if(.., |update| updates.contains(&update.identity));
        let installed: Vec<_> = installed.collect();
        let packages: Vec<_> = installed
            .iter()
            .filter(wants_restart)
            .map(|update| update.title.clone())
            .collect();
        if !packages.is_empty() {
            self.situation.restart_pending = Some(packages);
            self.restarts_needed = 1;
        }
        self.offered.retain(|update| !updates.contains(&update.identity));
    }

    /// Restarts, and gives the time when the machine is there again.
    fn restart(&mut self) -> SignedDuration {
        self.tell("restart".into(), "It was ordered.");
        self.elapsed += ACT;
        self.situation.booted = self.now().timestamp();
        self.restarts_needed = self.restarts_needed.saturating_sub(1);
        if self.restarts_needed == 0 {
            self.situation.restart_pending = None;
        }
        self.elapsed
    }

    pub(super) fn happens(&mut self, happening: Happening) {
        let what = self.takes_in(happening);
        self.tell(what, "So says the script.");
    }

    /// Changes the machine, and says what happened.
    fn takes_in(&mut self, happening: Happening) -> String {
        match happening {
            Happening::Offered(update) => {
                let what = format!("{} is published", update.title);
                self.offered.retain(|before| before.id() != update.id());
                self.offered.push(*update);
                what
            }
            Happening::Fails { kind, times, outcome } => {
                self.failing.push((kind, times, outcome));
                format!("{} to fail", count(times, "act"))
            }
            Happening::Sleeps(duration) => {
                self.asleep_until = self.elapsed + duration;
                format!("the machine sleeps for {duration:#}")
            }
            Happening::ClockMoves(by) => {
                self.ahead += by;
                // The kernel counts it back from now.
                self.situation.booted = self.situation.booted.checked_add(by).unwrap_or(Timestamp::MIN);
                {
                    let direction = if by.is_negative() { "back" } else { "forward" };
                    format!("the clock is put {direction} by {:#}", by.abs())
                }
            }
            Happening::ZoneBecomes(zone) => {
                let what = format!("the time zone becomes {}", zone.iana_name().unwrap_or("another"));
                self.zone = zone;
                what
            }
            Happening::RestartNeeded { packages, restarts } => {
                let what = format!("a restart is needed by {}", packages.join(", "));
                self.situation.restart_pending = Some(packages);
                self.restarts_needed = restarts;
                what
            }
            Happening::Battery(percent) => {
                self.situation.battery_percent = percent;
                percent.map_or("the machine is on mains".into(), |percent| {
                    format!("the machine is on battery ({percent} %)")
                })
            }
            Happening::Metered(is_metered) => {
                self.situation.is_metered = is_metered;
                format!(
                    "the network is {}",
                    if is_metered { "paid by use" } else { "free" }
                )
            }
            Happening::Busy(busy) => {
                let what = busy.as_ref().map_or("the machine is free".into(), |busy| {
                    format!("the machine is busy with {busy}")
                });
                self.situation.busy = busy;
                what
            }
            Happening::UsersLoggedIn(users) => {
                self.situation.users_logged_in = users;
                format!("{} logged in", count(users, "user"))
            }
            Happening::UnattendedUpgrades(is_active) => {
                self.situation.unattended_upgrades = is_active;
                format!("unattended-upgrades is {}", if is_active { "on" } else { "off" })
            }
            Happening::StaleServices(services) => {
                let what = format!("{} with replaced files", count(services.len(), "service"));
                self.situation.stale_services = services;
                what
            }
        }
    }

    /// The act with its updates by name.
    fn named(&self, act: &Act) -> String {
        let (verb, updates) = match act {
            Act::Tell(updates) => ("tell of", updates),
            Act::Download(updates) => ("download", updates),
            Act::Install { updates, .. } => ("install", updates),
            other => return other.to_string(),
        };
        let pending = self
            .situation
            .pending
            .iter()
            .filter(|update| updates.contains(&update.identity));
        let titles: Vec<_> = pending.map(|update| update.title.as_str()).collect();
        format!("{verb} {}", titles.join(", "))
    }
}

/// What is said after an act that did not go well.
fn ending(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeded => String::new(),
        Outcome::Failed(code) => format!(": failed with {code}"),
        Outcome::Undone(code) => format!(": undone with {code}"),
    }
}
