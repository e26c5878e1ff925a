//! What a review by fresh eyes found: hostile texts, closed pipes, mistyped words, other people's machines.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::process::{Command, ExitStatus, Output, Stdio};

use serde_json::json;
use wua_sandbox::Fault;

use crate::harness::{Machine, run_anywhere};

/// Runs a command on the machine with this as its standard output.
fn run_into(machine: &Machine, output: impl Into<Stdio>, arguments: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wua"));
    command
        .arg("--root")
        .arg(machine.root())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped());
    let Output { status, stderr, .. } = command
        .spawn()
        .expect("the program starts")
        .wait_with_output()
        .expect("it ends");
    (status, String::from_utf8(stderr).expect("it speaks UTF-8"))
}

/// The writing end of a pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn texts_of_the_archive_cannot_control_the_terminal() {
    let machine = Machine::new(2, &[]);
    for entry in fs::read_dir(machine.path("var/lib/apt/lists")).expect("the indexes") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().ends_with("_Packages") {
            let text = fs::read_to_string(&path).expect("an index");
            let evil = "Description: evil \u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}1m\u{202e}words ";
            let text = text
                .replace("Description: ", evil)
                .replace("Homepage: ", "Homepage: https://evil\u{1b}[1A\u{2066}/");
            fs::write(path, text).expect("written");
        }
    }
    for arguments in [
        &["show", "inkpot"][..],
        &["search", "--details"],
        &["install", "--all", "--what-if"],
    ] {
        let run = machine.wua(arguments).ends(0);
        let odd = |letter: char| {
            (letter.is_control() && letter != '\n') || ('\u{2028}'..='\u{2069}').contains(&letter)
        };
        assert!(!run.out.contains(odd), "{run}");
    }
}

#[test]
fn a_closed_pipe_stops_no_work_and_hides_no_failure() {
    let machine = Machine::new(1, &[Fault::FailingPreinst]);
    let (status, _) = run_into(&machine, closed_pipe(), &["install", "inkpot"]);
    assert_eq!(
        (status.code(), machine.installed("inkpot").as_str()),
        (Some(0), "4.2.2-1")
    );
    let (status, _) = run_into(&machine, closed_pipe(), &["install", "cellarkeep"]);
    assert_eq!(status.code(), Some(5));
    let (status, said) = run_into(&machine, closed_pipe(), &["man"]);
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_of_its_own() {
    let machine = Machine::new(1, &[]);
    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("it is always full")
    };
    for arguments in [
        &["search"][..],
        &["codes", "--output", "json"],
        &["install", "inkpot", "--output", "jsonl"],
    ] {
        let (status, said) = run_into(&machine, full(), arguments);
        assert_eq!(status.code(), Some(5), "{said}");
        assert!(said.contains("the output could not be written"), "{said}");
    }
    assert_eq!(
        machine.installed("inkpot"),
        "4.2.2-1",
        "the work was done all the same"
    );
}

#[test]
fn a_mistyped_exclusion_lets_nothing_in() {
    let machine = Machine::new(2, &[]);
    for word in [
        "inkpott",
        "inkpot:amd46",
        "category:securty",
        "00000000-0000-4000-8000-000000000000",
    ] {
        for command in ["install", "hide"] {
            machine
                .wua([command, "--all", "--exclude", word])
                .ends(2)
                .complains(&[word]);
        }
    }
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]));
    // What is known needs not be there today.
    for word in ["quayutils", "category:backports", "quayutils:amd64"] {
        machine
            .wua(["install", "--all", "--exclude", word, "--what-if"])
            .ends(0);
    }
    machine
        .wua(["install", "--all", "--exclude", "title:^nosuch", "--what-if"])
        .ends(0)
        .complains(&["leaves nothing out"]);
    machine.wua(["hide", "inkpot"]).ends(0);
    machine.wua(["install", "--all", "--exclude", "inkpot"]).ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn a_word_with_an_unknown_prefix_is_no_name() {
    for word in ["foo:bar", "cathegory:security"] {
        let run =
            run_anywhere(["install", word])
                .ends(2)
                .complains(&[word, "category:", "NAME:ARCHITECTURE"]);
        assert_eq!(run.out, "");
    }
}

#[test]
fn an_update_that_stays_out_says_what_keeps_it_out() {
    let machine = Machine::new(2, &[]);
    machine.wua(["hide", "inkpot"]).ends(0);
    machine
        .wua(["install", "inkpot"])
        .ends(2)
        .complains(&["is hidden", "wua unhide inkpot"]);
    machine
        .wua([
            "install",
            "pixelry",
            "--criteria",
            "IsInstalled=0 and Type='Driver'",
        ])
        .ends(2)
        .complains(&[
            "pixelry 2.7.0-3+deb12u1",
            "does not fit the criteria",
            "Type='Driver'",
        ]);
    assert_eq!(machine.installed("libpixelry3"), "2.7.0-3");
}

#[test]
fn a_command_that_may_not_begin_ends_its_stream_and_fetches_nothing() {
    let machine = Machine::new(1, &[Fault::Reboot]);
    machine.wua(["install", "corebus"]).ends(10);
    machine.write("etc/wua/wua.toml", "[install]\nrestart_first = true\n");
    let run = machine
        .wua(["install", "inkpot", "--output", "jsonl"])
        .ends(5)
        .complains(&["restarted first"]);
    let begun = run.events("started");
    assert!(begun.iter().all(|line| line["operation"] == "search"), "{run}");
    let result = run.result();
    assert_eq!(result["hresult"], "0x80240016", "{run}");
    assert!(
        result["problem"]
            .as_str()
            .is_some_and(|text| text.contains("restarted first")),
        "{run}"
    );
    // It is so wherever a command ends early.
    let run = machine.wua(["search", "Type=", "--output", "jsonl"]).ends(2);
    assert_eq!(run.result()["hresult"], "0x80240032", "{run}");
}

#[test]
fn a_practice_machine_in_use_is_not_made_anew() {
    let machine = Machine::new(1, &[Fault::Slow]);
    let root = machine.root().to_str().expect("a plain name");
    machine.close_gate();
    let mut front = machine.start(["install", "docfinder"]);
    let job = front.job();
    run_anywhere(["sandbox", "create", root])
        .ends(5)
        .complains(&[&job, root, "wua --root"]);
    machine.open_gate();
    front.wait().ends(0);
    run_anywhere(["demo", "--dir", root])
        .ends(2)
        .complains(&[root, "is not empty", "sandbox create"]);
    assert_eq!(
        machine.json(["jobs"])["jobs"][0]["job"],
        json!(job),
        "nothing was removed"
    );
    run_anywhere(["sandbox", "create", root, "--updates", "1"])
        .ends(0)
        .says(&["anew", root]);
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]));
}

#[test]
fn a_machine_of_another_user_is_left_alone_and_its_owner_is_named() {
    if !is_root() {
        return; // Only root can give files away.
    }
    let machine = Machine::new(0, &[]);
    let root = machine.root().to_str().expect("a plain name");
    chown(root, Some(65_534), None).expect("given away");
    run_anywhere(["sandbox", "create", root])
        .ends(3)
        .complains(&[root, "belongs to uid 65534"]);
    let run = machine.wua(["install", "--all"]).ends(3);
    assert!(
        run.err.contains("owner, uid 65534") && !run.err.contains("as root"),
        "{run}"
    );
}

#[test]
fn taking_back_downloads_nothing() {
    let machine = Machine::new(1, &[]);
    machine.wua(["install", "inkpot"]).ends(0);
    let run = machine.wua(["uninstall", "inkpot", "--what-if"]).ends(0);
    assert!(!run.out.contains("to download"), "{run}");
    assert_eq!(
        machine.json(["uninstall", "inkpot", "--what-if"])["download_size"],
        0
    );
}

#[test]
fn an_unknown_job_has_no_history() {
    let machine = Machine::new(1, &[]);
    let unknown = "00000000-0000-4000-8000-000000000000";
    machine
        .wua(["history", "--job", unknown])
        .ends(2)
        .complains(&[unknown, "WU_E_UNKNOWN_ID", "wua jobs"]);
    machine.wua(["install", "inkpot"]).ends(0);
    let jobs = machine.json(["jobs"]);
    let job = jobs["jobs"][0]["job"].as_str().expect("an id");
    machine
        .wua(["history", "--job", job])
        .ends(0)
        .says(&["inkpot 4.2.2-1"]);
}

#[test]
fn a_root_that_holds_no_machine_is_answered_in_one_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().to_str().expect("a plain name");
    fs::create_dir_all(folder.path().join("etc/wua")).expect("a folder");
    fs::write(folder.path().join("etc/wua/wua.toml"), "no policy").expect("written");
    for root in [empty, "/etc/passwd", "/nonexistent"] {
        let run = run_anywhere(["search", "--root", root]).ends(2);
        run.complains(&[
            "there is no machine in",
            root,
            "Give the root folder of a Debian tree with `--root`.",
        ]);
    }
}
