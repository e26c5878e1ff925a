//! The thread that calls a job's observer: one a job, one call at a time, in order (rules R16, R17, R24 and R25).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use std::{io, thread};

use crate::job::Job;
use crate::kind::JobKind;
use crate::mailbox::Paced;
use crate::observer::{CallbackError, JobObserver};
use crate::shared::Callbacks;
use crate::snapshot::Snapshot;

enum Notice<K: JobKind> {
    Progress(Snapshot<K>),
    Completed,
}

/// Starts the job's thread. It waits until the start of the job has returned, and holds the job until it is done.
pub(crate) fn spawn<K: JobKind>(job: &Job<K>, observer: Box<dyn JobObserver<K>>) -> io::Result<()> {
    let own = job.clone();
    let thread = thread::Builder::new()
        .name("wua-notifier".to_owned())
        .spawn(move || run(&own, observer))?;
    let _ = job.shared.notifier.set(thread.thread().id());
    Ok(())
}

fn run<K: JobKind>(job: &Job<K>, mut observer: Box<dyn JobObserver<K>>) {
    let mut progress_is_gone = false;
    while let Some(notice) = next(job) {
        match notice {
            Notice::Progress(now) if !progress_is_gone => {
                progress_is_gone = guarded(job, "progress", || observer.progress(job, &now)).is_gone();
            }
            Notice::Progress(_) => {}
            Notice::Completed => {
                guarded(job, "completed", || observer.completed(job));
                break;
            }
        }
    }
    guarded(job, "drop", || {
        drop(observer);
        Ok(())
    });
    job.shared.change(|state| state.callbacks = Callbacks::Released);
}

/// The next notice; none when no more calls are to be made. What could have merged is left out once the job has completed:
/// the final state is there to read.
fn next<K: JobKind>(job: &Job<K>) -> Option<Notice<K>> {
    let mut state = job.shared.lock();
    loop {
        let deadline = match &mut state.callbacks {
            Callbacks::Held(_) => None,
            Callbacks::Disconnecting | Callbacks::Released => return None,
            Callbacks::Flowing(mailbox) if job.is_completed() => {
                return Some(
                    mailbox
                        .take_distinct()
                        .map_or(Notice::Completed, Notice::Progress),
                );
            }
            Callbacks::Flowing(mailbox) => match mailbox.take_paced(Instant::now()) {
                Paced::Notice(now) => return Some(Notice::Progress(now)),
                Paced::NotBefore(instant) => Some(instant),
                Paced::Empty => None,
            },
        };
        state = job.shared.wait(state, deadline);
    }
}

/// How a call of the observer went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    Well,
    Badly,
    ToNobody,
}

impl Called {
    fn is_gone(self) -> bool {
        self == Self::ToNobody
    }
}

/// Calls foreign code: no panic leaves it, and what it answers is logged.
fn guarded<K: JobKind>(job: &Job<K>, call: &str, code: impl FnOnce() -> Result<(), CallbackError>) -> Called {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Err(error)) if error.hresult.is_failure() => {
            tracing::warn!(job = %job.id(), call, hresult = %error.hresult, "an observer failed");
            if error.is_gone() {
                Called::ToNobody
            } else {
                Called::Badly
            }
        }
        Ok(_) => Called::Well,
        Err(panic) => {
            // What was thrown may itself panic when dropped, and there is nobody left to tell.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(panic))).map_err(std::mem::forget);
            tracing::error!(job = %job.id(), call, "an observer panicked");
            Called::Badly
        }
    }
}
