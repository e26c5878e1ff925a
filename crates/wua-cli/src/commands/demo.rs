//! `wua demo`: all of wua on a practice machine, with nothing but real programs: apt, dpkg, this one.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use wua_sandbox::{Fault, PracticeMachine, Recipe};

use crate::arguments::{Arguments, Global};
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

/// What is done on the practice machine, with a word on why.
const STEPS: [(&str, &[&str]); 7] = [
    ("Which updates are there?", &["search"]),
    (
        "What would installing one of them do?",
        &["install", "pixelry", "--what-if"],
    ),
    (
        "Install them all. One takes its time, one fails while it is configured and one before it is unpacked, one wants a restart.",
        &["install", "--all"],
    ),
    ("How does the machine stand?", &["status"]),
    (
        "Take one back. The archive does not have its old version any more; the download kept it.",
        &["uninstall", "pixelry"],
    ),
    (
        "It is hidden now, or the next search would bring it again.",
        &["search", "IsInstalled=0 and IsHidden=1"],
    ),
    ("What was done?", &["history"]),
];

pub(crate) fn run(screen: Screen, global: &Global, dir: Option<&Path>) -> Result<Exit, Problem> {
    if !screen.is_text() {
        let what = "the demo is for people and has no document";
        let hint = "Make a machine with `wua sandbox create`, and use `--output` with commands on it.";
        return Err(Problem::new(wua_types::HResult::E_INVALIDARG, what).hint(hint));
    }
    let temporary = match dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("wua-demo-").tempdir()?),
    };
    let root: PathBuf = match (dir, &temporary) {
        (Some(dir), _) => std::path::absolute(dir)?,
        (None, Some(temporary)) => temporary.path().join("machine"),
        (None, None) => {
            return Err(Problem::new(
                wua_types::HResult::E_UNEXPECTED,
                "there is no folder for the demo",
            ));
        }
    };
    if dir.is_some() && root.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let what = format!("`{}` is not empty", root.display());
        let hint = "Name an empty folder or a new one; `wua sandbox create` makes a practice machine anew.";
        return Err(Problem::new(wua_types::HResult::E_INVALIDARG, what).hint(hint));
    }
    screen.line(
        "Making a practice machine: a Debian tree with its own signed archive, nothing of yours is touched.",
    );
    let faults = [
        Fault::Slow,
        Fault::FailingPostinst,
        Fault::FailingPreinst,
        Fault::Reboot,
        Fault::Conffile,
    ];
    PracticeMachine::create(
        &root,
        &Recipe {
            updates: 8,
            seed: 1,
            faults: faults.into(),
        },
    )?;
    for (why, words) in STEPS {
        screen.line("");
        screen.heading(why);
        screen.line(format!(
            "$ wua {}",
            words
                .iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(" ")
        ));
        step(global, &root, words)?;
    }
    screen.line("");
    match dir {
        Some(_) => screen.line(format!(
            "The machine stays; go on with `wua --root {} search`.",
            root.display()
        )),
        None => screen.line("The practice machine is removed again. Keep one with `wua demo --dir DIR`."),
    }
    Ok(Exit::Done)
}

/// One command, read and run as if it had been typed. Updates that fail are part of the story; a command that cannot run is not.
fn step(global: &Global, root: &Path, words: &[&str]) -> Result<(), Problem> {
    let arguments = Arguments::try_parse_from(std::iter::once("wua").chain(words.iter().copied()))
        .map_err(|error| Problem::new(wua_types::HResult::E_INVALIDARG, error.to_string()))?;
    let global = Global {
        root: root.into(),
        ..global.clone()
    };
    crate::run(&global, arguments.command).map(drop)
}

fn quoted(word: &str) -> String {
    if word.contains(' ') {
        format!("'{word}'")
    } else {
        word.into()
    }
}
