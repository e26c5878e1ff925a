//! What the examples that measure share: the `wua` that was built with them, and machines restored from copies.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `wua` that was built with this program.
pub(crate) fn wua_beside_this_program() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.ok_or("this program has no folder")?.join("wua"))
}

/// Puts a copy of the tree `from` in the place of `to`, with owners, modes and times as they are.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let status = Command::new("cp")
        .arg("-a")
        .arg("--")
        .arg(from)
        .arg(to)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cp ended with {status}").into())
    }
}
