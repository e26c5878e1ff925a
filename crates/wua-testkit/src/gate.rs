//! Handshakes: a script stops at a [`Gate`] until the test, which holds the [`Key`], lets it pass. No clock is involved; the
//! one limit here ends tests that would otherwise hang for ever.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a test waits for something that always comes. Reached by broken code alone.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(60);

/// Where a script stops.
#[derive(Debug)]
pub struct Gate {
    arrived: Sender<()>,
    passes: Mutex<Receiver<()>>,
}

/// Lets whoever stands at a gate pass. Dropped, it leaves the gate open, so that a failing test leaves nobody waiting.
#[derive(Debug)]
pub struct Key {
    arrivals: Receiver<()>,
    pass: Sender<()>,
}

/// A closed gate and its key.
pub fn gate() -> (Gate, Key) {
    let (arrived, arrivals) = channel();
    let (pass, passes) = channel();
    let gate = Gate {
        arrived,
        passes: Mutex::new(passes),
    };
    (gate, Key { arrivals, pass })
}

impl Gate {
    /// Tells the key's holder that somebody is here, and blocks until let pass.
    pub fn stop(&self) {
        let _ = self.arrived.send(());
        let _ = self.passes.lock().unwrap_or_else(PoisonError::into_inner).recv();
    }
}

impl Key {
    /// Blocks until somebody stands at the gate.
    ///
    /// # Panics
    /// Nobody comes any more.
    pub fn wait(&self) {
        self.arrivals
            .recv_timeout(FOR_EVER)
            .expect("somebody comes to the gate");
    }

    /// Lets one pass, who may come later.
    pub fn let_pass(&self) {
        let _ = self.pass.send(());
    }

    /// Waits for somebody, then leaves the gate open for all.
    pub fn wait_and_open(self) {
        self.wait();
    }
}
