//! `--what-if` and `--plan`: what would be done, told before and held to.

use serde_json::json;
use wua_sandbox::{Fault, Package, Suite};

use crate::harness::Machine;

#[test]
fn a_plan_is_told_before_anything_is_downloaded_and_then_carried_out() {
    let machine = Machine::new(3, &[]);
    let plan = machine.json(["install", "pixelry", "inkpot", "--what-if"]);
    let titles: Vec<_> = plan["updates"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|update| update["title"].clone())
        .collect();
    assert_eq!(titles, ["inkpot 4.2.2-1", "pixelry 2.7.0-3+deb12u1"], "{plan:#}");
    assert_eq!(plan["updates"][0]["changes"][0]["from"], "4.2.1-1");
    assert_eq!(plan["updates"][0]["changes"][0]["to"], "4.2.2-1");
    assert!(
        plan["download_size"].as_u64().is_some_and(|size| size > 0),
        "{plan:#}"
    );
    assert_eq!(plan["without_change"], json!([]));
    let hash = plan["plan_hash"].as_str().expect("a hash");

    machine.wua(["download", "--all"]).ends(0);
    let again = machine.json(["install", "pixelry", "inkpot", "--what-if"]);
    assert_eq!(
        again["plan_hash"], hash,
        "a download changes nothing of what is going to happen"
    );
    assert_eq!(again["download_size"], 0);

    machine
        .wua(["install", "inkpot", "pixelry", "--plan", hash])
        .ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
    assert_eq!(machine.installed("pixelry-tools"), "2.7.0-3+deb12u1");
    assert_eq!(machine.installed("postbird"), "3.8.1-2");
}

#[test]
fn a_plan_that_was_made_before_the_download_authorises_an_install_that_downloads() {
    let machine = Machine::new(1, &[]);
    let plan = machine.json(["install", "--all", "--what-if"]);
    machine
        .wua([
            "install",
            "--all",
            "--plan",
            plan["plan_hash"].as_str().expect("a hash"),
        ])
        .ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
}

#[test]
fn only_the_plan_that_was_authorised_is_carried_out() {
    let machine = Machine::new(2, &[]);
    let plan = machine.json(["install", "inkpot", "--what-if"]);
    let hash = plan["plan_hash"].as_str().expect("a hash");
    let wrong = "0".repeat(64);
    let run = machine.wua(["install", "inkpot", "--plan", &wrong]).ends(5);
    run.complains(&["WU_E_INVALID_OPERATION", &wrong, hash, "--what-if"]);
    machine
        .wua(["install", "--all", "--plan", hash])
        .ends(5)
        .complains(&["WU_E_INVALID_OPERATION"]);
    machine
        .wua(["install", "inkpot", "--plan", "abc"])
        .ends(2)
        .complains(&["64 hexadecimal digits"]);
    machine
        .wua(["install", "inkpot", "--plan", hash, "--what-if"])
        .ends(2);
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]), "nothing was begun");
    assert_eq!(
        machine.json(["store"])["contents"],
        json!([]),
        "nothing was fetched"
    );

    // A newer version makes the plan stale.
    machine
        .practice
        .publish(
            Suite::Practice,
            &[Package::new("inkpot", "4.2.3-1").architecture(machine.practice.architecture())],
        )
        .expect("published");
    machine
        .wua(["install", "inkpot", "--plan", hash, "--refresh"])
        .ends(5)
        .complains(&["WU_E_INVALID_OPERATION"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn an_uninstallation_is_planned_and_held_to_its_plan_too() {
    let machine = Machine::new(2, &[]);
    machine.wua(["install", "--all"]).ends(0);
    let plan = machine.json(["uninstall", "inkpot", "--what-if"]);
    assert_eq!(plan["operation"], "uninstall");
    assert_eq!(plan["updates"][0]["changes"][0]["to"], "4.2.1-1");
    machine
        .wua(["uninstall", "inkpot", "--what-if"])
        .ends(0)
        .says(&["Would uninstall 1 update", "inkpot:amd64 4.2.2-1 -> 4.2.1-1"]);
    machine
        .wua(["uninstall", "inkpot", "--plan", &"0".repeat(64)])
        .ends(5)
        .complains(&["WU_E_INVALID_OPERATION"]);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
    machine
        .wua([
            "uninstall",
            "inkpot",
            "--plan",
            plan["plan_hash"].as_str().expect("a hash"),
        ])
        .ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn what_cannot_be_installed_is_part_of_the_answer() {
    let machine = Machine::new(1, &[Fault::MissingDependency]);
    let plan = machine.json(["install", "--all", "--what-if"]);
    assert_eq!(plan["kept_back"][0]["packages"], json!(["brightshell"]));
    machine.wua(["install", "--all", "--what-if"]).ends(0).says(&[
        "1 kept back",
        "brightshell 3.0-1",
        "libglowworm4",
    ]);
}
