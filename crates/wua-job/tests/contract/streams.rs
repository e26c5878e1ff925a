//! A job as a stream: the coalescing law of observers, without a thread or a runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::common::*;
use futures_core::Stream;
use wua_job::{Installation, JobStream};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next item, parking this thread while there is none.
fn next(stream: &mut JobStream<Installation>) -> Option<String> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match Pin::new(&mut *stream).poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(item) => return item.map(|now| words(&now)),
            Poll::Pending => thread::park(),
        }
    }
}

fn rest(mut stream: JobStream<Installation>) -> Vec<String> {
    std::iter::from_fn(|| next(&mut stream)).collect()
}

#[test]
fn a_stream_never_leaves_out_a_first_start_or_a_result() {
    let (job, feed, _release) = builder(2).start().expect("starts");
    let stream = job.stream();
    play(
        &feed,
        "at 0 0 0\n at 0 10 5\n succeeded 0 50\n at 1 0 50\n at 1 10 55\n failed 1 100",
    );
    complete(feed);
    let told = [
        "0 in progress 0/0",
        "0 succeeded 100/50",
        "1 in progress 0/50",
        "1 failed 100/100",
    ];
    assert_eq!(rest(stream), told);
}

#[test]
fn a_stream_opens_with_the_state_of_now_and_follows_to_the_end() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    play(&feed, "at 0 7 7");
    let mut stream = job.stream();
    assert_eq!(next(&mut stream).as_deref(), Some("0 in progress 7/7"));
    let worker = thread::spawn(move || {
        play(&feed, "succeeded 0 100");
        complete(feed);
    });
    assert_eq!(rest(stream), ["0 succeeded 100/100"]);
    worker.join().expect("works");
    assert_eq!(rest(job.stream()), ["0 succeeded 100/100"], "also long after");
}

#[test]
fn streams_of_one_job_do_not_disturb_each_other() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    let (first, second) = (job.stream(), job.stream());
    drop(first);
    let third = job.stream();
    play(&feed, "at 0 0 0\n succeeded 0 100");
    complete(feed);
    assert_eq!(rest(second), rest(third));
}

#[test]
fn completion_wakes_a_stream_that_has_nothing_left() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (job, feed, _release) = builder(0).start().expect("starts");
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut stream = job.stream();
    let mut poll = || {
        Pin::new(&mut stream)
            .poll_next(&mut context)
            .map(|item| item.is_some())
    };
    assert_eq!(poll(), Poll::Ready(true));
    assert_eq!(poll(), Poll::Pending);
    complete(feed);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(), Poll::Ready(false));
}
