//! Holding shutdown and sleep back while packages change, where logind runs (systemd-inhibit(1)).
//!
//! A child holds the lock for as long as its standard input is open. So it is let go on every path: with this value, and with
//! the process, however that ends. Where it cannot be had the job goes on without: packages were changed before there was
//! logind.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::power::is_booted_by_systemd;

/// How long logind has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Says that the lock is held, and holds it.
const HOLD: &str = "echo held; exec cat >/dev/null";

/// A lock of logind's, held. Dropping it lets go.
#[derive(Debug)]
#[must_use = "dropping it lets shutdown go on"]
pub(crate) struct Inhibitor {
    holder: Child,
    is_held: bool,
}

impl Inhibitor {
    /// Holds back shutdown and sleep of the machine at `root`, if it is the running one and has logind. Returns once the lock is
    /// held, or after a few seconds without.
    pub(crate) fn hold(root: &Path) -> Option<Self> {
        if !is_booted_by_systemd(root) {
            return None;
        }
        let mut command = Command::new("systemd-inhibit");
        command.args(["--what=shutdown:sleep", "--who=wua", "--mode=block"]);
        command.args(["--why=Packages are being changed", "sh", "-c", HOLD]);
        Self::by(command, PATIENCE)
    }

    /// Starts the holder, which says a word once it holds.
    fn by(mut command: Command, patience: Duration) -> Option<Self> {
        let holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .inspect_err(|error| tracing::warn!(%error, "shutdown is not held back"))
            .ok()?;
        let mut inhibitor = Self {
            holder,
            is_held: false,
        };
        inhibitor.is_held = inhibitor.holder.stdout.as_ref().is_some_and(|out| {
            let limit = Timespec::try_from(patience).ok();
            let mut descriptors = [PollFd::new(out, PollFlags::IN)];
            let told = poll(&mut descriptors, limit.as_ref()).is_ok_and(|ready| ready > 0);
            // A holder that ended closes its output without a word.
            told && descriptors[0].revents().contains(PollFlags::IN)
        });
        if !inhibitor.is_held {
            tracing::warn!("shutdown is not held back: logind gives no lock");
            return None;
        }
        Some(inhibitor)
    }
}

impl Drop for Inhibitor {
    fn drop(&mut self) {
        // The end of its input is its order to let go.
        drop(self.holder.stdin.take());
        if let Some(out) = &self.holder.stdout {
            let limit = Timespec::try_from(PATIENCE).ok();
            let _ = poll(&mut [PollFd::new(out, PollFlags::empty())], limit.as_ref());
        }
        // One that hangs with logind is ended; it has changed nothing.
        if matches!(self.holder.try_wait(), Ok(None)) && !self.is_held {
            let _ = self.holder.kill();
        }
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_lock_is_let_go_when_the_value_goes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let script = format!(
            "cd '{}'; echo held; cat >/dev/null; touch let-go",
            folder.path().display()
        );
        let held = Inhibitor::by(shell(&script), Duration::from_secs(60)).expect("held");
        assert!(!folder.path().join("let-go").exists());
        drop(held);
        assert!(folder.path().join("let-go").exists());
    }

    #[test]
    fn a_job_goes_on_without_a_lock_that_is_refused_or_does_not_come() {
        assert!(Inhibitor::by(shell("exit 1"), Duration::from_secs(60)).is_none());
        assert!(Inhibitor::by(shell("exec cat >/dev/null"), Duration::ZERO).is_none());
        assert!(Inhibitor::by(Command::new("/nonexistent/inhibit"), Duration::ZERO).is_none());
    }

    #[test]
    fn only_the_running_machine_is_held() {
        assert!(Inhibitor::hold(Path::new("/nonexistent")).is_none());
    }
}
