//! Hearing at once of files that change, without being a burden to whoever changes them.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

/// The shortest time that files may change unheard after one was heard.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// And the longest one.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// How long files may change unheard after one was heard, once it is listened for so long: a fiftieth of that, within bounds. dpkg and a
/// keeper say hundreds of things a second, and each of them that wakes somebody costs the one who says it time; a job that takes long
/// is not told worse for a few hundredths of a second.
fn pause_after(listened: Duration) -> Duration {
    (listened / 50).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// Hears of changes of some files; of none where the system has no watch left to give.
#[derive(Debug)]
pub struct Ear {
    watch: Option<OwnedFd>,
    since: Instant,
    heard: Option<Instant>,
}

impl Ear {
    /// Listens from now on: at files, or at all files of folders.
    pub fn at(paths: &[&Path], changes: inotify::WatchFlags) -> Self {
        let listen = || -> io::Result<OwnedFd> {
            let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            for path in paths {
                inotify::add_watch(&watch, *path, changes)?;
            }
            Ok(watch)
        };
        let watch =
            listen().inspect_err(|error| tracing::warn!(%error, ?paths, "changes are not heard of at once"));
        Self {
            watch: watch.ok(),
            since: Instant::now(),
            heard: None,
        }
    }

    /// Whether changes are heard of at all.
    #[must_use]
    pub fn hears(&self) -> bool {
        self.watch.is_some()
    }

    /// Waits until there is a change, though never twice within 5 ms (25 where it is listened for long), or `end` tells of the end of
    /// a process, or `limit` is over. A signal may end it early. Whether it was the end. `changed` is told the names of the files that
    /// changed in a folder; none where it may be any.
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn wait(
        &mut self,
        end: Option<&OwnedFd>,
        limit: Option<Duration>,
        mut changed: impl FnMut(Option<&CStr>),
    ) -> io::Result<bool> {
        let pause = pause_after(self.since.elapsed());
        let pause = self.heard.and_then(|heard| pause.checked_sub(heard.elapsed()));
        if pause.is_some() && wait_for_end(end, pause)? {
            return Ok(true);
        }
        let has_ended = wait(self.watch.as_ref(), end, limit)?;
        let Some(watch) = &self.watch else {
            return Ok(has_ended);
        };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    self.heard = Some(Instant::now());
                    changed(event.file_name());
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(has_ended),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Ear {
    /// The kernel takes about 10 ms to give up a watch (it waits for all who may be looking at it): nobody waits for that here, except
    /// a process that ends meanwhile.
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            let giving_up = thread::Builder::new().name("wua-ear".into());
            // Where there is no thread to be had, it is given up here.
            let _ = giving_up.spawn(move || drop(watch));
        }
    }
}

/// Waits until `end` tells of the end of a process, at most so long; all that time where there is none. A signal may end it early.
/// Whether it was the end.
///
/// # Errors
/// The system cannot wait.
pub fn wait_for_end(end: Option<&OwnedFd>, limit: Option<Duration>) -> io::Result<bool> {
    wait(None, end, limit)
}

/// Waits for one of the two, at most so long. Whether `end` has news.
fn wait(watch: Option<&OwnedFd>, end: Option<&OwnedFd>, limit: Option<Duration>) -> io::Result<bool> {
    let sources = watch.into_iter().chain(end);
    let mut sources: Vec<_> = sources.map(|source| PollFd::new(source, PollFlags::IN)).collect();
    let limit = limit
        .map(Timespec::try_from)
        .transpose()
        .map_err(io::Error::other)?;
    match poll(&mut sources, limit.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let ended = sources.last().filter(|_| end.is_some());
    Ok(ended.is_some_and(|end| !end.revents().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write as _;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    #[test]
    fn a_file_that_grows_is_heard_of_and_so_is_what_comes_while_it_is_not_listened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut file = File::create(&path).expect("a file");
        let mut ear = Ear::at(&[&path], inotify::WatchFlags::MODIFY);
        for word in [b"one", b"two", b"six"] {
            file.write_all(word).expect("written");
            let mut times = 0;
            ear.wait(None, LONG, |_| times += 1).expect("waited");
            assert_eq!(times, 1);
        }
    }

    #[test]
    fn who_listens_for_long_is_woken_less_often() {
        let pauses =
            [0, 100, 500, 1_000, 60_000].map(|listened| pause_after(Duration::from_millis(listened)));
        assert_eq!(pauses.map(|pause| pause.as_millis()), [5, 5, 10, 20, 25]);
    }

    #[test]
    fn a_folder_tells_which_of_its_files_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ear = Ear::at(&[folder.path()], inotify::WatchFlags::CREATE);
        fs::write(folder.path().join("news"), "").expect("written");
        let mut names = Vec::new();
        ear.wait(None, LONG, |name| names.extend(name.map(CStr::to_owned)))
            .expect("waited");
        assert_eq!(names, [c"news".to_owned()]);
    }

    #[test]
    fn the_end_of_a_process_is_heard_of_at_once_also_by_the_deaf() {
        let nothing = Path::new("/nonexistent");
        for path in [std::env::temp_dir().as_path(), nothing] {
            let mut ear = Ear::at(&[path], inotify::WatchFlags::DELETE_SELF);
            assert_eq!(ear.hears(), path != nothing);
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
            drop(theirs);
            assert!(ear.wait(Some(&ours.into()), LONG, |_| {}).expect("waited"));
        }
    }
}
