//! `wua doctor` and `wua repair`: machines that were interrupted, by whomever.

use std::fs;

use serde_json::json;
use wua_sandbox::Fault;

use crate::harness::Machine;

/// Leaves a package as dpkg does when it is killed in mid-unpack.
fn interrupt(machine: &Machine, package: &str) {
    let path = machine.path("var/lib/dpkg/status");
    let status = fs::read_to_string(&path).expect("the status");
    let (before, rest) = status
        .split_once(&format!("Package: {package}\n"))
        .expect("it is there");
    let rest = rest.replacen(
        "Status: install ok installed",
        "Status: install reinstreq half-installed",
        1,
    );
    fs::write(&path, format!("{before}Package: {package}\n{rest}")).expect("written");
}

#[test]
fn an_interrupted_package_is_found_and_healed_by_a_job_of_its_own() {
    let machine = Machine::new(2, &[]);
    machine.wua(["doctor"]).ends(0).says(&["Nothing is wrong"]);
    assert_eq!(
        machine.json(["doctor"]),
        json!({ "healthy": true, "findings": [] })
    );
    assert_eq!(machine.json(["repair"])["job"], json!(null));
    // The archive still has this version only because nothing was downloaded yet; the store has it afterwards.
    machine.wua(["download", "--all"]).ends(0);
    interrupt(&machine, "inkpot");

    let verdict = machine.document(1, ["doctor"]);
    assert_eq!(verdict["healthy"], json!(false));
    assert_eq!(
        verdict["findings"][0]["kind"],
        json!("half_installed"),
        "{verdict:#}"
    );
    assert_eq!(
        machine.json(["repair", "--what-if"])["findings"],
        verdict["findings"]
    );
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]), "looking begins no job");

    machine
        .wua(["repair"])
        .ends(0)
        .says(&["Repairing the packages", "Healthy again: 1 finding healed."]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    let jobs = machine.json(["jobs"]);
    let job = &jobs["jobs"][0];
    assert_eq!(
        (&job["operation"], &job["state"], &job["result_code"]),
        (&json!("repair"), &json!("completed"), &json!(2))
    );
    let id = job["job"].as_str().expect("an id").to_owned();
    machine.wua(["attach", &id]).ends(0);
    assert_eq!(
        machine.json(["history"])["entries"],
        json!([]),
        "no update was changed"
    );
    assert_eq!(machine.json(["status"])["unfinished"], json!([]));
}

#[test]
fn an_installation_heals_the_machine_first() {
    let machine = Machine::new(2, &[]);
    machine.wua(["download", "--all"]).ends(0);
    interrupt(&machine, "inkpot");
    machine
        .wua(["install", "--all"])
        .ends(0)
        .says(&["2 of 2 updates installed."]);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
    machine.wua(["doctor"]).ends(0);
}

#[test]
fn what_cannot_be_healed_is_named_with_its_reason_and_the_next_step() {
    let machine = Machine::new(1, &[Fault::FailingPostinst]);
    machine.wua(["install", "--all"]).ends(1);
    machine.document(1, ["doctor"]);
    let result = machine.wua(["repair", "--output", "jsonl"]).ends(5).result();
    assert_eq!(result["left"][0]["kind"], json!("unconfigured"), "{result:#}");
    let warning = result["warnings"][0]["message"].as_str().expect("a sentence");
    assert!(
        warning.contains("exit status") && warning.contains("wua uninstall"),
        "{warning}"
    );
    // It stands in nobody's way.
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
}
