//! unattended-upgrades as a peer, at its defaults, in a mount namespace where only the bench's folder can be written.

use std::process::{Command, Stdio};

use crate::Outcome;
use crate::ground::{Ground, Prepared};

const SCRIPT: &str = include_str!("unattended.sh");

/// The upgrade, with whatever it downloads.
pub(crate) fn upgrade(ground: &Ground) -> Outcome<Command> {
    let mut command = ground.program("unshare")?;
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]);
    command.arg(ground.folder()).arg(ground.root());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// Whether it works here at all; the error says why not. It is no peer unless it upgrades everything.
pub(crate) fn check(ground: &Ground) -> Outcome<()> {
    ground.restore(Prepared::Offered)?;
    let output = upgrade(ground)?.stderr(Stdio::piped()).output()?;
    if output.status.success() {
        return ground.assert_upgraded();
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.unwrap_or("it ended without a word").trim().into())
}
