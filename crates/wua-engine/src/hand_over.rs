//! Handing the machine's lock to a keeper that is nobody's child: systemd starts it, so it inherits no open file.
//!
//! Whoever starts the keeper listens on a socket in the job's folder and sends the open file itself, lock and all; there is no
//! moment in which nobody holds it, so no other wua slips in between. The keeper takes the lock alone only where nobody hands
//! it over: when systemd started it again, or when its starter died half-way, since the order is written and holds.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use uuid::Uuid;

use crate::folders::Folders;
use crate::lock::MachineLock;

/// How long a keeper waits for a lock that somebody else holds: another job's keeper may be at its last words.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(30);

/// How often it looks. The kernel tells nobody that a lock or a socket is there.
const LOOK: Duration = Duration::from_millis(50);

/// The open place at which a keeper can fetch the lock. Dropping it closes the place.
#[derive(Debug)]
pub(crate) struct Offer {
    listener: UnixListener,
    place: PathBuf,
}

impl Offer {
    /// Opens the place in the job's folder; one that a dead starter left there is replaced.
    pub(crate) fn open(folders: &Folders, job: Uuid) -> io::Result<Self> {
        let place = folders.job(job).hand_over();
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&place)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, place })
    }

    /// Gives the lock to the keeper as well. Blocks until it has the lock, at most for `limit`.
    ///
    /// # Errors
    /// No keeper came or it did not say that it has the lock.
    pub(crate) fn give(&self, lock: &MachineLock, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let mut keeper = self.next_of_ours(deadline)?;
            keeper.set_read_timeout(Some(left(deadline)?))?;
            // One that dies on the way is started again by systemd and calls once more.
            if send(&keeper, lock).is_ok() && keeper.read(&mut [0]).is_ok_and(|bytes| bytes == 1) {
                return Ok(());
            }
        }
    }

    /// The next caller that runs with our own rights; who writes to the socket's place could be somebody else.
    fn next_of_ours(&self, deadline: Instant) -> io::Result<UnixStream> {
        loop {
            let limit = Timespec::try_from(left(deadline)?).map_err(io::Error::other)?;
            let mut sources = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut sources, Some(&limit)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if socket_peercred(&stream)?.uid == geteuid() {
                        stream.set_nonblocking(false)?;
                        return Ok(stream);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // What is left behind refuses every call, which a keeper understands.
        let _ = fs::remove_file(&self.place);
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no keeper came to take over the machine's lock",
        ));
    }
    Ok(left)
}

fn send(keeper: &UnixStream, lock: &MachineLock) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [lock.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(keeper, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The open file through which this process holds the machine's lock for `job`, for [`keeper::run`](crate::keeper::run).
/// `given` is the keeper's standard input: the lock itself, or anything else, and then the lock is fetched from whoever starts
/// the keeper, or taken. Blocks while another job holds it, up to half a minute.
///
/// # Errors
/// Somebody else holds the lock, or its file cannot be opened.
pub fn obtain(folders: &Folders, job: Uuid, given: File) -> io::Result<File> {
    let (input, lock) = (given.metadata()?, fs::metadata(folders.lock()));
    if lock.is_ok_and(|lock| (input.dev(), input.ino()) == (lock.dev(), lock.ino())) {
        return Ok(given);
    }
    fetch(folders, job, WAIT_FOR_LOCK)
}

fn fetch(folders: &Folders, job: Uuid, limit: Duration) -> io::Result<File> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(lock) = ask(folders, job)? {
            return Ok(lock.hand_over());
        }
        if let Some(lock) = MachineLock::take(&folders.lock(), job)? {
            return Ok(lock.hand_over());
        }
        if left(deadline).is_err() {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another job holds the machine's lock",
            ));
        }
        thread::sleep(LOOK);
    }
}

/// The lock from whoever starts this keeper; none where nobody does.
fn ask(folders: &Folders, job: Uuid) -> io::Result<Option<MachineLock>> {
    let mut starter = match UnixStream::connect(folders.job(job).hand_over()) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    starter.set_read_timeout(Some(WAIT_FOR_LOCK))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &starter,
        &mut [IoSliceMut::new(&mut [0])],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    );
    if received.is_err() {
        return Ok(None);
    }
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let Some(file) = file else { return Ok(None) };
    let lock = MachineLock::inherit(File::from(file), &folders.lock(), job)?;
    // If the starter is gone meanwhile, the lock is ours all the same.
    let _ = starter.write_all(&[1]);
    Ok(Some(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Uuid = Uuid::from_u128(1);

    fn machine() -> (tempfile::TempDir, Folders) {
        let root = tempfile::tempdir().expect("temporary folder");
        let folders = Folders::new(root.path());
        fs::create_dir_all(folders.job(JOB).path()).expect("folder");
        (root, folders)
    }

    fn take(folders: &Folders, job: u128) -> Option<MachineLock> {
        MachineLock::take(&folders.lock(), Uuid::from_u128(job)).expect("no error")
    }

    fn no_input() -> File {
        File::open("/dev/null").expect("opens")
    }

    #[test]
    fn the_lock_goes_from_the_starter_to_the_keeper_without_being_free() {
        let (_root, folders) = machine();
        let lock = take(&folders, 1).expect("free");
        let offer = Offer::open(&folders, JOB).expect("listens");
        thread::scope(|scope| {
            let keeper = scope.spawn(|| obtain(&folders, JOB, no_input()).expect("has the lock"));
            offer.give(&lock, Duration::from_secs(60)).expect("taken over");
            drop(lock.hand_over());
            // The starter let go of its copy, and still nobody else gets it.
            assert!(take(&folders, 2).is_none());
            // As a keeper lets go: a copy that a child of another test inherited holds nothing on.
            let kept = keeper.join().expect("no panic");
            drop(MachineLock::inherit(kept, &folders.lock(), JOB).expect("held"));
        });
        assert!(take(&folders, 2).is_some());
        drop(offer);
        assert!(!folders.job(JOB).hand_over().exists());
    }

    #[test]
    fn a_keeper_that_nobody_hands_the_lock_takes_it() {
        let (_root, folders) = machine();
        let file = obtain(&folders, JOB, no_input()).expect("free");
        assert!(take(&folders, 2).is_none());
        drop(file);

        // A starter that died leaves a place that refuses.
        drop(UnixListener::bind(folders.job(JOB).hand_over()).expect("binds"));
        obtain(&folders, JOB, no_input()).expect("free");
        Offer::open(&folders, JOB).expect("replaces it");
    }

    #[test]
    fn a_lock_that_was_given_as_input_is_used() {
        let (_root, folders) = machine();
        let lock = take(&folders, 1).expect("free");
        let file = obtain(&folders, JOB, lock.hand_over()).expect("given");
        assert!(take(&folders, 2).is_none());
        drop(file);
    }

    #[test]
    fn a_keeper_does_not_wait_for_ever_for_the_lock_of_another_job() {
        let (_root, folders) = machine();
        let _other = take(&folders, 2).expect("free");
        let error = fetch(&folders, JOB, Duration::ZERO).expect_err("held");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_offer_that_nobody_takes_ends() {
        let (_root, folders) = machine();
        let lock = take(&folders, 1).expect("free");
        let offer = Offer::open(&folders, JOB).expect("listens");
        let error = offer.give(&lock, Duration::ZERO).expect_err("nobody came");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
