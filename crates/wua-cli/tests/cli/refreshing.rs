//! Indexes that are old, missing, damaged, unsigned or out of reach: a search never passes stale data for an answer.

use std::fs;

use serde_json::{Value, json};
use wua_sandbox::{Fault, Package, Suite};

use crate::harness::{Machine, titles};

#[track_caller]
fn warns(document: &Value, texts: &[&str]) {
    let warnings: Vec<&str> = document["warnings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|warning| warning["message"].as_str().expect("text"))
        .collect();
    assert!(
        warnings
            .iter()
            .any(|warning| texts.iter().all(|text| warning.contains(text))),
        "{texts:?} in {warnings:#?}"
    );
    assert_eq!(document["result_code"], 3);
}

fn newer(machine: &Machine) {
    let newer = Package::new("inkpot", "4.2.3-1").architecture(machine.practice.architecture());
    machine
        .practice
        .publish(Suite::Practice, &[newer])
        .expect("published");
}

#[test]
fn new_versions_are_seen_after_a_refresh_and_not_before() {
    let machine = Machine::new(1, &[]);
    newer(&machine);
    assert_eq!(machine.titles(""), ["inkpot 4.2.2-1"]);
    assert_eq!(titles(&machine.json(["search", "--refresh"])), ["inkpot 4.2.3-1"]);
    assert_eq!(machine.titles(""), ["inkpot 4.2.3-1"]);
    machine.wua(["install", "--all", "--refresh"]).ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.3-1");
}

#[test]
fn an_archive_that_is_gone_from_the_index_is_found_again_by_a_refresh() {
    let machine = Machine::new(1, &[]);
    let pool = machine.path("srv/archive/pool");
    fs::remove_dir_all(&pool).expect("removed");
    newer(&machine);
    let run = machine.wua(["install", "inkpot", "--output", "jsonl"]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(machine.installed("inkpot"), "4.2.3-1");
}

#[test]
fn an_archive_out_of_reach_leaves_stale_data_and_says_so() {
    let machine = Machine::new(2, &[]);
    fs::rename(machine.path("srv/archive"), machine.path("srv/away")).expect("moved");
    let document = machine.document(1, ["search", "--refresh"]);
    warns(&document, &["could not be refreshed"]);
    assert_eq!(titles(&document).len(), 2, "what is known is told");
    machine
        .wua(["search", "--refresh"])
        .ends(1)
        .complains(&["warning:", "could not be refreshed"])
        .says(&["2 updates"]);
    machine.wua(["search"]).ends(0);
    let run = machine.wua(["install", "--all"]).ends(5);
    run.says(&["FAILED  inkpot 4.2.2-1"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn an_index_with_a_bad_signature_is_not_taken() {
    let machine = Machine::new(2, &[Fault::BadSignature]);
    let document = machine.document(1, ["search", "--refresh"]);
    warns(&document, &["could not be refreshed"]);
    assert_eq!(
        titles(&document),
        ["pixelry 2.7.0-3+deb12u1"],
        "the security suite is well"
    );
    let run = machine.wua(["search", "--refresh", "--output", "jsonl"]).ends(1);
    assert!(!run.events("warning").is_empty(), "{run}");
}

#[test]
fn a_machine_whose_indexes_were_never_fetched_says_so() {
    let machine = Machine::new(1, &[]);
    fs::remove_dir_all(machine.path("var/lib/apt/lists")).expect("removed");
    let document = machine.json(["search"]);
    assert_eq!(document["found_update_count"], 0);
    warns(&document, &["never fetched"]);
    machine
        .wua(["search"])
        .ends(0)
        .complains(&["never fetched", "refresh"]);
    assert_eq!(titles(&machine.json(["search", "--refresh"])), ["inkpot 4.2.2-1"]);
}

#[test]
fn a_damaged_index_that_apt_refuses_is_named_with_its_place() {
    let machine = Machine::new(3, &[]);
    let index = machine.file(
        "var/lib/apt/lists",
        "practice-security_main_binary-amd64_Packages",
    );
    let text = fs::read_to_string(&index).expect("an index");
    let broken = text.replacen("Package: libpixelry3\n", "Package libpixelry3\n", 1);
    assert_ne!(broken, text);
    fs::write(&index, broken).expect("damaged");
    let run = machine.wua(["search"]).ends(5);
    run.complains(&[
        "WU_E_INVALID_FILE",
        "is damaged",
        "practice-security",
        "stanza 1",
        "wua search --refresh",
    ]);
}

#[test]
fn a_machine_without_sources_has_no_updates_and_says_why() {
    let machine = Machine::new(1, &[]);
    fs::remove_file(machine.path("etc/apt/sources.list.d/practice.sources")).expect("removed");
    let document = machine.json(["search"]);
    warns(&document, &["no package sources"]);
    assert_eq!(document["updates"], json!({}));
}
