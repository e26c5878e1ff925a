//! What needs no machine: codes, completions, manual, help; and making machines.

use serde_json::json;

use crate::harness::{program, run_anywhere};

#[test]
fn every_code_is_explained_by_name_and_number() {
    let all = run_anywhere(["codes", "--output", "json"]).ends(0).document();
    let codes = all["codes"].as_array().expect("a list");
    let of_wua =
        |code: &&serde_json::Value| code["name"].as_str().is_some_and(|name| name.starts_with("WU_"));
    assert_eq!(codes.iter().filter(of_wua).count(), 468);
    for code in [
        "0x8024200B",
        "-2145116149",
        "WU_E_UH_INSTALLERFAILURE",
        "0x8024200b",
    ] {
        run_anywhere(["codes", code]).ends(0).says(&[
            "0x8024200B WU_E_UH_INSTALLERFAILURE",
            "meaning",
            "cause",
            "next",
        ]);
        let one = run_anywhere(["codes", code, "--output", "json"])
            .ends(0)
            .document();
        assert_eq!(one["codes"][0]["decimal"], json!(-2_145_116_149_i64));
    }
    run_anywhere(["codes", "0x8024200B", "--output", "jsonl"])
        .ends(0)
        .result();
    assert_eq!(run_anywhere(["codes"]).ends(0).out.lines().count(), codes.len());
    run_anywhere(["codes", "0x12345678"])
        .ends(2)
        .complains(&["0x12345678", "`wua codes` lists all"]);
}

#[test]
fn advice_names_only_commands_that_there_are() {
    let help = run_anywhere(["--help"]).ends(0).out;
    let is_command = |word: &str| {
        help.lines()
            .any(|line| line.trim_start().split(' ').next() == Some(word))
    };
    assert!(is_command("search") && !is_command("nothing"));
    let all = run_anywhere(["codes", "--output", "json"]).ends(0).document();
    let mut unknown = Vec::new();
    for code in all["codes"].as_array().expect("a list") {
        let advice = code["next_step"].as_str().unwrap_or_default();
        for quoted in advice.split('`').skip(1).step_by(2) {
            if let Some(command) = quoted.strip_prefix("wua ") {
                let word = command
                    .split(' ')
                    .find(|word| !word.starts_with('-'))
                    .unwrap_or_default();
                if !is_command(word) {
                    unknown.push(format!("{}: {quoted}", code["name"]));
                }
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        run_anywhere(["completions", shell])
            .ends(0)
            .says(&["wua", "accept-eula", "what-if"]);
    }
    run_anywhere(["completions", "csh-of-old"]).ends(2);
}

#[test]
fn the_manual_has_every_command_and_none_that_is_not_for_people() {
    let manual = run_anywhere(["man"]).ends(0).out;
    for command in ["search", "install", "uninstall", "attach", "codes", "sandbox"] {
        assert!(
            manual.contains(&format!(".SH \"WUA {}\"", command.to_uppercase())),
            "{command}"
        );
    }
    assert!(!manual.contains("WUA JOB\""));
    assert!(!run_anywhere(["--help"]).ends(0).out.contains("Carry out a job"));
}

#[test]
fn help_and_version_are_no_mistakes() {
    run_anywhere(["--version"])
        .ends(0)
        .says(&[env!("CARGO_PKG_VERSION")]);
    let help = run_anywhere(["--help"]).ends(0);
    let commands = [
        "demo",
        "sandbox",
        "search",
        "show",
        "hide",
        "unhide",
        "accept-eula",
        "download",
        "install",
        "uninstall",
    ];
    help.says(&commands).says(&[
        "history",
        "status",
        "jobs",
        "attach",
        "abort",
        "store",
        "services",
        "codes",
        "completions",
        "man",
    ]);
    for command in commands {
        run_anywhere([command, "--help"]).ends(0).says(&["Usage: wua"]);
    }
}

#[test]
fn machines_are_made_where_there_is_room_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("m");
    let words = [
        "sandbox",
        "create",
        root.to_str().expect("a plain name"),
        "--updates",
        "1",
        "--with",
        "slow,conffile",
    ];
    run_anywhere(words)
        .ends(0)
        .says(&["Made a practice machine", "search"]);
    let again = run_anywhere(words.into_iter().chain(["--output", "json"]))
        .ends(0)
        .document();
    assert_eq!(again["root"], json!(root));
    run_anywhere(["--root", root.to_str().expect("a plain name"), "search"]).says(&[
        "3 updates",
        "docfinder",
        "gatewarden",
    ]);

    let occupied = folder.path().join("occupied");
    std::fs::create_dir(&occupied).expect("a folder");
    std::fs::write(occupied.join("letter"), "mine").expect("a file");
    let run = run_anywhere(["sandbox", "create", occupied.to_str().expect("a plain name")]);
    assert_ne!(run.code, 0);
    assert!(occupied.join("letter").exists());
    let odd = folder.path().join("with blank");
    run_anywhere(["sandbox", "create", odd.to_str().expect("UTF-8")]).complains(&["APT cannot take"]);
}

#[test]
fn the_demo_shows_it_all_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = program()
        .env("TMPDIR", folder.path())
        .arg("demo")
        .output()
        .expect("it runs");
    let told = String::from_utf8(run.stdout).expect("it speaks UTF-8");
    assert_eq!(run.status.code(), Some(0), "{told}");
    for text in [
        "$ wua search",
        "FAILED  tidewatch",
        "FAILED  cellarkeep",
        "done    docfinder",
        "Restart the machine",
        "taken back",
    ] {
        assert!(told.contains(text), "the demo should show {text:?}\n{told}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("listed").count(),
        0,
        "nothing stays"
    );
    for format in ["json", "jsonl"] {
        run_anywhere(["demo", "--output", format])
            .ends(2)
            .complains(&["for people"]);
    }
}
