//! Seams: the places where wua's own work meets the system, and where the tests of the feature `seams` make it fail, stop dead, or
//! find the disk full. Without the feature, which no release has, [`at`] is nothing.
//!
//! What is to happen stands in a file of the machine, since a keeper inherits no environment: `SEAM VISIT ACTION`. It happens
//! once, in whichever process comes by first, and a file beside it says so.

#[cfg(not(feature = "seams"))]
use std::io;

#[cfg(feature = "seams")]
pub use armed::{arm, at};

/// A seam.
///
/// # Errors
/// None: the feature is off.
#[cfg(not(feature = "seams"))]
#[inline(always)]
pub fn at(_: &'static str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "seams")]
mod armed {
    use std::fs::{self, File};
    use std::io::{self, Write as _};
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    struct Plan {
        seam: String,
        visit: usize,
        action: String,
        /// Says that it has happened.
        done: PathBuf,
        /// What fills the disk.
        ballast: PathBuf,
        visits: AtomicUsize,
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();

    /// Reads what is to happen on the machine at `root`; once a process.
    pub fn arm(root: &Path) {
        let file = root.join("etc/wua/seam");
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let [seam, visit, action] = text.split_whitespace().collect::<Vec<_>>()[..]
            && let Ok(visit) = visit.parse()
        {
            let _ = PLAN.set(Plan {
                seam: seam.into(),
                visit,
                action: action.into(),
                done: file.with_extension("done"),
                ballast: root.join("ballast"),
                visits: AtomicUsize::new(0),
            });
        }
    }

    /// A seam.
    ///
    /// # Errors
    /// What the plan wants.
    pub fn at(seam: &'static str) -> io::Result<()> {
        let Some(plan) = PLAN.get().filter(|plan| plan.seam == seam) else {
            return Ok(());
        };
        let visit = plan.visits.fetch_add(1, Ordering::Relaxed) + 1;
        if visit != plan.visit || File::create_new(&plan.done).is_err() {
            return Ok(());
        }
        match plan.action.as_str() {
            "stop" => {
                let _ = kill_process(getpid(), Signal::KILL);
                loop {
                    std::thread::park();
                }
            }
            "fill" => {
                let mut file = File::create(&plan.ballast)?;
                let block = vec![0; 64 << 10];
                while file.write_all(&block).is_ok() {}
                // The rest, byte by byte.
                while file.write_all(&[0]).is_ok() {}
                Ok(())
            }
            _ => Err(io::Error::other("the test wants this to fail")),
        }
    }
}
