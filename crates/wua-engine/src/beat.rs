//! Says something again and again while work blocks, so that no second is silent.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often: progress is told each second at least, whatever the machine is busy with.
const BEAT: Duration = Duration::from_millis(200);

/// Calls `again` at this interval until the other end of `ended` is gone.
pub(crate) fn beat(ended: &Receiver<()>, interval: Duration, again: impl Fn()) {
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        again();
    }
}

/// Does `work`, and calls `again` from another thread as long as it takes.
pub(crate) fn beating<T>(again: impl Fn() + Send, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (working, ended) = channel::<()>();
        let thread = thread::Builder::new().name("wua-beat".into());
        if let Err(error) = thread.spawn_scoped(scope, move || beat(&ended, BEAT, again)) {
            tracing::warn!(%error, "followers hear nothing while nothing moves");
        }
        let done = work();
        drop(working);
        done
    })
}
