//! Whether to restart the machine or its services now.
//!
//! A restart is ordered with notice, at most once for each window or time of day, and no more after some that did not help.

use jiff::{SignedDuration, Timestamp};

use super::attempts::later;
use super::decide::Act;
use super::look::{LOOK_AGAIN, Look, Step, count};
use super::settings::{Level, RestartPolicy, ServicePolicy};
use super::window::{Window, WindowId, openings};

/// For how long after its time of day a restart may still be ordered: the machine may have been busy, or asleep for a moment.
const GRACE_MINUTES: u32 = 15;
/// For how long after its time an ordered restart is believed in. After that, somebody has called it off.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// The services that sessions, logins and other services hang on: they go on as they are until the machine is restarted.
const HUNG_ON: [&str; 10] = [
    "console-getty.service",
    "dbus-broker.service",
    "dbus.service",
    "display-manager.service",
    "gdm.service",
    "gdm3.service",
    "lightdm.service",
    "lxdm.service",
    "sddm.service",
    "systemd-logind.service",
];

/// And those of which there is one for each terminal.
const HUNG_ON_EACH: [&str; 2] = ["getty@", "serial-getty@"];

/// When the ordered restart is, and when to stop waiting for it; none where none is to come.
pub(super) fn is_ordered_until(look: &Look<'_>) -> Option<(Timestamp, Timestamp)> {
    let order = look
        .memory
        .restart_order
        .as_ref()
        .filter(|order| !order.took_place)?;
    let over = later(order.at, BELIEVED);
    // An order from the future was given before the clock was set back, perhaps by years.
    let is_credible = later(look.now, BELIEVED) >= order.ordered && look.now < over;
    is_credible.then_some((order.at, over))
}

/// A time in which a restart may be ordered.
struct Chance {
    window: WindowId,
    from: Timestamp,
    to: Timestamp,
    /// When the machine would go down if it were ordered now.
    at: Timestamp,
}

/// Whether to restart the machine.
pub(super) fn restart(look: &Look<'_>) -> Step {
    let Some(packages) = &look.situation.restart_pending else {
        return Step::Pass;
    };
    let settings = &look.settings.restart;
    let since = look.memory.restart_pending_since.unwrap_or(look.now);
    let by = if packages.is_empty() {
        String::new()
    } else {
        format!(" by {}", packages.join(", "))
    };
    let needed = format!("A restart is needed{by} since {}", look.told(since));
    if look.level < Level::Install || settings.policy == RestartPolicy::Never {
        return Step::Wait(None, format!("{needed}, and waits for a person."));
    }
    if look.memory.restarts_in_a_row >= settings.most_in_a_row.into() {
        let times = count(usize::from(settings.most_in_a_row), "restart");
        return Step::Wait(
            None,
            format!("{needed}, and {times} did not help, so it waits for a person."),
        );
    }
    let was_ordered = |chance: &Chance| {
        let order = look.memory.restart_order.as_ref();
        order.is_some_and(|order| order.window == chance.window)
    };
    let mut chances = chances(look);
    chances.retain(|chance| look.now < chance.to && !was_ordered(chance));
    let Some(chance) = chances.into_iter().min_by_key(|chance| chance.from) else {
        return Step::Wait(None, format!("{needed}, and waits for a window."));
    };
    if chance.from > look.now {
        let from = look.told(chance.from);
        return Step::Wait(
            Some(chance.from),
            format!("{needed}, and will be ordered on {from}."),
        );
    }
    let users = look.situation.users_logged_in;
    if settings.policy == RestartPolicy::WhenNobodyIsLoggedIn && users > 0 {
        let why = format!("{needed}, and waits for {} to log out.", count(users, "user"));
        return Step::Wait(Some(later(look.now, LOOK_AGAIN)), why);
    }
    let act = Act::Restart {
        at: look.in_zone(chance.at),
        notice_minutes: whole_minutes(chance.at.duration_since(look.now)),
        window: chance.window,
    };
    Step::Act(act, format!("{needed}."))
}

/// The chances around now.
fn chances(look: &Look<'_>) -> Vec<Chance> {
    let settings = &look.settings.restart;
    let notice = SignedDuration::from_mins(settings.notice_minutes.into());
    let announced = later(look.now, notice);
    match settings.policy {
        RestartPolicy::Never => Vec::new(),
        RestartPolicy::WhenNeeded | RestartPolicy::WhenNobodyIsLoggedIn => look
            .openings
            .iter()
            .map(|opening| Chance {
                window: opening.id,
                from: opening.begin,
                to: opening.end,
                at: announced,
            })
            .collect(),
        RestartPolicy::At => {
            let daily = Window {
                days: Vec::new(),
                start: settings.at,
                length_minutes: GRACE_MINUTES,
            };
            openings(&[daily], 0, 0, &look.in_zone(look.now))
                .into_iter()
                .map(|opening| Chance {
                    window: opening.id,
                    from: later(opening.start, -notice),
                    to: opening.end,
                    at: opening.start.max(announced),
                })
                .collect()
        }
    }
}

fn whole_minutes(duration: SignedDuration) -> u16 {
    u16::try_from(duration.as_mins()).unwrap_or_default()
}

/// Whether to restart services.
pub(super) fn restart_services(look: &Look<'_>) -> Step {
    let stale = look.situation.stale_services.iter();
    let services: Vec<String> = stale.filter(|service| may_restart(service)).cloned().collect();
    let is_wished = look.settings.services == ServicePolicy::Restart && look.level == Level::Install;
    if !is_wished || services.is_empty() {
        return Step::Pass;
    }
    let number = count(services.len(), "service");
    let was_done = |window| look.memory.services_restarted == Some(window);
    match look.open() {
        Some(opening) if !was_done(opening.id) => {
            let act = Act::RestartServices {
                services,
                window: opening.id,
            };
            Step::Act(act, format!("Replaced files are still used by {number}."))
        }
        _ => {
            let next = look.next_begin();
            let when = next.map_or_else(String::new, |next| format!(" on {}", look.told(next)));
            Step::Wait(
                next,
                format!(
                    "Replaced files are still used by {number}, to be restarted in the next window{when}."
                ),
            )
        }
    }
}

/// Whether a service can be restarted while the machine is used.
fn may_restart(service: &str) -> bool {
    !HUNG_ON.contains(&service) && !HUNG_ON_EACH.iter().any(|of_each| service.starts_with(of_each))
}

#[cfg(test)]
mod tests {
    use jiff::Zoned;

    use crate::schedule::*;

    /// What is decided at `now` about a restart that was ordered on Tuesday at 03:00 for 03:10, in a daily window of two hours.
    fn check(now: &str, took_place: bool, expected: &str) {
        let time = |text: &str| -> Zoned { text.parse().expect("a time") };
        let settings: AutomaticSettings = toml::from_str(
            "level = 'install'\ncheck_hours = 168\nrandom_delay_minutes = 0\nrestart = { policy = 'when_needed' }",
        )
        .expect("settings");
        let memory = Memory {
            last_check: Some(time("2026-11-24T02:00[UTC]").timestamp()),
            restart_pending_since: Some(time("2026-11-24T02:00[UTC]").timestamp()),
            restart_order: Some(RestartOrder {
                window: WindowId {
                    date: "2026-11-24".parse().expect("a date"),
                    start: "03:00".parse().expect("a time of day"),
                },
                ordered: time("2026-11-24T03:00[UTC]").timestamp(),
                at: time("2026-11-24T03:10[UTC]").timestamp(),
                took_place,
            }),
            ..Memory::default()
        };
        let situation = Situation {
            restart_pending: Some(vec!["linux".into()]),
            ..Situation::default()
        };
        let decision = decide(&settings, &memory, &situation, &time(now));
        assert_eq!(decision.why, expected, "{:?}", decision.act);
    }

    const NEEDED: &str = "A restart is needed by linux since Tue 2026-11-24 02:00";

    #[test]
    fn an_ordered_restart_is_waited_for() {
        let ordered = "The machine is to restart on Tue 2026-11-24 03:10.";
        check("2026-11-24T03:05[UTC]", false, ordered);
        check("2026-11-24T02:58[UTC]", false, ordered);
        check("2026-11-24T03:14[UTC]", false, ordered);
    }

    #[test]
    fn a_restart_that_somebody_called_off_is_ordered_in_the_next_window() {
        let tomorrow = format!("{NEEDED}, and will be ordered on Wed 2026-11-25 03:00.");
        check("2026-11-24T03:15[UTC]", false, &tomorrow);
        check("2026-11-24T03:15[UTC]", true, &tomorrow);
        check("2026-11-25T03:00[UTC]", false, &format!("{NEEDED}."));
    }

    #[test]
    fn an_order_from_the_future_is_not_believed() {
        // The clock was set back by years. It is not waited for; the last look, from the future too, comes first.
        check(
            "2020-11-23T12:00[UTC]",
            false,
            "The last look was on Tue 2026-11-24 02:00.",
        );
    }

    #[test]
    fn services_that_sessions_hang_on_are_left() {
        let settings = AutomaticSettings {
            level: Level::Install,
            services: ServicePolicy::Restart,
            random_delay_minutes: 0,
            ..AutomaticSettings::default()
        };
        let now: Zoned = "2026-11-24T03:30[UTC]".parse().expect("a time");
        let memory = Memory {
            last_check: Some(now.timestamp()),
            ..Memory::default()
        };
        let decided = |stale: &[&str]| {
            let situation = Situation {
                stale_services: stale.iter().map(|service| (*service).to_owned()).collect(),
                ..Situation::default()
            };
            decide(&settings, &memory, &situation, &now).act
        };
        assert_eq!(
            decided(&["dbus.service", "getty@tty1.service", "systemd-logind.service"]),
            Act::Nothing
        );
        let Act::RestartServices { services, .. } = decided(&["dbus.service", "nginx.service"]) else {
            panic!("nothing is restarted");
        };
        assert_eq!(services, ["nginx.service"]);
    }
}
