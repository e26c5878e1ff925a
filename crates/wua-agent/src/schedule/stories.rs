//! Stories of machines over days, played by the simulator.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _, Zoned};
use wua_testkit::UpdateBuilder;
use wua_types::{HResult, InstallationBehavior, InstallationRebootBehavior, Update};

use super::*;

const INSTALL: &str = "level = 'install'\nrandom_delay_minutes = 0\n";

struct Story {
    script: Script,
}

/// A story that begins at `start` with settings from TOML, after [`INSTALL`].
fn story(start: &str, settings: &str) -> Story {
    Story {
        script: Script {
            start: start.parse().expect("a time"),
            days: 4,
            settings: toml::from_str(&format!("{INSTALL}{settings}")).expect("settings"),
            situation: Situation::default(),
            happenings: Vec::new(),
        },
    }
}

impl Story {
    /// Lets something happen so many hours after the beginning.
    fn hour(mut self, hour: f64, happening: Happening) -> Self {
        self.script
            .happenings
            .push((SignedDuration::from_secs_f64(hour * 3600.0), happening));
        self
    }

    /// Has `curl 2` on offer from the beginning.
    fn with_curl(self) -> Self {
        self.hour(0.0, offered(curl()))
    }

    fn days(mut self, days: u16) -> Self {
        self.script.days = days;
        self
    }

    /// Plays it. What was done must be what is expected, looks, waits and the script's own happenings apart.
    fn does(&self, expected: &[&str]) {
        let done: Vec<_> = self
            .events()
            .iter()
            .filter(|event| is_act(event))
            .map(line)
            .collect();
        assert_eq!(
            done,
            expected,
            "{:#?}",
            self.events().iter().map(line).collect::<Vec<_>>()
        );
    }

    /// Plays it. One of the reasons must be this.
    fn says(&self, expected: &str) {
        let events = self.events();
        let reasons: Vec<_> = events.iter().map(|event| event.why.as_str()).collect();
        assert!(reasons.contains(&expected), "{reasons:#?}");
    }

    fn events(&self) -> Vec<SimulatedEvent> {
        simulate(&self.script)
    }
}

fn is_act(event: &SimulatedEvent) -> bool {
    event.why != "So says the script." && event.what != "wait" && !event.what.starts_with("look")
}

fn line(event: &SimulatedEvent) -> String {
    format!("{} {}", event.at.strftime("%a %H:%M"), event.what)
}

fn curl() -> Update {
    UpdateBuilder::new("curl").build()
}

fn kernel() -> Update {
    Update {
        installation_behavior: Some(InstallationBehavior::quiet(
            InstallationRebootBehavior::AlwaysRequiresReboot,
        )),
        ..UpdateBuilder::new("linux").build()
    }
}

fn offered(update: Update) -> Happening {
    Happening::Offered(Box::new(update))
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Installations that fail so many times.
fn failing(times: usize, outcome: Outcome) -> Happening {
    let kind = Act::Install {
        updates: vec![],
        window: None,
        occasion: Occasion::Window,
    };
    Happening::Fails { kind, times, outcome }
}

const FAILED: Outcome = Outcome::Failed(HResult::WU_E_UH_INSTALLERFAILURE);
/// A Monday at noon.
const MONDAY: &str = "2026-11-23T12:00[UTC]";

#[test]
fn an_update_is_downloaded_at_once_and_installed_in_the_next_window() {
    let story = story(MONDAY, "").with_curl();
    story.does(&["Mon 12:03 download curl 2", "Tue 03:00 install curl 2"]);
    story.says("1 update waits for the window on Tue 2026-11-24 03:00.");
    story.says("A window is open for 1 update.");
}

#[test]
fn each_level_goes_one_step_further() {
    let at_level = |level| {
        let mut story = story(MONDAY, "").with_curl();
        story.script.settings.level = level;
        story
    };
    at_level(Level::Off).does(&[]);
    at_level(Level::Tell).does(&["Mon 12:03 tell of curl 2"]);
    at_level(Level::Download).does(&["Mon 12:03 tell of curl 2", "Mon 12:06 download curl 2"]);
    at_level(Level::Off).says("Automatic updates are off.");
}

#[test]
fn while_it_is_paused_nothing_is_done_and_then_all_of_it() {
    let story = story(MONDAY, "paused_until = '2026-11-23T21:00:00+01:00'").with_curl();
    story.does(&["Mon 20:03 download curl 2", "Tue 03:00 install curl 2"]);
    story.says("Automatic updates are paused until Mon 2026-11-23 20:00.");
}

#[test]
fn what_waits_for_a_person_is_told_once() {
    story(MONDAY, "exclude = [{ name = 'curl' }]")
        .with_curl()
        .does(&["Mon 12:03 tell of curl 2"]);
}

#[test]
fn what_comes_after_a_completed_window_waits_for_the_next() {
    let story = story(MONDAY, "check_hours = 1").with_curl();
    story.hour(15.2, offered(kernel())).does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2",
        "Tue 03:48 download linux 2",
        "Wed 03:00 install linux 2",
    ]);
}

#[test]
fn only_the_days_of_a_window_count() {
    story(MONDAY, "windows = [{ days = ['wed', 'sun'], start = '22:15' }]")
        .with_curl()
        .does(&["Mon 12:03 download curl 2", "Wed 22:15 install curl 2"]);
}

#[test]
fn a_window_that_was_slept_through_is_made_up_in_the_next() {
    let story = story(MONDAY, "")
        .with_curl()
        .hour(1.0, Happening::Sleeps(hours(20)));
    story.does(&["Mon 12:03 download curl 2", "Wed 03:00 install curl 2"]);
    story.says("This window makes up for that of Tue 2026-11-24 03:00, which passed without 1 update.");
}

#[test]
fn a_machine_that_sleeps_over_two_windows_makes_up_for_them_once() {
    let story = story(MONDAY, "")
        .with_curl()
        .hour(1.0, Happening::Sleeps(hours(48)))
        .days(7);
    story.does(&["Mon 12:03 download curl 2", "Thu 03:00 install curl 2"]);
}

#[test]
fn a_machine_that_wakes_up_in_a_window_uses_it() {
    let story = story(MONDAY, "")
        .with_curl()
        .hour(1.0, Happening::Sleeps(hours(15)));
    story.does(&["Mon 12:03 download curl 2", "Tue 04:03 install curl 2"]);
}

#[test]
fn past_its_deadline_an_update_does_not_wait_for_a_window() {
    let story = story(MONDAY, "deadline_days = 1")
        .with_curl()
        .hour(1.0, Happening::Sleeps(hours(30)));
    story.does(&["Mon 12:03 download curl 2", "Tue 19:03 install curl 2"]);
    story.says("No window is waited for, because the deadline of 1 update is over.");
}

#[test]
fn a_deadline_before_the_window_is_waited_for() {
    let story = story(MONDAY, "deadline_days = 1\nwindows = [{ days = ['sat'] }]").with_curl();
    story.says("1 update waits for the deadline on Tue 2026-11-24 12:03.");
    story.does(&["Mon 12:03 download curl 2", "Tue 12:03 install curl 2"]);
}

#[test]
fn what_fails_past_its_deadline_is_not_tried_all_day() {
    let story = story(MONDAY, "deadline_days = 0")
        .with_curl()
        .hour(0.0, failing(100, FAILED))
        .days(1);
    story.does(&[
        "Mon 12:03 install curl 2: failed with 0x8024200B",
        "Mon 12:06 download curl 2",
        "Mon 12:36 install curl 2: failed with 0x8024200B",
        "Mon 13:09 install curl 2: failed with 0x8024200B",
        "Mon 13:42 install curl 2: failed with 0x8024200B",
        "Tue 03:00 install curl 2: failed with 0x8024200B",
        "Tue 03:33 install curl 2: failed with 0x8024200B",
        "Tue 04:06 install curl 2: failed with 0x8024200B",
        "Tue 04:39 install curl 2: failed with 0x8024200B",
    ]);
}

#[test]
fn a_failure_is_tried_again_in_the_same_window() {
    let story = story(MONDAY, "").with_curl().hour(0.0, failing(2, FAILED));
    story.does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2: failed with 0x8024200B",
        "Tue 03:33 install curl 2: failed with 0x8024200B",
        "Tue 04:06 install curl 2",
    ]);
    story.says("The installation failed with 0x8024200B; it is tried again on Tue 2026-11-24 03:33.");
}

#[test]
fn after_its_retries_a_failure_waits_for_the_next_window() {
    let story = story(MONDAY, "retries = 1")
        .with_curl()
        .hour(0.0, failing(2, FAILED));
    story.does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2: failed with 0x8024200B",
        "Tue 03:33 install curl 2: failed with 0x8024200B",
        "Wed 03:00 install curl 2",
    ]);
    story.says(
        "The installation failed 2 times, the last time with 0x8024200B. \
         1 update waits for the window on Wed 2026-11-25 03:00.",
    );
}

#[test]
fn an_update_that_made_the_machine_unwell_is_left_to_a_person() {
    let undone = Outcome::Undone(HResult::E_FAIL);
    let story = story(MONDAY, "").with_curl().hour(0.0, failing(1, undone));
    let next_revision = |mut update: Update| {
        update.identity.revision_number += 1;
        update.title = "curl 3".into();
        update
    };
    story.hour(40.0, offered(next_revision(curl()))).does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2: undone with 0x80004005",
        "Tue 03:03 tell of curl 2",
        "Wed 12:15 download curl 3",
        "Thu 03:00 install curl 3",
    ]);
}

#[test]
fn a_hold_that_expires_lets_the_update_go() {
    let story = story(MONDAY, "holds = [{ name = 'curl', until = '2026-11-26' }]").with_curl();
    story.does(&["Thu 00:18 download curl 2", "Thu 03:00 install curl 2"]);
}

#[test]
fn on_battery_nothing_is_done() {
    let story = story(MONDAY, "")
        .with_curl()
        .hour(1.0, Happening::Battery(Some(80)));
    let story = story.hour(42.0, Happening::Battery(None));
    story.does(&["Mon 12:03 download curl 2", "Thu 03:00 install curl 2"]);
    story.says("The machine runs on battery (80 %), on which nothing is done.");
}

#[test]
fn on_a_metered_network_only_what_is_downloaded_is_installed() {
    let story = story(MONDAY, "check_hours = 1")
        .with_curl()
        .hour(1.0, Happening::Metered(true));
    let story = story
        .hour(1.1, offered(kernel()))
        .hour(40.0, Happening::Metered(false));
    story.does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2",
        "Wed 04:03 install linux 2",
    ]);
}

#[test]
fn beside_unattended_upgrades_wua_only_tells() {
    let story = story(MONDAY, "deadline_days = 0")
        .hour(0.0, Happening::UnattendedUpgrades(true))
        .with_curl();
    story.does(&["Mon 12:03 tell of curl 2"]);
    story.says(
        "unattended-upgrades is active on this machine, so wua downloads and installs nothing by itself.",
    );
}

#[test]
fn in_spring_a_window_in_the_gap_is_used_once() {
    let windows = "windows = [{ start = '02:30', length_minutes = 60 }]";
    let story = story("2026-03-28T12:00[Europe/Berlin]", windows)
        .with_curl()
        .hour(14.7, offered(kernel()));
    story.does(&[
        "Sat 12:03 download curl 2",
        "Sun 03:30 install curl 2",
        "Sun 13:09 download linux 2",
        "Mon 02:30 install linux 2",
    ]);
}

#[test]
fn in_autumn_a_window_in_the_fold_is_used_once() {
    for (start, window) in [
        ("2026-10-24T12:00[Europe/Berlin]", "02:30"),
        ("2026-10-31T12:00[America/New_York]", "01:30"),
        ("2026-04-04T12:00[Australia/Lord_Howe]", "01:45"),
    ] {
        let windows = format!("check_hours = 1\nwindows = [{{ start = '{window}', length_minutes = 30 }}]");
        // The second update is known when the hour comes again.
        let mut story = story(start, &windows).with_curl();
        story = story.hour(13.8, offered(kernel())).days(3);
        let events = story.events();
        let installed: Vec<_> = events
            .iter()
            .filter(|event| event.what.starts_with("install"))
            .map(line)
            .collect();
        assert_eq!(
            installed,
            [
                format!("Sun {window} install curl 2"),
                format!("Mon {window} install linux 2")
            ]
        );
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_repeat_a_window() {
    let story = story(MONDAY, "")
        .with_curl()
        .hour(15.5, Happening::ClockMoves(hours(-3)));
    let story = story.hour(15.6, offered(kernel()));
    // 03:00 comes again on Tuesday, and is over.
    story.does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2",
        "Tue 12:09 download linux 2",
        "Wed 03:00 install linux 2",
    ]);
}

#[test]
fn a_clock_that_was_years_ahead_does_not_stall_anything() {
    let years = hours(24 * 365 * 4);
    let mut story = story(MONDAY, "").with_curl();
    story = story
        .hour(1.0, Happening::ClockMoves(years))
        .hour(20.0, offered(kernel()));
    // Everything that is remembered is now years ahead: the last look, what was seen first, the completed windows.
    story = story
        .hour(39.5, Happening::ClockMoves(-years))
        .hour(40.0, offered(UpdateBuilder::new("vim").build()));
    story.does(&[
        "Mon 12:03 download curl 2",
        "Sat 03:00 install curl 2",
        "Sat 13:09 download linux 2",
        "Sun 03:00 install linux 2",
        "Wed 15:36 download vim 2",
        "Thu 03:00 install vim 2",
    ]);
}

#[test]
fn a_machine_that_travels_has_one_window_a_day() {
    let new_york = TimeZone::get("America/New_York").expect("known");
    let story = story("2026-11-23T12:00[Europe/Berlin]", "check_hours = 1").with_curl();
    let story = story
        .hour(15.5, Happening::ZoneBecomes(new_york))
        .hour(15.6, offered(kernel()));
    story.does(&[
        "Mon 12:03 download curl 2",
        "Tue 03:00 install curl 2",
        "Mon 21:48 download linux 2",
        "Wed 03:00 install linux 2",
    ]);
}

#[test]
fn a_needed_restart_comes_in_the_window_with_notice() {
    let story = story(MONDAY, "[restart]\npolicy = 'when_needed'").hour(0.0, offered(kernel()));
    story.does(&[
        "Mon 12:03 download linux 2",
        "Tue 03:00 install linux 2",
        "Tue 03:03 restart at 03:13",
        "Tue 03:13 restart",
    ]);
}

#[test]
fn by_default_a_restart_waits_for_a_person() {
    let story = story(MONDAY, "").hour(0.0, offered(kernel()));
    story.does(&["Mon 12:03 download linux 2", "Tue 03:00 install linux 2"]);
    story.says("A restart is needed by linux 2 since Tue 2026-11-24 03:03, and waits for a person.");
}

#[test]
fn a_restart_at_a_time_of_day_is_announced_before_it() {
    let story = story(
        MONDAY,
        "[restart]\npolicy = 'at'\nat = '06:00'\nnotice_minutes = 30",
    )
    .hour(0.0, offered(kernel()));
    story.does(&[
        "Mon 12:03 download linux 2",
        "Tue 03:00 install linux 2",
        "Tue 05:30 restart at 06:00",
        "Tue 06:00 restart",
    ]);
}

#[test]
fn a_restart_waits_until_nobody_is_logged_in() {
    let story = story(MONDAY, "[restart]\npolicy = 'when_nobody_is_logged_in'").hour(0.0, offered(kernel()));
    let story = story
        .hour(1.0, Happening::UsersLoggedIn(2))
        .hour(16.0, Happening::UsersLoggedIn(0));
    story.does(&[
        "Mon 12:03 download linux 2",
        "Tue 03:00 install linux 2",
        "Tue 04:00 restart at 04:10",
        "Tue 04:10 restart",
    ]);
}

#[test]
fn restarts_that_do_not_help_come_to_an_end() {
    let needed = Happening::RestartNeeded {
        packages: vec!["linux".into()],
        restarts: 100,
    };
    let story = story(MONDAY, "[restart]\npolicy = 'when_needed'\nmost_in_a_row = 2").hour(0.0, needed);
    story.does(&[
        "Tue 03:00 restart at 03:10",
        "Tue 03:10 restart",
        "Wed 03:00 restart at 03:10",
        "Wed 03:10 restart",
    ]);
    story.says(
        "A restart is needed by linux since Mon 2026-11-23 12:00, and 2 restarts did not help, so it waits for a person.",
    );
}

#[test]
fn nothing_begins_while_a_job_runs() {
    let story = story(MONDAY, "[restart]\npolicy = 'when_needed'").hour(0.0, offered(kernel()));
    let story = story
        .hour(15.01, Happening::Busy(Some("a job of wua".into())))
        .hour(16.0, Happening::Busy(None));
    story.does(&[
        "Mon 12:03 download linux 2",
        "Tue 03:00 install linux 2",
        "Tue 04:00 restart at 04:10",
        "Tue 04:10 restart",
    ]);
    story.says("It is waiting for a job of wua to end.");
}

#[test]
fn services_are_restarted_in_a_window_by_policy_only() {
    let services = Happening::StaleServices(vec!["ssh.service".into()]);
    story(MONDAY, "").hour(0.0, services.clone()).does(&[]);
    story(MONDAY, "services = 'restart'")
        .hour(0.0, services)
        .does(&["Tue 03:00 restart ssh.service"]);
}

#[test]
fn an_exclusive_update_goes_alone() {
    let exclusive = UpdateBuilder::new("servicing-stack").exclusive().build();
    story(MONDAY, "")
        .hour(0.0, offered(exclusive))
        .with_curl()
        .does(&[
            "Mon 12:03 download servicing-stack 2, curl 2",
            "Tue 03:00 install curl 2",
            "Wed 03:00 install servicing-stack 2",
        ]);
}

#[test]
fn looks_that_fail_are_tried_again_and_then_left_for_a_while() {
    let fails = Happening::Fails {
        kind: Act::Check,
        times: 4,
        outcome: Outcome::Failed(HResult::WU_E_NO_CONNECTION),
    };
    let looks: Vec<_> = story(MONDAY, "retries = 2")
        .hour(0.0, fails)
        .days(2)
        .events()
        .iter()
        .filter(|e| e.what.starts_with("look"))
        .map(line)
        .collect();
    assert_eq!(
        looks,
        [
            "Mon 12:00 look for updates: failed with 0x8024001F",
            "Mon 12:33 look for updates: failed with 0x8024001F",
            "Mon 13:06 look for updates: failed with 0x8024001F",
            "Tue 01:09 look for updates: failed with 0x8024001F",
            "Tue 13:12 look for updates",
            "Wed 01:15 look for updates",
        ]
    );
}

#[test]
fn two_weeks_are_played_in_milliseconds() {
    let mut story = story(MONDAY, "[restart]\npolicy = 'when_needed'").days(14);
    for day in 0..14 {
        story = story.hour(
            f64::from(day) * 24.0,
            offered(UpdateBuilder::new(&format!("package-{day}")).build()),
        );
    }
    let begun = std::time::Instant::now();
    let events = story.events();
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| event.what.starts_with("install"))
            .count(),
        14
    );
    let end: Zoned = MONDAY
        .parse::<Zoned>()
        .expect("a time")
        .checked_add(14.days())
        .expect("later");
    assert!(events.iter().all(|event| event.at <= end));
}
