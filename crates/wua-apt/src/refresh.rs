//! Fetching the indexes anew: `apt-get update`, run only when a search asks for it.
//!
//! With `--error-on=any` a bad signature or an unreachable server is an error (without it APT calls both a success).
//! The old indexes stay in use then, so the search goes on and says that its data is stale.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use wua_engine::Failure;
use wua_engine::store::io_code;
use wua_types::{HResult, UpdateException, UpdateExceptionContext};

use crate::child::{self, Tick};
use crate::locks;
use crate::tree::{AptTree, Program};

/// The most of APT's talk that is read, in bytes.
const MAX_TALK: u64 = 1 << 20;

/// Refreshes; blocks as long as the network does. A failing refresh is a warning.
///
/// # Errors
/// APT cannot be run, or `abort` was set.
pub(crate) fn refresh(tree: &AptTree, abort: &AtomicBool) -> Result<Option<UpdateException>, Failure> {
    let failed = |error: io::Error| {
        Failure::because(
            io_code(&error),
            "cannot run `apt-get update` to refresh the indexes",
            error,
        )
    };
    let holder = locks::holder(tree, &[locks::LISTS]);
    let mut errors: File = tempfile::tempfile().map_err(failed)?;
    let mut child = tree
        .changing(Program::AptGet)
        .args(["-q", "--error-on=any", "update"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let tick = || {
        if abort.load(Ordering::Relaxed) {
            Tick::Interrupt
        } else {
            Tick::Continue
        }
    };
    let status = child::wait(&mut child, tick).map_err(failed)?;
    if abort.load(Ordering::Relaxed) {
        return Err(Failure::new(
            HResult::WU_E_CALL_CANCELLED,
            "stopped at the caller's request",
        ));
    }
    if status.success() {
        return Ok(None);
    }
    let mut talk = Vec::new();
    errors
        .rewind()
        .and_then(|()| errors.take(MAX_TALK).read_to_end(&mut talk))
        .map_err(failed)?;
    let said = child::said(&talk);
    // Who held the lock before is likely to be who made APT fail; a guess for people.
    let holder = holder
        .map(|holder| format!(" (the lists are locked by {holder})"))
        .unwrap_or_default();
    Ok(Some(UpdateException {
        message: format!(
            "the indexes could not be refreshed, so this search used older ones: {said}{holder}"
        ),
        hresult: code(&said),
        context: UpdateExceptionContext::SearchIncomplete,
    }))
}

/// APT has no sign of the cause but its words; only the choice among failing codes hangs on them.
fn code(said: &str) -> HResult {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["NO_PUBKEY", "signature", "not signed", "EXPKEYSIG", "BADSIG"]) {
        HResult::TRUST_E_NOSIGNATURE
    } else if crate::helper::is_connection(said) {
        HResult::WU_E_NO_CONNECTION
    } else {
        HResult::WU_E_DOWNLOAD_FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_from_the_words() {
        let check = |said, expected| assert_eq!(code(said), expected);
        check(
            "The following signatures were invalid: BADSIG 1",
            HResult::TRUST_E_NOSIGNATURE,
        );
        check(
            "Could not connect to 127.0.0.1:9 (127.0.0.1)",
            HResult::WU_E_NO_CONNECTION,
        );
        check("404 Not Found", HResult::WU_E_DOWNLOAD_FAILED);
    }
}
