//! The machine's lock: at most one installation or uninstallation of wua's runs on a machine (rule R13).
//!
//! An advisory lock (`flock`) on a file that is never removed. The lock belongs to the open file, so whoever begins a job
//! takes it and hands the open file to the keeper: there is no moment in which nobody holds it.
//!
//! The lock file is its owner's alone, or anybody could hold it; who does is said in a file beside it that all may read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::process::ProcessId;

/// How long a holder that is not known may hold the lock before it counts as held. Threads of a killed process may outlive its
/// entry in `/proc` a little.
const GOING: Duration = Duration::from_secs(2);

/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Who holds the lock, as the file beside it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// The process.
    #[serde(flatten)]
    pub process: ProcessId,
    /// The job it works on.
    pub job: Uuid,
}

/// The lock, held. Dropping it lets go.
#[derive(Debug)]
pub struct MachineLock {
    /// None once the lock was handed over.
    file: Option<File>,
    /// Where it says who holds it.
    holder: PathBuf,
}

impl MachineLock {
    /// Takes the lock for `job`; `None` where somebody else holds it. Waits, at most two seconds, for a holder that is not known:
    /// one that has not signed yet, or that was killed and still is going away.
    ///
    /// # Errors
    /// The lock file cannot be made or opened.
    pub fn take(path: &Path, job: Uuid) -> io::Result<Option<Self>> {
        let begun = Instant::now();
        loop {
            let lock = Self::take_at_once(path, job)?;
            if lock.is_some() || holder(path).is_some() || begun.elapsed() >= GOING {
                return Ok(lock);
            }
            // The kernel tells nobody that a lock is free.
            thread::sleep(LOOK);
        }
    }

    fn take_at_once(path: &Path, job: Uuid) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        file.set_permissions(Permissions::from_mode(0o600))?;
        sign(path, job)?;
        Ok(Some(Self {
            file: Some(file),
            holder: holder_file(path),
        }))
    }

    /// Makes the open file that the parent process held the lock on this process's own lock.
    ///
    /// # Errors
    /// The file is not the lock file, or the lock is not held through it and somebody else has it.
    pub fn inherit(file: File, path: &Path, job: Uuid) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let (given, wanted) = (file.metadata()?, std::fs::metadata(path)?);
        if (given.dev(), given.ino()) != (wanted.dev(), wanted.ino()) {
            return Err(io::Error::other(
                "the file that was handed over is not the machine's lock",
            ));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        sign(path, job)?;
        Ok(Self {
            file: Some(file),
            holder: holder_file(path),
        })
    }

    /// The open file that carries the lock, for [`inherit`](Self::inherit) in another process or thread.
    pub fn hand_over(mut self) -> File {
        self.file.take().expect("the lock is handed over once, by value")
    }
}

impl AsFd for MachineLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file
            .as_ref()
            .expect("a lock that was handed over is gone")
            .as_fd()
    }
}

impl Drop for MachineLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A process that lives on must not be taken for a holder, and a copy of the open file that some child inherited
            // must not hold the lock on. Nothing to be done if the disk refuses: the kernel's lock is what counts.
            let _ = fs::remove_file(&self.holder);
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

fn holder_file(lock: &Path) -> PathBuf {
    lock.with_extension("json")
}

fn sign(lock: &Path, job: Uuid) -> io::Result<()> {
    let holder = Holder {
        process: ProcessId::own(),
        job,
    };
    let path = holder_file(lock);
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    serde_json::to_writer(&mut file, &holder)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

/// Who holds the lock at `path` now, read from the file beside it without touching the lock. A hint: it may change at once (`IsBusy` gives no
/// reservation).
pub fn holder(path: &Path) -> Option<Holder> {
    let mut text = Vec::new();
    File::open(holder_file(path))
        .ok()?
        .take(4096)
        .read_to_end(&mut text)
        .ok()?;
    let holder: Holder = serde_json::from_slice(&text).ok()?;
    holder.process.is_alive().then_some(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_lock_and_the_file_beside_it_says_who() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lock");
        let job = Uuid::from_u128(1);
        let lock = MachineLock::take(&path, job).expect("no error").expect("free");
        assert!(
            MachineLock::take(&path, Uuid::from_u128(2))
                .expect("no error")
                .is_none()
        );
        assert_eq!(
            holder(&path),
            Some(Holder {
                process: ProcessId::own(),
                job
            })
        );
        drop(lock);
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn a_holder_that_nobody_knows_is_waited_for_a_moment() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lock");
        // As a killed keeper leaves it whose last thread is still going away.
        let dying = MachineLock::take(&path, Uuid::from_u128(1))
            .expect("no error")
            .expect("free")
            .hand_over();
        fs::remove_file(holder_file(&path)).expect("removed");
        let (met, meets) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let next = scope.spawn(|| {
                assert!(
                    MachineLock::take_at_once(&path, Uuid::from_u128(2))
                        .expect("no error")
                        .is_none()
                );
                met.send(()).expect("heard");
                MachineLock::take(&path, Uuid::from_u128(2))
            });
            meets.recv().expect("it met the other");
            drop(dying);
            assert!(next.join().expect("no panic").expect("no error").is_some());
        });
    }

    #[test]
    fn a_lock_let_go_is_free_though_a_child_inherited_the_open_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lock");
        let lock = MachineLock::take(&path, Uuid::from_u128(1))
            .expect("no error")
            .expect("free");
        let _inherited = lock.file.as_ref().expect("held").try_clone().expect("copied");
        drop(lock);
        assert!(
            MachineLock::take(&path, Uuid::from_u128(2))
                .expect("no error")
                .is_some()
        );
    }

    #[test]
    fn a_lock_outlives_its_taker_in_whoever_was_handed_the_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lock");
        let lock = MachineLock::take(&path, Uuid::from_u128(1))
            .expect("no error")
            .expect("free");
        let handed = lock.hand_over();
        assert!(
            MachineLock::take(&path, Uuid::from_u128(2))
                .expect("no error")
                .is_none()
        );
        let _kept = MachineLock::inherit(handed, &path, Uuid::from_u128(1)).expect("still held");
    }
}
