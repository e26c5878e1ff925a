//! What people read, word for word, where the output is no terminal. Names of places, ids and times are masked.

use insta::{Settings, assert_snapshot};
use wua_sandbox::Fault;

use crate::harness::{Machine, Run, run_anywhere};

/// Runs `check` with all masked that differs from run to run.
fn masked(machine: Option<&Machine>, check: impl FnOnce()) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    if let Some(machine) = machine {
        settings.add_filter(&machine.root().display().to_string(), "MACHINE");
    }
    settings.add_filter(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "HASH");
    settings.add_filter(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", "TIME");
    // Archives are the same bytes everywhere, but for those that the machine's own dpkg-deb packs again.
    settings.add_filter(r"[\d.]+ k?B  repacked", "SIZE  repacked");
    settings.add_filter(r"(\d+ archives), .*", "$1, SIZE");
    settings.add_filter(
        r"needs [\d.]+ .?B on the file system of .*, where [\d.]+ .?B are free",
        "needs SIZE on the file system of PLACE, where SIZE are free",
    );
    settings.add_filter(r"wua/\d+\.\d+\.\d+", "wua/VERSION");
    settings.bind(check);
}

fn told(run: &Run) -> String {
    run.to_string()
}

/// The outcome of an installation, without the lines that tell how far it is: their order is dpkg's.
fn outcome(run: &Run) -> String {
    let is_progress = |line: &&str| {
        line.trim_start()
            .split_once(" %  ")
            .is_none_or(|(number, _)| number.parse::<u8>().is_err())
    };
    let text = told(run);
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines().filter(is_progress) {
        match blocks.last_mut() {
            Some(block) if line.starts_with("     ") => {
                block.push('\n');
                block.push_str(line);
            }
            _ => blocks.push(line.into()),
        }
    }
    // Each update with its reason; the order in which they end is not ours to choose.
    let is_update = |block: &String| {
        ["  done ", "  FAILED "]
            .iter()
            .any(|begin| block.starts_with(begin))
    };
    let begin = blocks
        .iter()
        .position(|block| block.starts_with("Installing") || block.starts_with("Taking back"));
    let places: Vec<usize> = (begin.unwrap_or(0)..blocks.len())
        .filter(|place| is_update(&blocks[*place]))
        .collect();
    let mut sorted: Vec<String> = places.iter().map(|place| blocks[*place].clone()).collect();
    sorted.sort_by_key(|block| block.split_whitespace().nth(1).map(str::to_owned));
    for (place, block) in places.into_iter().zip(sorted) {
        blocks[place] = block;
    }
    blocks.join("\n")
}

#[test]
fn looking_at_a_machine() {
    let machine = Machine::new(5, &[Fault::MissingDependency]);
    masked(Some(&machine), || {
        assert_snapshot!("search", told(&machine.wua(["search"])));
        assert_snapshot!("search_details", told(&machine.wua(["search", "--details"])));
        assert_snapshot!("show", told(&machine.wua(["show", "pixelry"])));
        assert_snapshot!(
            "what_if",
            told(&machine.wua(["install", "pixelry", "linux-practice", "--what-if"]))
        );
        assert_snapshot!("status", told(&machine.wua(["status"])));
        assert_snapshot!("services", told(&machine.wua(["services"])));
        assert_snapshot!("nothing_selected", told(&machine.wua(["install"])));
        assert_snapshot!("unknown_name", told(&machine.wua(["install", "nosuchthing"])));
        assert_snapshot!("kept_back", told(&machine.wua(["install", "brightshell"])));
        assert_snapshot!(
            "bad_criteria",
            told(&machine.wua(["search", "IsInstalled=0 and IsHiden=1"]))
        );
    });
}

#[test]
fn changing_a_machine() {
    let faults = [
        Fault::FailingPostinst,
        Fault::FailingPreinst,
        Fault::Conffile,
        Fault::Reboot,
    ];
    let machine = Machine::new(2, &faults);
    masked(Some(&machine), || {
        assert_snapshot!("install_failures", outcome(&machine.wua(["install", "--all"])));
        assert_snapshot!("status_restart", told(&machine.wua(["status"])));
        assert_snapshot!("jobs", told(&machine.wua(["jobs"])));
    });
    let machine = Machine::new(2, &[Fault::Conffile]);
    masked(Some(&machine), || {
        assert_snapshot!("download", told(&machine.wua(["download", "--all"])));
        assert_snapshot!("show_downloaded", told(&machine.wua(["show", "pixelry"])));
        assert_snapshot!("install", outcome(&machine.wua(["install", "--all"])));
        assert_snapshot!(
            "uninstall_what_if",
            told(&machine.wua(["uninstall", "inkpot", "--what-if"]))
        );
        assert_snapshot!("uninstall", outcome(&machine.wua(["uninstall", "inkpot"])));
        assert_snapshot!("history", told(&machine.wua(["history", "--limit", "1"])));
        assert_snapshot!("store", told(&machine.wua(["store"])));
        assert_snapshot!("nothing_to_do", told(&machine.wua(["install", "--all"])));
        assert_snapshot!("unhide", told(&machine.wua(["unhide", "--all"])));
    });
}

#[test]
fn reading_about_it() {
    masked(None, || {
        assert_snapshot!("help", told(&run_anywhere(["--help"])));
        assert_snapshot!("help_install", told(&run_anywhere(["install", "--help"])));
        assert_snapshot!("code", told(&run_anywhere(["codes", "0x8024200B"])));
        assert_snapshot!("no_code", told(&run_anywhere(["codes", "0x12345678"])));
    });
}
