//! What the agent does by itself: the schedule on a real machine. Its calendar is tested where it is decided, in `wua-agent`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wua_sandbox::Fault;

use crate::api::{Agent, Door, patiently};
use crate::harness::Machine;

/// A window that is always open.
const ALWAYS: &str = "windows = [{ start = \"00:00\", length_minutes = 1440 }]\nrandom_delay_minutes = 0\n";

fn automatic(machine: Machine, policy: &str) -> Agent {
    machine.write("etc/wua/wua.toml", &format!("[automatic]\n{ALWAYS}{policy}"));
    Agent::serve_as_it_is(machine)
}

/// Waits until the settings say that something has happened; the schedule tells nobody when it is done.
#[track_caller]
fn settings_with(agent: &Agent, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    patiently(what, || Some(agent.get("/settings")).filter(&holds))
}

fn waits(settings: &Value) -> bool {
    settings["next"]["what"] == "wait"
}

#[test]
fn a_machine_is_kept_up_to_date_without_anybody() {
    let agent = automatic(Machine::new(2, &[]), "level = \"install\"\n");
    settings_with(&agent, "an installation", |settings| {
        !settings["last_installation"].is_null()
    });
    assert_eq!(agent.machine.titles("IsInstalled=1").len(), 2);
    let history = agent.get("/history");
    assert_eq!(
        history["entries"][0]["client_application_id"],
        "wua automatic updates"
    );
    let settings = settings_with(&agent, "a rest", waits);
    assert!(settings["next"]["at"].is_string(), "{settings:#}");
    // What node_exporter reads, is there.
    let numbers = fs::read_to_string(agent.machine.path("var/lib/wua/wua.prom")).expect("published");
    assert!(numbers.contains("wua_restart_required 0\n"), "{numbers}");
}

#[test]
fn a_machine_that_is_not_well_after_an_installation_gets_its_old_versions_back() {
    let machine = Machine::new(1, &[]);
    let before = machine.installed("inkpot");
    let agent = automatic(
        machine,
        "level = \"install\"\nhealth_command = [\"/bin/false\"]\n",
    );
    let undone = |agent: &Agent| {
        let history = agent.get("/history");
        history["entries"]
            .as_array()
            .is_some_and(|entries| entries.iter().any(|entry| entry["operation"] == 2))
    };
    settings_with(&agent, "the undoing", |settings| {
        waits(settings) && undone(&agent)
    });
    assert_eq!(agent.machine.installed("inkpot"), before);
    // It is not tried again.
    assert_eq!(agent.get("/history")["total"], 2);
}

#[test]
fn people_are_told_of_updates_and_nothing_is_touched() {
    let machine = Machine::new(2, &[Fault::Reboot]);
    let heard = machine.path("heard.json");
    let agent = automatic(
        machine,
        &format!("tell_command = [\"/usr/bin/tee\", \"{}\"]\n", heard.display()),
    );
    settings_with(&agent, "a look", |settings| {
        waits(settings) && !settings["last_check"].is_null()
    });
    let heard: Value = serde_json::from_str(&fs::read_to_string(heard).expect("told")).expect("JSON");
    assert_eq!(heard["updates"].as_array().map(Vec::len), Some(3));
    let motd = fs::read_to_string(agent.machine.path("var/lib/wua/motd")).expect("written");
    assert!(motd.contains("3 updates can be installed"), "{motd}");
    assert_eq!(agent.get("/history")["total"], 0);
    assert!(!Path::new(&agent.machine.path("var/lib/wua/store")).exists());
}

#[test]
fn settings_are_changed_through_the_agent_but_never_against_the_policy() {
    let machine = Machine::new(1, &[]);
    machine.write("etc/wua/wua.toml", "[automatic]\nlevel = \"off\"\n");
    let agent = Agent::serve_as_it_is(machine);
    let patch = |door: Door, wish: Value| agent.call(door, "PATCH", "/settings", Some(wish));
    patch(Door::Read, json!({ "check_hours": 6 })).refuses(403, "E_ACCESSDENIED");
    patch(Door::Control, json!({ "level": "install" })).refuses(403, "E_ACCESSDENIED");
    patch(Door::Control, json!({ "health_command": ["/bin/true"] })).refuses(400, "E_INVALIDARG");
    patch(Door::Control, json!({ "check_hours": 0 })).refuses(400, "E_INVALIDARG");
    patch(Door::Control, json!({ "check_hours": 6, "colour": "red" })).refuses(400, "E_INVALIDARG");
    // Lists where the description has keys and values.
    for (key, list) in [
        ("automatic_updates", json!([null, null, null])),
        ("restart", json!(["never", "04:00", 10, 3])),
        ("windows", json!([[[], "03:00", 60]])),
        ("holds", json!([["linux-*", "2099-12-24"]])),
    ] {
        patch(Door::Control, json!({ key: list })).refuses(400, "E_INVALIDARG");
    }
    let settings = patch(Door::Control, json!({ "check_hours": 6 })).is(200);
    let of = |settings: &Value, key: &str| {
        let all = settings["settings"].as_array().expect("a list").clone();
        all.into_iter()
            .find(|setting| setting["key"] == key)
            .expect("a key")
    };
    assert_eq!(
        of(&settings, "check_hours"),
        json!({ "key": "check_hours", "value": 6, "origin": "settings" })
    );
    assert_eq!(
        of(&settings, "level"),
        json!({ "key": "level", "value": "off", "origin": "policy" })
    );
    assert_eq!(settings["automatic_updates"]["notification_level"], 1);
    let settings = patch(Door::Control, json!({ "check_hours": null })).is(200);
    assert_eq!(of(&settings, "check_hours")["origin"], "default");
    // The command line shows and changes the same.
    let shown = agent.machine.json(["settings", "set", "retries", "5"]);
    assert_eq!(
        of(&shown, "retries"),
        json!({ "key": "retries", "value": 5, "origin": "settings" })
    );
    assert_eq!(of(&agent.get("/settings"), "retries")["value"], 5);
}

#[test]
fn a_pause_outlives_the_agent_and_holds_everything_up_until_it_is_ended() {
    let machine = Machine::new(1, &[]);
    // Set while no agent runs: the one that starts finds it.
    machine.json(["settings", "set", "paused_until", "2099-12-24T18:00:00+01:00"]);
    let agent = automatic(machine, "level = \"install\"\n");
    let settings = settings_with(&agent, "a pause", waits);
    assert_eq!(settings["automatic_updates"]["paused"], true);
    let why = settings["next"]["why"].as_str().expect("a reason");
    assert!(why.starts_with("Automatic updates are paused until "), "{why}");
    assert!(settings["last_check"].is_null(), "{settings:#}");
    let pause = |paused: bool| {
        let wish = json!({ "automatic_updates": { "paused": paused } });
        agent
            .call(Door::Control, "PATCH", "/settings", Some(wish))
            .is(200)
    };
    assert_eq!(pause(true)["automatic_updates"]["paused"], true);
    assert_eq!(pause(false)["automatic_updates"]["paused"], false);
    settings_with(&agent, "an installation", |settings| {
        !settings["last_installation"].is_null()
    });
}

#[test]
fn a_policy_that_is_not_valid_is_told_without_what_stands_in_it() {
    let machine = Machine::new(1, &[]);
    machine.write("etc/wua/wua.toml", "[automatic]\nlevel = \"secret\"\n");
    let run = machine
        .wua(["search"])
        .ends(2)
        .complains(&["`level` cannot be so"]);
    assert!(!run.err.contains("secret"), "{}", run.err);
}

#[test]
fn two_weeks_are_played_in_a_moment() {
    let machine = Machine::new(1, &[]);
    machine.write(
        "etc/wua/wua.toml",
        "[automatic]\nlevel = \"install\"\n[automatic.restart]\npolicy = \"when_needed\"\n",
    );
    let played = machine.json(["agent", "simulate", "--days", "30"]);
    assert!(
        played["events"]
            .as_array()
            .is_some_and(|events| events.len() > 20)
    );
    machine.wua(["agent", "simulate", "--days", "14"]).ends(0).says(&[
        "look for updates",
        "install ",
        "restart",
        "made up",
    ]);
    assert!(machine.titles("IsInstalled=1").is_empty());
}
