//! `wua agent`: the service, and the hidden commands that make this program its worker and its child.

use std::path::Path;

use uuid::Uuid;
use wua_agent::{Service, ask, worker};
use wua_types::HResult;

use crate::arguments::Global;
use crate::exit_code::Exit;
use crate::machine;
use crate::problem::Problem;

/// Where the machine's own agent listens.
const OWN: &str = wua_agent::SOCKETS;

pub(crate) fn run(global: &Global) -> Result<Exit, Problem> {
    let sockets = global.sockets.as_deref().unwrap_or(Path::new(OWN));
    let session = machine::open(&global.root)?;
    session.machine().handler.may_change().map_err(|failure| {
        Problem::from(failure).hint("Run it as root, or as the owner of the tree that it is to serve.")
    })?;
    if sockets == Path::new(OWN) && session.machine().folders.root() != Path::new("/") {
        let what = format!("`{OWN}` is the place of this machine's own agent");
        return Err(Problem::new(HResult::E_INVALIDARG, what)
            .hint("Give the agent of another tree a folder of its own with `--sockets DIR`."));
    }
    wua_agent::run(Service {
        session,
        sockets: sockets.into(),
        notify: std::env::var_os("NOTIFY_SOCKET"),
    })?;
    Ok(Exit::Done)
}

pub(crate) fn work(global: &Global, job: Uuid) -> Result<Exit, Problem> {
    worker::work(machine::open(&global.root)?, job)?;
    Ok(Exit::Done)
}

pub(crate) fn ask(global: &Global) -> Result<Exit, Problem> {
    let session = machine::open(&global.root)?;
    ask::answer(&session, std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(Exit::Done)
}
