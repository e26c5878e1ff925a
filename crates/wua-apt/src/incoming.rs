//! The folder into which APT's fetcher writes: part of the store, one download at a time, writable for the fetcher's
//! unprivileged user. Nothing in it is trusted; the store hashes what it takes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use wua_engine::Failure;
use wua_engine::handler::DownloadContext;
use wua_engine::store::{ContentStore, io_code};
use wua_types::WaitingFor;

use crate::tree::{AptTree, TreeKind};

/// The user as whom APT fetches when root asks it to.
const SANDBOX_USER: &str = "_apt";
/// How often a lock is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// The folder, made if need be.
pub(crate) fn folder(tree: &AptTree, store: &ContentStore) -> Result<PathBuf, Failure> {
    let incoming = store
        .incoming()
        .map_err(|error| Failure::because(error.code(), "the store cannot take anything in", error))?;
    let folder = incoming.join("apt");
    let make = || {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        // A practice machine fetches as its owner; elsewhere root's fetcher gives up its rights, if it can write then.
        if tree.kind() != TreeKind::Practice && rustix::process::geteuid().is_root() {
            let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
            if let Some(user) = user_id(&users, SANDBOX_USER) {
                std::os::unix::fs::chown(&folder, Some(user), None)?;
            }
        }
        Ok(())
    };
    make().map_err(|error: io::Error| {
        Failure::because(
            io_code(&error),
            format!("cannot prepare `{}`", folder.display()),
            error,
        )
    })?;
    Ok(folder)
}

/// Keeps other downloads out; waits for them, visibly. None if the wait was aborted.
pub(crate) fn lock(folder: &Path, cx: &mut dyn DownloadContext) -> Result<Option<File>, Failure> {
    // Beside the folder: what lies in it belongs to the fetcher's user.
    let path = folder.with_extension("lock");
    let failed = |error: io::Error| {
        Failure::because(
            io_code(&error),
            format!("cannot lock `{}` for a download", path.display()),
            error,
        )
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if cx.abort_requested() => return Ok(None),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    let what = "another download into the same store".into();
                    cx.waiting(Some(WaitingFor {
                        what,
                        since: Timestamp::now(),
                        holder: None,
                        detail: None,
                    }));
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
    if told {
        cx.waiting(None);
    }
    Ok(Some(file))
}

/// Free bytes for us on the disk of `folder`; none where the system does not say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Bytes for people.
pub(crate) fn in_words(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes.div_ceil(1_000_000)),
    }
}

fn user_id(users: &str, name: &str) -> Option<u32> {
    let mut fields = users.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n";
        assert_eq!((user_id(users, "_apt"), user_id(users, "apt")), (Some(42), None));
    }

    #[test]
    fn bytes_are_rounded_up() {
        assert_eq!((in_words(1), in_words(1_500_000)), ("1 kB".into(), "2 MB".into()));
    }
}
