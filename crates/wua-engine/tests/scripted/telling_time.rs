//! The time-true part of progress: no second is silent, whatever blocks, and what a run took is known to the next.

use crate::common::*;
use wua_engine::durations::Durations;
use wua_engine::handler::BatchEnd;
use wua_engine::stage::{Stage, StageKind};
use wua_job::{Job, JobKind};
use wua_testkit::{ScriptedHandler, TestMachine, gate, succeed};
use wua_types::UpdateDownloadResult;

/// Blocks until the job has said something six times more, though whoever works on it says nothing: more than can have been on its
/// way.
fn hear_more<K: JobKind>(job: &Job<K>) {
    let mut now = job.progress();
    for _ in 0..6 {
        now = job
            .next_change(now.revision())
            .expect("something is said before the end");
    }
}

#[test]
fn a_handler_that_says_nothing_is_heard_of_all_the_same() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        cx.changing();
        gate.stop();
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    let job = begin(&machine, &wanted);
    key.wait();
    hear_more(&job);
    key.let_pass();
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
    assert_eq!(job.progress().truth.time_share, 1.0);
}

#[test]
fn a_plan_that_takes_long_is_heard_of() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::default().resolving(move |_| {
        gate.stop();
        Ok(())
    }));
    let wanted = updates(&["a"]);
    let job = begin(&machine, &wanted);
    key.wait();
    hear_more(&job);
    drop(key);
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
}

#[test]
fn a_download_that_stands_still_is_heard_of() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::downloading(move |_, cx| {
        gate.stop();
        cx.finished(0, UpdateDownloadResult::new(Succeeded, FINE.1, ""));
        Ok(())
    }));
    let job = machine
        .session()
        .create_update_downloader()
        .start(collection(&updates(&["a"])), None)
        .expect("begins");
    key.wait();
    hear_more(&job);
    key.let_pass();
    assert_eq!(job.wait().result_code, Succeeded);
    assert_eq!(job.progress().truth.time_share, 1.0);
}

#[test]
fn what_a_stage_took_is_known_to_the_next_job() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        cx.changing();
        cx.stage(Some(Stage::of(StageKind::Configure, "slow-service")));
        cx.stage(None);
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let stage = Stage::of(StageKind::Configure, "slow-service");
    assert!(!Durations::of(machine.folders()).guess(&stage, 1e6).is_known);
    machine.installer().install(collection(&wanted)).expect("begins");
    let learned = Durations::of(machine.folders());
    assert!(learned.guess(&stage, 1e6).is_known);
    // Planning is part of the job, too.
    assert!(learned.guess(&Stage::of(StageKind::Plan, ""), 1e6).is_known);
}
