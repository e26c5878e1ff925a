//! The rules of the asynchronous contract, one story each (wua.md 3.4).
//!
//! What may merge depends on time, so the stories about merging feed everything before callbacks begin.

use std::panic::resume_unwind;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::common::*;
use wua_job::{Change, CleanUp, Installation, JobError, JobFeed, JobKind as _};
use wua_types::{HResult, OperationResultCode};

/// Feeds `script`, completes, lets callbacks begin, and compares what the observer was told.
fn check(updates: usize, script: &str, expected: &str) {
    let notes = Notes::default();
    let (job, feed, release) = start(updates, Observer::new(&notes));
    play(&feed, script);
    complete(feed);
    release.release();
    job.end().expect("ended once");
    assert_eq!(notes.text(), lines(expected), "{script}");
}

// Starting

#[test]
fn r15_no_callback_runs_before_the_start_has_returned() {
    let notes = Notes::default();
    let starter = thread::current().id();
    let observer = Observer::new(&notes).on_completed(move |_| {
        assert_ne!(thread::current().id(), starter);
        Ok(())
    });
    let (job, feed, release) = start(1, observer);
    play(&feed, "at 0 1 1\n succeeded 0 100");
    complete(feed);
    let other = Notes::default();
    let (next, feed) = run(0, Observer::new(&other));
    drop(feed);
    next.end()
        .expect("the callbacks of another job had all the time they need");
    assert!(job.is_completed() && notes.lines().is_empty(), "{}", notes.text());
    release.release();
    job.clean_up();
    assert_eq!(
        notes.lines(),
        ["0 in progress 1/1", "0 succeeded 100/100", "completed", "dropped"]
    );
}

#[test]
fn r15_callbacks_get_the_job_that_was_returned() {
    let notes = Notes::default();
    let (send, receive) = channel();
    let observer = Observer::new(&notes).on_completed(move |inside| {
        send.send(inside.clone()).expect("the test listens");
        Ok(())
    });
    let (job, feed) = run(1, observer);
    complete(feed);
    assert!(receive.recv().expect("completed came").same_job(&job));
    let (other, _feed, _release) = builder(1).start().expect("starts");
    assert!(!job.same_job(&other), "the same id does not make the same job");
}

#[test]
fn r11_a_start_that_fails_after_all_leaves_the_observer_uncalled() {
    let notes = Notes::default();
    let (job, feed, release) = start(1, Observer::new(&notes));
    drop(release);
    drop(feed);
    assert_eq!(job.clean_up(), CleanUp::Done);
    assert_eq!(notes.lines(), ["dropped"]);
}

// Delivery

#[test]
fn r10_inside_a_callback_the_current_update_can_be_asked_for() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_progress(move |_, now| {
        let results: Vec<String> = now
            .update_results()
            .map(|result| result.result_code.to_string())
            .collect();
        let current = now
            .update_result(now.current_update_index)
            .expect("the current one is there");
        assert_eq!(current.result_code, now.result_code);
        own.write(format!("  {} {}", results.join(", "), current.hresult));
        Ok(())
    });
    let (job, feed, release) = start(2, observer);
    play(&feed, "at 1 0 0\n failed 1 50\n at 0 0 50");
    feed.update_finished(0, result(OperationResultCode::Succeeded));
    complete(feed);
    release.release();
    job.end().expect("ended once");
    let expected = "1 in progress 0/0
          not started, in progress 0x00000000
        1 failed 100/50
          not started, failed 0x8024200B
        0 in progress 0/50
          in progress, failed 0x00000000
        0 succeeded 100/100
          succeeded, failed 0x00000000
        completed
        dropped";
    assert_eq!(lines(&notes.text()), lines(expected));
}

#[test]
fn r16_callbacks_of_one_job_come_from_one_thread_that_is_nobody_elses() {
    let notes = Notes::default();
    let (send, threads) = channel();
    let finish = send.clone();
    let observer = Observer::new(&notes)
        .on_progress(move |_, _| {
            send.send(thread::current().id()).expect("the test listens");
            Ok(())
        })
        .on_completed(move |_| {
            finish.send(thread::current().id()).expect("the test listens");
            Ok(())
        });
    let (job, feed) = run(3, observer);
    let worker = thread::spawn(move || {
        play(
            &feed,
            "at 0 0 0\n succeeded 0 33\n at 1 0 33\n succeeded 1 66\n at 2 0 66\n succeeded 2 100",
        );
        complete(feed);
        thread::current().id()
    });
    let worker = worker.join().expect("works");
    job.end().expect("ended once");
    let threads: Vec<_> = threads.iter().collect();
    assert_eq!(threads.len(), 7);
    assert!(
        threads
            .iter()
            .all(|id| *id == threads[0] && *id != worker && *id != thread::current().id())
    );
}

#[test]
fn r16_a_callback_may_call_everything() {
    let notes = Notes::default();
    let observer = Observer::new(&notes).on_progress(|job, now| {
        assert!(job.progress().revision() >= now.revision());
        assert!(job.async_state().is_none() && job.updates().len() == 1);
        drop((
            job.stream(),
            job.outcome(),
            job.next_change(0),
            format!("{job:?} {now:?}"),
        ));
        job.request_abort().expect("possible");
        Ok(())
    });
    let (job, feed) = run(1, observer);
    play(&feed, "at 0 0 0\n aborted 0 0");
    complete(feed);
    job.end().expect("ended once");
    assert_eq!(
        notes.lines(),
        ["0 in progress 0/0", "0 aborted 50/0", "completed", "dropped"]
    );
}

#[test]
fn r17_completed_comes_once_and_last_however_the_work_ends() {
    type Ending = fn(JobFeed<Installation>);
    let endings: [(Ending, HResult); 5] = [
        (|feed| play_and_complete(feed, "succeeded 0 100"), HResult::S_OK),
        (
            |feed| play_and_complete(feed, "failed 0 100"),
            HResult::WU_S_UPDATE_ERROR,
        ),
        (stopped, HResult::WU_E_SERVICE_STOP),
        (drop, HResult::WU_E_UNEXPECTED),
        (
            |feed| {
                let worker = thread::spawn(move || {
                    play(&feed, "at 0 5 5");
                    resume_unwind(Box::new("the worker panics"));
                });
                worker.join().expect_err("it panicked");
            },
            HResult::WU_E_UNEXPECTED,
        ),
    ];
    for (end, hresult) in endings {
        let notes = Notes::default();
        let (job, feed) = run(1, Observer::new(&notes));
        end(feed);
        assert_eq!(job.end().expect("ended once").hresult, hresult);
        let lines = notes.lines();
        assert_eq!(lines[lines.len() - 2..], ["completed", "dropped"], "{lines:?}");
        assert_eq!(lines.iter().filter(|line| *line == "completed").count(), 1);
    }
}

fn stopped(feed: JobFeed<Installation>) {
    feed.complete(Installation::failed(HResult::WU_E_SERVICE_STOP, Vec::new()));
}

fn play_and_complete(feed: JobFeed<Installation>, script: &str) {
    play(&feed, script);
    complete(feed);
}

#[test]
fn r17_lost_work_names_a_reason_for_every_update() {
    let (job, feed, _release) = builder(2).start().expect("starts");
    play(&feed, "at 0 10 5");
    drop(feed);
    let outcome = job.wait();
    let reasons: Vec<HResult> = outcome.updates.iter().map(|update| update.hresult).collect();
    assert_eq!(
        reasons,
        [HResult::WU_E_UNEXPECTED, HResult::WU_E_UPDATE_NOT_PROCESSED]
    );
    assert_eq!(outcome.result_code, OperationResultCode::Failed);
}

#[test]
fn r18_percentages_merge_and_starts_and_results_do_not() {
    check(
        2,
        "at 0 0 0\n at 0 10 5\n at 0 90 45\n succeeded 0 50\n at 1 0 50\n at 1 60 80\n failed 1 100",
        "0 in progress 0/0
         0 succeeded 100/50
         1 in progress 0/50
         1 failed 100/100
         completed
         dropped",
    );
}

#[test]
fn r18_later_moves_between_interleaved_updates_merge() {
    check(
        2,
        "at 0 0 0\n at 1 0 0\n at 0 50 25\n at 1 50 50\n at 0 60 55\n succeeded 1 80\n succeeded 0 100",
        "0 in progress 0/0
         1 in progress 0/0
         1 succeeded 100/80
         0 succeeded 100/100
         completed
         dropped",
    );
}

#[test]
fn r18_results_of_updates_that_were_never_reached_come_one_by_one() {
    check(
        3,
        "at 0 0 0\n aborted 0 7\n only aborted 1\n only aborted 2",
        "0 in progress 0/0
         0 aborted 50/7
         1 aborted 0/7
         2 aborted 0/7
         completed
         dropped",
    );
}

#[test]
fn r18_what_waits_for_its_time_is_delivered_when_that_comes() {
    let notes = Notes::default();
    let (job, feed) = run(1, Observer::new(&notes));
    play(&feed, "at 0 0 0");
    for (own, line) in [(10, "0 in progress 10/10"), (20, "0 in progress 20/20")] {
        feed.progress(at(0, OperationResultCode::InProgress, own, own));
        notes.wait_for(line);
    }
    drop(feed);
    job.end().expect("ended once");
}

#[test]
fn r19_a_run_to_the_end_makes_a_notice_for_every_result_and_ends_at_a_hundred() {
    let script: String = (0..50).map(|index| format!("only succeeded {index}\n")).collect();
    let notes = Notes::default();
    let (job, feed, release) = start(50, Observer::new(&notes));
    play_and_complete(feed, &script);
    release.release();
    job.end().expect("ended once");
    let lines = notes.lines();
    assert_eq!((lines.len(), lines[49].as_str()), (52, "49 succeeded 100/100"));
}

#[test]
fn r19_a_slow_callback_never_delays_the_work() {
    let notes = Notes::default();
    let (go, gate) = channel::<()>();
    let observer = Observer::new(&notes).on_progress(move |_, _| {
        let _ = gate.recv();
        Ok(())
    });
    let (job, feed) = run(2, observer);
    play(&feed, "at 0 0 0");
    notes.wait_for("0 in progress 0/0");
    for own in 1..=99 {
        play(&feed, &format!("at 0 {own} {}", own / 2));
    }
    play(&feed, "succeeded 0 50\n at 1 0 50\n succeeded 1 100");
    complete(feed);
    assert_eq!(
        job.wait().result_code,
        OperationResultCode::Succeeded,
        "the work ended with the callback still running"
    );
    drop(go);
    job.end().expect("ended once");
    let expected = "0 in progress 0/0
        0 succeeded 100/50
        1 in progress 0/50
        1 succeeded 100/100
        completed
        dropped";
    assert_eq!(notes.text(), lines(expected));
}

#[test]
fn r20_snapshots_are_frozen_and_the_job_may_be_ahead_of_them() {
    let notes = Notes::default();
    let own = notes.clone();
    let (send, snapshots) = channel();
    let (go, gate) = channel::<()>();
    let observer = Observer::new(&notes).on_progress(move |job, now| {
        send.send(now.clone()).expect("the test listens");
        let _ = gate.recv();
        own.write(format!("ahead: {}", job.progress().revision() > now.revision()));
        Ok(())
    });
    let (job, feed) = run(1, observer);
    play(&feed, "at 0 1 1");
    let early = snapshots.recv().expect("a notice");
    play(&feed, "at 0 2 2\n warns\n succeeded 0 100");
    assert_eq!(words(&job.progress()), "0 succeeded 100/100");
    drop(go);
    complete(feed);
    job.end().expect("ended once");
    let last = job.progress();
    drop(job);
    let told = [
        "0 in progress 1/1",
        "ahead: true",
        "0 succeeded 100/100",
        "ahead: false",
        "completed",
        "dropped",
    ];
    assert_eq!(notes.lines(), told);
    assert_eq!(words(&early), "0 in progress 1/1");
    assert_eq!(
        early.update_result(0).expect("there").result_code,
        OperationResultCode::InProgress
    );
    assert!(early.warnings().is_empty());
    assert_eq!(last.warnings().len(), 1);
    assert_eq!(words(&last), "0 succeeded 100/100");
}

#[test]
fn r21_the_job_is_completed_and_its_outcome_readable_before_the_observer_hears_of_it() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |job| {
        own.write(format!("{} {}", job.is_completed(), job.outcome().is_some()));
        Ok(())
    });
    let (job, feed) = run(1, observer);
    assert!(!job.is_completed() && job.outcome().is_none());
    play_and_complete(feed, "succeeded 0 100");
    job.end().expect("ended once");
    assert!(job.is_completed());
    assert_eq!(notes.lines()[1..], ["completed", "true true", "dropped"]);
}

// Ending

#[test]
fn r22_end_works_inside_the_completed_callback() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |job| {
        own.write(job.end().expect("the first to end").hresult.to_string());
        Ok(())
    });
    let (job, feed) = run(1, observer);
    play_and_complete(feed, "succeeded 0 100");
    assert_eq!(job.clean_up(), CleanUp::Done);
    assert_eq!(notes.lines()[1..], ["completed", "0x00000000", "dropped"]);
    assert!(matches!(job.end(), Err(JobError::AlreadyEnded)));
}

#[test]
fn r22_end_inside_a_progress_callback_waits_for_the_work_alone() {
    let notes = Notes::default();
    let own = notes.clone();
    let mut ended = false;
    let observer = Observer::new(&notes).on_progress(move |job, _| {
        if !std::mem::replace(&mut ended, true) {
            own.write("ending");
            own.write(job.end().expect("the first to end").hresult.to_string());
        }
        Ok(())
    });
    let (job, feed) = run(1, observer);
    play(&feed, "at 0 0 0");
    notes.wait_for("ending");
    play_and_complete(feed, "succeeded 0 100");
    job.clean_up();
    let expected = [
        "0 in progress 0/0",
        "ending",
        "0x00000000",
        "0 succeeded 100/100",
        "completed",
        "dropped",
    ];
    assert_eq!(notes.lines(), expected);
}

#[test]
fn r22_end_outside_returns_after_the_observer_is_gone() {
    let notes = Notes::default();
    let (go, gate) = channel::<()>();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |_| {
        gate.recv().expect("the test says when");
        own.write("completed returns");
        Ok(())
    });
    let (job, feed) = run(1, observer);
    let (ended, note) = (job.clone(), notes.clone());
    let ender = thread::spawn(move || {
        note.write("ending");
        ended.end().expect("ended once");
        note.write("ended");
    });
    drop(feed);
    notes.wait_for("completed");
    notes.wait_for("ending");
    go.send(()).expect("the observer waits");
    ender.join().expect("ends");
    let lines = notes.lines();
    assert_eq!(
        lines[lines.len() - 3..],
        ["completed returns", "dropped", "ended"]
    );
}

#[test]
fn r22_a_job_ends_once_whoever_races() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (job, barrier) = (job.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                job.end()
            })
        })
        .collect();
    play_and_complete(feed, "succeeded 0 100");
    let ends: Vec<_> = racers
        .into_iter()
        .map(|racer| racer.join().expect("returns"))
        .collect();
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    for error in ends.into_iter().filter_map(Result::err) {
        assert_eq!(error.code(), HResult::WU_E_INVALID_OPERATION);
    }
    assert!(Arc::ptr_eq(&job.wait(), &job.outcome().expect("stays readable")));
}

#[test]
fn r23_clean_up_waits_for_the_completed_callback_and_can_be_repeated() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |_| {
        own.write("completed returns");
        Ok(())
    });
    let (job, feed) = run(1, observer);
    let worker = thread::spawn(move || drop(feed));
    assert_eq!(job.clean_up(), CleanUp::Done);
    let lines = notes.lines();
    assert_eq!(
        lines[lines.len() - 3..],
        ["completed", "completed returns", "dropped"]
    );
    assert_eq!(job.clean_up(), CleanUp::Done);
    job.end().expect("the order of the two does not matter");
    assert_eq!(job.clean_up(), CleanUp::Done);
    worker.join().expect("works");
}

#[test]
fn r23_clean_up_inside_a_callback_silences_the_job() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_progress(move |job, _| {
        own.write(format!("{:?} {:?}", job.clean_up(), job.clean_up()));
        Ok(())
    });
    let (job, feed) = run(2, observer);
    play(&feed, "at 0 0 0");
    notes.wait_for("dropped");
    play_and_complete(feed, "succeeded 0 50\n succeeded 1 100");
    assert_eq!(
        job.end().expect("ended once").result_code,
        OperationResultCode::Succeeded
    );
    assert_eq!(
        notes.lines(),
        [
            "0 in progress 0/0",
            "MarkedForDisconnect MarkedForDisconnect",
            "dropped"
        ]
    );
}

#[test]
fn r23_clean_up_inside_the_completed_callback_is_allowed() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |job| {
        own.write(format!("{:?}", job.clean_up()));
        Ok(())
    });
    let (job, feed) = run(0, observer);
    complete(feed);
    job.clean_up();
    assert_eq!(notes.lines(), ["completed", "MarkedForDisconnect", "dropped"]);
}

#[test]
fn r24_after_completion_nothing_holds_what_the_observer_held() {
    let notes = Notes::default();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let observer = Observer::new(&notes).on_completed(move |_| {
        assert_eq!(Arc::strong_count(&inside), 2);
        Ok(())
    });
    let (job, feed) = run(1, observer);
    drop(feed);
    notes.wait_for("dropped");
    job.clean_up();
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "and the job itself is still there: {job:?}"
    );
}

#[test]
fn r24_a_forgotten_job_goes_on_and_tells_its_observer() {
    let notes = Notes::default();
    let (job, feed) = run(1, Observer::new(&notes));
    drop(job);
    play(&feed, "at 0 0 0");
    assert!(!feed.abort_requested());
    complete(feed);
    notes.wait_for("dropped");
    assert_eq!(notes.lines(), ["0 in progress 0/0", "completed", "dropped"]);
}

#[test]
fn r25_failing_and_panicking_callbacks_change_nothing() {
    let answers: [fn() -> Answer; 3] = [
        || failure(HResult::E_FAIL),
        || failure(HResult::S_OK),
        || resume_unwind(Box::new(Bomb)),
    ];
    for answer in answers {
        let notes = Notes::default();
        let observer = Observer::new(&notes)
            .on_progress(move |_, _| answer())
            .on_completed(move |_| answer());
        let (job, feed, release) = start(1, observer);
        play_and_complete(feed, "at 0 0 0\n succeeded 0 100");
        release.release();
        assert_eq!(job.end().expect("ended once").hresult, HResult::S_OK);
        let told = notes.lines().into_iter().filter(|line| line != "panicked");
        assert_eq!(
            told.collect::<Vec<_>>(),
            ["0 in progress 0/0", "0 succeeded 100/100", "completed", "dropped"]
        );
    }
}

/// Panics again when what was thrown is thrown away.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("the panic panics"));
    }
}

#[test]
fn r25_an_observer_that_panics_when_dropped_is_gone_all_the_same() {
    let notes = Notes::default();
    let bomb = Bomb;
    let observer = Observer::new(&notes).on_completed(move |_| {
        let _held = &bomb;
        Ok(())
    });
    let (job, feed) = run(1, observer);
    drop(feed);
    assert_eq!(job.clean_up(), CleanUp::Done);
    job.end().expect("ended once");
}

#[test]
fn r25_a_progress_callback_that_is_gone_is_not_called_again() {
    for code in [
        HResult::RPC_E_DISCONNECTED,
        HResult::RPC_E_SERVER_DIED,
        HResult::RPC_E_SERVER_DIED_DNE,
        HResult::RPC_S_SERVER_UNAVAILABLE,
        HResult::CO_E_OBJNOTCONNECTED,
    ] {
        let notes = Notes::default();
        let (job, feed, release) = start(2, Observer::new(&notes).on_progress(move |_, _| failure(code)));
        play_and_complete(feed, "at 0 0 0\n succeeded 0 50\n succeeded 1 100");
        release.release();
        job.end().expect("ended once");
        assert_eq!(
            notes.lines(),
            ["0 in progress 0/0", "completed", "dropped"],
            "{code}"
        );
    }
}

#[test]
fn r26_an_abort_is_a_wish_that_reaches_the_worker() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    let (send, calls) = channel();
    let first = send.clone();
    feed.on_abort(move || first.send("replaced").expect("the test listens"));
    feed.on_abort(move || send.send("asked").expect("the test listens"));
    assert!(!feed.abort_requested());
    job.request_abort().expect("possible");
    job.request_abort().expect("and idempotent");
    assert!(feed.abort_requested() && !job.is_completed());
    assert_eq!(calls.iter().collect::<Vec<_>>(), ["asked"]);

    let (send, calls) = channel();
    feed.on_abort(move || send.send("late").expect("the test listens"));
    assert_eq!(calls.recv(), Ok("late"));
    drop(feed);
}

#[test]
fn r26_what_must_be_finished_refuses_an_abort() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    feed.progress(past_the_point_of_no_return(0));
    let error = job.request_abort().expect_err("too late");
    assert_eq!(error.code(), HResult::WU_E_COULDNOTCANCEL);
    assert!(!feed.abort_requested());
    complete(feed);
    job.request_abort().expect("after completion it means nothing");
}

#[test]
fn r28_the_state_given_along_comes_back_until_the_job_is_ended() {
    let notes = Notes::default();
    let own = notes.clone();
    let observer = Observer::new(&notes).on_completed(move |job| {
        own.write(format!(
            "{}",
            job.async_state().is_some_and(|state| state.is::<u32>())
        ));
        Ok(())
    });
    let state = Arc::new(7_u32);
    let (job, feed, release) = builder(0)
        .observer(observer.boxed())
        .async_state(Arc::clone(&state) as Arc<dyn std::any::Any + Send + Sync>)
        .start()
        .expect("starts");
    release.release();
    assert_eq!(
        job.async_state()
            .and_then(|state| state.downcast_ref::<u32>().copied()),
        Some(7)
    );
    let worker = thread::spawn(move || complete(feed));
    job.end().expect("ended once");
    assert_eq!(
        notes.lines(),
        ["completed", "true", "dropped"],
        "also while somebody is ending it"
    );
    assert!(job.async_state().is_none());
    assert_eq!(Arc::strong_count(&state), 1);
    worker.join().expect("works");
}

// The other two ways to follow

#[test]
fn waiting_for_changes_gives_the_state_of_now_and_ends_with_the_job() {
    let (job, feed, _release) = builder(1).start().expect("starts");
    assert!(matches!(
        job.wait_change(0, std::time::Duration::ZERO),
        Change::TimedOut
    ));
    play(&feed, "at 0 1 1\n at 0 2 2");
    let now = job.next_change(0).expect("newer");
    assert_eq!(words(&now), "0 in progress 2/2");
    let (go, gate) = channel::<()>();
    let worker = thread::spawn(move || {
        gate.recv().expect("the test says when");
        play_and_complete(feed, "succeeded 0 100");
    });
    go.send(()).expect("the worker waits");
    let mut revision = now.revision();
    let mut last = now;
    while let Some(now) = job.next_change(revision) {
        revision = now.revision();
        last = now;
    }
    assert_eq!(words(&last), "0 succeeded 100/100");
    assert!(matches!(
        job.wait_change(revision, std::time::Duration::MAX),
        Change::Completed
    ));
    worker.join().expect("works");
}
