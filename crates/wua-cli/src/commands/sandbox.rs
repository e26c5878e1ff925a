//! `wua sandbox create`: a practice machine.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use wua_sandbox::{Fault, PracticeMachine, Recipe};

use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn create(screen: Screen, dir: &Path, updates: u16, seed: u64, with: &[Fault]) -> Result<Exit, Problem> {
    let dir = std::path::absolute(dir)?;
    let faults: BTreeSet<Fault> = with.iter().copied().collect();
    let machine = PracticeMachine::create(&dir, &Recipe { updates: updates.into(), seed, faults })?;
    let root = machine.root().display();
    if screen.is_text() {
        screen.aside(format!("Made a practice machine in {root}. Look at it with:"));
        screen.aside(format!("  wua --root {root} search"));
    }
    screen.result(json!({ "root": machine.root(), "archive": machine.archive().root() }));
    Ok(Exit::Done)
}
