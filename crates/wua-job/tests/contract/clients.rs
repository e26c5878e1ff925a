//! What published clients of the API do (wua.md 3.6, patterns 1 to 8; the ninth is the installer's business).

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::*;
use wua_job::{CleanUp, Installation, JobFeed};
use wua_types::{HResult, InstallationResult, OperationResultCode};

/// Works through two updates on a thread of its own, asking between them whether to go on.
fn work(feed: JobFeed<Installation>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for index in 0..2_u8 {
            if feed.abort_requested() {
                play(&feed, &format!("only aborted {index}"));
            } else {
                play(
                    &feed,
                    &format!(
                        "at {index} 0 {0}\n at {index} 50 {0}\n succeeded {index} {1}",
                        index * 50,
                        index * 50 + 50
                    ),
                );
            }
        }
        complete(feed);
    })
}

#[test]
fn pattern_1_wait_for_the_callback_clean_up_then_end() {
    let (done, finished) = channel();
    let observer = Observer::new(&Notes::default()).on_completed(move |_| {
        done.send(()).expect("the client waits");
        Ok(())
    });
    let (job, feed) = run(2, observer);
    let worker = work(feed);
    finished.recv().expect("completed is called");
    assert_eq!(job.clean_up(), CleanUp::Done);
    assert_eq!(job.end().expect("ended once").hresult, HResult::S_OK);
    worker.join().expect("works");
}

#[test]
fn pattern_2_end_inside_the_completed_callback() {
    let (done, finished) = channel();
    let observer = Observer::new(&Notes::default()).on_completed(move |job| {
        done.send(job.end().map(|outcome| outcome.hresult))
            .expect("the client waits");
        Ok(())
    });
    let (job, feed) = run(2, observer);
    let worker = work(feed);
    drop(job);
    assert_eq!(
        finished.recv().expect("completed is called").expect("ended once"),
        HResult::S_OK
    );
    worker.join().expect("works");
}

#[test]
fn pattern_3_poll_and_end() {
    let (job, feed, release) = builder(2).start().expect("starts");
    release.release();
    let worker = work(feed);
    let mut total = 0;
    while !job.is_completed() {
        let now = job.progress().percent_complete.get();
        assert!(now >= total);
        total = now;
        thread::yield_now();
    }
    assert_eq!(job.progress().percent_complete.get(), 100);
    assert_eq!(job.end().expect("ended once").updates.len(), 2);
    worker.join().expect("works");
}

#[test]
fn pattern_4_end_at_once() {
    let notes = Notes::default();
    let (job, feed) = run(2, Observer::new(&notes));
    let worker = work(feed);
    assert_eq!(
        job.end().expect("ended once").result_code,
        OperationResultCode::Succeeded
    );
    let lines = notes.lines();
    assert_eq!(
        lines[lines.len() - 2..],
        ["completed", "dropped"],
        "the callbacks are free when end returns"
    );
    worker.join().expect("works");
}

#[test]
fn pattern_5_no_callbacks_no_end_no_job() {
    let state = Arc::new(());
    let (job, feed, release) = builder(2)
        .async_state(Arc::clone(&state) as Arc<dyn std::any::Any + Send + Sync>)
        .start()
        .expect("starts");
    release.release();
    drop(job);
    work(feed).join().expect("works");
    assert_eq!(Arc::strong_count(&state), 1, "nothing is left behind");
}

#[test]
fn pattern_6_abort_from_the_progress_callback() {
    let notes = Notes::default();
    let observer = Observer::new(&notes).on_progress(|job, _| {
        job.request_abort().expect("possible");
        Ok(())
    });
    let (job, feed) = run(2, observer);
    let (asked, wish) = channel();
    feed.on_abort(move || asked.send(()).expect("the worker listens"));
    let worker = thread::spawn(move || {
        play(&feed, "at 0 10 5");
        wish.recv().expect("the observer asks");
        play(&feed, "aborted 0 5\n only aborted 1");
        let updates = feed.job().progress().update_results().cloned().collect();
        feed.complete(InstallationResult {
            result_code: OperationResultCode::Aborted,
            hresult: HResult::WU_E_CALL_CANCELLED,
            reboot_required: false,
            updates,
        });
    });
    assert_eq!(
        job.end().expect("ended once").result_code,
        OperationResultCode::Aborted
    );
    assert_eq!(notes.lines()[0], "0 in progress 10/5");
    worker.join().expect("works");
}

#[test]
fn pattern_7_callbacks_that_always_fail() {
    let notes = Notes::default();
    let observer = Observer::new(&notes)
        .on_progress(|_, _| failure(HResult::E_FAIL))
        .on_completed(|_| failure(HResult::E_FAIL));
    let (job, feed) = run(2, observer);
    let worker = work(feed);
    assert_eq!(job.end().expect("ended once").hresult, HResult::S_OK);
    assert!(notes.lines().len() >= 6, "{}", notes.text());
    worker.join().expect("works");
}

#[test]
fn pattern_8_an_observer_that_holds_its_job() {
    let notes = Notes::default();
    let cycle = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&cycle);
    let observer = Observer::new(&notes).on_completed(move |job| {
        let held: &Option<wua_job::InstallationJob> = &inside.lock().expect("not poisoned");
        assert!(held.as_ref().is_some_and(|held| held.same_job(job)));
        Ok(())
    });
    let (job, feed, release) = start(2, observer);
    *cycle.lock().expect("not poisoned") = Some(job.clone());
    release.release();
    let worker = work(feed);
    assert_eq!(job.clean_up(), CleanUp::Done);
    assert_eq!(
        Arc::strong_count(&cycle),
        1,
        "the observer is gone and the cycle with it"
    );
    worker.join().expect("works");
}
