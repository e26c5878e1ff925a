//! Hearing of packages and indexes that changed, whoever did it: dpkg and APT put new files into the places of old ones.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify;
use tokio::net::unix::pipe::Receiver;

/// How long it has to be quiet after a change until it is told: what changes packages changes many files.
const QUIET: Duration = Duration::from_secs(10);

/// The ear.
#[derive(Debug)]
pub(crate) struct Changes {
    /// None where the kernel has no watch left to give; then the schedule looks when it would anyhow.
    events: Option<Receiver>,
}

impl Changes {
    /// Listens from now on at the tree at `root`.
    pub(crate) fn watch(root: &Path) -> Self {
        let listen = || -> io::Result<Receiver> {
            let ear = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            for folder in ["var/lib/dpkg", "var/lib/apt/lists"] {
                inotify::add_watch(&ear, root.join(folder), inotify::WatchFlags::MOVED_TO)?;
            }
            // It is waited for as a pipe is.
            Receiver::from_owned_fd_unchecked(ear)
        };
        let events = listen();
        if let Err(error) = &events {
            tracing::warn!(%error, "changes that others make are not heard of at once");
        }
        Self { events: events.ok() }
    }

    /// Waits until something has changed and it is quiet again.
    pub(crate) async fn next(&self) {
        let Some(events) = &self.events else {
            return std::future::pending().await;
        };
        let mut heard = false;
        loop {
            let wait = events.readable();
            let waited = if heard {
                tokio::time::timeout(QUIET, wait).await
            } else {
                Ok(wait.await)
            };
            match waited {
                Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "changes that others make are not heard of any more");
                    return std::future::pending().await;
                }
                Ok(Ok(())) => heard = true,
            }
            // What it was in detail does not matter.
            let mut buffer = [0; 4096];
            while events.try_read(&mut buffer).is_ok_and(|read| read > 0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_status_file_is_heard_of() {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["var/lib/dpkg", "var/lib/apt/lists"] {
            std::fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        let changes = Changes::watch(root.path());
        let status = root.path().join("var/lib/dpkg/status");
        std::fs::write(status.with_extension("new"), "").expect("written");
        std::fs::rename(status.with_extension("new"), &status).expect("renamed");
        changes.next().await;
    }
}
