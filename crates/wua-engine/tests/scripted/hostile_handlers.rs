//! Handlers that break their contract: whatever they do, each update has one result, the job ends, and the lock is free.

use crate::common::*;
use wua_engine::handler::{BatchContext, BatchEnd, Refusal, ResolvedUpdate};
use wua_job::InstallationJob;
use wua_testkit::{ScriptedHandler, TestMachine, failed, succeed, succeeded};
use wua_types::{HResult, Phase, UpdateInstallationResult, UpdateResult as _};

/// A panic that no hook prints.
pub(crate) fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("the handler's fault"))
}

/// Runs three updates, one a batch, the second by `second`; then expects the machine to be whole.
fn run(
    second: impl Fn(&mut dyn BatchContext) -> BatchEnd + Send + Sync + 'static,
) -> (TestMachine, InstallationJob, (End, Vec<End>)) {
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        if batch.members == [1] {
            return Ok(second(cx));
        }
        cx.changing();
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a", "b", "c"]);
    let job = begin(&machine, &wanted);
    let result = job.wait();
    machine.assert_idle();
    let story = machine.story(job.id());
    assert_eq!(story.results, result.updates);
    assert_eq!(
        story.completed,
        (result.result_code, result.hresult, result.reboot_required)
    );
    (machine, job, ends(&result))
}

const MIXED: End = (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR);

#[test]
fn r17_a_panic_ends_the_job_as_failed_with_a_reason_for_every_update() {
    let (machine, job, result) = run(|cx| {
        cx.changing();
        cx.step(1, 1, 2, Phase::Unpacking);
        panic_quietly()
    });
    assert_eq!(result, (LOST, vec![FINE, LOST, UNTRIED]));
    assert!(
        job.progress().truth.safe_to_power_off,
        "nothing is being changed any more"
    );
    assert_eq!(machine.state().history.len(), 3);
}

#[test]
fn silence_is_a_failure() {
    let (_, job, result) = run(|_| BatchEnd::Done);
    assert_eq!(result, (MIXED, vec![FINE, UNTRIED, FINE]));
    assert_eq!(job.wait().updates[1].message, "nothing was said about it");
}

#[test]
fn the_first_result_counts() {
    let (machine, _, result) = run(|cx| {
        cx.finished(1, failed());
        cx.finished(1, succeeded());
        cx.step(1, 1, 9, Phase::Unpacking);
        BatchEnd::Done
    });
    assert_eq!(result, (MIXED, vec![FINE, BROKEN, FINE]));
    assert_eq!(machine.state().history.len(), 3);
    assert_eq!(machine.state().installed.len(), 2);
}

#[test]
fn the_first_result_counts_also_among_results_told_together() {
    let (machine, _, result) = run(|cx| {
        cx.finished_together(vec![
            (1, UpdateInstallationResult::not_started()),
            (7, succeeded()),
            (1, failed()),
            (1, succeeded()),
        ]);
        cx.finished_together(Vec::new());
        BatchEnd::Done
    });
    assert_eq!(result, (MIXED, vec![FINE, BROKEN, FINE]));
    assert_eq!(machine.state().history.len(), 3);
}

#[test]
fn results_and_steps_of_others_are_left_aside() {
    let (machine, _, result) = run(|cx| {
        for stranger in [0, 2, 3, usize::MAX] {
            cx.step(stranger, 1, 2, Phase::Unpacking);
            cx.finished(stranger, failed());
        }
        cx.finished(1, succeeded());
        BatchEnd::Done
    });
    assert_eq!(result, (FINE, vec![FINE; 3]));
    assert_eq!(machine.handler.applied(), [[0], [1], [2]]);
}

#[test]
fn a_result_that_is_none_is_left_aside() {
    use wua_types::OperationResultCode::{InProgress, NotStarted};
    let (_, _, result) = run(|cx| {
        cx.finished(1, UpdateInstallationResult::not_started());
        cx.finished(1, UpdateInstallationResult::ended(InProgress, HResult::S_OK, ""));
        BatchEnd::Done
    });
    assert_eq!(result, (MIXED, vec![FINE, UNTRIED, FINE]));
    assert!(!NotStarted.is_final());
}

#[test]
fn steps_without_end_or_backwards_move_nothing_wrongly() {
    let (_, _, result) = run(|cx| {
        for (done, total) in [(5, 0), (u32::MAX, 1), (1, u32::MAX), (0, 0)] {
            cx.step(1, done, total, Phase::Configuring);
        }
        cx.finished(1, succeeded());
        BatchEnd::Done
    });
    assert_eq!(result, (FINE, vec![FINE; 3]));
}

#[test]
fn waits_that_are_never_taken_back_end_with_their_batch() {
    let (_, job, _) = run(|cx| {
        cx.waiting(Some(wua_types::WaitingFor {
            what: "a lock".into(),
            since: std::time::SystemTime::UNIX_EPOCH.try_into().expect("a time"),
            holder: None,
            detail: None,
        }));
        cx.finished(1, succeeded());
        BatchEnd::Done
    });
    assert_eq!(job.progress().truth.waiting_for, None);
}

#[test]
fn updates_that_were_not_resolved_fail_and_the_others_go_on() {
    let machine = TestMachine::new(ScriptedHandler::default().resolving(|resolution| {
        resolution.updates.truncate(1);
        Ok(())
    }));
    let wanted = updates(&["a", "b", "c"]);
    let job = begin(&machine, &wanted);
    assert_eq!(ends(&job.wait()), (MIXED, vec![FINE, UNTRIED, UNTRIED]));
    machine.story(job.id());
}

#[test]
fn more_answers_than_questions_are_left_aside() {
    let machine = TestMachine::new(ScriptedHandler::default().resolving(|resolution| {
        resolution.updates.push(Ok(ResolvedUpdate::default()));
        resolution
            .updates
            .push(Err(Refusal::new(HResult::E_FAIL, "who?")));
        Ok(())
    }));
    machine.install(&updates(&["a"]));
    assert_eq!(machine.handler.applied(), [[0]]);
}

#[test]
fn r17_a_panic_while_planning_ends_the_job() {
    let machine = TestMachine::new(ScriptedHandler::default().resolving(|_| panic_quietly()));
    let wanted = updates(&["a"]);
    let job = machine
        .installer()
        .start_install(collection(&wanted), None)
        .expect("begins");
    let result = job.wait();
    assert_eq!((result.result_code, result.hresult), LOST);
    assert_eq!(ends(&result).1, [UNTRIED]);
    machine.assert_idle();
    assert_eq!(machine.job_folders(), 0);
}
