//! Following a job from elsewhere and afterwards, keepers that go away, observers that misbehave, the list of jobs.

use std::fs;
use std::sync::mpsc::channel;

use jiff::Timestamp;
use uuid::Uuid;

use crate::common::*;
use wua_engine::follow;
use wua_engine::handler::BatchEnd;
use wua_engine::jobs::{self, JobState};
use wua_engine::keeper;
use wua_engine::lock::MachineLock;
use wua_engine::process::ProcessId;
use wua_job::{Installation, JobBuilder};
use wua_testkit::{Observer, ScriptedHandler, TestMachine, failed, gate, succeed};
use wua_types::{EventLine, HResult, JobEvent, Operation, StartedUpdate};

/// A machine that stops in its second batch of three, and the second update of which fails.
fn gated() -> (TestMachine, wua_testkit::Key) {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        cx.changing();
        if batch.members == [1] {
            gate.stop();
            cx.finished(1, failed());
        } else {
            batch.members.iter().for_each(|update| succeed(cx, *update));
        }
        Ok(BatchEnd::Done)
    }));
    machine.stock(&updates(&["a", "b", "c"]));
    (machine, key)
}

#[test]
fn a_second_session_sees_a_running_job_as_the_first_does() {
    let (machine, key) = gated();
    let job = machine
        .installer()
        .start_install(collection(&updates(&["a", "b", "c"])), None)
        .expect("begins");
    key.wait();
    let (told, notices) = channel();
    let observer = Observer::<Installation>::on_progress(move |_, now| {
        told.send((now.current_update_index, now.result_code))
            .expect("the test listens");
    });
    let seen = follow::attach(machine.folders(), job.id(), observer.boxed()).expect("attached");
    wait_until(&seen, |now| {
        now.update_result(0).expect("one of three").result_code == Succeeded
    });
    assert_eq!((seen.id(), seen.operation()), (job.id(), Operation::Install));
    let titles: Vec<_> = seen.updates().iter().map(|update| &*update.title).collect();
    assert_eq!(titles, ["a 2", "b 2", "c 2"]);
    assert!(!seen.is_completed());
    let [summary] = &jobs::list(machine.folders()).expect("lists")[..] else {
        panic!("one job");
    };
    let running = JobState::Running {
        percent_complete: 33.try_into().expect("a percentage"),
        keeper_pid: std::process::id(),
    };
    assert_eq!((summary.job, &summary.state), (job.id(), &running));
    drop(key);
    assert_eq!(*seen.wait(), *job.wait());
    assert_eq!(ends(&seen.wait()).1, [FINE, BROKEN, FINE]);
    seen.clean_up();
    let finals: Vec<_> = notices.iter().filter(|(_, code)| code.is_final()).collect();
    for end in [(0, Succeeded), (1, Failed), (2, Succeeded)] {
        assert!(finals.contains(&end), "{finals:?}");
    }
}

#[test]
fn a_second_session_may_abort_the_first_ones_job() {
    let (machine, key) = gated();
    let job = machine
        .installer()
        .start_install(collection(&updates(&["a", "b", "c"])), None)
        .expect("begins");
    key.wait();
    let seen = follow::attach(machine.folders(), job.id(), None).expect("attached");
    seen.request_abort().expect("one batch is still to come");
    drop(key);
    assert_eq!(ends(&job.wait()), (CANCELLED, vec![FINE, BROKEN, CANCELLED]));
    assert_eq!(*seen.wait(), *job.wait());
}

#[test]
fn a_job_can_be_aborted_by_its_id_alone() {
    let (machine, key) = gated();
    let job = machine
        .installer()
        .start_install(collection(&updates(&["a", "b", "c"])), None)
        .expect("begins");
    key.wait();
    let asked = jobs::request_abort(machine.folders(), job.id()).expect("asked");
    assert!(matches!(asked.state, JobState::Running { .. }));
    drop(key);
    assert_eq!(ends(&job.wait()).1, [FINE, BROKEN, CANCELLED]);
    let ended = jobs::request_abort(machine.folders(), job.id()).expect("no effect");
    assert!(matches!(ended.state, JobState::Completed { .. }));
    let unknown = jobs::request_abort(machine.folders(), Uuid::nil()).expect_err("unknown");
    assert_eq!(unknown.code(), HResult::WU_E_UNKNOWN_ID);
}

#[test]
fn a_finished_job_can_be_read_again_by_anybody() {
    let (machine, key) = gated();
    drop(key);
    let job = machine
        .installer()
        .start_install(collection(&updates(&["a", "b", "c"])), None)
        .expect("begins");
    let outcome = job.wait();
    let (told, percents) = channel();
    let observer = Observer::<Installation>::on_progress(move |_, now| {
        told.send(now.percent_complete.get()).expect("the test listens");
    });
    let seen = follow::attach(machine.folders(), job.id(), observer.boxed()).expect("attached");
    assert_eq!(*seen.end().expect("ended once"), *outcome);
    let percents: Vec<_> = percents.iter().collect();
    assert!(
        percents.is_sorted() && percents.last() == Some(&100),
        "{percents:?}"
    );
    let [summary] = &jobs::list(machine.folders()).expect("lists")[..] else {
        panic!("one job");
    };
    assert_eq!(summary.titles, ["a 2", "b 2", "c 2"]);
    assert!(
        matches!(summary.state, JobState::Completed { result_code: SucceededWithErrors, hresult, .. }
            if hresult == HResult::WU_S_UPDATE_ERROR)
    );
}

#[test]
fn an_unknown_job_is_told_apart_from_one_that_has_not_begun() {
    let machine = TestMachine::default();
    assert_eq!(jobs::list(machine.folders()).expect("lists"), []);
    let id = Uuid::from_u128(1);
    let error = follow::attach(machine.folders(), id, None).expect_err("unknown");
    assert_eq!(error.code(), HResult::WU_E_UNKNOWN_ID);
    fs::create_dir_all(machine.folders().job(id).path()).expect("folder");
    fs::write(machine.folders().job(id).events(), "").expect("file");
    let error = follow::attach(machine.folders(), id, None).expect_err("not begun");
    assert!(error.sentence().contains("has not begun"), "{error}");
    assert_eq!(jobs::list(machine.folders()).expect("lists"), []);
}

/// The folder of a job that a keeper left alone after the first of two updates, `tail` being the file's last bytes.
fn abandoned(machine: &TestMachine, tail: &str) -> Uuid {
    let id = Uuid::from_u128(77);
    let folder = machine.folders().job(id);
    fs::create_dir_all(folder.path()).expect("folder");
    let dead = ProcessId {
        start_time: 0,
        ..ProcessId::own()
    };
    fs::write(folder.keeper(), serde_json::to_vec(&dead).expect("serialises")).expect("file");
    let started = |(index, update): (usize, wua_types::Update)| StartedUpdate {
        index,
        id: update.id(),
        title: update.title,
    };
    let both = updates(&["a", "b"]);
    let events = [
        JobEvent::Started {
            operation: Operation::Install,
            plan_hash: None,
            updates: both.iter().cloned().enumerate().map(started).collect(),
        },
        JobEvent::UpdateFinished {
            index: 0,
            id: both[0].id(),
            result: wua_testkit::succeeded(),
        },
    ];
    let mut text = String::new();
    for event in events {
        let line = EventLine {
            job: id,
            time: Timestamp::UNIX_EPOCH,
            event,
        };
        text += &serde_json::to_string(&line).expect("serialises");
        text += "\n";
    }
    fs::write(folder.events(), text + tail).expect("file");
    id
}

#[test]
fn a_keeper_that_died_leaves_what_is_known_and_nobody_waiting() {
    for tail in [
        "",
        "{\"event\":\"comple",
        "no json at all\n",
        "{\"event\":\"progress\"}\n\n\n",
    ] {
        let machine = TestMachine::default();
        let id = abandoned(&machine, tail);
        let (told, ended) = channel();
        let observer = Observer::<Installation>::on_progress(|_, _| {}).and_completed(move |job| {
            told.send(job.outcome().expect("readable"))
                .expect("the test listens");
        });
        let seen = follow::attach(machine.folders(), id, observer.boxed()).expect("attached");
        let outcome = ended.recv().expect("completed is called");
        assert_eq!(ends(&outcome), (LOST, vec![FINE, LOST]));
        assert!(outcome.updates[1].message.contains("keeper went away"));
        assert_eq!(*seen.wait(), *outcome);
        let [summary] = &jobs::list(machine.folders()).expect("lists")[..] else {
            panic!("one job");
        };
        assert_eq!(summary.state, JobState::Lost);
    }
}

#[test]
fn a_keeper_that_cannot_begin_leaves_nobody_waiting_and_frees_the_lock() {
    let machine = TestMachine::default();
    let id = Uuid::from_u128(5);
    let folder = machine.folders().job(id);
    fs::create_dir_all(folder.path()).expect("folder");
    let start = |order: &str| {
        fs::write(folder.order(), order).expect("file");
        let lock = MachineLock::take(&machine.folders().lock(), id)
            .expect("no error")
            .expect("free");
        keeper::start(machine.machine(), id, lock).expect("a thread starts");
        let builder = JobBuilder::<Installation>::new(id, Operation::Install, collection(&updates(&["a"])));
        let (job, feed, release) = builder.start().expect("starts");
        release.release();
        follow::follow(&folder, feed);
        ends(&job.wait())
    };
    for order in ["", "{}", "[1, 2"] {
        assert_eq!(start(order), (LOST, vec![LOST]), "{order}");
        machine.assert_idle();
    }
}

#[test]
fn a_keeper_whose_history_cannot_be_opened_says_why() {
    let (machine, key) = gated();
    drop(key);
    let wanted = updates(&["a", "b", "c"]);
    let job = machine
        .installer()
        .start_install(collection(&wanted), None)
        .expect("begins");
    job.wait();
    // The same order once more, in a machine whose database is of a newer wua by now.
    let (first, second) = (machine.folders().job(job.id()), Uuid::from_u128(6));
    let folder = machine.folders().job(second);
    fs::create_dir_all(folder.path()).expect("folder");
    fs::copy(first.order(), folder.order()).expect("copied");
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database.pragma_update(None, "user_version", 99).expect("written");
    let lock = MachineLock::take(&machine.folders().lock(), second)
        .expect("no error")
        .expect("free");
    keeper::start(machine.machine(), second, lock).expect("a thread starts");
    let (job, feed, release) =
        JobBuilder::<Installation>::new(second, Operation::Install, collection(&wanted))
            .start()
            .expect("starts");
    release.release();
    follow::follow(&folder, feed);
    assert_eq!(ends(&job.wait()), (LOST, vec![LOST; 3]));
    assert_eq!(
        job.progress().warnings()[0].hresult,
        HResult::WU_E_DS_SCHEMAMISMATCH
    );
    assert_eq!(
        machine.handler.applied().len(),
        3,
        "nothing was done a second time"
    );
}

#[test]
fn an_order_whose_plan_does_not_fit_is_not_carried_out() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b"]);
    machine.install(&wanted);
    let [summary] = &jobs::list(machine.folders()).expect("lists")[..] else {
        panic!("one job");
    };
    let path = machine.folders().job(summary.job).order();
    let order = wua_engine::order::Order::read(&path).expect("reads");
    let mut cut = order.clone();
    cut.plan.updates.pop();
    let mut beyond = order.clone();
    beyond.plan.batches.push(vec![2]);
    let mut unknown = order.clone();
    unknown.known.push((9, failed()));
    for damaged in [cut, beyond, unknown] {
        fs::write(&path, serde_json::to_vec(&damaged).expect("serialises")).expect("file");
        wua_engine::order::Order::read(&path).expect_err("does not fit");
    }
}

#[test]
fn r18_observers_that_are_stuck_or_panic_delay_nobody() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b", "c"]);
    machine.stock(&wanted);
    let (observers_gate, key) = gate();
    let stuck = Observer::<Installation>::on_progress(move |_, _| observers_gate.stop());
    let job = machine
        .installer()
        .start_install(collection(&wanted), stuck.boxed())
        .expect("begins");
    key.wait();
    assert_eq!(
        ends(&job.wait()),
        (FINE, vec![FINE; 3]),
        "the observer still stands at its gate"
    );
    machine.assert_idle();
    drop(key);
    job.clean_up();

    let (told, ended) = channel();
    let panicking = Observer::<Installation>::on_progress(|_, _| crate::hostile_handlers::panic_quietly())
        .and_completed(move |_| told.send(()).expect("the test listens"));
    let mut installer = machine.installer();
    installer.is_forced = true;
    let job = installer
        .start_install(collection(&wanted), panicking.boxed())
        .expect("begins");
    ended.recv().expect("completed is called all the same");
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE; 3]));
}

#[test]
fn whoever_hears_of_the_end_can_begin_the_next_job() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let mut installer = machine.installer();
    installer.is_forced = true;
    for round in 0..25 {
        let result = installer.install(collection(&wanted)).expect("free again");
        assert_eq!(result.hresult, HResult::S_OK, "round {round}");
    }
    machine.assert_idle();
    let begun: Vec<_> = jobs::list(machine.folders())
        .expect("lists")
        .iter()
        .map(|job| job.begun)
        .collect();
    assert!(
        begun.len() == 25 && begun.is_sorted_by(|one, other| one >= other),
        "newest first"
    );
}
