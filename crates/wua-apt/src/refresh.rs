//! Fetching the indexes anew: `apt-get update`, run only when a search asks for it.
//!
//! With `--error-on=any` a bad signature or an unreachable server is an error (without it APT calls both a success).
//! The old indexes stay in use then, so the search goes on and says that its data is stale. APT does not wait for the lock on
//! its indexes, so we do. Whether a refresh failed is told by APT's exit status alone; its words choose among codes that all
//! mean a failure, for want of another sign.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use wua_engine::Failure;
use wua_engine::source::SearchRequest;
use wua_engine::store::io_code;
use wua_types::HResult;

use crate::child::{self, Tick};
use crate::locks::{self, LockHolder};
use crate::tree::{AptTree, Program};

/// The most of APT's talk that is read, in bytes.
const MAX_TALK: u64 = 1 << 20;
/// How often a held lock is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// A refresh that failed; whatever indexes there were are as before.
#[derive(Debug)]
pub(crate) struct Unrefreshed {
    pub(crate) code: HResult,
    /// Why, for people.
    pub(crate) why: String,
}

/// Refreshes; blocks as long as the network does, and as long as somebody else holds the indexes' lock, at most `lock_limit`.
///
/// # Errors
/// APT cannot be run, or the request's abort flag was set.
pub(crate) fn refresh(
    tree: &AptTree,
    request: &SearchRequest<'_>,
    lock_limit: Option<Duration>,
) -> Result<Option<Unrefreshed>, Failure> {
    let begun = Instant::now();
    let mut told = None;
    loop {
        if request.abort.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        let failure = match locks::holder(tree, &[locks::LISTS]) {
            Some(holder) => held(&holder),
            None => match update(tree, request)? {
                None => return Ok(None),
                Some(failure) => failure,
            },
        };
        // Somebody may have taken the lock right before APT did.
        let Some(holder) = locks::holder(tree, &[locks::LISTS]) else {
            if failure.code == HResult::WU_E_OPERATIONINPROGRESS {
                continue;
            }
            return Ok(Some(failure));
        };
        if lock_limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(Some(held(&holder)));
        }
        if told.as_ref() != Some(&holder) {
            (request.waiting)(&format!(
                "waiting for {holder}, which is working with the package indexes"
            ));
            told = Some(holder);
        }
        thread::sleep(PAUSE);
    }
}

fn held(holder: &LockHolder) -> Unrefreshed {
    Unrefreshed {
        code: HResult::WU_E_OPERATIONINPROGRESS,
        why: format!("{holder} is working with them"),
    }
}

fn cancelled() -> Failure {
    Failure::new(HResult::WU_E_CALL_CANCELLED, "stopped at the caller's request")
}

/// One run of `apt-get update`.
fn update(tree: &AptTree, request: &SearchRequest<'_>) -> Result<Option<Unrefreshed>, Failure> {
    let failed = |error: io::Error| {
        Failure::because(
            io_code(&error),
            "cannot run `apt-get update` to refresh the indexes",
            error,
        )
    };
    // Not where the caller's TMPDIR says.
    let mut errors: File = tempfile::tempfile_in("/tmp").map_err(failed)?;
    let mut child = tree
        .changing(Program::AptGet)
        .args(["-q", "--error-on=any", "update"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let tick = || {
        if request.abort.load(Ordering::Relaxed) {
            Tick::Interrupt
        } else {
            Tick::Continue
        }
    };
    let status = child::wait(&mut child, tick).map_err(failed)?;
    if request.abort.load(Ordering::Relaxed) {
        return Err(cancelled());
    }
    if status.success() {
        return Ok(None);
    }
    let mut talk = Vec::new();
    errors
        .rewind()
        .and_then(|()| errors.take(MAX_TALK).read_to_end(&mut talk))
        .map_err(failed)?;
    let why = child::said(&talk);
    Ok(Some(Unrefreshed {
        code: code(&why),
        why,
    }))
}

/// Which failure it was. APT has no sign of that but its words, and nothing but the number shown hangs on them.
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
