//! Ctrl-C and the end of time: what makes a command stop watching its job, as messages in one queue.

use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a command waits for while its job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The job has ended and everything about it was told.
    Completed,
    /// The caller wants the job to stop: Ctrl-C.
    Interrupt,
    /// This program is asked to end (SIGTERM), as by a service manager. Nobody said anything about its job.
    End,
}

/// Passes interrupts on to `queue` from now on, instead of ending the program.
///
/// # Errors
/// The signals or the thread cannot be had.
pub(crate) fn watch(queue: Sender<Wake>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("wua-signals".into()).spawn(move || {
        for signal in signals.forever() {
            let wake = if signal == SIGTERM {
                Wake::End
            } else {
                Wake::Interrupt
            };
            if queue.send(wake).is_err() {
                // Nobody listens any more: the command is over, or never began a job.
                std::process::exit(130);
            }
        }
    })?;
    Ok(())
}
