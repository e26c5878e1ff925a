//! `wua sandbox create`: a practice machine.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use wua_engine::{Folders, lock};
use wua_sandbox::{Fault, PracticeMachine, Recipe};
use wua_types::HResult;
use wua_types::practice::MARK;

use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn create(
    screen: Screen,
    dir: &Path,
    updates: u16,
    seed: u64,
    with: &[Fault],
) -> Result<Exit, Problem> {
    let dir = std::path::absolute(dir)?;
    let faults: BTreeSet<Fault> = with.iter().copied().collect();
    let anew = dir.join(MARK).exists();
    if let Some(holder) = lock::holder(&Folders::new(&dir).lock()) {
        let what = format!(
            "job {} runs on the practice machine in `{}`",
            holder.job,
            dir.display()
        );
        let hint = format!(
            "Wait for it with `wua --root {} attach {}`, then repeat the command.",
            dir.display(),
            holder.job
        );
        return Err(Problem::new(HResult::WU_E_OPERATIONINPROGRESS, what).hint(hint));
    }
    let machine = PracticeMachine::create(
        &dir,
        &Recipe {
            updates: updates.into(),
            seed,
            faults,
        },
    )?;
    let root = machine.root().display();
    if screen.is_text() {
        let made = if anew {
            "Made the practice machine anew"
        } else {
            "Made a practice machine"
        };
        screen.aside(format!("{made} in {root}. Look at it with:"));
        screen.aside(format!("  wua --root {root} search"));
    }
    screen.result(json!({ "root": machine.root(), "archive": machine.archive().root() }));
    Ok(Exit::Done)
}
