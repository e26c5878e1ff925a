//! A job as an asynchronous stream of snapshots. Needs no runtime: whoever changes the job wakes the task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::job::Job;
use crate::kind::JobKind;
use crate::mailbox::{Mailbox, Weight};
use crate::shared::Follower;
use crate::snapshot::Snapshot;

/// The snapshots of a job, as [`Job::stream`] describes them. A stream has no pace of its own: it is as fast as it is asked.
#[must_use = "a stream does nothing unless it is polled"]
pub struct JobStream<K: JobKind> {
    job: Job<K>,
    key: u64,
}

impl<K: JobKind> JobStream<K> {
    pub(crate) fn new(job: Job<K>) -> Self {
        let key = job.shared.change(|state| {
            let key = state
                .followers
                .iter()
                .map(|follower| follower.key + 1)
                .max()
                .unwrap_or(0);
            let mut mailbox = Mailbox::new();
            mailbox.post(state.record.now().clone(), Weight::Mergeable);
            state.followers.push(Follower {
                key,
                mailbox,
                waker: None,
            });
            key
        });
        Self { job, key }
    }
}

impl<K: JobKind> Stream for JobStream<K> {
    type Item = Snapshot<K>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Snapshot<K>>> {
        // Wakers are cloned and dropped outside the lock: they are foreign code.
        let waker = context.waker().clone();
        let (answer, _unused) = {
            let mut state = self.job.shared.lock();
            let follower = state
                .followers
                .iter_mut()
                .find(|follower| follower.key == self.key);
            match follower {
                None => (Poll::Ready(None), Some(waker)),
                Some(follower) => match follower.mailbox.take() {
                    Some(snapshot) => (Poll::Ready(Some(snapshot)), Some(waker)),
                    None if self.job.is_completed() => (Poll::Ready(None), Some(waker)),
                    None => (Poll::Pending, follower.waker.replace(waker)),
                },
            }
        };
        answer
    }
}

impl<K: JobKind> Drop for JobStream<K> {
    fn drop(&mut self) {
        let _follower = {
            let mut state = self.job.shared.lock();
            let place = state
                .followers
                .iter()
                .position(|follower| follower.key == self.key);
            place.map(|place| state.followers.swap_remove(place))
        };
    }
}

impl<K: JobKind> fmt::Debug for JobStream<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobStream")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
