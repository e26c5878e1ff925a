//! Machines and wishes that are not what they should be: each gets a sentence, a code and an exit code, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::{Machine, run_anywhere};

#[test]
fn a_folder_that_is_no_machine_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_str().expect("a plain name");
    for command in ["search", "status", "history"] {
        run_anywhere([command, "--root", root])
            .ends(2)
            .complains(&[root, "var/lib/dpkg/status", "--root"]);
    }
    let missing = folder.path().join("missing");
    let missing = missing.to_str().expect("a plain name");
    run_anywhere(["search", "--root", missing])
        .ends(2)
        .complains(&[missing, "--root"]);
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    run_anywhere(["search", "--root", file.to_str().expect("a plain name")])
        .ends(2)
        .complains(&["no folder", "--root"]);
    assert_eq!(
        fs::read_dir(folder.path()).expect("listed").count(),
        1,
        "nothing was written"
    );
}

#[test]
fn a_damaged_package_database_is_named_with_its_place() {
    let machine = Machine::new(1, &[]);
    let status = machine.path("var/lib/dpkg/status");
    let text = fs::read_to_string(&status).expect("the database");
    fs::write(&status, text.replacen("Version: ", "Version ", 1)).expect("damaged");
    for arguments in [&["search"][..], &["install", "--all"], &["show", "inkpot"]] {
        machine
            .wua(arguments)
            .ends(5)
            .complains(&["var/lib/dpkg/status", "is damaged in", "inkpot"]);
    }
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]));
}

#[test]
fn a_policy_with_an_unknown_key_is_refused_with_its_place() {
    let machine = Machine::new(1, &[]);
    machine.write("etc/wua/wua.toml", "[install]\nlongest_bach_seconds = 5\n");
    for command in ["search", "status", "jobs"] {
        let run = machine
            .wua([command])
            .ends(2)
            .complains(&["longest_bach_seconds", "line 2", "wua.toml"]);
        assert_eq!(run.out, "");
    }
    machine.write("etc/wua/wua.toml", "[install\n");
    machine.wua(["search"]).ends(2).complains(&["wua.toml"]);
    fs::remove_file(machine.path("etc/wua/wua.toml")).expect("removed");
    machine.wua(["search"]).ends(0);
}

#[test]
fn a_damaged_state_is_never_taken_for_an_empty_one() {
    let machine = Machine::new(1, &[]);
    machine.wua(["hide", "inkpot"]).ends(0);
    let database = machine.path("var/lib/wua/wua.db");
    let good = fs::read(&database).expect("the database");
    fs::write(&database, "this is a letter, no database at all").expect("damaged");
    for arguments in [
        &["history"][..],
        &["status"],
        &["search"],
        &["install", "--all"],
        &["hide", "--all"],
    ] {
        machine.wua(arguments).ends(5).complains(&["wua.db"]);
    }
    assert!(
        fs::read_to_string(&database)
            .expect("it is there")
            .starts_with("this is a letter"),
        "nothing wrote over it"
    );
    fs::write(&database, good).expect("put back");
    assert_eq!(machine.titles("IsInstalled=0 and IsHidden=1"), ["inkpot 4.2.2-1"]);
}

#[test]
fn a_lost_state_database_is_filled_again_from_what_was_published() {
    let machine = Machine::new(2, &[]);
    machine.wua(["install", "pixelry"]).ends(0);
    machine.wua(["hide", "inkpot"]).ends(0);
    let database = machine.path("var/lib/wua/wua.db");
    for is_removed in [false, true] {
        let before = machine.json(["history"]);
        if is_removed {
            fs::remove_file(&database).expect("removed");
        } else {
            fs::write(&database, "").expect("emptied");
        }
        machine.wua(["unhide", "inkpot"]).ends(0);
        assert_eq!(machine.json(["history"]), before);
        machine.wua(["hide", "inkpot"]).ends(0);
    }
    assert_eq!(machine.titles("IsInstalled=0 and IsHidden=1"), ["inkpot 4.2.2-1"]);
    machine.wua(["uninstall", "pixelry"]).ends(0);
    assert_eq!(machine.installed("libpixelry3"), "2.7.0-3");
}

#[test]
fn a_package_database_that_lost_its_packages_is_not_healthy() {
    let machine = Machine::new(1, &[]);
    machine.write("var/lib/dpkg/status", "");
    machine
        .wua(["doctor"])
        .ends(5)
        .complains(&["lists no packages", "status-old"]);
}

#[test]
fn a_practice_machine_that_was_copied_does_not_work_on_the_first_one() {
    let machine = Machine::new(1, &[]);
    let copy = machine.root().with_file_name("copy");
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(machine.root())
        .arg(&copy)
        .status();
    assert!(status.expect("cp runs").success());
    let root = copy.to_str().expect("UTF-8");
    let run = run_anywhere(["--root", root, "install", "--all"]);
    run.ends(2).complains(&["works there alone"]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn a_damaged_public_state_is_named_where_it_is_all_there_is() {
    let machine = Machine::new(1, &[]);
    machine.wua(["hide", "inkpot"]).ends(0);
    fs::remove_file(machine.path("var/lib/wua/wua.db")).expect("removed");
    machine.write("var/lib/wua/state.json", "{ \"version\": 1, \"hidden\": 7 }");
    machine
        .wua(["history"])
        .ends(5)
        .complains(&["state.json", "damaged"]);
    machine.write("var/lib/wua/state.json", "{ \"version\": 99 }");
    machine.wua(["history"]).ends(5).complains(&["state.json"]);
}

#[test]
fn damaged_event_files_hide_no_other_job() {
    let machine = Machine::new(1, &[]);
    machine.wua(["install", "--all"]).ends(0);
    let job = "00000000-0000-4000-8000-000000000000";
    machine.write(
        &format!("var/lib/wua/jobs/{job}/events.jsonl"),
        "no JSON\n{\"half\": ",
    );
    machine.write("var/lib/wua/jobs/letter.txt", "not a job");
    assert_eq!(machine.json(["jobs"])["jobs"].as_array().map(Vec::len), Some(1));
    machine.wua(["attach", job]).complains(&[job]);
    fs::remove_dir_all(machine.path(&format!("var/lib/wua/jobs/{job}"))).expect("removed");
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() {
    for (arguments, texts) in [
        (&["serach"][..], &["search"][..]),
        (&["search", "--output", "xml"], &["text", "json", "jsonl"]),
        (&["install", "--all", "--timeout", "10 days"], &["unit of time"]),
        (&["install", "--all", "inkpot"], &["cannot be used with"]),
        (&["search", "--quiet", "--verbose"], &["cannot be used with"]),
        (&["codes", "WU_E_NOTHING_LIKE_IT"], &["WU_E_NOTHING_LIKE_IT"]),
        (
            &["sandbox", "create", "/tmp/x", "--with", "gremlins"],
            &["gremlins", "failing-postinst"],
        ),
        (&[], &["Usage"]),
    ] {
        let run = run_anywhere(arguments).ends(2).complains(texts);
        assert_eq!(run.out, "");
    }
}

#[test]
fn who_may_not_change_the_machine_is_told_what_is_missing() {
    const NOBODY: u32 = 65_534;
    let acting = [
        "install",
        "download",
        "uninstall",
        "hide",
        "unhide",
        "accept-eula",
    ];
    if !rustix::process::geteuid().is_root() {
        // Without rights the machine below everything is one that this user may not change.
        for command in acting {
            run_anywhere([command, "--all"])
                .ends(3)
                .complains(&["E_ACCESSDENIED", "needs root", "sudo"]);
        }
        return;
    }
    let machine = Machine::new(1, &[]);
    let above = machine.root().parent().expect("a temporary folder");
    fs::set_permissions(above, fs::Permissions::from_mode(0o755)).expect("opened");
    for command in acting {
        machine.wua_as(NOBODY, [command, "--all"]).ends(3).complains(&[
            "E_ACCESSDENIED",
            "another user (uid 0)",
            "root",
        ]);
    }
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}
