//! What is told before: the room a plan needs, archives that were packed again; and what is not begun or kept for its limits.

use serde_json::json;
use wua_sandbox::Fault;

use crate::harness::Machine;

#[test]
fn a_plan_tells_the_room_it_needs() {
    let machine = Machine::new(2, &[Fault::Large]);
    let plan = machine.json(["install", "--all", "--what-if"]);
    let space = plan["space"].as_array().expect("a list");
    let needed: u64 = space
        .iter()
        .map(|one| one["needed"].as_u64().expect("a number"))
        .sum();
    assert!(
        needed > plan["download_size"].as_u64().expect("a number"),
        "{space:?}"
    );
    assert!(
        space.iter().all(|one| one["free"].as_u64() > Some(0)),
        "{space:?}"
    );
    machine.wua(["install", "--all", "--what-if"]).ends(0).says(&[
        "needs ",
        " on the file system of ",
        " are free",
    ]);
}

#[test]
fn archives_that_were_packed_again_are_told_before_an_undo() {
    let machine = Machine::new(1, &[]);
    machine.wua(["install", "inkpot"]).ends(0);
    let note = "packed again from installed files: inkpot:";
    let plan = machine.json(["uninstall", "inkpot", "--what-if"]);
    assert!(
        plan["updates"][0]["note"]
            .as_str()
            .is_some_and(|text| text.contains(note)),
        "{plan:#}"
    );
    machine
        .wua(["uninstall", "inkpot", "--what-if"])
        .ends(0)
        .says(&[note]);
    machine.wua(["uninstall", "inkpot"]).ends(0).says(&[note]);
}

#[test]
fn the_store_is_cleared_within_its_limits() {
    let machine = Machine::new(2, &[]);
    machine.wua(["install", "inkpot"]).ends(0);
    assert_eq!(machine.json(["store", "clean"])["removed"], json!([]));
    machine.write("etc/wua/wua.toml", "[store]\nmax_bytes = 0\n");
    let plan = machine.json(["store", "clean", "--what-if"]);
    let archives = plan["removed"].as_array().expect("a list");
    assert!(
        archives
            .iter()
            .any(|archive| archive["ends_undo"] == true && archive["reason"] == "too_much"),
        "{plan:#}"
    );
    assert_eq!(
        machine.json(["store"])["contents"].as_array().map(Vec::len),
        Some(archives.len())
    );
    machine
        .wua(["store", "clean"])
        .ends(0)
        .says(&["Removed ", "cannot be taken back without it"]);
    assert_eq!(machine.json(["store"])["contents"], json!([]));
    let shown = machine.json(["show", "inkpot"]);
    assert_eq!(shown["updates"][0]["is_uninstallable"], false);
}

#[test]
fn an_empty_battery_and_a_machine_that_goes_down_begin_nothing() {
    let machine = Machine::new(1, &[]);
    for (file, value) in [("type", "Battery"), ("status", "Discharging"), ("capacity", "7")] {
        machine.write(&format!("sys/class/power_supply/BAT0/{file}"), value);
    }
    machine
        .wua(["install", "inkpot"])
        .ends(5)
        .complains(&["battery at 7 %", "WU_E_LOW_BATTERY"]);
    machine.write("etc/wua/wua.toml", "[install]\nbattery_percent = 5\n");
    machine.write("run/systemd/shutdown/scheduled", "USEC=1000000\nMODE=reboot\n");
    machine
        .wua(["install", "inkpot"])
        .ends(5)
        .complains(&["ERROR_SHUTDOWN_IN_PROGRESS"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    std::fs::remove_file(machine.path("run/systemd/shutdown/scheduled")).expect("it was there");
    machine.wua(["install", "inkpot"]).ends(0);
}

#[test]
fn a_script_that_is_silent_for_too_long_is_ended() {
    let machine = Machine::new(1, &[Fault::Slow]);
    machine.write("etc/wua/wua.toml", "[install]\nscript_limit_seconds = 1\n");
    machine.close_gate();
    let document = machine.document(1, ["install", "--all"]);
    let id = document["updates"]
        .as_object()
        .expect("updates")
        .iter()
        .find(|(_, update)| update["hresult"] == "0x80242007");
    let (_, update) = id.unwrap_or_else(|| panic!("{document:#}"));
    assert!(
        update["failure_msg"]
            .as_str()
            .is_some_and(|text| text.contains("postinst of docfinder was silent for 1 s")),
        "{update:#}"
    );
    assert_eq!(document["installed_update_count"], 1);
    machine.open_gate();
}
