//! Installing with everything that goes wrong on real machines: results, reasons, exit codes, and the state of the machine.

use std::fs;

use serde_json::{Value, json};
use wua_sandbox::Fault;

use crate::harness::Machine;

/// How the update with this source package ended.
#[track_caller]
fn ended<'a>(document: &'a Value, source: &str) -> &'a Value {
    let updates = document["updates"].as_object().expect("by id");
    let named = |update: &&Value| {
        update["title"]
            .as_str()
            .is_some_and(|title| title.split(' ').next() == Some(source))
    };
    updates
        .values()
        .find(named)
        .unwrap_or_else(|| panic!("{source} is not among {document:#}"))
}

#[test]
fn updates_that_fail_leave_the_others_alone_and_are_explained() {
    let faults = [
        Fault::FailingPostinst,
        Fault::FailingPreinst,
        Fault::Conffile,
        Fault::Reboot,
        Fault::FileConflict,
        Fault::BadHash,
        Fault::Slow,
    ];
    let machine = Machine::new(2, &faults);
    let run = machine.wua(["install", "--all", "--output", "jsonl"]).ends(11);
    let result = run.result();
    assert_eq!(
        (&result["installed_update_count"], &result["failed_update_count"]),
        (&json!(5), &json!(4))
    );
    assert_eq!(
        (&result["result_code"], &result["hresult"]),
        (&json!(3), &json!("0x00240003"))
    );
    assert_eq!(
        result["jobs"].as_array().map(Vec::len),
        Some(2),
        "a download and an installation"
    );

    for source in ["inkpot", "pixelry", "docfinder", "gatewarden", "corebus"] {
        assert_eq!(ended(&result, source)["result_code"], 2, "{source}");
        assert_eq!(ended(&result, source)["is_installed"], true, "{source}");
    }
    assert_eq!(ended(&result, "corebus")["reboot_required"], true);
    assert_eq!(
        ended(&result, "gatewarden")["kept_configuration"],
        json!(["/etc/gatewarden/gatewarden.conf"])
    );
    for (source, hresult, words, version) in [
        (
            "tidewatch",
            "0x8024200B",
            &["exit status 3", "cannot be converted"][..],
            "5.2-1 (install ok half-configured)",
        ),
        (
            "cellarkeep",
            "0x8024200B",
            &["exit status 4", "records are still in use", "1.4.0-1 stays"],
            "1.4.0-1",
        ),
        (
            "ferrytools",
            "0x8024200B",
            &["usr/bin/quayutils", "quayutils"],
            "1.0-4",
        ),
        (
            "paperlane",
            "0x80246002",
            &["paperlane_7.0.1-1", "Hash Sum mismatch"],
            "7.0-1",
        ),
    ] {
        let update = ended(&result, source);
        assert_eq!(update["result_code"], 4, "{update:#}");
        assert_eq!(update["failure_hresult_code"], hresult, "{update:#}");
        assert_eq!(update["is_installed"], false, "{update:#}");
        let message = update["failure_msg"].as_str().expect("a sentence");
        for word in words {
            assert!(
                message.contains(word),
                "{source}: {message:?} should say {word:?}"
            );
        }
        assert_eq!(machine.installed(source), version);
    }
    let edited = fs::read_to_string(machine.path("etc/gatewarden/gatewarden.conf")).expect("it is there");
    assert!(edited.contains("192.0.2.0/24"), "the administrator's file stays");

    // Each has one result of its own in the stream, and the failed scripts their exit status.
    let finished = run.events("update_finished");
    let status = |hresult: &str| -> Vec<i64> {
        let mut codes: Vec<i64> = finished
            .iter()
            .filter(|line| line["hresult"] == hresult)
            .map(|line| line["unmapped_result_code"].as_i64().expect("a number"))
            .collect();
        codes.sort_unstable();
        codes
    };
    assert_eq!(status("0x8024200B"), [0, 3, 4]);

    // What the machine remembers is the same.
    let history = machine.json(["history"]);
    let entries = history["entries"].as_array().expect("a list");
    assert_eq!(
        entries.len(),
        8,
        "an update that could not be downloaded was never installed"
    );
    let failed = entries.iter().filter(|entry| entry["result_code"] == 4).count();
    assert_eq!((failed, &history["unfinished"]), (3, &json!([])));
    let status = machine.json(["status"]);
    assert_eq!(
        (&status["restart_required"], &status["restart_packages"]),
        (&json!(true), &json!(["corebus"]))
    );
    assert_eq!(status["busy"], Value::Null);
    machine.wua(["history"]).ends(0).says(&[
        "cannot be converted",
        "restart needed",
        "kept your /etc/gatewarden",
    ]);

    // Tried again, those that can be told apart still are.
    let again = machine.wua(["install", "--all", "--output", "jsonl"]);
    assert!(matches!(again.code, 1 | 5), "{again}");
}

#[test]
fn a_restart_that_is_needed_is_an_exit_code_of_its_own() {
    let machine = Machine::new(1, &[Fault::Reboot]);
    let run = machine.wua(["install", "--all"]).ends(10).says(&[
        "2 of 2 updates installed.",
        "Restart the machine to finish: corebus.",
    ]);
    assert_eq!(run.err, "");
    machine.wua(["status"]).ends(0).says(&["needed, for corebus"]);
    assert_eq!(machine.json(["jobs"])["jobs"][0]["reboot_required"], true);
    // The policy can insist on the restart.
    machine.wua(["uninstall", "inkpot"]).ends(0);
    machine.wua(["unhide", "inkpot"]).ends(0);
    machine.write("etc/wua/wua.toml", "[install]\nrestart_first = true\n");
    machine
        .wua(["install", "inkpot"])
        .ends(5)
        .complains(&["WU_E_INSTALL_NOT_ALLOWED", "restarted first"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn when_every_update_fails_the_whole_has_failed() {
    let machine = Machine::new(0, &[Fault::FailingPreinst]);
    let run = machine
        .wua(["install", "--all"])
        .ends(5)
        .says(&["0 of 1 update installed, 1 failed."]);
    run.says(&[
        "FAILED  cellarkeep 1.5.0-1",
        "0x8024200B WU_E_UH_INSTALLERFAILURE",
        "next:",
    ]);
    assert_eq!(machine.installed("cellarkeep"), "1.4.0-1");
    assert_eq!(machine.json(["jobs"])["jobs"][0]["hresult"], "0x80240022");
}

#[test]
fn a_failed_postinst_stands_in_nobodys_way_and_is_healed_once_its_cause_is_gone() {
    let machine = Machine::new(2, &[Fault::FailingPostinst]);
    machine.wua(["install", "tidewatch"]).ends(5);
    assert_eq!(
        machine.installed("tidewatch"),
        "5.2-1 (install ok half-configured)"
    );
    // It is neither an update any more nor simply installed.
    machine
        .wua(["install", "tidewatch"])
        .ends(5)
        .complains(&["tidewatch", "5.2-1", "half-configured"]);
    let run = machine.wua(["install", "inkpot", "--output", "jsonl"]).ends(0);
    let warned = run.events("warning").iter().any(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("tidewatch"))
    });
    assert!(warned, "what is still broken is told\n{run}");
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
    // APT configures what waits for it with the next change.
    machine.write("var/lib/dpkg/info/tidewatch.postinst", "#!/bin/sh\nexit 0\n");
    machine.wua(["install", "pixelry"]).ends(0);
    assert_eq!(machine.installed("tidewatch"), "5.2-1");
    machine
        .wua(["install", "tidewatch"])
        .ends(0)
        .says(&["Nothing to do."]);
}

#[test]
fn an_archive_with_other_bytes_than_the_index_says_never_gets_in() {
    let machine = Machine::new(1, &[Fault::BadHash]);
    let document = machine.document(1, ["download", "--all"]);
    let update = ended(&document, "paperlane");
    assert_eq!(
        (&update["result_code"], &update["is_downloaded"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(ended(&document, "inkpot")["is_downloaded"], true);
    let store = machine.json(["store"]);
    let labels: Vec<&str> = store["contents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|content| content["label"].as_str().expect("text"))
        .collect();
    assert!(
        !labels.iter().any(|label| label.ends_with(" 7.0.1-1")),
        "{labels:?}"
    );
    machine
        .wua(["install", "paperlane"])
        .ends(5)
        .says(&["FAILED  paperlane 7.0.1-1"]);
    assert_eq!(machine.installed("paperlane"), "7.0-1");
}

#[test]
fn an_archive_that_was_altered_in_the_store_is_not_installed() {
    let machine = Machine::new(2, &[]);
    machine.wua(["download", "--all"]).ends(0);
    let store = machine.json(["store"]);
    let contents = store["contents"].as_array().expect("a list");
    let content = contents
        .iter()
        .find(|content| content["label"] == "deb inkpot amd64 4.2.2-1")
        .expect("downloaded");
    let hash = content["sha256"].as_str().expect("a hash");
    let path = machine.path(&format!("var/lib/wua/store/sha256/{}/{hash}.deb", &hash[..2]));
    let mut bytes = fs::read(&path).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("altered");
    let run = machine.wua(["install", "--all", "--output", "jsonl"]);
    // Fetched again, or refused: what is installed is what the archive signed.
    assert!(matches!(run.code, 0 | 1), "{run}");
    let result = run.result();
    assert_eq!(ended(&result, "pixelry")["result_code"], 2);
    let inkpot = ended(&result, "inkpot");
    match run.code {
        0 => assert_eq!(machine.installed("inkpot"), "4.2.2-1"),
        _ => {
            assert_eq!(inkpot["failure_hresult_code"], "0x80246002", "{inkpot:#}");
            assert_eq!(machine.installed("inkpot"), "4.2.1-1");
        }
    }
}

#[test]
fn a_large_update_tells_its_bytes() {
    let machine = Machine::new(0, &[Fault::Large]);
    let run = machine.wua(["install", "--all", "--output", "jsonl"]).ends(0);
    let total: Vec<u64> = run
        .events("progress")
        .iter()
        .filter_map(|line| line["total_bytes_to_download"].as_u64())
        .collect();
    assert!(total.iter().all(|bytes| *bytes > 60_000_000), "{total:?}");
    assert_eq!(machine.installed("voicepack-nordic"), "2026.04-1");
}

#[test]
fn every_update_can_have_a_batch_of_its_own() {
    let machine = Machine::new(3, &[]);
    machine.small_batches();
    let plan = machine.json(["install", "--all", "--what-if"]);
    assert_eq!(plan["batches"].as_array().map(Vec::len), Some(3));
    machine.wua(["install", "--all", "--output", "jsonl"]).ends(0);
    machine
        .wua(["install", "--all"])
        .ends(0)
        .says(&["Nothing to do."]);
}
