//! Waiting for a moment of the calendar: also across suspend, and woken when somebody sets the clock.

use std::io;

use jiff::Timestamp;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// Waits until the clock says `moment`, or until it is set; without a moment until it is set. Looks again in any case once what
/// woke it may have been something else.
///
/// # Errors
/// The kernel has no timer left to give.
pub(crate) async fn wait(moment: Option<Timestamp>) -> io::Result<()> {
    let timer = timerfd_create(
        TimerfdClockId::Realtime,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?;
    // Without a moment it is one that nobody lives to see.
    let seconds = moment.map_or(i64::from(i32::MAX) * 4, |moment| {
        // Not before it: the rest of a second counts.
        moment.as_second().saturating_add(1)
    });
    let at = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: Timespec {
            tv_sec: seconds.max(1),
            tv_nsec: 0,
        },
    };
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
        &at,
    )?;
    // A timer is waited for as a pipe is. It is readable in both cases; which of them, the clock itself tells.
    Receiver::from_owned_fd_unchecked(timer)?.readable().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moment_that_has_passed_is_not_waited_for() {
        wait(Some(Timestamp::UNIX_EPOCH)).await.expect("a timer");
    }
}
