//! `wua hide`, `unhide` and `accept-eula`.

use crate::harness::Machine;

#[test]
fn what_is_hidden_is_found_only_when_asked_for() {
    let machine = Machine::new(2, &[]);
    let id = machine.id("inkpot");
    let hidden = machine.json(["hide", "inkpot"]);
    assert_eq!(hidden["updates"], serde_json::json!([id]));
    assert_eq!(
        machine.titles("IsInstalled=0 and IsHidden=0"),
        ["pixelry 2.7.0-3+deb12u1"]
    );
    assert_eq!(machine.titles(""), ["pixelry 2.7.0-3+deb12u1"]);
    assert_eq!(machine.titles("IsInstalled=0 and IsHidden=1"), ["inkpot 4.2.2-1"]);
    machine.wua(["show", "inkpot"]).ends(0).says(&["hidden"]);
    machine.wua(["install", "--all", "--what-if"]).ends(0);
    machine.wua(["hide", "inkpot"]).ends(2);
    machine
        .wua(["unhide", "inkpot"])
        .ends(0)
        .says(&["inkpot 4.2.2-1", "1 update shown again."]);
    assert_eq!(machine.titles("").len(), 2);
    machine
        .wua(["hide", "--all"])
        .ends(0)
        .says(&["2 updates hidden."]);
    machine.wua(["search"]).ends(0).says(&["No updates."]);
    machine.wua(["unhide", &id]).ends(0);
    machine
        .wua(["unhide", "--criteria", "IsHidden=1"])
        .ends(0)
        .says(&["pixelry"]);
    machine
        .wua(["unhide", "--all", "--output", "jsonl"])
        .ends(0)
        .result();
    machine.wua(["unhide", "--all", "--fail-if-none"]).ends(4);
}

#[test]
fn a_hidden_update_is_not_installed_by_name_without_a_word_on_why() {
    let machine = Machine::new(2, &[]);
    machine.wua(["hide", "inkpot"]).ends(0);
    machine
        .wua(["install", "inkpot"])
        .ends(2)
        .complains(&["hidden", "wua unhide"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn licences_are_accepted_and_that_is_no_matter_where_there_are_none() {
    let machine = Machine::new(2, &[]);
    machine
        .wua(["accept-eula", "inkpot"])
        .ends(0)
        .says(&["1 update accepted."]);
    let document = machine.json(["accept-eula", "--all"]);
    assert_eq!(document["updates"].as_array().map(Vec::len), Some(2));
    assert_eq!(machine.titles("").len(), 2);
}
