//! What holds whatever the clock does.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use proptest::prelude::*;
use wua_testkit::UpdateBuilder;
use wua_types::HResult;

use super::*;

/// One look: how far the clock moved since the one before, in seconds, and what is then so.
#[derive(Clone, Debug)]
struct Moment {
    passed: i64,
    fails: bool,
    situation: Situation,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    // Minutes and hours mostly, sometimes days or years, and back as well as forward.
    let passed = prop_oneof![
        6 => 0..7_200_i64,
        3 => -200_000..200_000_i64,
        1 => -200_000_000..200_000_000_i64,
    ];
    let situation = (0..6_u8, any::<[bool; 5]>(), 0..3_usize).prop_map(|(updates, flags, users)| {
        let update = |number| UpdateBuilder::new(&format!("package-{number}")).build();
        Situation {
            battery_percent: flags[0].then_some(50),
            is_metered: flags[1],
            busy: (flags[0] && flags[1]).then(|| "a job".into()),
            restart_pending: flags[2].then(Vec::new),
            stale_services: if flags[3] {
                vec!["ssh.service".into()]
            } else {
                vec![]
            },
            users_logged_in: users,
            unattended_upgrades: flags[3] && flags[4],
            pending: (0..updates).map(update).collect(),
            ..Situation::default()
        }
    });
    let moment = (passed, any::<bool>(), situation).prop_map(|(passed, fails, situation)| Moment {
        passed,
        fails,
        situation,
    });
    // Fewer windows than are remembered.
    prop::collection::vec(moment, 1..35)
}

fn settings(deadline_days: Option<u16>, delay: u16, restart: RestartPolicy) -> AutomaticSettings {
    AutomaticSettings {
        level: Level::Install,
        random_delay_minutes: delay,
        deadline_days,
        on_battery: true,
        services: ServicePolicy::Restart,
        restart: RestartSettings {
            policy: restart,
            ..RestartSettings::default()
        },
        ..AutomaticSettings::default()
    }
}

/// Looks at each moment, does what was decided, and shows every decision.
fn play(
    settings: &AutomaticSettings,
    zone: &str,
    moments: &[Moment],
    mut see: impl FnMut(&Zoned, &Moment, &Memory, &Decision),
) {
    let zone = TimeZone::get(zone).expect("known");
    let mut now = Timestamp::from_second(1_774_700_000).expect("in March 2026");
    let mut memory = Memory::default();
    for moment in moments {
        now = now
            .checked_add(SignedDuration::from_secs(moment.passed))
            .expect("within centuries");
        let here = now.to_zoned(zone.clone());
        memory.observe(&moment.situation, &here);
        // Acts until nothing is left to do; each is recorded, so that there is an end.
        for turn in 0.. {
            assert!(turn < 20, "{memory:#?}");
            let decision = decide(settings, &memory, &moment.situation, &here);
            see(&here, moment, &memory, &decision);
            if decision.act == Act::Nothing {
                break;
            }
            let outcome = if moment.fails {
                Outcome::Failed(HResult::E_FAIL)
            } else {
                Outcome::Succeeded
            };
            memory.record(&decision.act, outcome, &moment.situation.pending, &here);
        }
    }
}

fn any_settings() -> impl Strategy<Value = AutomaticSettings> {
    let restart = prop_oneof![
        Just(RestartPolicy::WhenNeeded),
        Just(RestartPolicy::At),
        Just(RestartPolicy::WhenNobodyIsLoggedIn)
    ];
    (prop::option::of(0..20_u16), 0..200_u16, restart)
        .prop_map(|(days, delay, restart)| settings(days, delay, restart))
}

fn any_zone() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Pacific/Apia")
    ]
}

proptest! {
    #[test]
    fn every_decision_asks_again_later_and_says_why(settings in any_settings(), zone in any_zone(), moments in moments()) {
        play(&settings, zone, &moments, |now, _, _, decision| {
            assert!(decision.next.as_ref().is_some_and(|next| next > now), "{decision:?}");
            assert!(decision.why.ends_with('.'), "{decision:?}");
        });
    }

    #[test]
    fn nothing_is_installed_outside_a_window_but_past_its_deadline(settings in any_settings(), moments in moments()) {
        play(&settings, "UTC", &moments, |now, moment, memory, decision| {
            let Act::Install { updates, occasion, .. } = &decision.act else { return };
            assert!(!moment.situation.unattended_upgrades && moment.situation.busy.is_none());
            // Counted here by hand: in UTC the default window is the hours 3 and 4.
            let is_in_window = (3..5).contains(&now.hour());
            let is_overdue = |update| {
                let age = now.timestamp().duration_since(memory.offer(update).expect("observed").first_seen);
                settings.deadline_days.is_some_and(|days| age >= SignedDuration::from_hours(24 * i64::from(days)))
            };
            let are_overdue = updates.iter().all(|update| is_overdue(*update));
            assert!(if *occasion == Occasion::Deadline { are_overdue } else { is_in_window }, "{now} {decision:?}");
        });
    }

    #[test]
    fn a_window_is_completed_once_and_restarts_once(settings in any_settings(), zone in any_zone(), moments in moments()) {
        let (mut completed, mut restarted) = (BTreeSet::new(), None);
        play(&settings, zone, &moments, |_, moment, _, decision| match &decision.act {
            Act::Install { window, occasion, .. } if *occasion != Occasion::Deadline && !moment.fails => {
                assert!(completed.insert(*window), "{decision:?}");
            }
            Act::Restart { window, .. } => {
                assert_ne!(restarted.replace(*window), Some(*window));
            }
            _ => {}
        });
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_are_survived() {
    let extremes = [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH];
    for (now, last) in extremes
        .iter()
        .flat_map(|now| extremes.iter().map(move |last| (*now, *last)))
    {
        let situation = Situation {
            pending: vec![UpdateBuilder::new("curl").build()],
            restart_pending: Some(vec![]),
            booted: last,
            ..Situation::default()
        };
        let attempts = Attempts {
            count: u32::MAX,
            last,
            result: HResult::E_FAIL,
        };
        let mut memory = Memory {
            last_check: Some(last),
            failed_checks: Some(attempts.clone()),
            downloads: Some(attempts),
            restarts_in_a_row: u32::MAX,
            ..Memory::default()
        };
        let now = now.to_zoned(TimeZone::UTC);
        memory.observe(&situation, &now);
        for policy in [RestartPolicy::WhenNeeded, RestartPolicy::At] {
            let decision = decide(&settings(Some(365), 0, policy), &memory, &situation, &now);
            assert!(decision.next.is_none_or(|next| next > now));
        }
    }
}
