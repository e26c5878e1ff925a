//! Stopping at the caller's wish: when it is answered, and what is told of what was never begun (rules R26, R32 and R46).

use std::sync::mpsc::channel;

use crate::common::*;
use wua_engine::Failure;
use wua_engine::handler::BatchEnd;
use wua_job::Installation;
use wua_testkit::{Observer, ScriptedHandler, TestMachine, gate, succeed};
use wua_types::{HResult, Phase, UpdateInstallationResult, UpdateResult as _, WaitingFor};

const STOPPED: End = CANCELLED;

#[test]
fn r26_an_abort_is_answered_between_batches_and_the_rest_was_never_begun() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        cx.changing();
        gate.stop();
        assert!(
            cx.abort_requested(),
            "the wish has arrived, and is not answered any more"
        );
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a", "b", "c"]);
    let job = begin(&machine, &wanted);
    key.wait();
    job.request_abort().expect("two batches are still to come");
    job.request_abort().expect("wishing twice changes nothing");
    key.let_pass();
    assert_eq!(ends(&job.wait()), (STOPPED, vec![FINE, STOPPED, STOPPED]));
    assert_eq!(machine.handler.applied(), [[0]]);
    let story = machine.story(job.id());
    assert_eq!(
        story.percents.last(),
        Some(&33),
        "an aborted job stops where it is"
    );
    assert_eq!(job.progress().percent_complete.get(), 33);
    let state = machine.state();
    let recorded: Vec<_> = state.history.iter().map(|entry| &*entry.title).collect();
    assert_eq!(recorded, ["a 2"], "rule R46");
    assert_eq!(state.installed.len(), 1);
    machine.assert_idle();
}

#[test]
fn r26_a_progress_callback_may_abort() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        cx.changing();
        cx.step(batch.members[0], 1, 2, Phase::Unpacking);
        gate.stop();
        cx.finished(batch.members[0], wua_testkit::succeeded());
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let mut key = Some(key);
    let observer = Observer::<Installation>::on_progress(move |job, now| {
        if now.truth.phase == Phase::Unpacking {
            job.request_abort().expect("another batch is to come");
            drop(key.take());
        }
    });
    let job = machine
        .installer()
        .start_install(collection(&wanted), observer.boxed())
        .expect("begins");
    assert_eq!(ends(&job.wait()), (STOPPED, vec![FINE, STOPPED]));
    machine.story(job.id());
}

#[test]
fn r26_an_abort_ends_the_wait_for_a_lock() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |_, cx| {
        cx.waiting(Some(WaitingFor {
            what: "the package database lock".into(),
            since: std::time::SystemTime::UNIX_EPOCH.try_into().expect("a time"),
            holder: Some("apt (1)".into()),
            detail: None,
        }));
        gate.stop();
        assert!(cx.abort_requested());
        Err(Failure::new(
            HResult::WU_E_CALL_CANCELLED,
            "stopped while waiting",
        ))
    }));
    let wanted = updates(&["a", "b"]);
    let job = begin(&machine, &wanted);
    wait_until(&job, |now| now.truth.waiting_for.is_some());
    let now = job.progress();
    assert_eq!((now.truth.phase, now.truth.can_abort), (Phase::Waiting, true));
    // Nothing of ours is changed, but whoever holds the lock may be changing the machine.
    assert!(!now.truth.safe_to_power_off);
    key.wait();
    job.request_abort().expect("nothing was touched yet");
    drop(key);
    assert_eq!(ends(&job.wait()), (STOPPED, vec![STOPPED; 2]));
    assert_eq!(machine.state().history, []);
    assert_eq!(machine.story(job.id()).percents, [0]);
    machine.assert_idle();
}

#[test]
fn r26_the_last_batch_cannot_be_stopped_once_it_changes_the_machine() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        if batch.members == [1] {
            cx.changing();
            gate.stop();
        }
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a", "b"]);
    let job = begin(&machine, &wanted);
    key.wait();
    wait_until(&job, |now| !now.truth.can_abort);
    assert!(!job.progress().truth.safe_to_power_off);
    let error = job.request_abort().expect_err("too late");
    assert_eq!(error.code(), HResult::WU_E_COULDNOTCANCEL);
    drop(key);
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE; 2]));
    job.request_abort().expect("on a completed job it has no effect");
    assert!(job.progress().truth.safe_to_power_off);
    assert!(!machine.folders().job(job.id()).abort().exists());
}

#[test]
fn r26_an_abort_while_planning_begins_nothing() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::default().resolving(move |_| {
        gate.stop();
        Ok(())
    }));
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let (told, ended) = channel();
    let observer = Observer::<Installation>::on_progress(|_, _| {}).and_completed(move |job| {
        told.send(job.outcome().expect("readable"))
            .expect("the test listens");
    });
    let job = machine
        .installer()
        .start_install(collection(&wanted), observer.boxed())
        .expect("begins");
    key.wait();
    job.request_abort().expect("nothing was begun");
    drop(key);
    let outcome = ended.recv().expect("completed is called");
    assert_eq!(ends(&outcome), (STOPPED, vec![STOPPED; 2]));
    assert!(machine.handler.applied().is_empty());
    assert_eq!(machine.job_folders(), 0);
    assert_eq!(machine.state().history, []);
    machine.assert_idle();
}

#[test]
fn r32_a_handler_that_stops_inside_its_last_batch_makes_the_whole_aborted() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        gate.stop();
        let stopped =
            UpdateInstallationResult::ended(Aborted, HResult::WU_E_CALL_CANCELLED, "stopped in time");
        cx.step(batch.members[0], 1, 4, Phase::Unpacking);
        cx.finished(batch.members[0], stopped);
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    let job = begin(&machine, &wanted);
    key.wait();
    job.request_abort().expect("nothing was changed yet");
    drop(key);
    assert_eq!(ends(&job.wait()), (STOPPED, vec![STOPPED]));
    assert_eq!(machine.story(job.id()).percents, [0, 25]);
    assert_eq!(machine.state().history.len(), 1, "what was begun is recorded");
}

#[test]
fn r32_a_wish_that_came_too_late_to_stop_anything_changes_no_result() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        batch.members.iter().for_each(|update| succeed(cx, *update));
        gate.stop();
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    let job = begin(&machine, &wanted);
    key.wait();
    job.request_abort()
        .expect("the handler did not say that it changes anything");
    drop(key);
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
}
