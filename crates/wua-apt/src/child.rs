//! Waiting for a program we started, without sleeping through what happens meanwhile.
//!
//! The end of the program wakes the waiter at once (a process descriptor); between, a `tick` looks at abort flags
//! and growing files. Only the given child is ever signalled, by the id it had when it was started and while it is
//! still ours to wait for.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::text::harmless;

/// How long a wait may last without a tick.
const TICK: Duration = Duration::from_millis(200);
/// After so many ticks an interrupted program is asked by SIGTERM: whoever is started in a shell's background
/// inherits an ignored SIGINT.
const PATIENCE: u32 = 10;

/// What a tick wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Wait on.
    Continue,
    /// Ask the program to end: only for programs that read or fetch (rule C1).
    Interrupt,
}

/// Waits for the end of `child`, calling `tick` every [`TICK`].
pub(crate) fn wait(child: &mut Child, mut tick: impl FnMut() -> Tick) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    // Kernels before 5.3 have no process descriptors; the ticks alone find the end there.
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok();
    let mut ticks_since_interrupt = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        // Not waited for yet, so the id is still this child's.
        match (tick(), &mut ticks_since_interrupt) {
            (Tick::Interrupt, none @ None) => {
                kill_process(pid, Signal::INT)?;
                *none = Some(0);
            }
            (_, Some(PATIENCE)) => kill_process(pid, Signal::TERM)?,
            _ => {}
        }
        ticks_since_interrupt = ticks_since_interrupt.map(|ticks: u32| ticks.saturating_add(1));
        match &descriptor {
            Some(descriptor) => {
                let timeout = Timespec {
                    tv_sec: 0,
                    tv_nsec: TICK.subsec_nanos().into(),
                };
                match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&timeout)) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            None => std::thread::sleep(TICK),
        }
    }
}

/// Ends a program that only reads, and waits for it. For drops: errors mean that it is gone already.
pub(crate) fn discard(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What a package manager said on stderr, fit for one sentence: its errors without their mark, else its last line.
/// For people only; nothing is decided from it (rule A2).
pub(crate) fn said(stderr: &[u8]) -> String {
    let start = stderr.len().saturating_sub(8 << 10);
    let text = String::from_utf8_lossy(&stderr[start..]);
    let errors: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("E: "))
        .map(str::trim)
        .collect();
    let joined = match errors.is_empty() {
        false => errors.join("; "),
        true => text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    harmless(&joined)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn an_interrupted_program_is_waited_for() {
        let mut child = Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("there is a sleep");
        let status = wait(&mut child, || Tick::Interrupt).expect("waited for");
        assert!(matches!(status.signal(), Some(2 | 15)), "{status}");
    }

    #[test]
    fn the_end_of_a_program_is_its_status() {
        let mut child = Command::new("sh")
            .args(["-c", "exit 3"])
            .spawn()
            .expect("there is a shell");
        assert_eq!(
            wait(&mut child, || Tick::Continue).expect("waited for").code(),
            Some(3)
        );
    }

    #[test]
    fn the_errors_are_picked_out_of_the_talk() {
        let text = b"W: odd\nE: Version '9' was not found\n   more\nE: Broken\n";
        assert_eq!(said(text), "Version '9' was not found; Broken");
        assert_eq!(said(b"just a line\n\n"), "just a line");
    }
}
