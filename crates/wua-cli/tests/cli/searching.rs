//! `wua search` and `wua show`: what a machine can have, told in every form, and nothing written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use wua_sandbox::{Fault, Recipe};

use crate::harness::{Machine, titles};

#[test]
fn a_search_lists_exactly_what_apt_would_upgrade() {
    let faults = [Fault::MissingDependency, Fault::Conffile];
    let machine = Machine::new(6, &faults);
    let document = machine.json(["search"]);
    let recipe = Recipe {
        updates: 6,
        seed: 1,
        faults: faults.into(),
    };
    let mut planned: Vec<String> = recipe
        .planned_updates()
        .into_iter()
        .filter(|update| update.offered)
        .map(|update| format!("{} {}", update.source, update.version))
        .collect();
    planned.sort();
    assert_eq!(titles(&document), planned);

    let simulated = machine
        .practice
        .apt_get(&["-s", "upgrade", "--with-new-pkgs"])
        .expect("apt-get runs");
    let simulated = String::from_utf8_lossy(&simulated.stdout).into_owned();
    let mut wanted: Vec<&str> = simulated
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .collect();
    wanted.sort_unstable();
    let updates = document["updates"].as_object().expect("by id");
    let mut found: Vec<&str> = updates
        .values()
        .flat_map(|update| update["packages"].as_array().expect("a list"))
        .map(|package| package["name"].as_str().expect("a name"))
        .collect();
    found.sort_unstable();
    assert_eq!(found, wanted);

    assert_eq!(document["kept_back"][0]["title"], "brightshell 3.0-1");
    assert_eq!(document["result_code"], 2);
}

#[test]
fn a_search_has_the_same_answer_in_every_form() {
    let machine = Machine::new(3, &[]);
    let text = machine
        .wua(["search"])
        .ends(0)
        .says(&["3 updates", "inkpot 4.2.2-1", "pixelry", "postbird"]);
    assert_eq!(text.err, "");
    let document = machine.json(["search"]);
    let streamed = machine.wua(["search", "--output", "jsonl"]).ends(0);
    assert_eq!(streamed.lines().len(), 3, "started, completed, result");
    assert_eq!(streamed.result()["updates"], document["updates"]);
    let details = machine.wua(["search", "--details"]).ends(0);
    details.says(&[
        "libpixelry3:amd64 2.7.0-3 -> 2.7.0-3+deb12u1",
        "pixelry-view:amd64",
    ]);
    let quiet = machine.wua(["search", "--quiet"]).ends(0);
    assert_eq!(quiet.out, text.out, "a search is a result, not a remark");
}

#[test]
fn criteria_choose_and_their_faults_are_shown_in_place() {
    let machine = Machine::new(2, &[]);
    assert_eq!(machine.titles("IsInstalled=1").len(), 0);
    assert_eq!(machine.titles("IsInstalled=0 and Type='Driver'").len(), 0);
    let id = machine.id("inkpot");
    assert_eq!(machine.titles(&format!("UpdateID='{id}'")), ["inkpot 4.2.2-1"]);
    assert_eq!(
        machine.titles(&format!("UpdateID!='{id}'")),
        ["pixelry 2.7.0-3+deb12u1"]
    );
    for format in ["text", "json", "jsonl"] {
        let run = machine
            .wua(["search", "IsInstalled=0 and IsHiden=1", "--output", format])
            .ends(2);
        let lines: Vec<&str> = run.err.lines().collect();
        let line = lines
            .iter()
            .position(|line| *line == "  IsInstalled=0 and IsHiden=1")
            .expect("the text itself");
        assert_eq!(lines[line + 1].find('^'), lines[line].find("IsHiden"), "{run}");
        run.complains(&["WU_E_INVALID_CRITERIA"]);
    }
}

#[test]
fn searching_writes_nothing_and_needs_no_rights() {
    let machine = Machine::new(2, &[]);
    let before = files(machine.root());
    machine.wua(["search"]).ends(0);
    machine.wua(["show", "inkpot"]).ends(0);
    machine.wua(["install", "--all", "--what-if"]).ends(0);
    machine.wua(["status"]).ends(0);
    machine.wua(["history"]).ends(0).says(&["Nothing was done yet."]);
    machine.wua(["jobs"]).ends(0).says(&["No jobs yet."]);
    machine.wua(["store"]).ends(0);
    machine.wua(["services"]).ends(0);
    let changed: Vec<String> = files(machine.root())
        .into_iter()
        .filter(|(path, state)| before.get(path) != Some(state))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(changed, Vec::<String>::new());
}

/// Every file below a folder with its size and the time of its last change.
fn files(folder: &Path) -> BTreeMap<String, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("it is there");
        if metadata.is_dir() {
            found.extend(files(&path));
        }
        found.insert(
            path.display().to_string(),
            (metadata.len(), metadata.modified().expect("a time")),
        );
    }
    found
}

#[test]
fn one_update_is_shown_whole_and_after_the_download_with_its_changelog() {
    let machine = Machine::new(2, &[]);
    machine.wua(["show", "pixelry"]).ends(0).says(&[
        "image library",
        "Security Updates",
        "comes with the download",
    ]);
    let before = machine.json(["show", "pixelry"])["updates"][0].clone();
    assert_eq!(
        (&before["changelog"], &before["cves"]),
        (&serde_json::Value::Null, &serde_json::json!([]))
    );
    machine.wua(["download", "pixelry"]).ends(0);
    let after = machine.json(["show", "pixelry-tools"])["updates"][0].clone();
    assert_eq!(after["cves"], serde_json::json!(["CVE-2026-20417"]));
    assert!(
        after["changelog"]
            .as_str()
            .is_some_and(|text| text.contains("Check the size of palettes.")),
        "{after}"
    );
    assert_eq!(after["is_downloaded"], true);
    machine
        .wua(["show", "pixelry"])
        .ends(0)
        .says(&["CVE-2026-20417", "Check the size of palettes."]);
    machine
        .wua(["show", after["id"].as_str().expect("an id")])
        .ends(0)
        .says(&["pixelry"]);
    let both = machine.json(["show", "title:."]);
    assert_eq!(both["updates"].as_array().map(Vec::len), Some(2));
    machine
        .wua(["show", "nothing"])
        .ends(2)
        .complains(&["no update of", "fits `nothing`"]);
}
