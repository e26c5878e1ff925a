//! Which updates a command takes: names, ids, categories, CVE numbers, titles, criteria, less what is excluded.

use serde_json::Value;
use wua_sandbox::Fault;

use crate::harness::{Machine, titles};

const PIXELRY: &str = "pixelry 2.7.0-3+deb12u1";
const POSTBIRD: &str = "postbird 3.8.1-2+deb12u1";
const INKPOT: &str = "inkpot 4.2.2-1";

/// The titles that a download of this selection takes.
#[track_caller]
fn taken(machine: &Machine, selection: &[&str]) -> Vec<String> {
    let mut words = vec!["download"];
    words.extend(selection);
    titles(&machine.json(words))
}

fn reasons(document: &Value, title: &str) -> Vec<String> {
    let filtered = document["filtered_updates"].as_object().expect("by id");
    let update = filtered
        .values()
        .find(|update| update["title"] == title)
        .expect("it was left out");
    let reasons = update["filtered_reasons"].as_array().expect("a list");
    reasons
        .iter()
        .map(|reason| reason.as_str().expect("a phrase").into())
        .collect()
}

#[test]
fn updates_are_taken_by_every_kind_of_word() {
    let machine = Machine::new(3, &[]);
    machine
        .wua(["download", "cve:CVE-2026-20417"])
        .ends(2)
        .complains(&["no downloaded update is known to fix", "wua download"]);
    let id = machine.id("pixelry");
    let security = "0fa1201d-4330-4fa8-8ae9-b877473b6441";
    for selection in [
        &["pixelry"][..],
        &["pixelry-tools"],
        &["libpixelry3:amd64"],
        &[PIXELRY],
        &[&id],
        &["title:^PIX"],
        &["cve:cve-2026-20417"],
        &["category:security", "--exclude", "postbird"],
        &[&format!("category:{security}"), "--exclude", "title:bird"],
        &["--criteria", &format!("UpdateID='{id}'")],
        &["--all", "--exclude", "inkpot", "--exclude", "postbird"],
        &["--criteria", "IsInstalled=0", "pixelry"],
    ] {
        assert_eq!(taken(&machine, selection), [PIXELRY], "{selection:?}");
    }
    assert_eq!(taken(&machine, &["--all"]), [INKPOT, PIXELRY, POSTBIRD]);
    assert_eq!(taken(&machine, &["category:security"]), [PIXELRY, POSTBIRD]);
    assert_eq!(
        taken(&machine, &["inkpot", "postbird", "inkpot"]),
        [INKPOT, POSTBIRD]
    );
}

#[test]
fn what_is_left_out_says_why() {
    let machine = Machine::new(3, &[]);
    let document = machine.json([
        "install",
        "category:security",
        "--exclude",
        "postbird",
        "--what-if",
    ]);
    assert_eq!(reasons(&document, INKPOT), ["not selected"]);
    assert_eq!(reasons(&document, POSTBIRD), ["excluded by `postbird`"]);
    let document = machine.json(["download", "inkpot"]);
    assert_eq!(document["found_update_count"], 3);
    assert_eq!(
        document["filtered_updates"]
            .as_object()
            .map(|left_out| left_out.len()),
        Some(2)
    );
}

#[test]
fn a_command_that_acts_needs_a_selection() {
    let machine = Machine::new(1, &[]);
    for command in [
        "download",
        "install",
        "uninstall",
        "hide",
        "unhide",
        "accept-eula",
    ] {
        machine
            .wua([command])
            .ends(2)
            .complains(&["nothing was selected", "--all"]);
        let run = machine
            .wua([command, "--exclude", "inkpot", "--output", "json"])
            .ends(2);
        assert_eq!(run.out, "", "no document without a result");
    }
}

#[test]
fn words_that_fit_nothing_are_named() {
    let machine = Machine::new(1, &[Fault::MissingDependency]);
    machine
        .wua(["install", "nosuchthing"])
        .ends(2)
        .complains(&["fits `nosuchthing`", "wua search"]);
    machine
        .wua(["install", "inkpot", "nosuchthing"])
        .ends(2)
        .complains(&["fits `nosuchthing`"]);
    machine
        .wua(["hide", "nosuchthing"])
        .ends(2)
        .complains(&["fits `nosuchthing`"]);
    machine
        .wua(["unhide", "inkpot"])
        .ends(2)
        .complains(&["no hidden update fits `inkpot`"]);
    machine
        .wua(["uninstall", "inkpot"])
        .ends(2)
        .complains(&["installed no update that fits `inkpot`"]);
    machine
        .wua(["install", "title:("])
        .ends(2)
        .complains(&["title:("]);
    machine
        .wua(["install", "category:"])
        .ends(2)
        .complains(&["names nothing after the colon"]);
    machine
        .wua(["install", "brightshell"])
        .complains(&["kept back", "libglowworm4"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn a_name_that_is_up_to_date_leaves_nothing_to_do() {
    let machine = Machine::new(1, &[]);
    let run = machine
        .wua(["install", "quayutils"])
        .ends(0)
        .says(&["`quayutils` is installed and has no update", "Nothing to do."]);
    assert_eq!(run.err, "");
    let document = machine.json(["install", "quayutils"]);
    assert_eq!(document["installed_update_count"], 0);
    assert_eq!(document["jobs"], serde_json::json!([]));
    machine.wua(["install", "quayutils", "--fail-if-none"]).ends(4);
    machine
        .wua(["download", "quayutils", "--fail-if-none", "--output", "jsonl"])
        .ends(4)
        .result();
    machine
        .wua(["install", "--all", "--exclude", "inkpot", "--fail-if-none"])
        .ends(4);
    machine
        .wua([
            "install",
            "--criteria",
            "IsInstalled=0 and Type='Driver'",
            "--fail-if-none",
        ])
        .ends(4);
    machine.wua(["uninstall", "--all", "--fail-if-none"]).ends(4);
    machine
        .wua([
            "hide",
            "--criteria",
            "IsInstalled=0 and Type='Driver'",
            "--fail-if-none",
        ])
        .ends(4);
}
