//! `wua wine`: `wuapi.dll` in a Wine prefix.

use std::path::Path;

use serde_json::json;

use crate::arguments::WineCommand;
use crate::commands::bridge;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;
use crate::wine::Prefix;

pub(crate) fn run(screen: Screen, command: &WineCommand) -> Result<Exit, Problem> {
    match command {
        WineCommand::Setup {
            prefix,
            dll,
            bridge_file,
        } => setup(screen, prefix, dll, bridge_file.as_deref()),
        WineCommand::Remove { prefix } => remove(screen, prefix),
    }
}

fn setup(screen: Screen, prefix: &Path, dll: &Path, bridge_file: Option<&Path>) -> Result<Exit, Problem> {
    let (prefix, dll) = (Prefix::open(prefix)?, std::path::absolute(dll)?);
    let bridge_file = match bridge_file {
        Some(file) => std::path::absolute(file)?,
        None => bridge::usual_file()?,
    };
    prefix.set_up(&dll, &bridge_file)?;
    screen.aside(format!(
        "Windows programs in `{}` have wua's wuapi.dll now. They reach the agent while `wua bridge` runs, by `{}`.",
        prefix.path().display(),
        bridge_file.display()
    ));
    screen.result(json!({
        "prefix": prefix.path(),
        "changed": true,
        "dll": dll,
        "bridge_file": bridge_file,
    }));
    Ok(Exit::Done)
}

fn remove(screen: Screen, prefix: &Path) -> Result<Exit, Problem> {
    let prefix = Prefix::open(prefix)?;
    let changed = prefix.remove()?;
    let place = prefix.path().display();
    screen.aside(if changed {
        format!("Wine's own wuapi.dll is back in `{place}`.")
    } else {
        format!("There is nothing of wua's in `{place}`.")
    });
    screen.result(json!({ "prefix": prefix.path(), "changed": changed }));
    Ok(Exit::Done)
}
