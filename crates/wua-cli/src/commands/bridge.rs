//! `wua bridge`: the agent's API at a port of the loopback address, for the caller's own programs without Unix sockets.

use std::path::{Path, PathBuf};

use serde_json::json;
use wua_types::HResult;
use wua_web::Bridge;

use crate::arguments::Global;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn run(screen: Screen, global: &Global, file: Option<&Path>) -> Result<Exit, Problem> {
    let file = match file {
        Some(file) => std::path::absolute(file)?,
        None => usual_file()?,
    };
    let sockets = global.sockets.as_deref().unwrap_or(Path::new(wua_agent::SOCKETS));
    let bridge = Bridge::open(sockets, &file)?;
    let port = bridge.port();
    if screen.is_text() {
        screen.line(format!(
            "The bridge is open at 127.0.0.1:{port}, until Ctrl-C. Programs of yours find it by `{}`.",
            file.display()
        ));
    } else {
        screen.result(json!({ "port": port, "file": file }));
    }
    bridge.serve()?;
    Ok(Exit::Done)
}

/// Where a bridge's file is unless somebody says otherwise: in the folder of the user's session, which ends with it, or else below
/// the user's home.
pub(crate) fn usual_file() -> Result<PathBuf, Problem> {
    let folder = |name| {
        let folder = std::env::var_os(name).map(PathBuf::from)?;
        folder.is_absolute().then_some(folder)
    };
    let runtime = folder("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir());
    let place = runtime.or_else(|| Some(folder("HOME")?.join(".cache")));
    let place = place.ok_or_else(|| {
        let what = "neither XDG_RUNTIME_DIR nor HOME says where the bridge's file is";
        Problem::new(HResult::E_INVALIDARG, what).hint("Name it by an option.")
    })?;
    Ok(place.join("wua/bridge.json"))
}
